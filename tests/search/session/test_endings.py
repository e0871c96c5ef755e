"""Real searches: some get a signal at any moment, some lose the reader of their output."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[3]
SMALL = (
    "--dataset mnist5k --train-size 50 --max-epochs 1 --latent-sizes 16 --num-samples 2 "
    "--final-seeds 3 --name a"
).split()
MOMENTS = {
    "loading": None,
    "Ray starts": "run folder:",
    "trials": "0/2 trials done",
    "retraining": "retraining the chosen",
}


def started(storage: Path, *flags: str, **streams) -> subprocess.Popen:
    where = ["--storage-path", storage, "--data-dir", storage]
    words = [sys.executable, "-m", "search.autoencoders", *SMALL, *where, *flags]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.Popen(words, cwd=ROOT, text=True, start_new_session=True, **pipes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_ends_a_search_within_ten_seconds(tmp_path, moment, name):
    process = started(tmp_path)
    if MOMENTS[moment]:
        for line in process.stdout:
            if MOMENTS[moment] in line:
                break
        time.sleep(0.5)
    else:
        time.sleep(1.5)
    others = psutil.Process(process.pid).children(recursive=True)
    number = getattr(signal, name)
    process.send_signal(number)
    begin = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number and time.monotonic() - begin < 10
    assert name in err and "Traceback" not in err
    assert psutil.wait_procs(others, timeout=10)[1] == []
    assert ("--resume" in err) == (tmp_path / "a" / "ledger.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["stdout", "stderr"])
def test_a_search_goes_on_when_its_reader_goes_away(tmp_path, lost):
    process = started(tmp_path)
    if lost == "stdout":
        for _ in range(2):
            process.stdout.readline()
    getattr(process, lost).close()
    left = process.stderr if lost == "stdout" else process.stdout
    text = left.read()
    assert process.wait(timeout=60) == 0
    assert json.loads((tmp_path / "a" / "run.json").read_text())["state"] == "finished"
    assert "Traceback" not in text and (lost == "stderr" or len(text.splitlines()) == 1)
