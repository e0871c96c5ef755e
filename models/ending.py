"""How a command ends at Ctrl-C, or at a signal of the program that started it.

SLURM, Docker and systemd send SIGTERM. SLURM can warn with SIGUSR1 before its time limit. A
terminal that closes sends SIGHUP. Each of them ends a command as Ctrl-C does: with a line that says
how to go on, and within `DEADLINE_S`. Standard library only: a command imports it first.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from models.streams import steady_streams

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
DEADLINE_S = 8.0  # systems kill a process ten seconds after their signal, or later


class Stopped(KeyboardInterrupt):
    """A signal told this process to end."""

    def __init__(self, number: int):
        super().__init__(_how(number))
        self.number = number
        self.status = 128 + number  # as a shell reports it


class Ending:
    """Turns the signals of a command into `Stopped`, which is raised in the main thread.

    The last line names the command and the signal. It ends with `resume`, the command that goes on;
    until `resume` is known, it ends with `otherwise`. It is printed at once, because the processes
    that the command started may get the signal too, and the command may not outlive them. If the
    command has not ended DEADLINE_S later, for whatever reason, the process ends. Further signals
    change nothing."""

    def __init__(self, command: str, otherwise: str):
        self.command, self._otherwise, self.resume = command, otherwise, ""
        self._asked: int | None = None
        self._held = False
        self._said = threading.Lock()  # who prints the last line never releases it
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Ending:
        global _current
        if threading.current_thread() is threading.main_thread() and _current is None:
            _current = self
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
            self._install()
            self._begin_watch()
        return self

    def __exit__(self, *error: object) -> None:
        global _current
        if _current is not self:
            return
        signal.set_wakeup_fd(self._other_wakeup)
        os.close(self._write)  # the watching thread reads the end of the pipe, and ends
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        _current = None

    def say(self, stop: BaseException) -> int:
        """Print the last line, once; return the exit status."""
        # Ray raises a KeyboardInterrupt of its own in place of what a handler raised.
        number = stop.number if isinstance(stop, Stopped) else self._asked or signal.SIGINT
        if self._said.acquire(blocking=False):
            print(f"{self.command}: {_how(number)}{self.goes_on}", file=sys.stderr, flush=True)
        return 128 + number

    @property
    def goes_on(self) -> str:
        """How to go on, as the end of a line."""
        return f"; to go on: {self.resume}" if self.resume else self._otherwise

    def check(self) -> None:
        """Take the signals back from a library that took them, and raise Stopped if one came.

        Python does not know of a handler that a library sets in C, so all are set again."""
        self._install()
        if self._asked is not None:
            raise Stopped(self._asked)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The block must be the last thing that a command does. Within it a signal raises nothing,
        but still ends the process after DEADLINE_S."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    def _wanted(self) -> Iterator[tuple[int, Any]]:
        """The handler of each signal. An ignored signal stays ignored: nohup ignores SIGHUP."""
        for number, handler in self._before.items():
            yield number, signal.SIG_IGN if handler == signal.SIG_IGN else self._handle

    def _install(self) -> None:
        for number, handler in self._wanted():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked is None:
            self._asked = number
            if not self._held:
                raise Stopped(number)

    def _begin_watch(self) -> None:
        """Start the thread that keeps the deadline. Python's handlers wait for the code in C that
        is running; a wake-up descriptor does not."""
        read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._other_wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(read,), daemon=True).start()

    def _watch(self, read: int) -> None:
        ignored = {n for n, handler in self._before.items() if handler == signal.SIG_IGN}
        while number := os.read(read, 1):
            if number[0] in set(SIGNALS) - ignored:
                with suppress(Exception):
                    if not self._held:
                        self.say(Stopped(number[0]))
                time.sleep(DEADLINE_S)
                if _current is self:
                    with suppress(Exception):
                        sys.stdout.flush()
                    os._exit(128 + number[0])
                break
        os.close(read)


_current: Ending | None = None


def check() -> None:
    """`Ending.check` of the command that runs in this process, if there is one."""
    if _current is not None:
        _current.check()


def ends_at_signals(
    command: str, otherwise: str
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Decorates the main function of a command: a signal ends it with the line of an `Ending`, and
    it goes on when nobody reads what it prints."""

    def decorate(main: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(main)
        def decorated(*arguments: Any, **more: Any) -> int:
            with steady_streams(command), Ending(command, otherwise) as ending:
                try:
                    return main(*arguments, **more)
                except KeyboardInterrupt as stop:
                    return ending.say(stop)

        return decorated

    return decorate


def end_while_imported() -> None:
    """Until an `Ending` begins, end a command at once with one line: there is nothing to lose yet.
    An exception would be raised inside an import, and a library may turn it into another."""
    command = sys.orig_argv[sys.orig_argv.index("-m") + 1]

    def end(number: int, frame: FrameType | None) -> None:
        line = f"{command}: {_how(number)} before it began\n"
        with suppress(OSError):
            os.write(2, line.encode())
        os._exit(128 + number)

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)


def _how(number: int) -> str:
    return "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
