"""The command lines that made a run, go on with it, and repeat it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import PurePath

from analysis.read.runs import Run
from analysis.read.values import number, text

_CHANGED_BY_RESUME = ("num_samples", "final_seeds")
_OF_A_SEARCH = frozenset(
    """
    --num-samples --name --storage-path --resume --time-budget-s --control-every --max-concurrent
    --address --latent-sizes --probes --set --space --start-from --log-to --report
    """.split()
)
"""Flags that mean nothing for one trial, or that its own configuration gives."""


def resume_command(run: Run) -> str:
    """The command that goes on with an interrupted run."""
    return _command(run, ["--name", run.name, *_storage(run), "--resume"])


def start_command(run: Run, max_epochs: float) -> str:
    """The command of a search that begins with the run's winners and trains for `max_epochs`. It is
    kept beside the run, so that it finds the run by its name."""
    words = shlex.join([*_storage(run), "--start-from", run.name])
    return f"{base_command(run, max_epochs)} {words}"


def command_line(run: Run) -> str:
    """The command that made the run, as a reader would type it."""
    return _command(run, _typed(run))


def repeat_command(run: Run) -> str:
    """The command that made a run, with flags for what it left to the machine it ran on, and with
    what a later session changed. Empty if it is not recorded."""
    if not isinstance(run.info.get("argv"), list):
        return ""
    words = _typed(run)
    settled = {"--dataset": run.data["name"], "--budget": text(run.info.get("budget"))}
    if source := text(run.settings.get("autoencoders")):
        settled["--autoencoders"] = PurePath(source).name
    for flag, value in settled.items():
        if value and not _given(words, flag):
            words += [flag, value]
    if resumed(run):
        for name in _CHANGED_BY_RESUME:
            if math.isfinite(value := number(run.settings.get(name))):
                words = _with_flag(words, f"--{name.replace('_', '-')}", f"{value:.0f}")
    return _command(run, words)


def base_command(run: Run, max_epochs: float = math.nan) -> str:
    """The beginning of a command that trains as the run did: its data, budget and seed, without
    what belongs to that search alone. `max_epochs` replaces the epochs of the budget."""
    kept: list[str] = []
    keep = True
    for word in shlex.split(repeat_command(run))[3:]:
        if word.startswith("--"):
            keep = word.partition("=")[0] not in _OF_A_SEARCH
        if keep:
            kept.append(word)
    for name in ("max_epochs", "train_size"):
        flag, value = f"--{name.replace('_', '-')}", number(run.settings.get(name))
        if math.isfinite(value) and not _given(kept, flag):
            kept += [flag, f"{value:.0f}"]
    if math.isfinite(max_epochs):
        kept = _with_flag(kept, "--max-epochs", f"{max_epochs:.0f}")
    return _command(run, kept)


def _storage(run: Run) -> list[str]:
    """The flag that says where the run is kept; nothing for the default folder."""
    where = text(run.settings.get("storage_path"))
    return ["--storage-path", where] if where not in ("", "runs") else []


def resumed(run: Run) -> bool:
    """Whether the run took more than one session."""
    return run.settings.get("resume") is True


def _command(run: Run, words: Sequence[str]) -> str:
    return shlex.join(["python", "-m", f"search.{run.command}", *words])


def _typed(run: Run) -> list[str]:
    argv = run.info.get("argv")
    words = [str(word) for word in argv] if isinstance(argv, list) else []
    return words[1:] if words and words[0].endswith((".py", "-m")) else words


def _with_flag(words: Sequence[str], flag: str, value: str) -> list[str]:
    """A command line in which a flag has a value, in its old place if it had another.

    >>> _with_flag(["--seed", "3", "--name", "a"], "--seed", "4")
    ['--seed', '4', '--name', 'a']
    >>> _with_flag(["--seed=3"], "--seed", "4"), _with_flag([], "--seed", "4")
    (['--seed=4'], ['--seed', '4'])
    """
    changed = list(words)
    for index, word in enumerate(words):
        if word.startswith(f"{flag}="):
            changed[index] = f"{flag}={value}"
        elif word == flag and index + 1 < len(words):
            changed[index + 1] = value
    return changed if _given(words, flag) else [*changed, flag, value]


def _given(words: Sequence[str], flag: str) -> bool:
    return any(word == flag or word.startswith(f"{flag}=") for word in words)
