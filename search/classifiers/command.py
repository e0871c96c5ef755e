"""`python -m search.classifiers`: find the best classifier of a data set's images."""

from __future__ import annotations

from models.data import ImageData
from search.classifiers.task import MODES, ClassifierTask
from search.session.command import Command
from search.task.flags import Budgets, SearchParser
from search.task.labels import require_labels
from search.task.settings import BUDGETS, Settings


def _add_flags(parser: SearchParser) -> None:
    parser.add_metric(MODES)


def _budgets(dataset: str) -> Budgets:
    """5,000 images of Omniglot are five of each character, too few to learn from. There the quick
    budget takes all images, and the search is shorter because retraining takes longer."""
    quick = dict(BUDGETS["quick"])
    if dataset in ("omniglot", "glyphs"):
        quick |= {"train_size": None, "time_budget_s": 450.0}
    return {**BUDGETS, "quick": quick}


def _task(settings: Settings, data: ImageData) -> ClassifierTask:
    return ClassifierTask(
        len(data.class_names),
        settings.max_epochs,
        settings.budget,
        settings.options["metric"],
        image_side=data.side,
        image_channels=data.channels,
    )


COMMAND = Command(
    "classifiers",
    "Search classifiers of images: depth, width, residual blocks, dropout, label smoothing, "
    "augmentation, L2 and learning rate, besides the report's three.",
    _add_flags,
    _task,
    default_dataset="mnist",
    stand_in="mnist5k",
    options={"metric": "validation_accuracy"},
    budgets=_budgets,
    complete=require_labels,
)
