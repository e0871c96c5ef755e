"""Trained networks: read from the folder that a search wrote, used on arrays, written as ONNX."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.data.images import as_pictures
from models.networks.autoencoder import AutoencoderConfig
from models.networks.classifier import Classifier, ClassifierConfig
from models.networks.own import OwnConfig, own_config
from models.training.augmentation import mean_over_warps

BATCH = 512  # images at a time


class LoadError(ValueError):
    """A folder without a network that can be loaded; the text is one line that says why."""


def load(folder: str | Path) -> Any:
    """The trained network of a folder that a search wrote, such as `runs/NAME/best/128`.

    It is on the CPU and in evaluation mode. An `Autoencoder` maps images (B, channels, height,
    width) in [0, 1] to codes with `encode` and codes to images with `decode`, and so does a network
    of your own; a `Classifier` maps images to logits.

    config.json holds the program text of a network of your own, and loading runs it: load such a
    folder only from people whom you trust.

    Raises LoadError if the folder has no network, or a damaged one.
    """
    folder = Path(folder).expanduser()
    config = read_config(folder)
    try:
        network = _config(config["model"]).build()
        weights = torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
    except Exception as error:  # whatever torch and the configuration make of damaged files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise LoadError(f"{folder} holds no network that can be loaded: {reason}") from error
    return network.eval()


def read_config(folder: Path) -> dict:
    """config.json of a folder with a trained network. Raises LoadError."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        inside = sorted(found.parent.name for found in folder.glob("*/config.json"))
        hint = f"; it has {', '.join(inside)}" if inside else ""
        raise LoadError(f"{folder} holds no config.json and no trained network{hint}") from None
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} cannot be read: {error}") from error
    if "model" not in config:
        raise LoadError(f"{folder} holds no network: a probe is a classifier of codes")
    return config


def _config(model: dict) -> AutoencoderConfig | ClassifierConfig | OwnConfig:
    if "network" in model:
        return own_config(model)
    return AutoencoderConfig(**model) if "latent_size" in model else ClassifierConfig(**model)


def image_shape(network: Any) -> tuple[int, int, int]:
    """Channels, height and width of the images that a network takes."""
    if isinstance(getattr(network, "own_config", None), OwnConfig):
        return network.own_config.shape
    config = network.config
    return config.image_channels, config.image_side, config.image_side


def as_batch(images: np.ndarray | Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images as float32 (N, channels, height, width) in [0, 1], in the `shape` of a network.

    images: (N, height, width), (N, height, width, 3) or (N, channels, height, width), or the same
    as rows of pixels (N, pixels); integers from 0 to 255, or floats from 0 to 1.

    Raises ValueError for another shape or range.
    """
    tensor, (channels, height, width) = torch.as_tensor(images), shape
    size = tuple(tensor.shape[1:])
    if size in ((height, width, channels), (height * width * channels,)) or (
        channels == 1 and size == (height, width)
    ):
        tensor = tensor.reshape(-1, height, width, channels).movedim(-1, 1)
    elif size != shape:
        picture = (height, width) if channels == 1 else (height, width, channels)
        raise ValueError(
            f"images must be (N, {', '.join(map(str, picture))}) or (N, {prod(shape)}), got "
            f"{tuple(tensor.shape)}"
        )
    if not tensor.is_floating_point():
        tensor = tensor.float() / 255
    tensor = tensor.float().contiguous()
    if tensor.numel() and not (0 <= float(tensor.min()) and float(tensor.max()) <= 1):
        raise ValueError(
            f"images must be integers from 0 to 255 or floats from 0 to 1, got values from "
            f"{float(tensor.min()):g} to {float(tensor.max()):g}"
        )
    return tensor


@torch.no_grad()
def encode(network: Any, images: np.ndarray | Tensor, warps: int = 1) -> np.ndarray:
    """Codes (N, D), float32, of images as `as_batch` takes them, on the network's device. A code is
    a mean over `warps` slight warps of its image, see `augmentation.mean_over_warps`."""
    draws = torch.Generator(next(network.parameters()).device).manual_seed(0)
    batch = as_batch(images, image_shape(network))
    return _in_batches(
        network, lambda part: mean_over_warps(network.encode, part, warps, draws), batch
    )


@torch.no_grad()
def reconstruct(network: Any, images: np.ndarray | Tensor) -> np.ndarray:
    """The network's output, float32 in [0, 1], for images as `as_batch` takes them: pictures (N,
    height, width), or (N, height, width, 3) in colour."""
    batch = as_batch(images, image_shape(network))
    outputs = _in_batches(network, lambda part: network.decode(network.encode(part)), batch)
    return as_pictures(torch.from_numpy(outputs)).numpy()


@torch.no_grad()
def logits(network: nn.Module, images: np.ndarray | Tensor) -> np.ndarray:
    """Logits (N, classes), float32, for images as `as_batch` takes them."""
    return _in_batches(network, network, as_batch(images, image_shape(network)))


def _in_batches(network: nn.Module, function, batch: Tensor) -> np.ndarray:
    network.eval()
    device = next(network.parameters()).device
    parts = [function(part.to(device)).float().cpu() for part in batch.split(BATCH)]
    return torch.cat(parts).numpy()


def export_onnx(network: nn.Module, path: str | Path) -> Path:
    """Write a network as an ONNX file, for any number of images.

    Its input is `images` (B, channels, height, width), float32 in [0, 1]. Its outputs are
    `reconstructions`, in the same shape, and `codes` (B, D) of an autoencoder; `logits` (B,
    classes) of a classifier.

    Raises ImportError if the extra `onnx` is not installed.
    """
    try:
        import onnxscript  # noqa: F401  # torch's exporter is built on it
    except ImportError as error:
        raise ImportError("the export needs an extra: pip install '.[onnx]'") from error
    path = Path(path).expanduser()
    outputs = ["logits"] if isinstance(network, Classifier) else ["reconstructions", "codes"]
    device = next(network.parameters()).device
    torch.onnx.export(
        network.eval(),
        (torch.zeros(2, *image_shape(network), device=device),),
        path,
        input_names=["images"],
        output_names=outputs,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    return path
