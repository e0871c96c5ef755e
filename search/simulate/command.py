"""`python -m search.simulate`: compare searchers and schedulers on recorded learning curves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models.ending import ends_at_signals
from search.simulate.curves import add_curves_flag, load_curves
from search.simulate.policies import POLICIES
from search.simulate.recording import record
from search.simulate.regret import compare
from search.simulate.replay import quiet
from search.simulate.table import as_text
from search.store.files import FolderError, write_json
from search.task.flags import OneLineParser
from search.task.kinds import positive_int
from search.task.settings import UsageError


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "simulate", "Compare searchers on recorded learning curves, at no training cost."
    )
    add = parser.add_argument
    add_curves_flag(parser)
    add("--seeds", type=positive_int, default=30, help="searches of each kind (default 30)")
    add(
        "--budget-epochs",
        type=positive_int,
        default=250,
        help="epochs of each search (default 250: 50 to 80 trials of 9 epochs with ASHA)",
    )
    add("--workers", type=positive_int, default=1, help="trials at a time (default 1)")
    add("--grace-epochs", type=positive_int, default=1, help="ASHA's first rung (default 1)")
    add(
        "--searchers",
        nargs="+",
        choices=tuple(POLICIES),
        default=list(POLICIES),
        help="which to compare; the others are compared with the first (default: all)",
    )
    add("--json", type=Path, help="write the figures to this file too")
    add(
        "--record",
        type=Path,
        metavar="RUN",
        help="do not compare: make a file of curves from the folder of a run of "
        "search.autoencoders --sampler random with --grace-epochs as large as --max-epochs",
    )
    add("--out", type=Path, help="the file that --record makes")
    return parser


@ends_at_signals("search.simulate", "")
def main(argv: list[str] | None = None) -> int:
    """Return the exit status: 0, or 2 for an argument or a file that cannot be used."""
    given = _parser().parse_args(argv)
    try:
        if (given.record is None) != (given.out is None):
            raise UsageError("--record RUN and --out FILE go together")
        if given.record is None:
            _compare(given)
        else:
            print(f"{given.out}: curves of {record(given.record, given.out)} trials")
    except (UsageError, FolderError) as error:
        print(f"search.simulate: error: {error}", file=sys.stderr)
        return 2
    return 0


def _compare(given: argparse.Namespace) -> None:
    curves = load_curves(given.curves)
    if given.grace_epochs > curves.max_epochs:
        raise UsageError(
            f"--grace-epochs {given.grace_epochs} is more than the {curves.max_epochs} epochs that "
            "were recorded"
        )
    policies = list(dict.fromkeys(given.searchers))
    sizes = (given.seeds, given.budget_epochs, given.workers, given.grace_epochs)
    with quiet():
        found = compare(curves, policies, *sizes)
    print(as_text(found))
    if given.json:
        write_json(given.json, found)
