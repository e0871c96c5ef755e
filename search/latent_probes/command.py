"""`python -m search.latent_probes`: find the best classifiers of an autoencoder's codes."""

from __future__ import annotations

from models.data import ImageData
from probes.classifiers.fitting import PROBES
from search.latent_probes.codes import PRESET, gather_codes
from search.latent_probes.source import choose_source
from search.latent_probes.task import SCALES, ProbeTask
from search.session.command import Command
from search.task.flags import Budgets, SearchParser
from search.task.kinds import positive_float, positive_int
from search.task.settings import BUDGETS, Settings


def _add_flags(parser: SearchParser) -> None:
    parser.add(
        "autoencoders",
        "the run of search.autoencoders whose best autoencoders make the codes (default: the "
        f"newest run on the data set; if there is none, the preset {PRESET} is trained)",
        metavar="RUN",
    )
    parser.add("probes", "the probes to search", nargs="+", choices=tuple(PROBES))
    parser.add_latent_sizes("code sizes (default: all that the run has)")
    parser.add(
        "warps",
        "each code is the mean of the codes of the image and of WARPS - 1 slight warps of it",
        type=positive_int,
    )
    parser.add(
        "seconds_per_trial",
        "a trial that has taken longer is stopped where it is",
        type=positive_float,
    )
    parser.add(
        "memory_per_trial_gb",
        "a trial that would need more fails before it begins, and says so",
        type=positive_float,
    )


def _budgets(dataset: str) -> Budgets:
    """Sized for two CPU cores, with autoencoders and retraining. All training images are used,
    because a part of them has too few of each character."""
    quick = {**BUDGETS["quick"], "train_size": None, "max_epochs": SCALES["quick"].stages}
    quick |= {"time_budget_s": 240.0, "grace_epochs": 1, "final_seeds": 2}
    quick |= {"seconds_per_trial": 40.0, "memory_per_trial_gb": 4.0}
    full = {**BUDGETS["full"], "seconds_per_trial": 3600.0, "memory_per_trial_gb": 16.0}
    full |= {"max_epochs": SCALES["full"].stages}
    refit = {"refit_on": "train+validation"}
    return {"quick": {**quick, **refit}, "full": {**full, **refit}}


def _task(settings: Settings, data: ImageData) -> ProbeTask:
    options = settings.options
    return ProbeTask(
        options["probes"],
        options["latent_sizes"],
        settings.max_epochs,
        settings.budget,
        options["seconds_per_trial"],
        options["memory_per_trial_gb"],
        max(1, int(settings.cpus_per_trial)),
        options["warps"],
    )


COMMAND = Command(
    "latent_probes",
    "Search classifiers of an autoencoder's codes: nearest mean, nearest neighbours, LDA, logistic "
    "regression, perceptrons, forests and boosting, each with the steps before it.",
    _add_flags,
    _task,
    default_dataset="omniglot",
    stand_in="glyphs",
    options={"autoencoders": None, "probes": tuple(PROBES), "latent_sizes": (), "warps": 1},
    budgets=_budgets,
    complete=choose_source,
    gather=gather_codes,
)
