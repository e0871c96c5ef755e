"""The best configuration of each run at each code size, beside methods that need no network and
beside the seed report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.measure.latent_probes.groups import best_on_validation, probe_and_size
from analysis.measure.latent_probes.probes import code_sizes
from analysis.read.results import Floor
from analysis.read.runs import Group, Result, Run, winners
from analysis.read.seed_report import BEST_TEST_LOSS, PROBE_ACCURACY, TEST_ACCURACY

TASKS = ("autoencoders", "classifiers", "latent_probes")
"""The commands that have a best configuration, in the report's order."""


@dataclass(frozen=True)
class Best:
    """The best configuration of a run, or of one of its code sizes; nan is not known.

    `theirs` are the lowest and the highest number of the seed report: a loss of autoencoders, else
    accuracies. The floors, which need no network, are measured on the test split.
    """

    run: Run
    size: Group | None  # of the code; None for a classifier of images
    winner: Result  # an empty result where nothing is measured yet
    theirs: tuple[float, float] = (math.nan, math.nan)
    pca: Floor = field(default_factory=Floor)
    mean_image: float = math.nan
    nearest: float = math.nan  # accuracy of the nearest neighbour on pixels

    @property
    def probe(self) -> str:
        """The classifier of codes; empty for anything else."""
        named = self.run.command == "latent_probes" and self.winner.group
        return probe_and_size(self.winner.group)[0] if named else ""

    @property
    def measured(self) -> bool:
        return math.isfinite(self.value)

    @property
    def draws(self) -> bool:
        """Whether it draws images, and is judged by an error; else it is judged by an accuracy."""
        return self.run.command == "autoencoders"

    @property
    def by_probe(self) -> bool:
        """Whether an autoencoder is chosen for its codes, not for its reconstructions."""
        return self.draws and self.run.metric == "probe_accuracy"

    @property
    def tested(self) -> bool:
        return self.winner.seeds > 0

    @property
    def metric(self) -> str:
        """Of the test split, or of validation where nothing was retrained."""
        return ("test_" if self.tested else "validation_") + ("mse" if self.draws else "accuracy")

    @property
    def value(self) -> float:
        return self.winner.value(self.metric)

    @property
    def deviation(self) -> float:
        return self.winner.deviation(self.metric)

    @property
    def ratio(self) -> float:
        """Test error as a multiple of PCA's with as many components."""
        floor = self.pca.value("test_mse")
        known = self.tested and not self.pca.exact and floor > 0
        return self.value / floor if known else math.nan

    @property
    def short_of_budget(self) -> bool:
        """Whether the chosen trial was not trained to the last epoch in the search."""
        return bool(self.winner.trial) and self.winner.state != "complete"


@dataclass(frozen=True)
class Answer:
    """What all reported runs found."""

    runs: tuple[Run, ...]
    found: tuple[Best, ...]

    @property
    def errors(self) -> list[list[Best]]:
        """Autoencoders with a figure, a list per run. Those that are chosen for their codes are
        left out, unless there are no others."""
        known = [each for each in self.found if each.draws and each.measured]
        return _by_run([each for each in known if not each.by_probe] or known)

    @property
    def beside_report(self) -> Best | None:
        """The autoencoder with the lowest error, of the code sizes that the seed report has a loss
        for."""
        known = [each for of_run in self.errors for each in of_run]
        known = [each for each in known if math.isfinite(each.theirs[0])]
        known = [each for each in known if each.tested] or known
        return min(known, key=lambda each: each.value, default=None)

    @property
    def classifiers(self) -> list[Best]:
        return [each for each in self.found if each.run.command == "classifiers" and each.measured]

    @property
    def codes(self) -> list[Best]:
        """For each search of probes, the code size that is best on validation."""
        known = [e for e in self.found if e.run.command == "latent_probes" and e.measured]
        return [_preferred(of_run) for of_run in _by_run(known)]

    def data(self, command: str) -> set[str]:
        """The data sets of a command's runs."""
        return {run.data["name"] for run in self.runs if run.command == command}


def answer(runs: Iterable[Run]) -> Answer:
    """Of runs in any order. If there is a search of probes, autoencoders that were searched for
    their codes are left out: the probes say more about the codes."""
    known = sorted(
        (run for run in runs if run.command in TASKS),
        key=lambda run: (
            TASKS.index(run.command),
            run.metric == "probe_accuracy",
            run.question,
        ),
    )
    found = [each for run in known for each in bests(run)]
    if any(run.command == "latent_probes" for run in known):
        found = [each for each in found if not each.by_probe]
    return Answer(tuple(known), tuple(found))


def bests(run: Run) -> list[Best]:
    """One entry for each code size, or for the classifier of images. For a search of probes, the
    best probe at each code size, chosen on validation."""
    chosen = winners(run)
    nearest = run.floor("1-nn").value("test_accuracy")
    if run.command == "autoencoders":
        return [
            Best(
                run,
                size,
                chosen.get(size, Result()),
                (BEST_TEST_LOSS.get(size, math.nan),) * 2,
                run.floor("pca", str(size)),
                run.floor("mean_image").value("test_mse"),
                nearest,
            )
            for size in run.groups
        ]
    if run.command == "classifiers":
        theirs = TEST_ACCURACY.get(run.data["name"], (math.nan, math.nan))
        found = [chosen.get(group, Result()) for group in run.groups or [""]]
        return [Best(run, None, winner, theirs, nearest=nearest) for winner in found]
    return [
        Best(
            run,
            size or None,
            best_on_validation(_of_size(chosen, size)),
            (max(PROBE_ACCURACY.values()),) * 2,
            nearest=nearest,
        )
        for size in code_sizes(run)
    ]


def _of_size(chosen: Mapping[Group, Result], size: int) -> dict[Group, Result]:
    return {group: each for group, each in chosen.items() if probe_and_size(group)[1] == size}


def _by_run(found: Iterable[Best]) -> list[list[Best]]:
    groups: dict[int, list[Best]] = {}
    for each in found:
        groups.setdefault(id(each.run), []).append(each)
    return [*groups.values()]


def _preferred(found: Sequence[Best]) -> Best:
    best = best_on_validation({index: each.winner for index, each in enumerate(found)})
    return next(each for each in found if each.winner is best or not best.trial)
