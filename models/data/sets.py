"""Loading a data set by name: images, labels and a fixed split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.data.cache import Pack, digest
from models.data.colour_sets import read_cifar10, read_svhn
from models.data.errors import DataError
from models.data.images import SizedImages, centre_ink
from models.data.own.fitting import fit_images
from models.data.own.source import own_name, own_path, read_own
from models.data.own.splits import SPLIT_SEED, Parts, split_own
from models.data.sources import (
    read_glyphs,
    read_idx_set,
    read_mnist5k,
    read_omniglot,
    read_unseen_glyphs,
)

__all__ = [
    "DATASETS",
    "DataError",
    "DataSet",
    "ImageData",
    "UnseenCharacters",
    "load",
    "load_unseen",
    "own_path",
]

DIGITS = tuple("0123456789")
CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


@dataclass(frozen=True, eq=False)
class ImageData(SizedImages):
    """A data set in memory, divided into training, validation and test images. The three index
    arrays are sorted and share no image."""

    name: str
    images: torch.Tensor  # uint8 (N, side, side), or (N, side, side, 3) in colour
    labels: torch.Tensor  # int64 (N,); zeros if there are no labels
    drawers: torch.Tensor | None  # int64 (N,), where known: who drew it, or another group
    class_names: tuple[str, ...]  # "Greek/character01", "7"; empty if there are no labels
    train: torch.Tensor  # int64 indices into images
    validation: torch.Tensor
    test: torch.Tensor
    split: str
    centred: bool
    sha256: str  # of images, labels, drawers and the three index arrays
    source: str = ""  # the file or folder of own images
    notes: tuple[str, ...] = ()  # what every result must say about the source

    @property
    def labelled(self) -> bool:
        return bool(self.class_names)

    def summary(self) -> dict[str, str | int | bool]:
        """What a run records about its data, in types that JSON has."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "split": self.split,
            "centred": self.centred,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "classes": len(self.class_names),
            "side": self.side,
            "channels": self.channels,
            **({"source": self.source} if self.source else {}),
        }


@dataclass(frozen=True, eq=False)
class UnseenCharacters:
    """Drawings, in memory, of characters that are not in the default split of a data set."""

    images: torch.Tensor  # uint8 (N, side, side), or (N, side, side, 3) in colour
    labels: torch.Tensor  # int64 (N,), indices into class_names
    class_names: tuple[str, ...]  # "Angelic/character01"


def _published(pack: Pack) -> Parts:
    """Divides the published training set: of the MNIST family into 50,000 and 10,000, of another
    data set into nine tenths and a tenth. Keeps the published test set."""
    if pack.parts is not None:
        return split_own(pack, "a published data set")[1]
    order = np.random.RandomState(SPLIT_SEED).permutation(60_000)
    return order[:50_000], order[50_000:], np.arange(60_000, 70_000)


def _by_drawer(pack: Pack) -> Parts:
    """Trains on drawers 1-14, validates on 15-16, tests on 17-20: no drawer is in two parts."""
    assert pack.drawers is not None  # only sets with drawers have this split
    first, second = pack.drawers < 15, pack.drawers < 17
    return np.flatnonzero(first), np.flatnonzero(~first & second), np.flatnonzero(~second)


def _by_class(train: int, validation: int, pack: Pack) -> Parts:
    """`train` and `validation` random images of each class; the other images are for the test."""
    stream = np.random.RandomState(SPLIT_SEED)
    classes = [
        np.split(stream.permutation(np.flatnonzero(pack.labels == c)), [train, train + validation])
        for c in range(len(pack.class_names))
    ]
    first, second, third = (np.concatenate(part) for part in zip(*classes, strict=True))
    return first, second, third


SPLITS: dict[str, Callable[[Pack], Parts]] = {
    "published": _published,
    "stratified": partial(_by_class, 400, 50),
    "drawers": _by_drawer,
    "decathlon": partial(_by_class, 11, 4),
}


@dataclass(frozen=True)
class DataSet:
    """How a data set is loaded: `readers` has a reader for each split, the default split first."""

    readers: Mapping[str, Callable[[Path, bool], Pack]]
    centre: bool = False  # whether images are centred by default
    bundled: bool = False  # whether it needs neither files nor a network
    unseen: Callable[[Path, bool], Pack] | None = None  # characters not in the default split

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.readers)


DATASETS = {
    "mnist": DataSet({"published": partial(read_idx_set, "MNIST", DIGITS)}),
    "fashion-mnist": DataSet({"published": partial(read_idx_set, "FashionMNIST", CLOTHES)}),
    "kmnist": DataSet({"published": partial(read_idx_set, "KMNIST", KANA)}),
    "omniglot": DataSet(
        {
            "drawers": partial(read_omniglot, ("images_background",)),
            "decathlon": partial(read_omniglot, ("images_background", "images_evaluation")),
        },
        centre=True,
        unseen=partial(read_omniglot, ("images_evaluation",)),
    ),
    "cifar10": DataSet({"published": read_cifar10}),
    "svhn": DataSet({"published": read_svhn}),
    "mnist5k": DataSet({"stratified": read_mnist5k}, bundled=True),
    "glyphs": DataSet(
        {"drawers": read_glyphs}, centre=True, bundled=True, unseen=read_unseen_glyphs
    ),
}


