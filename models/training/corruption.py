"""What is done to images on their way into the network: augmentation and input noise.

Every function takes float images (B, 1, H, W) in [0, 1] and a generator on their device, and
returns new images of the same shape; same generator state, same result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

NOISES = ("none", "dropout", "gaussian", "block")
ELASTIC_POINTS = 5


@dataclass(frozen=True)
class Affine:
    """Ranges of a small random affine map; each image draws its own. All zero: no change."""

    degrees: float = 0.0  # rotation and shear, either way
    scale: float = 0.0  # relative, either way
    shift: float = 0.0  # fraction of the side, either way

    @classmethod
    def of_strength(cls, strength: float) -> Affine:
        """One number for a search to turn: 1 is what helps on Omniglot (15 degrees, 15 %, 7 %)."""
        return cls(degrees=15.0 * strength, scale=0.15 * strength, shift=0.07 * strength)

    def __bool__(self) -> bool:
        return any((self.degrees, self.scale, self.shift))


def augment(images: Tensor, affine: Affine, elastic: float, generator: Generator) -> Tensor:
    """Rotate, shear, scale, shift and bend each image by its own draw (bilinear, zeros outside).

    `elastic` is the standard deviation, in pixels, of the displacements at the points of a 5x5
    grid over the image, smoothly joined in between: another hand, as in Simard et al. 2003
    (doi:10.1109/ICDAR.2003.1227801), whose field is random noise smoothed at full resolution.
    """
    if not (affine or elastic):
        return images
    grid = _affine_grid(images, affine, generator)
    if elastic:
        grid = grid + _displacements(images, elastic, generator)
    return F.grid_sample(images, grid, align_corners=False)


def warp(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Geometric noise: an affine map of that strength and a bending of as many pixels.

    An autoencoder that is to give back the image as it was before must code the character and
    not how it was drawn this time: denoising (Vincent et al. 2010, JMLR 11) whose noise is another
    hand."""
    return augment(images, Affine.of_strength(strength), strength, generator)


def _affine_grid(images: Tensor, affine: Affine, generator: Generator) -> Tensor:
    """Where each pixel (B, H, W, 2) is taken from; coordinates run from -1 to 1."""
    draws = torch.rand(5, len(images), generator=generator, device=images.device) * 2 - 1
    angle, shear = draws[0] * math.radians(affine.degrees), draws[1] * math.radians(affine.degrees)
    zoom = 1 + draws[2] * affine.scale
    shift = draws[3:] * (2 * affine.shift)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = (torch.stack([cos, -sin + shear, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1))
    theta = torch.stack(rows, 1) * torch.stack([zoom, zoom, torch.ones_like(zoom)], 1)[:, None]
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def _displacements(images: Tensor, elastic: float, generator: Generator) -> Tensor:
    """Smooth random displacements (B, H, W, 2), in the units of the grid."""
    size = (len(images), 2, ELASTIC_POINTS, ELASTIC_POINTS)
    points = torch.randn(size, generator=generator, device=images.device)
    smooth = F.interpolate(points, size=images.shape[2:], mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1) * (2 * elastic / images.shape[-1])


def corrupt(images: Tensor, noise: str, level: float, generator: Generator) -> Tensor:
    """Add input noise; the clean image stays the target (Vincent et al. 2010, JMLR 11).

    `dropout` zeroes each pixel with probability `level`; `gaussian` adds noise of that standard
    deviation and clips to [0, 1]; `block` zeroes 4x4 blocks, each with probability `level`.
    """
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {', '.join(NOISES)}, got {noise!r}")
    if noise == "none" or level == 0:
        return images
    if noise == "gaussian":
        drawn = torch.randn(images.shape, generator=generator, device=images.device)
        return (images + level * drawn).clamp_(0, 1)
    return images * _kept(images, 4 if noise == "block" else 1, level, generator)


def _kept(images: Tensor, block: int, level: float, generator: Generator) -> Tensor:
    n, _, height, width = images.shape
    cells = (n, 1, math.ceil(height / block), math.ceil(width / block))
    kept = torch.rand(cells, generator=generator, device=images.device) >= level
    whole = kept.repeat_interleave(block, 2).repeat_interleave(block, 3)
    return whole[..., :height, :width]


NoiseName = Literal["none", "dropout", "gaussian", "block"]
