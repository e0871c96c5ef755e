"""Readers of the published sets in colour, CIFAR-10 and SVHN, through torchvision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import numpy as np

from models.data.cache import TEST, TRAIN, Pack, cached
from models.data.sources import obtain, stamp, unsound

CIFAR_FOLDER = "cifar-10-batches-py"
CIFAR_FILES = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta")
SVHN_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


def read_cifar10(data_dir: Path, download: bool) -> Pack:
    """CIFAR-10 (Krizhevsky 2009): 50,000 images to train, 10,000 to test, of 32 x 32 pixels.

    Raises DataError where files are missing or are not the published ones."""
    files = [data_dir / CIFAR_FOLDER / name for name in CIFAR_FILES]
    if missing := [file for file in files if not file.exists()]:
        obtain(missing, data_dir, download, "CIFAR10")
    return cached("cifar10", stamp(*files), data_dir, partial(_cifar10, data_dir))


def read_svhn(data_dir: Path, download: bool) -> Pack:
    """SVHN, cropped digits (Netzer et al. 2011): 73,257 images to train, 26,032 to test, of 32 x 32
    pixels. Raises DataError as `read_cifar10` does."""
    for split, name in SVHN_FILES.items():
        if not (data_dir / name).exists():
            obtain([data_dir / name], data_dir, download, "SVHN", split=split)
    files = [data_dir / name for name in SVHN_FILES.values()]
    return cached("svhn", stamp(*files), data_dir, partial(_svhn, data_dir))


def _cifar10(data_dir: Path) -> Pack:
    from torchvision.datasets import CIFAR10  # takes half a second, and the pack is kept

    read = partial(_checked, data_dir / CIFAR_FOLDER)
    sets = [read(lambda train=train: CIFAR10(data_dir, train)) for train in (True, False)]
    images = [each.data for each in sets]  # uint8 (N, 32, 32, 3)
    labels = [np.array(each.targets) for each in sets]
    return _joined(images, labels, tuple(sets[0].classes))


def _svhn(data_dir: Path) -> Pack:
    from torchvision.datasets import SVHN

    sets = [
        _checked(data_dir / name, lambda split=split: SVHN(data_dir, split))
        for split, name in SVHN_FILES.items()
    ]
    images = [np.ascontiguousarray(each.data.transpose(0, 2, 3, 1)) for each in sets]
    return _joined(images, [each.labels for each in sets], tuple("0123456789"))


def _joined(images: list[np.ndarray], labels: list[np.ndarray], names: tuple[str, ...]) -> Pack:
    parts = np.repeat([TRAIN, TEST], [len(each) for each in images])
    return Pack(np.concatenate(images), np.concatenate(labels).astype(np.int64), None, names, parts)


def _checked(path: Path, read: Callable):
    """What torchvision reads; it compares each file with the md5 of the published one."""
    try:
        return read()
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        raise unsound(path, str(error)) from None
