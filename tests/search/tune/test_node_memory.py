"""Ray's memory monitor, which really kills: another program has used up the memory of the node."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
    import sys
    from pathlib import Path
    from search.cluster.connection import start_ray
    from search.store.folder import RunFolder
    from search.tune import failures
    failures.PAUSES, failures.PAUSE_S = 1, 1.0
    from tests.search.toy import ToyTask
    from tests.search.toy_search import run_toy

    start_ray(None, num_cpus=1)
    try:
        run_toy(Path(sys.argv[1]), ToyTask(trouble=("stuck",)), num_samples=3, max_concurrent=1)
    except Exception as error:
        print(str(error).strip().splitlines()[-1])
    for event in RunFolder(Path(sys.argv[1])).read_events()[0]:
        print(event["event"], event.get("reason", ""))
"""


@pytest.mark.slow
def test_a_search_waits_and_stops_where_the_memory_of_the_node_is_used_up(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), tmp_path / "run"],
        cwd=ROOT,
        env={
            **os.environ,
            "RAY_memory_usage_threshold": "0.01",
            "RAY_memory_monitor_refresh_ms": "200",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if "no trial begins" in line]
    assert [line for line in lines if "SearchStopped" in line and "used up" in line]
    failures = [line for line in lines if line.startswith("failure")]
    assert len(failures) == 2 and set(failures) == {"failure node memory"}
    assert lines.count("trial ") == 1  # no other trial was begun
