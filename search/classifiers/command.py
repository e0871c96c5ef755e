"""`python -m search.classifiers`: find the best classifier of a data set's images."""

from __future__ import annotations

from models.data import ImageData
from search.classifiers.task import MODES, ClassifierTask
from search.session.command import Command
from search.task.flags import Budgets, SearchParser, add_shared_flags
from search.task.settings import BUDGETS, Settings

OPTIONS = {"metric": "validation_accuracy"}
DATASET, STAND_IN = "mnist", "mnist5k"


def _parser() -> SearchParser:
    parser = SearchParser(
        "classifiers",
        "Search classifiers of images: depth, width, residual blocks, dropout, label smoothing, "
        "augmentation, L2 and learning rate, besides the report's three.",
        OPTIONS,
    )
    add_shared_flags(parser, DATASET, STAND_IN)
    parser.add_metric(MODES)
    return parser


def _budgets(dataset: str) -> Budgets:
    """Of Omniglot, 5,000 images would be five of each character, too few to learn from: the quick
    budget takes all images there, and searches less long because retraining takes longer."""
    quick = dict(BUDGETS["quick"])
    if dataset in ("omniglot", "glyphs"):
        quick |= {"train_size": None, "time_budget_s": 450.0}
    return {**BUDGETS, "quick": quick}


def _task(settings: Settings, data: ImageData) -> ClassifierTask:
    return ClassifierTask(
        len(data.class_names), settings.max_epochs, settings.budget, settings.options["metric"]
    )


COMMAND = Command(
    "classifiers",
    _parser,
    _task,
    default_dataset=DATASET,
    stand_in=STAND_IN,
    options=OPTIONS,
    budgets=_budgets,
)
