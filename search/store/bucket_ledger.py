"""The ledger of a run in a bucket. A bucket cannot append: each event is a numbered object.

Every GROUP of events is joined into one object, so that a resumed search reads few objects. An
event is stored before anything acts on it.
"""

from __future__ import annotations

from collections.abc import Callable

from search.record.ledger import LedgerError, decode, encode
from search.store.bucket import BucketFiles

GROUP = 200  # events: a resumed search reads at most this many one by one


class BucketLedger:
    """A `Ledger` in a bucket that holds `end` events. `may_write` raises OSError once another
    driver may hold the run."""

    def __init__(self, files: BucketFiles, end: int, may_write: Callable[[], None]):
        self._files, self._end, self._may_write = files, end, may_write

    def append(self, event: dict) -> None:
        """Store an event. Raises OSError if that fails. The event may be stored even then: the next
        session finds out, and nothing has acted on it."""
        line = encode(event)
        self._may_write()
        group, number = divmod(self._end, GROUP)
        self._files.child(_group(group)).write(_event(number), lambda file: file.write(line))
        self._end += 1
        if self._end % GROUP == 0:
            self._join(group)

    def close(self) -> None:
        pass

    def _join(self, group: int) -> None:
        lines = self._files.child(_group(group)).read_all([_event(n) for n in range(GROUP)])
        self._files.write(_joined(group), lambda file: file.write(b"".join(lines)))
        self._files.delete_child(_group(group))


def read_bucket_ledger(files: BucketFiles) -> tuple[list[dict], int]:
    """The events that a `BucketLedger` stored, and their number.

    Raises LedgerError if there are none, or one is missing or damaged. Raises OSError."""
    names = [name for name, _ in files.tree()]
    joined = {name.removesuffix(".log") for name in names if "/" not in name}
    # A driver that is killed after joining a group leaves single objects of that group.
    kept = [name for name in names if "/" not in name or name.split("/")[0] not in joined]
    lines = b"".join(files.read_all(kept)).split(b"\n")[:-1]
    events = decode(lines, files.location)
    if not events:
        raise LedgerError(f"{files.location}: holds no event: start another search")
    if kept != _expected(len(events), joined):
        raise LedgerError(f"{files.location}: an event is missing; put it back from a copy")
    return events, len(events)


def _expected(count: int, joined: set[str]) -> list[str]:
    """The objects of a ledger of `count` events, in order."""
    found = []
    for group in range(-(-count // GROUP)):
        if _group(group) in joined:
            found.append(_joined(group))
        else:
            size = min(GROUP, count - group * GROUP)
            found += [f"{_group(group)}/{_event(number)}" for number in range(size)]
    return found


def _group(group: int) -> str:
    return f"{group:06d}"


def _joined(group: int) -> str:
    return f"{_group(group)}.log"


def _event(number: int) -> str:
    return f"{number:03d}"
