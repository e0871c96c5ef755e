"""`python -m search.autoencoders`: find the best autoencoder of each code size."""

from __future__ import annotations

from models.data import ImageData
from search.autoencoders.task import MODES, AutoencoderTask
from search.session.command import Command
from search.task.flags import SearchParser, add_shared_flags
from search.task.settings import Settings

OPTIONS = {"latent_sizes": (1024, 128, 32), "metric": "validation_mse"}
DATASET, STAND_IN = "mnist", "mnist5k"


def _parser() -> SearchParser:
    parser = SearchParser(
        "autoencoders",
        "Search denoising and sparse autoencoders: depth, dropout, noise, L1, L2, width and "
        "learning rate at each code size.",
        OPTIONS,
    )
    add_shared_flags(parser, DATASET, STAND_IN)
    parser.add_latent_sizes("code sizes, each with its own winner")
    parser.add_metric(MODES)
    return parser


def _task(settings: Settings, data: ImageData) -> AutoencoderTask:
    options = settings.options
    return AutoencoderTask(
        options["latent_sizes"], settings.max_epochs, settings.budget, options["metric"]
    )


COMMAND = Command(
    "autoencoders",
    _parser,
    _task,
    default_dataset=DATASET,
    stand_in=STAND_IN,
    options=OPTIONS,
)
