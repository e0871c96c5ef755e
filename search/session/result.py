"""What a search found, read from its run folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

import models
from models.trained import encode, load, logits, reconstruct
from search.record import schema
from search.store.files import FolderError


@dataclass(frozen=True)
class SearchResult:
    """What a search found: a view of its run folder. It can show an earlier search too.

    folder: the run folder, `<storage_path>/<name>`, with the files that docs/searching.md names."""

    folder: Path

    @cached_property
    def run(self) -> dict:
        """run.json: the settings, the data, the state. Raises FolderError."""
        return _read(self.folder / schema.RUN_JSON)

    @property
    def state(self) -> str:
        """`finished`, `ended by its time budget`, `interrupted` or `running`."""
        return self.run["state"]

    @property
    def trials(self) -> pd.DataFrame:
        """A row per trial: hyperparameters, state, reason, best and last value of each metric."""
        return pd.read_csv(
            self.folder / schema.TRIALS_CSV, keep_default_na=False, na_values=["nan"]
        )

    @property
    def epochs(self) -> pd.DataFrame:
        """A row per trial and epoch: each metric, and what the scheduler decided after it."""
        return pd.read_csv(self.folder / schema.EPOCHS_CSV)

    @property
    def final(self) -> dict | None:
        """final.json: the winners, retrained with new seeds, on validation and test. None if the
        search retrained none."""
        path = self.folder / schema.FINAL_JSON
        return _read(path) if path.exists() else None

    @property
    def groups(self) -> list:
        """The groups that have a best trial: code sizes, or models."""
        return [group for group in self.run["groups"] if self._config(group).exists()]

    def best(self, group: object = None) -> BestAutoencoder | BestClassifier | BestProbe:
        """The best trial of a group, such as a code size, or a preset by its name; without a group,
        that of the first group. Its weights are loaded.

        Raises FolderError if there is none."""
        groups = self.groups
        group = groups[0] if group is None and groups else group
        if not self._config(group).exists():
            found = ", ".join(sorted(p.parent.name for p in self._best.glob("*/config.json")))
            raise FolderError(
                f"{self.folder} has no best trial of {group}; it has {found or 'none'}"
            )
        kinds = {"autoencoders": BestAutoencoder, "classifiers": BestClassifier}
        return kinds.get(self.run["command"], BestProbe)(self._best / str(group))

    def report(self, out: str | Path | None = None) -> Path:
        """Write the report of this search to the folder `out` (default: `report` in the run
        folder), as `python -m analysis.report` does. Returns the path of its page.

        Raises FolderError with the last line of the error."""
        out = self.folder / "report" if out is None else Path(out)
        arguments = ["--runs", str(self.folder), "--out", str(out)]
        # A process of its own: the report sets up matplotlib in its own way.
        packages = str(Path(models.__file__).parents[1])
        path = os.pathsep.join(filter(None, [packages, os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-m", "analysis.report", *arguments],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise FolderError((done.stderr.strip() or "no reason given").splitlines()[-1])
        return out / "report.html"

    @property
    def _best(self) -> Path:
        return self.folder / schema.BEST

    def _config(self, group: object) -> Path:
        return self._best / str(group) / "config.json"


@dataclass(frozen=True)
class _Best:
    folder: Path  # its folder under best/

    @cached_property
    def about(self) -> dict:
        """config.json: the trial, its hyperparameters and its epoch."""
        return _read(self.folder / "config.json")

    @property
    def configuration(self) -> dict[str, Any]:
        """The hyperparameters by name."""
        return self.about["parameters"]


@dataclass(frozen=True)
class BestAutoencoder(_Best):
    """A trained autoencoder of a search."""

    @cached_property
    def network(self) -> nn.Module:
        """The network, as `models.load` gives it."""
        return load(self.folder)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Codes (N, code size), float32, of images (N, height, width), or (N, height, width, 3) in
        colour: integers from 0 to 255 or floats from 0 to 1."""
        return encode(self.network, images)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """The images as the network draws them, float32 in [0, 1], in the shape of a picture."""
        return reconstruct(self.network, images)


@dataclass(frozen=True)
class BestClassifier(_Best):
    """A trained classifier of a search."""

    @cached_property
    def network(self) -> nn.Module:
        """The network, as `models.load` gives it."""
        return load(self.folder)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Labels (N,) of images, as in `BestAutoencoder.encode`."""
        return logits(self.network, images).argmax(1)


@dataclass(frozen=True)
class BestProbe(_Best):
    """A fitted classifier of codes, with the autoencoder that makes them."""

    @cached_property
    def network(self) -> nn.Module:
        """The autoencoder, as `models.load` gives it."""
        return load(
            self.folder.parents[1] / "autoencoders" / str(self.configuration["latent_size"])
        )

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Codes (N, code size), float32, of images, as in `BestAutoencoder.encode`: means over as
        many warps as in the search."""
        return encode(self.network, images, self.about.get("warps", 1))

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Labels (N,) of images, as in `BestAutoencoder.encode`."""
        from probes.classifiers.fitting import Scale, restore_probe

        weights = torch.load(self.folder / "weights.pt", map_location="cpu", weights_only=True)
        scale = Scale(**{**self.about["scale"], "device": "cpu"})
        probe, projection = restore_probe(weights, self.configuration, scale)
        return probe.predict(projection(self.encode(images)))


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
