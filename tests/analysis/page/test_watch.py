"""`python -m analysis.report --watch`."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis import report, watch
from analysis.page import html
from analysis.read.values import RunError
from tests.analysis.run_folders import change_json, write_autoencoders


def state(folder: Path, word: str) -> None:
    change_json(folder / "run.json", lambda info: info.update(state=word))


def test_the_page_is_written_again_when_a_run_has_changed_until_the_search_ends(
    tmp_path, monkeypatch
):
    folder = write_autoencoders(tmp_path / "runs/ae", trials=3, epochs=2, pictures=False)
    state(folder, "running")
    lines = (folder / "epochs.csv").read_text()
    written: list[tuple[int, bool]] = []
    changes = [
        lambda: (folder / "trials.csv").write_bytes((folder / "trials.csv").read_bytes()),
        lambda: (folder / "epochs.csv").write_text(lines + "trial_00009,9,1\n"),
        lambda: os.utime(folder / "run.json", (1, 1)),
        lambda: state(folder, "finished"),
    ]

    def sleep(seconds: float) -> None:
        assert seconds == 7
        changes.pop(0)()

    monkeypatch.setattr(watch.time, "sleep", sleep)
    assert (
        watch.watch(
            tmp_path / "runs", 7, lambda running: written.append((len(changes), running)) or 0
        )
        == 0
    )
    assert written == [(4, True), (2, True), (0, False)] and not changes


def test_a_watch_waits_for_the_first_run_and_ends_with_ctrl_c(tmp_path, monkeypatch, capsys):
    turns = iter(range(2))

    def sleep(seconds: float) -> None:
        if next(turns, None) is None:
            raise KeyboardInterrupt

    def write(running: bool) -> int:
        raise RunError("no run")

    monkeypatch.setattr(watch.time, "sleep", sleep)
    (tmp_path / "runs").mkdir()
    assert watch.watch(tmp_path / "runs", 1, write) == 2
    assert capsys.readouterr().err.count("no run") == 1


def test_a_watch_ends_with_a_last_look_when_its_standard_input_closes(tmp_path):
    folder = write_autoencoders(tmp_path / "runs/ae", trials=3, epochs=2, pictures=False)
    state(folder, "running")
    page = tmp_path / "out/report.html"
    command = [sys.executable, "-m", "analysis.report", "--runs", folder, "--out", page.parent]
    with subprocess.Popen(
        [*command, "--watch", "1000", "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline()
        assert "data-written" in page.read_text()
        state(folder, "finished")
        process.stdin.close()
        assert process.wait(60) == 0
    assert "data-written" not in page.read_text()


def test_a_page_that_is_watched_says_when_it_was_written_and_no_other_does():
    before = datetime.now(UTC).replace(microsecond=0)
    page = html.render("# A page\n", {}, every=60)
    word = page.partition('data-written="')[2].partition('"')[0]
    assert before <= datetime.fromisoformat(word) <= datetime.now(UTC)
    assert "data-written" not in html.render("# A page\n", {})


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "soon"])
def test_a_wrong_number_of_seconds_is_refused(tmp_path, seconds, capsys):
    with pytest.raises(SystemExit) as stopped:
        report.main(["--runs", str(tmp_path), "--watch", seconds])
    assert stopped.value.code == 2 and "Traceback" not in capsys.readouterr().err
