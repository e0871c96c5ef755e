"""Which code and which packages produced a result."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path


def git_commit() -> str | None:
    """The commit of this code, with "+" if files differ from it; None outside a checkout."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    return commit.stdout.strip() or None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of installed `packages`.

    Raises importlib.metadata.PackageNotFoundError for a package that is not installed."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def timestamp(seconds: float | None = None) -> str:
    """A time in seconds since 1970, or now, as local ISO 8601 with its offset from UTC."""
    moment = datetime.now() if seconds is None else datetime.fromtimestamp(seconds)
    return moment.astimezone().isoformat(timespec="seconds")
