"""`python -m search.simulate`: compare searchers and schedulers on recorded learning curves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models.ending import ends_at_signals
from search.simulate.policies.choices import KINDS, POLICIES, RIVALS, named
from search.simulate.recorded import SUFFIX, Curves, load_curves, recorded_tasks
from search.simulate.recording import record
from search.simulate.regret import compare
from search.simulate.replay import quiet
from search.simulate.table import as_text, meanings
from search.store.files import FolderError, write_json
from search.task.flags import OneLineParser
from search.task.kinds import positive_int
from search.task.settings import UsageError


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "simulate", "Compare searchers on recorded learning curves, at no training cost."
    )
    add = parser.add_argument
    add(
        "--tasks",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help=f"recorded tasks, or files of curves: {', '.join(recorded_tasks())} (default: all)",
    )
    add("--seeds", type=positive_int, default=30, help="searches of each kind (default 30)")
    add(
        "--trials",
        type=positive_int,
        nargs="+",
        default=[25, 50, 100],
        help="budgets at which searches are compared, in trials' worth of epochs: the epochs of so "
        "many trials that nothing stops (default 25 50 100)",
    )
    add("--workers", type=positive_int, default=1, help="trials at a time (default 1)")
    add("--grace-epochs", type=positive_int, default=1, help="ASHA's first rung (default 1)")
    add(
        "--searchers",
        nargs="+",
        choices=(*KINDS, *POLICIES),
        default=[RIVALS],
        metavar="NAME",
        help=f"what is compared with ours: {', '.join(POLICIES)}; or several at once: "
        f"{', '.join(KINDS)} (default {RIVALS})",
    )
    add("--json", type=Path, help="write the figures to this file too")
    add(
        "--record",
        type=Path,
        metavar="RUN",
        help="do not compare: make a file of curves from the folder of a search "
        "that had --sampler random and --grace-epochs as large as --max-epochs",
    )
    add("--out", type=Path, help="the file that --record makes")
    return parser


@ends_at_signals("search.simulate", "")
def main(argv: list[str] | None = None) -> int:
    """Return the exit status: 0, or 2 for an argument or a file that cannot be used."""
    given = _parser().parse_args(argv)
    try:
        if (given.record is None) != (given.out is None):
            raise UsageError("--record RUN and --out FILE go together")
        if given.record is None:
            _compare(given)
        else:
            print(f"{given.out}: curves of {record(given.record, given.out)} trials")
    except (UsageError, FolderError) as error:
        print(f"search.simulate: error: {error}", file=sys.stderr)
        return 2
    return 0


def _compare(given: argparse.Namespace) -> None:
    tasks = {name: _curves(path, given.grace_epochs) for name, path in _files(given.tasks).items()}
    policies, found = _installed(named(given.searchers)), {}
    with quiet():
        for name, curves in tasks.items():
            at = tuple(trials * curves.max_epochs for trials in sorted(set(given.trials)))
            sizes = (given.seeds, at, given.workers, given.grace_epochs)
            found[name] = compare(curves, policies, *sizes)
            print(as_text(name, found[name]), end="\n\n", flush=True)
    print(meanings(policies))
    if given.json:
        write_json(given.json, found)


def _installed(policies: list[str]) -> list[str]:
    """The policies, if their packages are here. Raises UsageError."""
    missing = [name for name in policies if not POLICIES[name].installed]
    if missing:
        packages = ", ".join(POLICIES[name].needs for name in missing)
        raise UsageError(
            f"--searchers {missing[0]} needs an extra ({packages}): pip install '.[rivals]'"
        )
    return policies


def _files(names: list[str]) -> dict[str, Path]:
    """The file of each task. Raises UsageError for a name that is neither a task nor a file."""
    known, found = recorded_tasks(), {}
    for name in names:
        if name == "all":
            found.update(known)
        elif name in known:
            found[name] = known[name]
        elif name.endswith(SUFFIX):
            found[Path(name).name.removesuffix(SUFFIX)] = Path(name)
        else:
            raise UsageError(
                f"--tasks {name} is neither a recorded task ({', '.join(known)}) nor a file of "
                f"curves (*{SUFFIX})"
            )
    return found


def _curves(path: Path, grace_epochs: int) -> Curves:
    curves = load_curves(path)
    if grace_epochs > curves.max_epochs:
        raise UsageError(
            f"--grace-epochs {grace_epochs} is more than the {curves.max_epochs} epochs that "
            f"were recorded in {path}"
        )
    return curves
