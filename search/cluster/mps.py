"""NVIDIA's MPS for a search whose trials share a GPU in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from search.task.settings import UsageError

CONTROL = "nvidia-cuda-mps-control"
STARTS_WITHIN_S = 30


@contextmanager
def mps_daemon(wanted: bool) -> Iterator[None]:
    """Within the block, if `wanted`, a daemon of this search runs, and processes that start there
    use it. It changes no setting of the GPU. Raises UsageError where it cannot be started."""
    if not wanted:
        yield
        return
    if shutil.which(CONTROL) is None:
        raise UsageError(f"--mps: {CONTROL} is not installed; leave the flag out")
    with tempfile.TemporaryDirectory(prefix="mps-") as folder:
        os.environ["CUDA_MPS_PIPE_DIRECTORY"] = folder
        os.environ["CUDA_MPS_LOG_DIRECTORY"] = folder
        try:
            started = _control("-d")
            if started.returncode:
                raise UsageError(f"--mps: {CONTROL} -d failed: {started.stderr.strip()}")
            yield
        finally:
            _control(text="quit\n")
            del os.environ["CUDA_MPS_PIPE_DIRECTORY"], os.environ["CUDA_MPS_LOG_DIRECTORY"]


def _control(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [CONTROL, *arguments], input=text, capture_output=True, text=True, timeout=STARTS_WITHIN_S
    )
