"""What several parts of the benchmark take: images, a device, a number of threads."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from models.data import ImageData, load


def images(given: argparse.Namespace, train_size: int) -> ImageData:
    """The data set of the command line. Raises DataError."""
    data_dir = given.data_dir or os.environ.get("DATA_DIR", "data")
    return load(given.dataset, data_dir, train_size=train_size)


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def threads(number: int) -> Iterator[None]:
    """PyTorch computes with `number` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