def load(
    name: str,
    data_dir: str | Path,
    *,
    split: str | None = None,
    centre: bool | None = None,
    train_size: int | None = None,
    seed: int = 0,
    download: bool = True,
    image_size: int | None = None,
    grey: bool = False,
) -> ImageData:
    """Loads a data set into memory: a published one by its name, or own images by their path.

    name: a name in DATASETS; or the path of a .npz file (`models.data.own.arrays.read_arrays`) or
        of a folder of images (`models.data.own.folder.read_folder`).
    split: a split of the data set; None for its first. Own images have a single split, see
        `models.data.own.splits.split_own`.
    centre: whether each image is shifted by whole pixels to put its ink's centre of mass in the
        middle (no ink is lost, see `centre_ink`); None for the data set's default.
    train_size: keep at most this many of the training images, chosen by `seed`; None for all.
        Validation and test never change.
    download: whether missing files may be downloaded into `data_dir`, in torchvision's layout.
    image_size: resize images to that many pixels a side, 16 to 128; None keeps their size.
    grey: whether colours become grey.

    Raises DataError, with one line that says what to do, for an unknown name or split, a train_size
    below one, files that are missing, truncated or of another data set, a failed download, and own
    images that cannot be used.
    """
    name = own_path(name, DATASETS)
    own = name not in DATASETS
    asked = _Request(name, Path(data_dir).expanduser(), split, download, image_size, grey)
    pack, split, (train, *others) = _own(asked) if own else _named(asked)
    parts = dict(zip(("validation", "test"), others, strict=True))
    parts["train"] = _subset(train, train_size, seed)

    centred = (not own and DATASETS[name].centre) if centre is None else centre
    arrays = {"images": _images(pack, centred).numpy(), "labels": pack.labels}
    arrays |= {} if pack.drawers is None else {"drawers": pack.drawers}
    arrays |= {part: np.sort(indices) for part, indices in parts.items()}
    tensors: dict[str, Any] = {key: torch.from_numpy(value) for key, value in arrays.items()}
    return ImageData(
        name=own_name(Path(name), DATASETS) if own else name,
        class_names=pack.class_names,
        split=split,
        centred=centred,
        sha256=digest(arrays),
        source=name if own else "",
        notes=pack.notes,
        **{"drawers": None, **tensors},
    )


@dataclass(frozen=True)
class _Request:
    """What `load` is asked for. Its docstring explains each field."""

    name: str  # in DATASETS, or the absolute path of own images
    data_dir: Path
    split: str | None
    download: bool
    image_size: int | None
    grey: bool


def _named(asked: _Request) -> tuple[Pack, str, Parts]:
    """A published set, the name of its split, and the split."""
    dataset = _choose("data set", asked.name, DATASETS)
    split = dataset.splits[0] if asked.split is None else asked.split
    read = _choose(f"split of {asked.name}", split, dataset.readers)
    pack = read(asked.data_dir, asked.download)
    return _fitted(pack, asked.image_size, asked.grey, asked.name), split, SPLITS[split](pack)


def _own(asked: _Request) -> tuple[Pack, str, Parts]:
    """Own images, the name of their split, and the split."""
    pack = read_own(Path(asked.name), asked.data_dir, asked.image_size, asked.grey)
    only, parts = split_own(pack, asked.name)
    return pack, _choose(f"split of {asked.name}", asked.split or only, {only: only}), parts


def load_unseen(
    name: str,
    data_dir: str | Path,
    *,
    centre: bool | None = None,
    download: bool = True,
    image_size: int | None = None,
) -> UnseenCharacters:
    """Loads characters that the default split of the data set `name` does not have.

    `omniglot`: the 659 characters of the evaluation alphabets, by 20 drawers each (the split
    `decathlon` has them). `glyphs`: 200 further characters by the same 20 drawers. The other
    arguments are as in `load`.

    Raises DataError, with one line, for a data set without unseen characters, and as `load` does.
    """
    dataset = _choose("data set", name, DATASETS)
    if dataset.unseen is None:
        having = ", ".join(key for key, other in DATASETS.items() if other.unseen)
        raise DataError(f"{name} has no unseen characters; data sets that have some: {having}")
    pack = dataset.unseen(Path(data_dir).expanduser(), download)
    pack = _fitted(pack, image_size, False, name)
    centred = dataset.centre if centre is None else centre
    return UnseenCharacters(_images(pack, centred), torch.from_numpy(pack.labels), pack.class_names)


def _fitted(pack: Pack, image_size: int | None, grey: bool, name: str) -> Pack:
    return replace(pack, images=fit_images(pack.images, image_size, grey, name))


def _images(pack: Pack, centred: bool) -> torch.Tensor:
    images = torch.from_numpy(pack.images)
    if centred and images.ndim == 4:
        raise DataError("only grey images can be centred on their ink; --grey makes them grey")
    return centre_ink(images) if centred else images


def _choose(what: str, name: str, among: Mapping):
    if name not in among:
        raise DataError(f"{name!r} is not a {what}; choose from {', '.join(among)}")
    return among[name]


def _subset(train: np.ndarray, size: int | None, seed: int) -> np.ndarray:
    if size is None or size >= len(train):
        return train
    if size < 1:
        raise DataError(f"train_size {size} is out of range; choose from 1 to {len(train):,}")
    return np.random.RandomState(seed).permutation(train)[:size]
