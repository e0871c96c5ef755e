"""`--report`: the process that writes the report of a running search."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from search.session.shown import live_report
from search.session.shown.live_report import LiveReport
from search.task.settings import UsageError, resolve
from tests.analysis.run_folders import write_autoencoders


def is_alive(process: int) -> bool:
    """Whether a process runs. A zombie does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def command(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(live_report, "_COMMAND", (sys.executable, "-c", code))


def test_the_last_page_is_of_the_finished_search_and_no_process_stays(tmp_path, capsys):
    folder = write_autoencoders(tmp_path / "ae", trials=3, epochs=2, pictures=False)
    with live_report.live_report(folder, True) as report:
        process = report._process.pid
        assert os.getpriority(os.PRIO_PROCESS, process) == 19
        report.finish()
    page = folder / "report/report.html"
    assert "data-written" not in page.read_text() and not is_alive(process)
    assert str(page) in capsys.readouterr().out


def test_a_search_that_is_told_to_end_does_not_wait_for_the_report(tmp_path, monkeypatch):
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(99)"
    command(monkeypatch, f"import os; os.fork(); {stubborn}")
    with pytest.raises(KeyboardInterrupt), live_report.live_report(tmp_path, True) as report:
        process = report._process.pid
        time.sleep(0.5)
        begun = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 6
    members = [each for each in psutil.pids() if is_alive(each) and os.getpgid(each) == process]
    assert not members


def test_a_search_that_is_killed_leaves_no_process(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from search.session.shown import live_report\n"
        "live_report._COMMAND = (sys.executable, '-c', 'import sys; sys.stdin.read()')\n"
        "live_report._lower_priority = lambda process: None  # else it may wait for a core\n"
        f"report = live_report.LiveReport(Path({str(tmp_path)!r}))\n"
        "print(report._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert ended.returncode == -signal.SIGKILL
    process = int(ended.stdout.split()[-1])
    until = time.monotonic() + 30
    while is_alive(process) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(process)


@pytest.mark.parametrize("code", ["raise SystemExit('no room')", "import sys; print(1 / 0)"])
def test_a_report_that_fails_fails_no_search(tmp_path, monkeypatch, capsys, code):
    command(monkeypatch, code)
    report = LiveReport(tmp_path)
    report.finish()
    said = capsys.readouterr().out
    assert "no room" in said or "ZeroDivisionError" in said


def test_a_report_that_cannot_begin_fails_no_search(tmp_path, monkeypatch):
    monkeypatch.setattr(live_report, "_COMMAND", (str(tmp_path / "no-such-program"),))
    with live_report.live_report(tmp_path, True) as report:
        report.finish()


def test_a_bucket_is_refused_and_a_resumed_search_may_begin_and_end_its_report():
    with pytest.raises(UsageError, match="bucket"):
        resolve({"report": True, "storage_path": "s3://bucket/runs"}, None, {}, {})
    assert resolve({"report": True}, {"report": False}, {}, {}).report
