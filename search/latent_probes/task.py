"""The task of a search of probes: how a trial is fitted, and how its result is tested."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from models.data import ImageData
from probes.classifiers.fitting import METRICS, ProbeRun, Scale, predict, restore_probe
from probes.classifiers.limits import GIGABYTE
from probes.codes.encoding import CodedData
from probes.codes.floors import pixel_floors
from search.latent_probes.conclusions import about_autoencoder, class_interval, few_shot
from search.latent_probes.presets import probe_presets
from search.latent_probes.source import AUTOENCODERS
from search.latent_probes.space import check_parameters, probe_space
from search.session.final.mistakes import conclude_mistakes
from search.task.changes import default_of, ends
from search.task.own import OwnSpace
from search.task.protocol import Retrained, Sources
from search.task.space import Preset, Space

SCALES = {
    "quick": Scale(stages=9, trees=2, iterations=8, logistic_iterations=20),
    "full": Scale(stages=81, trees=4, iterations=10, logistic_iterations=200),
}
"""What a stage of each budget contains; --max-epochs may set another number of stages."""


@dataclass(frozen=True)
class ProbeTask:
    """A `search.task.protocol.Task`; an epoch of it is a stage of a probe's fit."""

    probes: tuple[str, ...]
    latent_sizes: tuple[int, ...]
    max_epochs: int
    budget: str
    seconds_per_trial: float | None = None
    memory_per_trial_gb: float | None = None
    threads: int = 1
    warps: int = 1  # over which a code is a mean, see probes.codes.encoding.encode_images
    metric: str = "validation_accuracy"
    mode: str = "max"
    metrics: tuple[str, ...] = METRICS
    checkpoints: bool = True
    kept: tuple[str, ...] = ("train_loss", "train_accuracy")
    retrained_presets: tuple[str, ...] = ()
    own: OwnSpace = OwnSpace()

    @property
    def scale(self) -> Scale:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        scale = SCALES[self.budget]
        return replace(scale, stages=self.max_epochs, threads=self.threads, device=device)

    @property
    def most_views(self) -> int:
        return 5 if self.budget == "quick" else 20

    @property
    def searched_views(self) -> int:
        """The most views that a trial of this search may use: so many are encoded."""
        families = self.space().families
        return max(value for each in families for value in ends(default_of(each, "views")))

    def default_space(self) -> Space:
        return probe_space(self.probes, self.latent_sizes, self.most_views)

    def default_presets(self) -> tuple[Preset, ...]:
        return probe_presets(self.probes, self.latent_sizes)

    def space(self) -> Space:
        return self.own.space(self.default_space())

    def presets(self) -> tuple[Preset, ...]:
        return self.own.presets(self.default_presets(), self.default_space())

    def check(self, parameters: dict) -> None:
        check_parameters(parameters, self.most_views)

    def uses_gpu(self, parameters: dict) -> bool:
        """Perceptrons only: the other probes are fitted on CPUs, and the GPU would be idle."""
        return parameters["probe"] == "mlp"

    def prepare(self, data: CodedData, device: str) -> CodedData:
        return data

    def start(self, parameters: dict, seed: int, prepared: CodedData) -> ProbeRun:
        memory = (self.memory_per_trial_gb or float("inf")) * GIGABYTE
        return ProbeRun(parameters, seed, prepared, self.scale, memory)

    def describe(self, parameters: dict, seed: int) -> dict:
        return {"scale": asdict(self.scale), "warps": self.warps, "training": {"seed": seed}}

    def test(
        self, weights: dict, parameters: dict, data: CodedData, device: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Accuracy on all of validation and test, and the test predictions."""
        probe, projection = restore_probe(weights, parameters, self.scale)
        metrics, predictions = {}, {}
        for split in ("validation", "test"):
            indices = getattr(data, split).numpy()
            size = parameters["latent_size"]
            predictions[split] = predict(probe, projection, data, size, indices)
            labels = data.labels.numpy()[indices]
            metrics[f"{split}_accuracy"] = float((predictions[split] == labels).mean())
        return metrics, {"predictions": predictions["test"].astype(np.int32)}

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """None: `conclude` stores the pictures of a probe's mistakes."""
        return {}

    def floors(self, data: ImageData) -> dict:
        return pixel_floors(data)

    def conclude(
        self, winners: list[Retrained], data: CodedData, sources: Sources
    ) -> tuple[list[dict], dict]:
        """Of each winner: accuracy by class with its interval, and the confused pairs. Of each
        code size: its autoencoder, and few-shot accuracies on characters never seen."""
        concluded = []
        for winner in winners:
            about = {name: winner.parameters[name] for name in ("probe", "latent_size")}
            interval = {"test_accuracy_interval": class_interval(winner.details, data)}
            concluded.append({**about, **interval, **conclude_mistakes(winner, data)})
        autoencoders = winners[0].folder.parent.parent / AUTOENCODERS
        return concluded, {
            "autoencoders": {
                size: about_autoencoder(autoencoders / str(size)) for size in self.latent_sizes
            },
            "few_shot": few_shot(
                data, self.latent_sizes, autoencoders, sources.data_dir, self.warps
            ),
        }
