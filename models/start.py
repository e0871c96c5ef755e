"""What every command does before it imports anything else. Standard library only.

Python looks for modules in the working folder first, and Ray's workers do so too. A `models.py`
there is imported in place of ours, and the command would end in a traceback that explains nothing.
The surroundings of a process can break it in the same way: a notebook hands the name of its drawing
backend to every process that it starts, and a cluster's modules name packages of another Python.
"""

from __future__ import annotations

import codecs
import os
import pwd
import re
import sys
from importlib.util import find_spec
from pathlib import Path


def start_command(*packages: str) -> None:
    """Make the surroundings of this process harmless, for its child processes too. Exit with
    status 2 and one line on stderr if a module hides one of `packages`, if PYTHONPATH names the
    packages of another Python, or if the working folder is gone."""
    problem = (
        _missing_folder()
        or _hidden_package(packages)
        or _foreign_packages(os.environ.get("PYTHONPATH", ""))
    )
    if problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
    settle_environment()
    for stream in (sys.stdout, sys.stderr):
        print_anything(stream)


def settle_environment() -> None:
    """Set the variables that a library reads while it is imported, for this process and for the
    workers that it starts."""
    # Figures go to files. A backend of a notebook or a window may not even be importable here.
    os.environ["MPLBACKEND"] = "agg"
    _settle_threads()
    _settle_user()
    # Under `uv run`, Ray would ship the working folder, and start each worker through uv, which
    # installs all packages once more. The workers have this process's Python already.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Ray has no use for these any more, and raises an error where it finds them.
    for name in ("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR"):
        os.environ.pop(name, None)


def _settle_threads() -> None:
    """Lower OMP_NUM_THREADS to the cores of this machine: more threads only wait for each other.
    Remove it where it is no number: every process would warn about it."""
    asked, cores = os.environ.get("OMP_NUM_THREADS"), os.cpu_count() or 1
    if asked is None:
        return
    levels = asked.split(",")  # a number for each level of nesting
    if not all(level.strip().isdecimal() and int(level) for level in levels):
        del os.environ["OMP_NUM_THREADS"]
    elif int(levels[0]) > cores:
        os.environ["OMP_NUM_THREADS"] = str(cores)


def _settle_user() -> None:
    """Give a name and a home to a user whom the system does not know, as in containers that run
    under a mere user id. Libraries ask for both; without a name torch ends with an error."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("HOME", "/")
        os.environ.setdefault("USER", f"user-{os.getuid()}")


def print_anything(stream) -> None:
    """Let a stream print what its encoding lacks: a locale without UTF-8 has no "±", and the name
    of a file may be no text at all. Such a name is printed byte by byte, and can be pasted."""
    if hasattr(stream, "reconfigure"):  # a notebook's streams and those of tests have none
        codecs.register_error("print", _bytes_or_replacement)
        stream.reconfigure(errors="print")


def _bytes_or_replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


def _missing_folder() -> str | None:
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the working folder was deleted: change to another folder (cd)"
    return None


def _hidden_package(packages: tuple[str, ...]) -> str | None:
    ours = Path(__file__).resolve().parents[1]
    for package in packages:
        found = _find(package)
        if found not in (None, ours / package):
            return (
                f"{found} hides this project's package {package}: "
                "rename it, or run the command from another folder"
            )
    return None


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


def _foreign_packages(path: str) -> str | None:
    """What is wrong with a PYTHONPATH. Compiled packages of another Python cannot be imported, and
    they come before those that are installed here."""
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for folder in path.split(os.pathsep):
        version = re.search(r"python(\d+\.\d+)/(?:site|dist)-packages", folder)
        if version and version[1] != ours:
            return (
                f"PYTHONPATH has {folder}, packages of Python {version[1]}, and this is Python "
                f"{ours}: take it out of PYTHONPATH (unset PYTHONPATH)"
            )
    return None
