"""Whether the working folder hides a package of this project. Standard library only.

Python looks for modules in the working folder first, and Ray's workers do so too. A `models.py`
there is imported in place of ours, and the command would end in a traceback that explains nothing.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def refuse_hidden_packages(*packages: str) -> None:
    """Exit with status 2 and one line on stderr if another module hides one of `packages`."""
    ours = Path(__file__).resolve().parents[1]
    for package in packages:
        found = _find(package)
        if found not in (None, ours / package):
            print(
                f"{found} hides this project's package {package}: "
                "rename it, or run the command from another folder",
                file=sys.stderr,
            )
            sys.exit(2)


def _find(package: str) -> Path | None:
    """Where an import from the working folder finds a package: its folder, or a module's file."""
    sys.path.insert(0, os.getcwd())  # `python -P` leaves it out, but Ray's workers do not
    try:
        spec = find_spec(package)
    finally:
        del sys.path[0]
    if spec is None:
        return None
    locations = [*(spec.submodule_search_locations or []), spec.origin]
    return Path(str(locations[0])).resolve()
