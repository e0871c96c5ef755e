"""The pictures of the winners, as one image each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

# Rows of a winner's picture: of an autoencoder, and of a classifier with its mistakes.
ROWS = {
    "examples.npz": ("inputs", "noised", "reconstructions"),
    "confusions.npz": ("mistaken", "class", "taken_for"),
}


def winner_pictures(best: Path, groups: tuple) -> Iterator[tuple[str, np.ndarray]]:
    """Name and picture, uint8 (H, W) or (H, W, 3), of each winner under `best` that has one: a
    column for each image, with the rows of ROWS."""
    for group in groups:
        for name, rows in ROWS.items():
            path = best / str(group) / name
            if path.exists():
                with np.load(path, allow_pickle=False) as arrays:
                    found = [arrays[row] for row in rows if row in arrays]
                if found and len(found[0]):
                    yield f"winner-{group}", grid(found)


def grid(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of images (N, h, w) or (N, h, w, 3) as one picture, uint8."""
    return np.concatenate([np.concatenate(list(_bytes(row)), axis=1) for row in rows], axis=0)


def _bytes(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    return np.rint(np.clip(images.astype(np.float32), 0, 1) * 255).astype(np.uint8)
