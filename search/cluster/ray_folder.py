"""Where Ray keeps the sockets and logs of the cluster that it starts on this machine."""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from search.store.files import one_line
from search.task.settings import UsageError

# The longest path below its folder that Ray gives to a socket; process ids have up to 7 digits.
SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
SOCKET_PATH = 103 if sys.platform == "darwin" else 107  # bytes that the system allows for a socket


def ray_folder() -> tuple[Path, str]:
    """The folder for Ray, and a note for people if it is not the folder that Ray would take.

    Ray takes `ray` in RAY_TMPDIR, else in TMPDIR, else in /tmp. If this folder cannot hold sockets,
    `ray-<user id>` in the same place is tried, because `ray` may belong to another user, and then
    both names in /tmp (but not if RAY_TMPDIR is set).

    Raises UsageError if no folder can hold sockets."""
    problems = []
    for name, parent in _parents():
        for own in ("ray", f"ray-{os.getuid()}"):
            folder = Path(parent, own).absolute()
            problem = _problem(folder)
            if problem is None:
                return folder, f"note: {problems[0]}; it uses {folder}" if problems else ""
            if own == "ray":
                problems.append(f"{name}{folder} cannot hold the sockets of Ray ({problem})")
    raise UsageError(
        f"{'; '.join(problems)}: set RAY_TMPDIR to a folder of this machine that can be written "
        f"and whose path is at most {SOCKET_PATH - len(f'/ray/{SOCKET}')} bytes long"
    )


def _parents() -> list[tuple[str, str]]:
    """(variable, folder) of each place to try."""
    if os.environ.get("RAY_TMPDIR"):
        return [("RAY_TMPDIR: ", os.environ["RAY_TMPDIR"])]
    asked = os.environ.get("TMPDIR") if sys.platform.startswith("linux") else None
    return [*([("TMPDIR: ", asked)] if asked else []), ("", "/tmp")]


def _problem(folder: Path) -> str | None:
    """Why sockets cannot be made in `folder`, found by making one; None if they can."""
    length = len(os.fsencode(folder)) + len(f"/{SOCKET}")
    if length > SOCKET_PATH:
        return f"paths there would have {length} bytes, and a socket's has at most {SOCKET_PATH}"
    path = folder / f"probe-{os.getpid()}"
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            with suppress(OSError):
                folder.chmod(0o777)  # as Ray does: the next user of this machine needs it too
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(os.fsencode(path))
        path.unlink()
    except OSError as error:
        return one_line(error)
    return None


def refuse_shared_folder(nodes: Iterable[Mapping], working_folder: Path) -> None:
    """Raise UsageError if this driver is a submitted job, and two of `nodes` (from `ray.nodes()`)
    are on its machine and in one folder. The second unpacks the job's working folder anew, and
    deletes what the first unpacked: the folder that the driver is in."""
    places = Counter(
        (node["NodeManagerHostname"], Path(node["RayletSocketName"]).parents[1])
        for node in nodes
        if node["Alive"] and node["RayletSocketName"]
    )
    for (host, folder), count in places.items():
        if count > 1 and working_folder.is_relative_to(folder):
            raise UsageError(
                f"{count} nodes on {host} share the folder {folder}, and each unpacks this job "
                "there: start every node with its own folder (ray start --temp-dir FOLDER)"
            )
