"""Noise on training images. Metrics are measured on images without noise."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

NoiseName = Literal["none", "dropout", "gaussian", "block"]
NOISES: tuple[str, ...] = get_args(NoiseName)
BLOCK_SIDE = 4 / 28  # of the image's side: 4 pixels of a digit of 28


def corrupt(images: Tensor, noise: str, level: float, generator: Generator) -> Tensor:
    """Add noise to images (B, C, H, H) in [0, 1]; the clean images stay the target of an
    autoencoder (Vincent et al. 2010, JMLR 11).

    `dropout` zeroes each pixel, in all channels, with probability `level`; `gaussian` adds noise of
    standard deviation `level` and clips to [0, 1]; `block` zeroes square blocks of a seventh of the
    side (4x4 pixels of 28x28), each with probability `level`. The generator is on the images'
    device. Raises ValueError for an unknown noise.
    """
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {', '.join(NOISES)}, got {noise!r}")
    if noise == "none" or level == 0:
        return images
    if noise == "gaussian":
        drawn = torch.randn(images.shape, generator=generator, device=images.device)
        return (images + level * drawn).clamp_(0, 1)
    block = round(BLOCK_SIDE * images.shape[-1]) if noise == "block" else 1
    return images * _kept(images, block, level, generator)


def _kept(images: Tensor, block: int, level: float, generator: Generator) -> Tensor:
    """Mask (B, 1, H, W): false in each block of pixels with probability `level`."""
    n, _, height, width = images.shape
    cells = (n, 1, math.ceil(height / block), math.ceil(width / block))
    kept = torch.rand(cells, generator=generator, device=images.device) >= level
    whole = kept.repeat_interleave(block, 2).repeat_interleave(block, 3)
    return whole[..., :height, :width]
