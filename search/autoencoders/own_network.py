"""What a search of a network of the user's own samples, and its presets: `--network FILE:CLASS`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from typing import Any

from optuna.distributions import BaseDistribution

from models.networks.autoencoder import AutoencoderConfig
from models.networks.own import NetworkError, NetworkFile, OwnConfig, read_network, try_batch
from models.networks.presets import AUTOENCODER_STARTS
from models.training.loop import TrainingConfig
from search.task.changes import changed, ends
from search.task.ranges import read_wanted
from search.task.settings import UsageError
from search.task.space import Preset, Space

# Of our networks alone: `auxk` revives the units of their activation `topk`.
_OURS = {each.name for each in fields(AutoencoderConfig)} | {"auxk"}
_START = AUTOENCODER_STARTS["linear-path"]  # its training is the one of the presets here


class NetworkFlag(dict):
    """The value of `--network`, as the ledger and run.json hold it."""

    def __str__(self) -> str:
        return f"{self['file']}:{self['name']}"


def network_flag(text: str) -> NetworkFlag:
    """The network that a user names, for argparse."""
    try:
        found = read_network(text)
    except NetworkError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return NetworkFlag(file=found.file, name=found.name, source=found.source)


@dataclass(frozen=True)
class OwnNetwork:
    """A network of the user's own in a search. Small: it travels to the workers."""

    network: NetworkFile
    shape: tuple[int, int, int]  # channels, height, width of an image
    terms: tuple[str, ...] = ()  # of the loss

    def config(self, parameters: dict) -> OwnConfig:
        defaults, _ = self.network.ranges()
        values = {name: parameters[name] for name in defaults}
        return OwnConfig(self.network, values, parameters["latent_size"], self.shape)

    def space(self, usual: Space) -> Space:
        """`usual` with the network's hyperparameters in the place of those of ours."""
        defaults, ranges = self.network.ranges()
        _refuse_taken_names(self.network, defaults)
        space = replace(
            usual,
            distributions={n: d for n, d in usual.distributions.items() if n not in _OURS},
            constants={n: v for n, v in usual.constants.items() if n not in _OURS} | defaults,
        )
        try:
            return changed(space, read_wanted(ranges))
        except UsageError as error:
            reason = str(error).removeprefix("--set ")
            raise NetworkError(f"{self.network.at(self.network.line_of())}: {reason}") from error

    def presets(
        self, latent_sizes: tuple[int, ...], for_probes: bool, batch_size: int
    ) -> tuple[Preset, ...]:
        """The defaults of the file, at each code size. `batch_size` is theirs where it is searched,
        which is in a search for probes."""
        defaults, _ = self.network.ranges()
        start = {**_START, "batch_size": batch_size} if for_probes else _START
        training = {name: value for name, value in start.items() if name not in _OURS}
        return tuple(
            Preset(f"{self.network.name}-{size}", {**training, **defaults, "latent_size": size})
            for size in latent_sizes
        )


def checked(network: NetworkFile, shape: tuple, latent_sizes: tuple, usual: Space) -> OwnNetwork:
    """The network, after a step with a small batch at each code size: with its defaults, and with
    all hyperparameters at their first and at their last values. Raises UsageError."""
    own = OwnNetwork(network, shape)
    try:
        space, (defaults, _) = own.space(usual), network.ranges()
        terms: tuple[str, ...] = ()
        for values in (defaults, *_corners(defaults, space.distributions)):
            for size in latent_sizes:
                terms = try_batch(own.config({**values, "latent_size": size}))
    except NetworkError as error:
        raise UsageError(f"--network {network}: {error}") from error
    return replace(own, terms=terms)


def _corners(defaults: dict, distributions: dict[str, BaseDistribution]) -> list[dict[str, Any]]:
    found = {name: ends(distributions[name]) for name in defaults if name in distributions}
    return [defaults | {name: values[side] for name, values in found.items()} for side in (0, -1)]


def _refuse_taken_names(network: NetworkFile, defaults: dict) -> None:
    ours = {each.name for each in fields(TrainingConfig)} | {"latent_size", "epoch", "id", "number"}
    if taken := sorted(ours & set(defaults)):
        line = network.at(network.line_of())
        raise NetworkError(f"{line}: Config.{taken[0]} is a name of the search: take another one")
