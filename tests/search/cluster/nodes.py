"""Real Ray nodes on one machine, separated as far as one machine allows.

Each node is started with `ray start` in a PID and a mount namespace of its own: folders can be
hidden from it as on another machine, and all its processes die at the same moment.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STARTED = "Ray runtime started"  # in what `ray start` prints
APART = "unshare --mount --pid --fork --kill-child=SIGKILL --mount-proc".split()


def free_ports(count: int) -> list[int]:
    """Different ports: all are held before any is released."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Nodes:
    """A cluster whose nodes do not see this checkout; a context manager."""

    def __init__(self, *hidden: Path, **environment: str):
        self.hidden, self._more = (ROOT, *hidden), environment
        # Short, because paths of sockets are limited in length.
        self.temporary = Path(tempfile.mkdtemp(prefix="rc", dir="/tmp"))
        self.port, self.client_port, self.dashboard_port = free_ports(3)
        self.address = f"127.0.0.1:{self.port}"
        self.client = f"127.0.0.1:{self.client_port}"
        self.token = secrets.token_hex(32)  # so that no other driver can join
        self._alive: list[subprocess.Popen] = []

    def __enter__(self) -> Nodes:
        if os.geteuid() or subprocess.run([*APART, "true"], capture_output=True).returncode:
            shutil.rmtree(self.temporary)
            pytest.skip("nodes that do not see each other's folders need root")
        return self

    def __exit__(self, *error) -> None:
        for node in reversed(self._alive):
            node.kill()
            node.wait(timeout=60)
        shutil.rmtree(self.temporary, ignore_errors=True)

    @property
    def environment(self) -> dict:
        """The environment of a driver on the head's machine."""
        return {
            **os.environ,
            "RAY_TMPDIR": str(self.temporary),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "OMP_NUM_THREADS": "1",
            # Ray notices a dead node within seconds, and not after half a minute.
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "3",
            **self._more,
        }

    def head(
        self, *, cpus: int = 0, dashboard: bool = False, sees: tuple[Path, ...] = ()
    ) -> subprocess.Popen:
        flags = [
            "--head",
            f"--port={self.port}",
            f"--ray-client-server-port={self.client_port}",
            f"--include-dashboard={str(dashboard).lower()}",
            f"--dashboard-port={self.dashboard_port}",
            f"--temp-dir={self.temporary}",
        ]
        node = self._start(flags, cpus, 0, sees)
        ports = [self.client_port, *([self.dashboard_port] if dashboard else [])]
        assert self._becomes(lambda: all(map(_listens, ports)))
        return node

    def add(self, *, cpus: int = 1, gpus: int = 0, sees: tuple[Path, ...] = ()) -> subprocess.Popen:
        """A worker node, once it has joined. Of the hidden folders it sees those in `sees`. It has
        a folder of its own, as on another machine: Ray would give it that of the head."""
        folder = tempfile.mkdtemp(prefix="n", dir=self.temporary)
        return self._start([f"--address={self.address}", f"--temp-dir={folder}"], cpus, gpus, sees)

    def kill(self, node: subprocess.Popen) -> None:
        """End every process of a node at the same moment."""
        node.kill()
        node.wait(timeout=60)
        self._alive.remove(node)

    def _start(self, flags: list[str], cpus: int, gpus: int, sees) -> subprocess.Popen:
        """Tries often: on a busy machine a raylet gives up after 15 s without its agents."""
        for _ in range(4):
            node, log = self._begin(flags, cpus, gpus, sees)
            self._alive.append(node)
            if self._becomes(partial(_is_settled, node, log)) and node.poll() is None:
                return node
            self.kill(node)
        logs = [path.read_text() for path in sorted(self.temporary.glob("node-*.txt"))]
        raise RuntimeError("a node did not start:\n" + "\n".join(logs))

    def _begin(self, flags: list[str], cpus: int, gpus: int, sees) -> tuple[subprocess.Popen, Path]:
        start = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start"),
            *flags,
            "--node-ip-address=127.0.0.1",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            "--object-store-memory=100000000",
            "--min-worker-port=0",
            "--max-worker-port=0",
            "--dashboard-agent-listen-port=0",
            "--disable-usage-stats",
            "--block",
        ]
        hide = [self._hide(path) for path in self.hidden if path not in sees]
        script = " && ".join([*hide, "exec " + shlex.join(start)])
        log = self.temporary / f"node-{len(list(self.temporary.glob('node-*.txt')))}.txt"
        with open(log, "w") as file:
            node = subprocess.Popen(
                [*APART, "sh", "-c", script],
                cwd="/",
                stdout=file,
                stderr=file,
                env=self.environment,
                start_new_session=True,
            )
        return node, log

    def _hide(self, path: Path) -> str:
        """The command that hides a folder. The node still needs the installed packages, so their
        environment stays visible even if it is inside the folder, where README puts it."""
        packages = Path(sys.prefix)
        steps = [["mount", "-t", "tmpfs", "tmpfs", str(path)]]
        if packages.resolve().is_relative_to(path.resolve()):
            kept = self.temporary / "packages"
            kept.mkdir(exist_ok=True)
            steps.insert(0, ["mount", "--bind", str(packages), str(kept)])
            steps.append(["mkdir", "-p", str(packages)])
            steps.append(["mount", "--bind", str(kept), str(packages)])
        return " && ".join(map(shlex.join, steps))

    def _becomes(self, true: Callable[[], bool], seconds: float = 60) -> bool:
        """Whether something became true in time."""
        end = time.monotonic() + seconds
        while not true() and time.monotonic() < end:
            time.sleep(0.1)
        return true()


def _is_settled(node: subprocess.Popen, log: Path) -> bool:
    return node.poll() is not None or STARTED in log.read_text()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
