"""The types of flags: functions that turn the text of a flag into its value, for argparse."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from models.data import DATASETS, DataError, own_path
from models.data.images import LEAST_SIDE, MOST_SIDE


def at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is not at least {least}")
        return value

    return integer


positive_int, natural = at_least(1), at_least(0)


def data_set(text: str) -> str:
    """A data set by its name, or the absolute path of own images."""
    try:
        return own_path(text, DATASETS)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def image_size(text: str) -> int:
    value = int(text)
    if not LEAST_SIDE <= value <= MOST_SIDE:
        raise argparse.ArgumentTypeError(f"{text} is not from {LEAST_SIDE} to {MOST_SIDE} pixels")
    return value


def positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return value


def number_of_gpus(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of GPUs")
    if value > 1 and value != int(value):
        raise argparse.ArgumentTypeError(f"{text}: more than one GPU must be whole GPUs")
    return value
