"""The command lines that made a run, go on with it, and repeat it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath

from analysis.read.runs import Run
from analysis.read.values import entries, number, text

_CHANGED_BY_RESUME = ("num_samples", "final_seeds")
_OF_A_RUN = frozenset(("--name", "--resume", "--report", "--set", "--space"))
"""Flags of one run that another run of the same search has not, or that are written anew."""
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


def longer_command(run: Run, max_epochs: float) -> str:
    """The command of the run's own search again, which begins with its winners and trains for
    `max_epochs`. A time budget would end it too early, so it has none. It is kept beside the run,
    so that it finds the run by its name."""
    dropped = {*_OF_A_RUN, "--storage-path", "--start-from", "--time-budget-s"}
    words = _with_flag(_without(_repeated(run), dropped), "--max-epochs", f"{max_epochs:.0f}")
    begin = [*_storage(run), "--start-from", run.name]
    return _command(run, [*words, *_set(run, {}), *begin])


def wider_command(run: Run, ranges: Mapping[str, str]) -> str:
    """The command of the run's own search again, with other ranges by name, as `--set` takes
    them."""
    return _command(run, [*_without(_repeated(run), _OF_A_RUN), *_set(run, ranges)])


def command_line(run: Run) -> str:
    """The command that made the run, as a reader would type it."""
    return _command(run, _typed(run))


def repeat_command(run: Run) -> str:
    """The command that made a run, with flags for what it left to the machine it ran on, and with
    what a later session changed. Empty if it is not recorded."""
    return _command(run, _repeated(run)) if isinstance(run.info.get("argv"), list) else ""


def _repeated(run: Run) -> list[str]:
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
    return words


def base_command(run: Run) -> str:
    """The beginning of a command that trains one trial as the run did: its data, budget and seed,
    without what belongs to that search alone."""
    kept = _without(_repeated(run), _OF_A_SEARCH)
    for name in ("max_epochs", "train_size"):
        flag, value = f"--{name.replace('_', '-')}", number(run.settings.get(name))
        if math.isfinite(value) and not _given(kept, flag):
            kept += [flag, f"{value:.0f}"]
    return _command(run, kept)


def _without(words: Sequence[str], flags: Collection[str]) -> list[str]:
    """A command line without some flags and their values.

    >>> _without(["--set", "a=1", "b=2", "--seed=3", "--resume"], {"--set", "--resume"})
    ['--seed=3']
    """
    kept: list[str] = []
    keep = True
    for word in words:
        if word.startswith("--"):
            keep = word.partition("=")[0] not in flags
        kept += [word] * keep
    return kept


def own_ranges(run: Run) -> dict[str, str]:
    """The ranges of the run's `--set` and `--space` by name, as `--set` takes them."""
    return dict(word.partition("=")[::2] for word in entries(run.settings, "set", str))


def _set(run: Run, ranges: Mapping[str, str]) -> list[str]:
    """The flag `--set` with the run's own ranges, and others in the place of some."""
    wanted = [f"{name}={words}" for name, words in {**own_ranges(run), **ranges}.items()]
    return ["--set", *wanted] if wanted else []


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
