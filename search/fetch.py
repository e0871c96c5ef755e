"""`python -m search.fetch s3://bucket/prefix/NAME FOLDER`: copies a run folder from a bucket."""

from __future__ import annotations

import sys
from pathlib import Path

from models.ending import ends_at_signals
from search.record.ledger import LedgerError
from search.store.files import FolderError
from search.store.storage import fetch_run
from search.task.flags import OneLineParser


@ends_at_signals("search.fetch", "; what was copied is incomplete: delete it and fetch it again")
def main(argv: list[str] | None = None) -> int:
    """Fetch a run; return the exit status: 0, or 2 if the run cannot be fetched."""
    parser = OneLineParser("fetch", __doc__)
    parser.add_argument("run", help="s3://bucket/prefix/NAME, as --storage-path and --name gave it")
    parser.add_argument("folder", type=Path, help="where the run folder NAME is made")
    given = parser.parse_args(argv)
    try:
        print(fetch_run(given.run, given.folder))
    except (FolderError, LedgerError, OSError) as error:
        print(f"search.fetch: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
