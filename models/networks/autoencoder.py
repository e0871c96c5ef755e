"""The convolutional autoencoder. Denoising and sparse are settings, not classes.

Images are (B, C, H, H) in [0, 1], with 1 or 3 channels. At 28 pixels, the blocks work at 14x14, 7x7
and 4x4: the first block halves the image, and the last layer makes 28x28 by a pixel shuffle (Shi et
al. 2016, arXiv:1609.05158), so no wide convolution runs at full resolution. See
`models.networks.resolution` for other sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.code_activation import CODE_ACTIVATIONS, CodeActivation, activate_code
from models.networks.resolution import Resolution, check_images, patches

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


@dataclass(frozen=True)
class AutoencoderConfig:
    """The shape of the network. Raises ValueError for values out of range."""

    depth: int = 4  # conv-norm-activation blocks in the encoder
    decoder_depth: int | None = None  # None: one block fewer than the encoder
    width: int = 32  # channels at the finest side of the blocks; twice that at the others
    latent_size: int = 128
    dropout: float = 0.0  # channel dropout after each block
    activation: Literal["relu", "gelu", "silu"] = "silu"
    linear_path: bool = False  # adds a linear autoencoder; the blocks learn the rest
    code_activation: CodeActivation = "linear"  # see models.networks.code_activation
    kept_units: int = 64  # of `topk` only: the most active units of a code
    image_side: int = 28  # pixels; a training takes it from its data
    image_channels: int = 1

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ValueError(f"depth must be at least 1, got {self.depth}")
        if self.decoder_blocks < 0:
            raise ValueError(f"decoder_depth must not be negative, got {self.decoder_depth}")
        if min(self.width, self.latent_size, self.kept_units) < 1:
            raise ValueError("width, latent_size and kept_units must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}")
        if self.code_activation not in CODE_ACTIVATIONS:
            raise ValueError(f"code_activation must be one of {', '.join(CODE_ACTIVATIONS)}")
        check_images(self.image_side, self.image_channels)

    @property
    def decoder_blocks(self) -> int:
        return self.depth - 1 if self.decoder_depth is None else self.decoder_depth

    def build(self) -> Autoencoder:
        """A new network."""
        return Autoencoder(self)

    @property
    def resolution(self) -> Resolution:
        return Resolution(self.image_side)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution with padding 1, which can first resize its input (nearest neighbour).

    Doubling makes no large image. Of the nine pixels under the kernel only four differ, so the
    weights of equal pixels are added, and the 4x4 kernel of the sums is applied to the small image
    by a transposed convolution with stride 2. The sums are the same, with 4/9 of the products.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, bias: bool = True):
        super().__init__(inputs, outputs, 3, stride=stride, padding=1, bias=bias)

    def forward(self, x: Tensor, side: int | None = None) -> Tensor:
        """(B, inputs, H, H) -> (B, outputs, H', H'): of `x`, or of `x` resized to `side`."""
        if side != 2 * x.shape[-1]:
            return super().forward(_resize(x, side))
        kernel = _doubled(_doubled(self.weight, 2), 3).transpose(0, 1)
        kernel = kernel.contiguous(memory_format=_layout(self.weight))
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def _doubled(weight: Tensor, axis: int) -> Tensor:
    first, middle, last = weight.split(1, axis)
    return torch.cat([last, middle + last, first + middle, first], axis)


class ConvBlock(nn.Module):
    """Convolution, batch norm, activation, channel dropout; a shortcut where shapes allow.

    With the shortcut, nine and more blocks train in a few epochs (He et al. 2016,
    arXiv:1512.03385). A block that changes side or channels has none.
    """

    def __init__(self, inputs: int, outputs: int, config: AutoencoderConfig, stride: int = 1):
        super().__init__()
        self.conv = Conv3x3(inputs, outputs, stride, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = ACTIVATIONS[config.activation]()
        self.dropout = nn.Dropout2d(config.dropout) if config.dropout else nn.Identity()
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor, side: int | None = None) -> Tensor:
        """(B, inputs, H, H) -> (B, outputs, H', H'): of `x`, or of `x` resized to `side`."""
        out = self.dropout(self.activation(self.norm(self.conv(x, side))))
        # In this order: a sum has the memory layout of its first term, here the fast one.
        return out + _resize(x, side) if self.has_shortcut else out


class LinearPath(nn.Module):
    """A linear autoencoder of the pixels, with logits as output. Its weights grow with the number
    of pixels, so images of more than 32 pixels a side are shrunk by a whole factor first.

    The first weights are random orthonormal rows and their transpose. A code that is at least as
    large as the image then starts with every output pixel on the right side of 1/2.
    """

    GAIN = 6.0  # logits between paper and ink: a sigmoid is at 0.05 and 0.95 there

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.resolution, self.channels = config.resolution, config.image_channels
        pixels = self.channels * self.resolution.inner**2
        self.to_code = nn.Linear(pixels, config.latent_size, bias=False)
        self.to_pixels = nn.Linear(config.latent_size, pixels)
        nn.init.orthogonal_(self.to_code.weight)
        with torch.no_grad():
            self.to_pixels.weight.copy_(self.GAIN * self.to_code.weight.T)
        nn.init.constant_(self.to_pixels.bias, -self.GAIN / 2)

    def encode(self, images: Tensor) -> Tensor:  # (B, C, H, H) -> (B, latent_size)
        return self.to_code(self.resolution.shrink(images).flatten(1))

    def decode(self, codes: Tensor) -> Tensor:  # (B, latent_size) -> (B, C, H, H)
        inner = self.resolution.inner
        pixels = self.to_pixels(codes).unflatten(1, (self.channels, inner, inner))
        return self.resolution.enlarge(pixels)


class Autoencoder(nn.Module):
    """Encoder and decoder of an `AutoencoderConfig`.

    `encode` maps (B, C, H, H) to codes (B, latent_size); `decode` maps codes to images
    (B, C, H, H) in [0, 1]; `forward` returns both, images first.
    """

    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        self.resolution = config.resolution
        sides = self.resolution.block_sides(config.depth)
        self.encoder = _encoder(sides, config)
        # The decoder has the same sides in reverse. With fewer blocks it drops coarse sides
        # first, because details are drawn at the fine sides.
        self.decoder_sides = _decoder_sides(sides, config.decoder_blocks)
        self.code_side = sides[-1]
        self.code_channels = _channels(config, self.code_side)
        flat = self.code_channels * self.code_side**2
        self.to_code = nn.Linear(flat, config.latent_size)
        self.from_code = nn.Linear(config.latent_size, flat)
        self.decoder = _decoder(self.code_channels, self.decoder_sides, config)
        last_side = self.decoder_sides[-1] if self.decoder_sides else self.code_side
        values = config.image_channels * self.resolution.shuffle**2
        self.to_pixels = Conv3x3(_channels(config, last_side), values)
        self.linear_path = LinearPath(config) if config.linear_path else None
        if self.linear_path:  # the blocks start at zero, so the linear path starts alone
            for parameter in (*self.to_code.parameters(), *self.to_pixels.parameters()):
                nn.init.zeros_(parameter)

    def encode(self, images: Tensor) -> Tensor:
        return self.activate(self.code_values(images))

    def code_values(self, images: Tensor) -> Tensor:
        """Codes (B, latent_size) before their activation."""
        values = self.to_code(self.encoder(patches(images, self.resolution.patch)).flatten(1))
        return values + self.linear_path.encode(images) if self.linear_path else values

    def activate(self, values: Tensor) -> Tensor:
        return activate_code(values, self.config.code_activation, self.config.kept_units)

    def decode(self, codes: Tensor) -> Tensor:
        x = self.from_code(codes).unflatten(1, (self.code_channels, self.code_side, -1))
        # The layout of the convolutions, changed here while the tensor is small
        x = x.contiguous(memory_format=_layout(self.to_pixels.weight))
        for side, block in zip(self.decoder_sides, self.decoder, strict=True):
            x = block(x, side)
        side, shuffle = self.config.image_side, self.resolution.shuffle
        logits = F.pixel_shuffle(self.to_pixels(x, self.resolution.sides[0]), shuffle)
        logits = logits[..., :side, :side]  # a shuffle makes multiples of its factor
        if self.linear_path:
            logits = logits + self.linear_path.decode(codes)
        return torch.sigmoid(logits.float())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        codes = self.encode(images)
        return self.decode(codes), codes


def _layout(weight: Tensor) -> torch.memory_format:
    last = weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _channels(config: AutoencoderConfig, side: int) -> int:
    return config.width if side == config.resolution.sides[0] else 2 * config.width


def _encoder(sides: list[int], config: AutoencoderConfig) -> nn.Sequential:
    blocks, current = [], config.resolution.inner
    channels = config.image_channels * config.resolution.patch**2
    for side in sides:
        outputs = _channels(config, side)
        blocks.append(ConvBlock(channels, outputs, config, stride=1 if side == current else 2))
        channels, current = outputs, side
    return nn.Sequential(*blocks)


def _decoder_sides(encoder_sides: list[int], blocks: int) -> list[int]:
    fine_first = sorted(encoder_sides, reverse=True)
    while len(fine_first) < blocks:  # a decoder deeper than the encoder repeats its finest side
        fine_first.insert(0, fine_first[0])
    return sorted(fine_first[:blocks])


def _decoder(channels: int, sides: list[int], config: AutoencoderConfig) -> nn.ModuleList:
    blocks = nn.ModuleList()
    for side in sides:
        outputs = _channels(config, side)
        blocks.append(ConvBlock(channels, outputs, config))
        channels = outputs
    return blocks


def _resize(x: Tensor, side: int | None) -> Tensor:
    return x if side in (None, x.shape[-1]) else F.interpolate(x, size=(side, side), mode="nearest")
