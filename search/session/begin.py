"""The run folder of a session: made for a new search, and held for as long as the session runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

from search.session.prepare import Session
from search.store.files import TakenError
from search.tune.logbook import Logbook


@contextmanager
def begun(session: Session, resumed: bool) -> Iterator[Session]:
    """Hold the run folder. For a new search, make it and write the first event of its ledger.

    Yields the session. If the user gave no name and another search took this name in the same
    second, the session has a folder of another name. If the search cannot begin, no folder is left.
    Raises FolderError if another search has the folder."""
    with ExitStack() as held:
        if resumed:
            held.enter_context(session.folder.locked())
        else:
            session = _with_a_free_name(session, held)
        yield session


def _with_a_free_name(session: Session, held: ExitStack) -> Session:
    name = session.folder.name
    numbers = count(2)
    while True:
        try:
            _begin(session, held)
            return session
        except TakenError:
            if session.named:
                raise
            session = session.renamed(f"{name}-{next(numbers)}")


def _begin(session: Session, held: ExitStack) -> None:
    session.folder.create()
    try:
        with ExitStack() as locked:
            locked.enter_context(session.folder.locked())
            Logbook.begin(session.folder, session.header)
            held.enter_context(locked.pop_all())
    except BaseException:
        session.folder.discard()
        raise
