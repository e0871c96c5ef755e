"""A network of the user's own, from a file.

The file defines a `torch.nn.Module` with a dataclass `Config` inside:

    class Dense(nn.Module):
        @dataclass(frozen=True)
        class Config:
            width: Annotated[int, "64..512"] = 256  # the range, as `--set` takes it

        def __init__(self, config, latent_size, shape): ...  # shape: (channels, height, width)
        def encode(self, images): ...  # (B, channels, height, width) -> (B, latent_size)
        def decode(self, codes): ...  # (B, latent_size) -> (B, channels, height, width) in [0, 1]
        def losses(self, images, targets): ...  # optional: the terms of the loss by name

A search records the text of the file and sends it to its workers, so the file itself is needed only
when a search begins. The message of an error begins with the line of the file.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.abc import InspectLoader
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGES = 8  # in the batch that tries a network


class NetworkError(Exception):
    """What is wrong in the user's file: one line, with the line number in the file."""


@dataclass(frozen=True)
class NetworkFile:
    """A class in the user's file, with the whole text of the file."""

    file: str  # the name of the file, for messages
    name: str  # of the class
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"

    def load(self) -> type[nn.Module]:
        """The class. Runs the file once in each process. Raises NetworkError."""
        return _class(self)

    def ranges(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Two dicts by hyperparameter: the default of each, and the range, as the file writes it,
        where there is a range."""
        config = self.load().Config  # type: ignore[attr-defined]
        hints = get_type_hints(config, include_extras=True)
        defaults, ranges = {}, {}
        for field in dataclasses.fields(config):
            if field.default is dataclasses.MISSING:
                line = self.at(self.line_of())
                raise NetworkError(f"{line}: Config.{field.name} has no default")
            defaults[field.name] = field.default
            if said := getattr(hints[field.name], "__metadata__", ()):
                ranges[field.name] = said[0]
        return defaults, ranges

    def line_of(self, method: str | None = None) -> int:
        """The line of the class, or of one of its methods if it is written there."""
        tree = ast.parse(self.source)
        found = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == self.name)
        inside = (n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == method)
        return next(inside, found).lineno

    def at(self, line: int | None) -> str:
        return f"{self.file}, line {line}" if line else self.file


def read_network(text: str) -> NetworkFile:
    """The network that `FILE:CLASS` names. Raises NetworkError."""
    path, colon, name = text.rpartition(":")
    if not (colon and path and name.isidentifier()):
        raise NetworkError(f"{text}: write FILE:CLASS, such as my_networks.py:Dense")
    try:
        source = Path(path).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NetworkError(f"{path} cannot be read: {reason}") from error
    found = NetworkFile(Path(path).name, name, source)
    found.load()
    return found


@dataclass(frozen=True)
class OwnConfig:
    """A network of the user's own, with values for its hyperparameters."""

    network: NetworkFile
    values: Mapping[str, Any]
    latent_size: int
    shape: tuple[int, int, int]  # channels, height, width of an image

    def build(self) -> Any:
        """A new network. It has `encode`, `decode` and `losses`, and a call of it returns images
        and codes, as a call of an `Autoencoder` does. Raises NetworkError."""
        kind = self.network.load()
        with _telling(self.network):
            config = kind.Config(**self.values)  # type: ignore[attr-defined]
            network: Any = _with_defaults(kind, self.network)(config, self.latent_size, self.shape)
        network.own_config = self
        return network


def own_config(model: Mapping[str, Any]) -> OwnConfig:
    """The inverse of `dataclasses.asdict`, also after JSON."""
    network = NetworkFile(**model["network"])
    return OwnConfig(network, model["values"], model["latent_size"], tuple(model["shape"]))


def try_batch(config: OwnConfig) -> tuple[str, ...]:
    """Take one step with a small batch. Returns the names of the terms of the loss, if the network
    has `losses`.

    Raises NetworkError for what is wrong: an exception, a shape, a loss without a gradient."""
    network, file = config.build().train(), config.network
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((IMAGES, *config.shape), generator=generator)
    codes = network.encode(images)
    _check_tensor(file, "encode", codes, (IMAGES, config.latent_size))
    _check_tensor(file, "decode", network.decode(codes), tuple(images.shape))
    terms = network.losses(images, images)
    line = file.at(file.line_of("losses"))
    if not isinstance(terms, Mapping) or not terms:
        raise NetworkError(f"{line}: losses returns {_about(terms)}, not a dict of terms by name")
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.numel() != 1:
            raise NetworkError(f"{line}: the term {name!r} is {_about(term)}, not a single number")
        if not term.isfinite():
            raise NetworkError(f"{line}: the term {name!r} is {float(term)} on a random batch")
    total = torch.stack([term.reshape(()) for term in terms.values()]).sum()
    if not total.requires_grad:
        raise NetworkError(f"{line}: no weight changes the loss, so there is nothing to train")
    with _telling(file):
        total.backward()
    return tuple(map(str, terms)) if network.has_losses else ()


def _check_tensor(file: NetworkFile, method: str, value: Any, shape: tuple[int, ...]) -> None:
    line = file.at(file.line_of(method))
    if not isinstance(value, Tensor) or tuple(value.shape) != shape:
        raise NetworkError(f"{line}: {method} returns {_about(value)}, not {shape}")
    if not value.isfinite().all():
        raise NetworkError(f"{line}: {method} returns values that are not finite")


def _about(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"a {type(value).__name__}"


@cache
def _class(network: NetworkFile) -> type[nn.Module]:
    module = _module(network.file, network.source)
    kind = getattr(module, network.name, None)
    if not isinstance(kind, type):
        found = [
            n for n, v in vars(module).items() if hasattr(v, "encode") and hasattr(v, "decode")
        ]
        raise NetworkError(
            f"{network.file} has no class {network.name}"
            + (f"; it has {', '.join(found)}" if found else "")
        )
    line = network.at(network.line_of())
    if not issubclass(kind, nn.Module):
        raise NetworkError(f"{line}: {network.name} is no torch.nn.Module")
    for method in ("encode", "decode"):
        if not callable(getattr(kind, method, None)):
            raise NetworkError(f"{line}: {network.name} has no method {method}")
    if not dataclasses.is_dataclass(getattr(kind, "Config", None)):
        raise NetworkError(f"{line}: {network.name} has no dataclass Config inside")
    return kind


@cache
def _module(file: str, source: str) -> Any:
    """The module of a text, which is run once."""
    name = f"own_network_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_loader(name, _TextLoader(file, source))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and type hints look for their module there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise NetworkError(_told(file, error)) from error
    return module


class _TextLoader(InspectLoader):
    """Loads a module from its text, so that tracebacks show its lines."""

    def __init__(self, file: str, source: str):
        self._file, self._source = file, source

    def get_source(self, fullname: str) -> str:
        return self._source

    def get_code(self, fullname: str):
        return self.source_to_code(self._source, self._file)


def _told(file: str, error: BaseException) -> str:
    """What was raised, in one line that begins with the innermost line of the user's file."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines, reason = [error.lineno], error.msg
    else:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
    where = f"{file}, line {lines[-1]}" if lines else file
    return f"{where}: {type(error).__name__}: {reason}"


class _telling:
    """A context that turns what the user's code raises into NetworkError."""

    def __init__(self, network: NetworkFile):
        self._network = network

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        memory = isinstance(error, torch.OutOfMemoryError)
        if isinstance(error, Exception) and not isinstance(error, NetworkError) and not memory:
            raise NetworkError(_told(self._network.file, error)) from error


def _with_defaults(kind: type[nn.Module], file: NetworkFile) -> type[nn.Module]:
    """The user's class with the methods that the training adds, see `OwnConfig.build`.

    The user's methods compute in float32, whatever the training does around them."""

    def told(method: Callable[..., Any], first: Tensor, *others: Tensor) -> Any:
        tensors = [first.float(), *(other.float() for other in others)]
        with _telling(file), torch.autocast(first.device.type, enabled=False):
            return method(*tensors)

    class Own(kind):  # type: ignore[misc, valid-type]
        has_losses = hasattr(kind, "losses")

        def encode(self, images: Tensor) -> Tensor:
            return told(super().encode, images)

        def decode(self, codes: Tensor) -> Tensor:
            return told(super().decode, codes)

        def losses(self, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
            if self.has_losses:
                return told(super().losses, images, targets)
            return {"mse": F.mse_loss(self.decode(self.encode(images)), targets)}

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            codes = self.encode(images)
            return self.decode(codes), codes

    Own.__name__ = kind.__name__
    return Own
