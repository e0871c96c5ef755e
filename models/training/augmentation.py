"""Random affine maps and bending of images.

Every function takes float images (B, C, H, H) in [0, 1] and a generator on their device, and
returns images of the same shape. The same state of the generator gives the same result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

PIXELS = 28  # an image's side, in the unit of `elastic`
ELASTIC_POINTS = 5  # along each side of the grid of displacements
SLIGHT = 0.5  # strength of a slight warp: at strength 1 the codes of Omniglot get worse, not better


@dataclass(frozen=True)
class Affine:
    """Ranges of small random affine maps. Each image gets its own map. Zeros change nothing."""

    degrees: float = 0.0  # largest rotation and largest shear, in both directions
    scale: float = 0.0  # largest relative change of size, in both directions
    shift: float = 0.0  # largest shift as a fraction of the side, in both directions

    @classmethod
    def of_strength(cls, strength: float) -> Affine:
        """All ranges from a single hyperparameter. Strength 1 is 15 degrees, 15 % and 7 %, which
        helps on Omniglot."""
        return cls(degrees=15.0 * strength, scale=0.15 * strength, shift=0.07 * strength)

    def __bool__(self) -> bool:
        return any((self.degrees, self.scale, self.shift))


def augment(images: Tensor, affine: Affine, elastic: float, generator: Generator) -> Tensor:
    """Rotate, shear, scale, shift and bend each image at random (bicubic, zeros outside).

    `elastic` is the standard deviation, in 28ths of the side (pixels of a digit of 28x28), of the
    displacements at the points of a 5x5 grid over the image, with smooth interpolation between the
    points. It imitates another handwriting, as in Simard et al. 2003
    (doi:10.1109/ICDAR.2003.1227801), who smooth random noise at full resolution.
    """
    if not (affine or elastic):
        return images
    grid = _affine_grid(images, affine, generator)
    if elastic:
        grid = grid + _displacements(images, elastic, generator)
    # Bilinear samples are blurred, so a network would train on other images than it is used on.
    return F.grid_sample(images, grid, mode="bicubic", align_corners=False).clamp(0, 1)


def warp(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Geometric noise: an affine map of this strength, and bending by `strength` pixels.

    The target of the autoencoder is the image before the warp, so the code must describe the
    character and not its particular drawing. This is denoising (Vincent et al. 2010, JMLR 11) in
    which the noise is a change of handwriting."""
    return augment(images, Affine.of_strength(strength), strength, generator)


def mean_over_warps(
    encode: Callable[[Tensor], Tensor], images: Tensor, warps: int, generator: Generator
) -> Tensor:
    """The mean, float32, of `encode` of the images and of `warps` - 1 slight warps of them:
    test-time augmentation (Krizhevsky et al. 2012, NeurIPS) of codes instead of predictions."""
    total = encode(images).float()
    for _ in range(warps - 1):
        total = total + encode(warp(images, SLIGHT, generator)).float()
    return total / warps


def _affine_grid(images: Tensor, affine: Affine, generator: Generator) -> Tensor:
    """Source coordinates (B, H, W, 2) of each pixel, from -1 to 1."""
    draws = torch.rand(5, len(images), generator=generator, device=images.device) * 2 - 1
    angle, shear = draws[0] * math.radians(affine.degrees), draws[1] * math.radians(affine.degrees)
    zoom = 1 + draws[2] * affine.scale
    shift = draws[3:] * (2 * affine.shift)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = (torch.stack([cos, -sin + shear, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1))
    theta = torch.stack(rows, 1) * torch.stack([zoom, zoom, torch.ones_like(zoom)], 1)[:, None]
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def _displacements(images: Tensor, elastic: float, generator: Generator) -> Tensor:
    """Smooth random displacements (B, H, W, 2), in the coordinates of `_affine_grid`."""
    size = (len(images), 2, ELASTIC_POINTS, ELASTIC_POINTS)
    points = torch.randn(size, generator=generator, device=images.device)
    smooth = F.interpolate(points, size=images.shape[2:], mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1) * (2 * elastic / PIXELS)
