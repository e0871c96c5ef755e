"""What a signal does to a command: real signals, sent to real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from textwrap import indent

import pytest

COMMAND = """
import signal, sys, time
from models import ending

ending.DEADLINE_S = 1.0
status = 0
with ending.Ending("a.command", ", and nothing is lost") as end:
    try:
{work}
    except KeyboardInterrupt as stop:
        status = end.say(stop)
sys.exit(status)
"""
WAIT = "print('ready', flush=True)\ntime.sleep(60)"


def started(work: str, before: str = "") -> subprocess.Popen:
    """A command in the middle of its work, which prints "ready"."""
    script = before + COMMAND.format(work=indent(work, " " * 8))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", script], text=True, **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


def told(work: str, *signals: int) -> tuple[int, str]:
    """Exit status and standard error of a command that gets signals in its work."""
    process = started(work)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.1)
    _, err = process.communicate(timeout=30)
    return process.returncode, err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"])
def test_every_signal_ends_a_command_with_one_line_and_the_shell_s_status(name):
    number = getattr(signal, name)
    status, err = told(WAIT, number)
    assert status == 128 + number and len(err.splitlines()) == 1
    assert "nothing is lost" in err and ("interrupted" if name == "SIGINT" else name) in err


def test_a_signal_that_is_lost_in_a_library_still_ends_the_command():
    """As in a callback of C code, where Python can only report an exception and go on."""
    work = f"class Lost:\n    def __del__(self):\n{indent(WAIT, ' ' * 8)}\nLost()\ntime.sleep(60)"
    status, err = told(work, signal.SIGTERM)
    assert status == 143 and "nothing is lost" in err


def test_a_second_signal_does_not_cut_the_ending_short():
    work = f"try:\n{indent(WAIT, '    ')}\nfinally:\n    time.sleep(0.5)"
    work += "\n    print('tidied', file=sys.stderr)"
    status, err = told(work, signal.SIGTERM, signal.SIGTERM, signal.SIGINT)
    assert status == 143 and "tidied" in err and "Traceback" not in err


def test_the_handler_of_a_library_is_replaced():
    taken = "signal.signal(signal.SIGUSR1, lambda *_: None)\nending.check()\n"
    assert told(taken + WAIT, signal.SIGUSR1)[0] == 128 + signal.SIGUSR1


def test_what_was_ignored_stays_ignored():
    """nohup ignores SIGHUP."""
    ignored = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    process = started("print('ready', flush=True)\ntime.sleep(0.5)", ignored)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=30)[1] == "" and process.returncode == 0
