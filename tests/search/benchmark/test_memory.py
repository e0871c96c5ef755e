"""The memory that a search of own images takes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from search.benchmark import memory


def test_the_generated_images_are_large_and_differ(tmp_path):
    memory._generate(tmp_path / "made.npz", 30, 20)
    with np.load(tmp_path / "made.npz") as archive:
        images = archive["images"]
    assert images.shape == (30, 20, 20, 3) and images.dtype == np.uint8
    assert len(np.unique(images.reshape(30, -1), axis=0)) == 30


def test_the_memory_of_a_process_and_of_its_children_is_seen():
    hold = "import sys; a = bytearray(50_000_000); print(1, flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, "-S", "-c", hold], **pipes)
    child.stdout.readline()
    assert child.pid in memory._descendants(os.getpid())
    proportional, own, is_worker = memory._memory(child.pid)
    assert proportional >= own > 50_000_000 and not is_worker
    child.communicate(b"")
    assert memory._memory(child.pid) == (0, 0, False)


@pytest.mark.slow
def test_a_small_measurement_has_all_its_figures():
    found = memory.measure(300, 20)
    assert found["bytes"] == 300 * 1200 and 0 < found["first_epoch_s"] < found["whole_s"]
    assert found["most_bytes"] > found["worker_bytes"] > 10_000_000
    assert len(memory.as_text(found)) == 4
