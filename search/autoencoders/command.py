"""`python -m search.autoencoders`: find the best autoencoder of each code size."""

from __future__ import annotations

from models.data import ImageData
from search.autoencoders.task import MODES, AutoencoderTask
from search.session.command import Command
from search.task.flags import SearchParser
from search.task.labels import require_labels
from search.task.settings import Settings


def _add_flags(parser: SearchParser) -> None:
    parser.add_latent_sizes("code sizes, each with its own winner")
    parser.add_metric(MODES)


def _task(settings: Settings, data: ImageData) -> AutoencoderTask:
    options = settings.options
    if options["metric"] == "probe_accuracy":
        require_labels(settings, data)
    return AutoencoderTask(
        options["latent_sizes"],
        settings.max_epochs,
        settings.budget,
        options["metric"],
        labelled=data.labelled,
        image_side=data.side,
        image_channels=data.channels,
    )


COMMAND = Command(
    "autoencoders",
    "Search denoising and sparse autoencoders: depth, dropout, noise, L1, L2, width and learning "
    "rate at each code size.",
    _add_flags,
    _task,
    default_dataset="mnist",
    stand_in="mnist5k",
    options={"latent_sizes": (1024, 128, 32), "metric": "validation_mse"},
)
