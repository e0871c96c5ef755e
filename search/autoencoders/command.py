"""`python -m search.autoencoders`: find the best autoencoder of each code size."""

from __future__ import annotations

from dataclasses import replace

from models.data import ImageData
from models.networks.own import NetworkFile
from search.autoencoders.own_network import checked, network_flag
from search.autoencoders.task import MODES, AutoencoderTask
from search.session.command import Command
from search.task.flags import SearchParser
from search.task.labels import require_labels
from search.task.settings import Settings


def _add_flags(parser: SearchParser) -> None:
    parser.add_latent_sizes("code sizes, each with its own winner")
    parser.add_metric(MODES)
    parser.add(
        "network",
        "a network of your own in the place of ours: docs/own-network.md says how to write one",
        type=network_flag,
        metavar="FILE:CLASS",
    )


def _task(settings: Settings, data: ImageData) -> AutoencoderTask:
    options = settings.options
    if options["metric"] == "probe_accuracy":
        require_labels(settings, data)
    task = AutoencoderTask(
        options["latent_sizes"],
        settings.max_epochs,
        settings.budget,
        options["metric"],
        labelled=data.labelled,
        image_side=data.side,
        image_channels=data.channels,
    )
    if not options.get("network"):  # a search of an older version has no such option
        return task
    network = NetworkFile(**options["network"])
    shape = (data.channels, data.side, data.side)
    return replace(task, network=checked(network, shape, task.latent_sizes, task.default_space()))


COMMAND = Command(
    "autoencoders",
    "Search denoising and sparse autoencoders: depth, dropout, noise, L1, L2, width and learning "
    "rate at each code size.",
    _add_flags,
    _task,
    default_dataset="mnist",
    stand_in="mnist5k",
    options={"latent_sizes": (1024, 128, 32), "metric": "validation_mse", "network": None},
)
