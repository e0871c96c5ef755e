"""The task of a search of autoencoders: how a trial trains, and how its result is tested."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch

from models.data import ImageData
from models.data.images import as_pictures
from models.data.prepared import PreparedData, prepare
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.augmentation import warp
from models.training.loop import TrainingConfig, TrainingRun
from models.training.noise import corrupt
from models.training.reconstruction import autoencoder_run, encode, evaluate
from probes.codes.nearest_mean import nearest_mean_accuracy
from search.autoencoders.floors import reconstruction_floors
from search.autoencoders.presets import autoencoder_presets
from search.autoencoders.space import autoencoder_space
from search.task.own import OwnSpace
from search.task.protocol import Retrained, Sources
from search.task.settings import QUICK_VALIDATION_IMAGES
from search.task.space import Preset, Space, pick

METRICS = (
    "train_loss",
    "train_mse",
    "validation_mse",
    "probe_accuracy",
    "active_fraction",
    "effective_rank",
    "units_per_image",
    "hoyer_sparsity",
    "dead_units",
    "images_per_s",
)
MODES = {"validation_mse": "min", "probe_accuracy": "max"}
EXAMPLES = 16  # images that are kept for pictures
QUICK_DISTANCE_IMAGES = 2000  # per set of a Frechet distance: seconds instead of minutes


@dataclass(frozen=True)
class AutoencoderTask:
    """A `search.task.protocol.Task`."""

    latent_sizes: tuple[int, ...]
    max_epochs: int
    budget: str
    metric: str = "validation_mse"
    checkpoints: bool = True
    seconds_per_trial: float | None = None
    kept: tuple[str, ...] = ("train_loss", "train_mse")
    retrained_presets: tuple[str, ...] = ()
    own: OwnSpace = OwnSpace()
    labelled: bool = True  # whether codes can be probed
    image_side: int = 28  # pixels
    image_channels: int = 1

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for name in METRICS if self.labelled or name != "probe_accuracy")

    @property
    def mode(self) -> str:
        return MODES[self.metric]

    @property
    def for_probes(self) -> bool:
        """Whether the search improves what can be read from the code, and not the image."""
        return self.metric == "probe_accuracy"

    @property
    def batch_size(self) -> int:
        # On a CPU, few images teach most in small steps; a GPU would be idle with so little.
        return 50 if self.budget == "quick" else 128

    def default_space(self) -> Space:
        return autoencoder_space(self.latent_sizes, self.budget == "full", self.for_probes)

    def default_presets(self) -> tuple[Preset, ...]:
        return autoencoder_presets(self.latent_sizes, self.for_probes, self.batch_size)

    def space(self) -> Space:
        return self.own.space(self.default_space())

    def presets(self) -> tuple[Preset, ...]:
        return self.own.presets(self.default_presets(), self.default_space())

    def check(self, parameters: dict) -> None:
        self.configs(parameters, 0)

    def prepare(self, data: ImageData, device: str) -> PreparedData:
        limit = QUICK_VALIDATION_IMAGES if self.budget == "quick" else None
        return prepare(data, device, validation_limit=limit)

    def start(self, parameters: dict, seed: int, prepared: PreparedData) -> TrainingRun:
        model, training = self.configs(parameters, seed)
        probe = nearest_mean_accuracy if self.labelled else None
        return autoencoder_run(model, training, prepared, probe=probe)

    def configs(self, parameters: dict, seed: int) -> tuple[AutoencoderConfig, TrainingConfig]:
        """The configurations that `models` takes for a trial's parameters."""
        training = {
            "batch_size": self.batch_size,
            **parameters,
            "max_epochs": self.max_epochs,
            "seed": seed,
        }
        size = {"image_side": self.image_side, "image_channels": self.image_channels}
        return pick(AutoencoderConfig, {**parameters, **size}), pick(TrainingConfig, training)

    def describe(self, parameters: dict, seed: int) -> dict:
        model, training = self.configs(parameters, seed)
        return {"model": asdict(model), "training": asdict(training)}

    def test(
        self, weights: dict, parameters: dict, data: ImageData, device: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Error on all of validation and test, probe accuracy if there are labels; no arrays."""
        network = self._network(weights, parameters, device)
        whole = prepare(data, device)
        train_codes = encode(network, whole, whole.probe_train) if self.labelled else None
        train_labels = whole.labels[whole.probe_train]
        metrics = {}
        for split in ("validation", "test"):
            indices = getattr(data, split).to(device)
            error, codes = evaluate(network, whole, indices)
            metrics[f"{split}_mse"] = float(error)
            if not self.labelled:
                continue
            labels = whole.labels[indices]
            known = torch.isin(labels, train_labels)
            metrics[f"{split}_probe_accuracy"] = nearest_mean_accuracy(
                train_codes, train_labels, codes[known], labels[known]
            )
        return metrics, {}

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """Validation images, the same with noise and reconstructed, (16, side, side) or (16, side,
        side, 3) each; and the arrays of `probes.generation.gallery`."""
        from probes.generation.gallery import gallery  # scikit-learn, which workers do not need

        network = self._network(weights, parameters, "cpu")
        _, training = self.configs(parameters, 0)
        chosen = np.random.default_rng(0).permutation(len(data.validation))[:EXAMPLES]
        inputs = prepare(data).batch(data.validation[torch.from_numpy(chosen)])
        generator = torch.Generator().manual_seed(0)
        warped = warp(inputs, training.warp, generator)
        noised = corrupt(warped, training.noise, training.noise_level, generator)
        with torch.no_grad():
            outputs, _ = network(inputs)
        named = {"inputs": inputs, "noised": noised, "reconstructions": outputs}
        pictures = {name: as_pictures(value).numpy() for name, value in named.items()}
        return {**pictures, **gallery(network, data)}

    def floors(self, data: ImageData) -> dict:
        return reconstruction_floors(data, self.latent_sizes)

    def conclude(
        self, winners: list[Retrained], data: ImageData, sources: Sources
    ) -> tuple[list[dict], dict]:
        """The Frechet classifier distances of each winner's reconstructions, and of samples from
        densities of its codes. The network is the one that the search trained."""
        # torchmetrics takes seconds to import, and workers do not need it.
        from probes.generation.distances import MOST_IMAGES, autoencoder_distances, reference
        from probes.generation.extractor import find_extractor

        sources.fetch("*/best/classifier/*")
        extractor = find_extractor(sources.runs, sources.data_dir, data)
        if extractor is None:
            return [{} for _ in winners], {}
        print(f"Frechet classifier distance in the features of {extractor.source}", flush=True)
        most = QUICK_DISTANCE_IMAGES if self.budget == "quick" else MOST_IMAGES
        real, concluded = reference(extractor.network, data, most_images=most), []
        for winner in winners:
            network = self._network(winner.weights, winner.parameters, "cpu")
            distances = autoencoder_distances(network, real)
            for name, distance in distances.items():
                if distance.warning:
                    print(f"  {winner.folder.name}, {name}: {distance.warning}", flush=True)
            about = {
                "classifier": extractor.summary(),
                "distances": {name: asdict(distance) for name, distance in distances.items()},
            }
            concluded.append({"frechet_classifier_distance": about})
        return concluded, {}

    def _network(self, weights: dict, parameters: dict, device: str) -> Autoencoder:
        network = Autoencoder(self.configs(parameters, 0)[0])
        network.load_state_dict(weights)
        return network.to(device=device, memory_format=torch.channels_last).eval()
