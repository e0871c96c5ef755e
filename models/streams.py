"""Standard output and standard error whose reader may go away, as `... | head -2` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class _Steady:
    """A text stream that drops all text once it cannot be written any more."""

    def __init__(self, stream: TextIO, on_loss: Callable[[OSError], None]):
        self._stream, self._on_loss = stream, on_loss

    def write(self, text: str) -> int:
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, call: Callable[[], object]) -> None:
        try:
            call()
        except OSError as error:  # a closed pipe, a terminal that is gone, a full disk
            _to_nowhere(self._stream.fileno())
            with suppress(OSError):
                self._stream.flush()  # drops what waited for the reader
            self._on_loss(error)


@contextmanager
def steady_streams(command: str) -> Iterator[None]:
    """Within the block, a command goes on when nobody reads what it prints. If standard output is
    lost, one line on standard error says so."""

    def say(error: OSError) -> None:
        print(
            f"{command}: standard output cannot be written ({error.strerror}): going on without it",
            file=sys.stderr,
        )

    before = sys.stdout, sys.stderr
    sys.stderr = _Steady(sys.stderr, lambda error: None)  # type: ignore[assignment]
    sys.stdout = _Steady(sys.stdout, say)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def open_missing_streams() -> None:
    """Open the standard streams that are closed (`>&-`). Without this the next file that is opened
    becomes standard output, and a library's message is written into it."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
