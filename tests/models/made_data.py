"""Small data sets that several tests train on."""

from __future__ import annotations

import torch

from models.data import ImageData
from models.data.glyphs import draw_glyphs
from models.data.images import centre_ink
from models.data.prepared import PreparedData, prepare


def image_data(images: torch.Tensor, labels: torch.Tensor, parts: torch.Tensor) -> ImageData:
    """A set whose images are to train (part 0), validate (1) and test (2)."""
    rows = [(parts == part).nonzero().flatten() for part in range(3)]
    names = tuple(map(str, range(int(labels.max()) + 1)))
    return ImageData("made", images, labels, None, names, *rows, "made", True, sha256="")


def prepared_glyphs(characters: int, validation: int, device: str = "cpu") -> PreparedData:
    """14 drawings of each character to train, `validation` of the other 6 to validate."""
    images = centre_ink(torch.from_numpy(draw_glyphs(characters).reshape(-1, 28, 28)))
    parts = torch.tensor(14 * [0] + validation * [1] + (6 - validation) * [2]).repeat(characters)
    labels = torch.arange(characters).repeat_interleave(20)
    return prepare(image_data(images, labels, parts), device)
