"""The convolutional classifier; the seed report's network and a residual one are settings of it.

Images are (B, C, H, H) in [0, 1]. The blocks work at the sides of the autoencoder's blocks: at 28
pixels, these are 14, 7 and 4.
Two fully connected layers follow, with dropout between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from models.networks.autoencoder import ACTIVATIONS
from models.networks.resolution import Resolution, check_images, patches


@dataclass(frozen=True)
class ClassifierConfig:
    """The shape of the network. Raises ValueError for values out of range."""

    classes: int = 10
    depth: int = 3  # blocks, at the sides that `resolution.Resolution.block_sides` gives
    width: int = 32  # channels at the finest side; twice that at the next, four times at the last
    stem: int = 0  # channels of a convolution at the inner side before the blocks; 0: none
    residual: bool = False  # two convolutions and a shortcut a block, instead of one convolution
    hidden: int = 256  # units of the first fully connected layer
    hidden_norm: bool = False  # batch norm between the fully connected layers
    hidden_activation: bool = True  # after the first fully connected layer; the report forgot it
    dropout: float = 0.0  # between the fully connected layers
    activation: Literal["relu", "gelu", "silu"] = "relu"
    image_side: int = 28  # pixels; a training takes it from its data
    image_channels: int = 1

    def __post_init__(self) -> None:
        if min(self.classes, self.depth, self.width, self.hidden) < 1:
            raise ValueError("classes, depth, width and hidden must be at least 1")
        if self.stem < 0:
            raise ValueError(f"stem must not be negative, got {self.stem}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}")
        check_images(self.image_side, self.image_channels)

    @property
    def resolution(self) -> Resolution:
        return Resolution(self.image_side)


class PlainBlock(nn.Sequential):
    """Convolution, batch norm, activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: type[nn.Module]):
        super().__init__(*_conv_norm(inputs, outputs, stride), activation())


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, arXiv:1512.03385, option B)."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: type[nn.Module]):
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(inputs, outputs, stride), activation(), *_conv_norm(outputs, outputs, 1)
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*_conv_norm(inputs, outputs, stride, side=1))
        )
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:  # (B, inputs, H, W) -> (B, outputs, H', W')
        return self.activation(self.shortcut(x) + self.body(x))


class Classifier(nn.Module):
    """The network of a `ClassifierConfig`.

    `forward` maps (B, C, H, H) to logits (B, classes); `features` maps to the input of the last
    layer before dropout, (B, hidden).
    """

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        activation = ACTIVATIONS[config.activation]
        self.blocks = _blocks(config, activation)
        side = config.resolution.block_sides(config.depth)[-1]
        flat = _channels(config, side) * side**2
        self.hidden = nn.Linear(flat, config.hidden)
        self.norm = nn.BatchNorm1d(config.hidden) if config.hidden_norm else nn.Identity()
        self.activation = activation() if config.hidden_activation else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.to_logits = nn.Linear(config.hidden, config.classes)

    def features(self, images: Tensor) -> Tensor:
        # The order in memory (channels last), so that neither pass copies
        images = patches(images, self.config.resolution.patch)
        flat = self.blocks(images).permute(0, 2, 3, 1).flatten(1)
        return self.activation(self.norm(self.hidden(flat)))

    def forward(self, images: Tensor) -> Tensor:
        return self.to_logits(self.dropout(self.features(images)))


def _blocks(config: ClassifierConfig, activation: type[nn.Module]) -> nn.Sequential:
    block = ResidualBlock if config.residual else PlainBlock
    blocks: list[nn.Module] = []
    inputs, current = config.image_channels * config.resolution.patch**2, config.resolution.inner
    if config.stem:
        blocks.append(PlainBlock(inputs, config.stem, 1, activation))
        inputs = config.stem
    for side in config.resolution.block_sides(config.depth):
        outputs = _channels(config, side)
        blocks.append(block(inputs, outputs, 1 if side == current else 2, activation))
        inputs, current = outputs, side
    return nn.Sequential(*blocks)


def _channels(config: ClassifierConfig, side: int) -> int:
    return config.width << config.resolution.sides.index(side)


def _conv_norm(inputs: int, outputs: int, stride: int, side: int = 3) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs, outputs, side, stride=stride, padding=side // 2, bias=False)
    return conv, nn.BatchNorm2d(outputs)
