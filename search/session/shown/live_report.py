"""`--report`: a process of its own keeps the report of a running search up to date.

It is `python -m analysis.report --watch`, at the lowest priority. It ends when its standard input
closes. The search holds the other end, so it closes even if the search is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

FOLDER = "report"  # in the run folder
EVERY_S = 60
LAST_PAGE_S = 600.0  # the longest that the page of the finished search may take
TO_END_S = 2.0  # a search that is told to end has eight seconds


class LiveReport:
    """The process that writes the report of a run folder into its folder `report`."""

    def __init__(self, run: Path):
        self._page = run / FOLDER / "report.html"
        self._command = [*_COMMAND, "--runs", str(run), "--out", str(run / FOLDER)]
        self._said: IO[bytes] = tempfile.TemporaryFile()
        self._process: subprocess.Popen | None = None
        try:
            self._start("--watch", str(EVERY_S), "--until-stdin-closes")
            _lower_priority(self._process.pid)
        except OSError as error:
            print(f"--report cannot begin ({error}): the search goes on without", flush=True)
            return
        print(f"the report, written anew every {EVERY_S} seconds: {self._page}", flush=True)

    def finish(self) -> None:
        """Write the last page, of the search as it is now. Print where it is, or why there is none.

        A new process writes it. The first one may wait for hours on a busy machine, because its
        priority is the lowest and cannot be raised again."""
        self.end()
        print("writing the last report", flush=True)
        try:
            self._start()
            failed = self._process.wait(LAST_PAGE_S) != 0
            why = self._last_line()
        except subprocess.TimeoutExpired:
            failed, why = True, f"it took longer than {LAST_PAGE_S:g} seconds"
        except OSError as error:
            failed, why = True, str(error)
        self.end()
        no_page = f"the report does not show the end of the search: {why}"
        print(no_page if failed else f"the report: {self._page}", flush=True)

    def end(self) -> None:
        """End the process now, with the processes that it started."""
        if self._process is None:
            return
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TO_END_S)
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._process = None

    def _start(self, *flags: str) -> None:
        self._process = subprocess.Popen(
            [*self._command, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # a signal to the search does not reach it
        )

    def _last_line(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it says nothing")


_COMMAND = (sys.executable, "-m", "analysis.report")


@contextmanager
def live_report(run: Path, wanted: bool) -> Iterator[LiveReport | None]:
    """The report of the folder `run` while a search is running in it; None unless `wanted`. The
    process ends with the block, also after an error."""
    if not wanted:
        yield None
        return
    report = LiveReport(run)
    try:
        yield report
    finally:
        report.end()


def _lower_priority(process: int) -> None:
    """Let trials go first; Ray lowers the priority of their processes too. The report must still
    get some time: a process that never runs does not see that its search was killed."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process, 19)
