"""Few-shot recognition: the accuracy of codes on classes with few labelled drawings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from probes.codes.published import SETTINGS


@dataclass(frozen=True)
class FewShot:
    """Mean accuracy over episodes, and its 95 % normal interval."""

    ways: int
    shots: int
    queries: int  # of each class
    episodes: int
    accuracy: float
    low: float
    high: float


def few_shot_accuracy(
    codes: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    ways: int,
    shots: int,
    *,
    queries: int = 15,
    episodes: int = 1000,
    seed: int = 0,
) -> FewShot:
    """Accuracy of the nearest class mean among `ways` classes with `shots` labelled drawings each.

    codes: float (N, D), array or tensor. A tensor stays on its device; all is computed in float32.
    labels: integers (N,).

    The episodes of Vinyals et al. (2016, arXiv:1606.04080), classified like Snell et al. (2017,
    arXiv:1703.05175) but by cosine: each draws `ways` classes, then `shots` + `queries` drawings
    of each, all without replacement; a query takes the class whose mean of L2-normalised shots has
    the largest cosine similarity. Classes with fewer drawings than that are left out. Episodes
    depend on `seed` and labels alone, so different codes of the same drawings compare in pairs.

    Raises ValueError where too few classes remain, a count is below one (episodes: two), there is
    not one label for each code, or codes are not finite.
    """
    if min(ways, shots, queries) < 1 or episodes < 2:
        raise ValueError("ways, shots and queries must be at least 1, episodes at least 2")
    units, labels = _units(codes), _array(labels)
    if labels.shape != units.shape[:1]:
        raise ValueError(f"{len(units)} codes need as many labels, not shape {labels.shape}")
    members = _members(labels, shots + queries)
    if len(members) < ways:
        raise ValueError(
            f"{ways}-way episodes need {ways} classes with {shots + queries} drawings or more, "
            f"and {len(members)} have them"
        )
    stream = np.random.RandomState(seed)
    drawn = (_draw(stream, members, ways, shots + queries) for _ in range(episodes))
    accuracies = torch.stack([_accuracy(units, rows, shots) for rows in drawn])
    mean, half = float(accuracies.mean()), 1.96 * float(accuracies.std()) / episodes**0.5
    return FewShot(ways, shots, queries, episodes, mean, mean - half, mean + half)


def few_shot_table(
    codes: np.ndarray | Tensor, labels: np.ndarray | Tensor, seed: int = 0, episodes: int = 1000
) -> list[FewShot]:
    """`few_shot_accuracy` of each of SETTINGS, in their order."""
    return [
        few_shot_accuracy(codes, labels, ways, shots, episodes=episodes, seed=seed)
        for ways, shots in SETTINGS
    ]


def _array(values: np.ndarray | Tensor) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _units(codes: np.ndarray | Tensor) -> Tensor:
    """Codes (N, D) as float32, scaled to length one; a code of zeros stays zero."""
    if not isinstance(codes, Tensor):
        # A copy: torch warns about arrays that are read-only, such as memory maps.
        codes = torch.from_numpy(np.array(codes, np.float32))
    codes = codes.detach().float()
    if not torch.isfinite(codes).all():
        raise ValueError("some codes are not finite")
    return normalize(codes, dim=1)


def _members(labels: np.ndarray, least: int) -> list[np.ndarray]:
    """Indices of the drawings of each class that has `least` or more."""
    classes, counts = np.unique(labels, return_counts=True)
    return [np.flatnonzero(labels == c) for c in classes[counts >= least]]


def _draw(
    stream: np.random.RandomState, members: list[np.ndarray], ways: int, each: int
) -> np.ndarray:
    """Drawings (ways, each) of one episode, a row for each class."""
    chosen = stream.permutation(len(members))[:ways]
    return np.stack([stream.permutation(members[c])[:each] for c in chosen])


def _accuracy(units: Tensor, rows: np.ndarray, shots: int) -> Tensor:
    """Fraction of the queries, float64 (), whose own class is the nearest."""
    drawn = units[torch.from_numpy(rows).to(units.device)]  # (ways, shots + queries, D)
    means = normalize(drawn[:, :shots].mean(1), dim=1)
    nearest = (drawn[:, shots:] @ means.T).argmax(2)  # (ways, queries)
    own = torch.arange(len(rows), device=units.device)[:, None]
    return (nearest == own).double().mean()
