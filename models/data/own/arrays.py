"""The user's own images in a .npz file. Nothing in it is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from models.data.cache import TEST, TRAIN, VALIDATION, Pack
from models.data.errors import DataError
from models.data.images import CHUNK
from models.data.own.fitting import check_side, fit_images
from models.data.own.room import check_room

IMAGES = "images"
# Names of a part in Keras' layout (x_train, y_train) and in MedMNIST's (train_images, ...).
PART_NAMES = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "test": TEST}
LAYOUTS = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))
# The values that `split` may have.
SPLIT_WORDS: Mapping[Any, int] = {
    **PART_NAMES,
    "training": TRAIN,
    "validation": VALIDATION,
    "testing": TEST,
    **{number: part for number, part in enumerate((TRAIN, VALIDATION, TEST))},
}
UNPICKLED = "an array of Python objects, which is never unpickled"
_FAULTS = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


def read_arrays(path: Path, image_size: int | None, grey: bool) -> Pack:
    """The images of a .npz file, with labels, groups and a split where it has them.

    `images`: (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels; uint8, uint16,
    another integer type with values of a byte, bool, or floats in [0, 1]. `labels` and `group`:
    (N,), integers or words. `split`: (N,), `train`, `validation` and `test`, or 0, 1 and 2. Or the
    arrays x_train, y_train, x_test, y_test, as Keras saves them.

    Raises DataError, with the file and the reason in one line.
    """
    headers = _headers(path)
    sources = _sources(headers, path)
    _check_shapes(path, [headers[images] for images, _, _ in sources], image_size, grey)
    read = _reader(path)
    parts = []
    for name, _, _ in sources:
        where = f"{path}: {name}"
        parts.append(fit_images(as_bytes(read(name), where), image_size, grey, where))
    images = parts[0] if len(parts) == 1 else np.concatenate(parts)
    notes: list[str] = []
    labels, names = _labels(read, [labels for _, labels, _ in sources], len(images), path, notes)
    of_part = [np.full(len(rows), part) for rows, (*_, part) in zip(parts, sources, strict=True)]
    plain = sources[0][2] is None
    return Pack(
        images,
        labels,
        _groups(read, headers, len(images), path) if plain else None,
        names,
        _split(read, headers, len(images), path) if plain else np.concatenate(of_part),
        tuple(notes),
    )


def as_bytes(array: np.ndarray, where: str) -> np.ndarray:
    """Images (N, H, W) or (N, H, W, 3), uint8, of an array of any layout and type that
    `read_arrays` takes. Raises DataError."""
    array = _channels_last(array, where)
    if array.dtype == np.uint8 and (array.ndim == 3 or array.shape[3] == 3):
        return array
    convert = _conversion(array, where)
    colours = array.ndim == 4 and array.shape[3] > 1
    images = np.empty((*array.shape[:3], 3) if colours else array.shape[:3], np.uint8)
    for start in range(0, len(array), CHUNK):  # in parts: floats take four times the memory
        images[start : start + CHUNK] = _without_alpha(convert(array[start : start + CHUNK]))
    return images


Source = tuple[str, str | None, int | None]  # names of images and labels, and their part


def _sources(headers: Mapping[str, tuple], path: Path) -> list[Source]:
    """For each array of images: its name, the name of its labels, and its part of the split."""
    if IMAGES in headers:
        return [(IMAGES, "labels" if "labels" in headers else None, None)]
    for images, labels in LAYOUTS:
        found: list[Source] = []
        for word, part in PART_NAMES.items():
            name, of_labels = images.format(word), labels.format(word)
            if name in headers:
                found.append((name, of_labels if of_labels in headers else None, part))
        if {part for _, _, part in found} >= {TRAIN, TEST}:
            return found
    names = ", ".join(headers) or "nothing"
    raise DataError(
        f"{path}: holds {names}, and no array `{IMAGES}` (nor x_train and x_test): save it with "
        f"np.savez({path.name!r}, {IMAGES}=..., labels=...)"
    )


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of each array, without its content."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as file:
                        found[member.removesuffix(".npy")] = _header(file)
            return found
    except _FAULTS as error:
        raise DataError(f"{path}: no sound .npz file ({error})") from None


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0
    shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
    return shape, dtype


def _check_shapes(
    path: Path, headers: list[tuple[tuple[int, ...], np.dtype]], image_size: int | None, grey: bool
) -> None:
    """Refuse, before the images are read, what cannot be used or does not fit into memory."""
    count, held, read = 0, 0, 0
    shapes: set[tuple[int, int]] = set()
    for shape, dtype in headers:
        if dtype.hasobject:
            raise DataError(
                f"{path}: its images are {UNPICKLED}; if they have several sizes, save them as "
                "files in a folder, else as one array of numbers"
            )
        count_here, height, width, channels = _extents(shape, str(path))
        check_side((height, width), image_size, str(path))
        colours = 1 if grey or channels == 1 else 3
        side = image_size or height
        count, shapes = count + count_here, shapes | {(side, colours)}
        held += count_here * side * side * colours
        read += prod(shape) * dtype.itemsize
    if len(shapes) > 1:
        sizes = " and ".join(f"{side} x {side} x {colours}" for side, colours in sorted(shapes))
        raise DataError(
            f"{path}: its parts have images of {sizes}; --image-size and --grey make them equal"
        )
    check_room(str(path), (count, side, side, colours), read if read > held else 0)


def _extents(shape: tuple[int, ...], where: str) -> tuple[int, int, int, int]:
    """Number, height, width and channels of images of `shape`, whatever their layout."""
    if len(shape) == 3:
        return (*shape, 1)
    if len(shape) == 4 and shape[3] in (1, 3, 4):
        return shape[0], shape[1], shape[2], shape[3]
    if len(shape) == 4 and shape[1] in (1, 3, 4):
        return shape[0], shape[2], shape[3], shape[1]
    hint = "; reshape each row to height x width" if len(shape) == 2 else ""
    raise DataError(
        f"{where}: images of shape {shape}, and a search takes (N, H, W), (N, H, W, C) or "
        f"(N, C, H, W) with 1 or 3 channels{hint}"
    )


def _channels_last(array: np.ndarray, where: str) -> np.ndarray:
    """(N, H, W), or (N, H, W, 3 or 4)."""
    *_, channels = _extents(array.shape, where)
    if array.ndim == 4 and array.shape[3] not in (1, 3, 4):
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    return array[..., 0] if array.ndim == 4 and channels == 1 else array


def _conversion(array: np.ndarray, where: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function that turns a part of `array` into bytes. Raises DataError for values that are no
    pixels."""
    kind = array.dtype.kind
    if kind == "b":
        return lambda part: part.astype(np.uint8) * 255
    if kind not in "uif":
        raise DataError(f"{where} holds values of type {array.dtype}: save numbers")
    if not array.size:
        return lambda part: part.astype(np.uint8)
    low, high = float(array.min()), float(array.max())
    if kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        bad = [i for i, image in enumerate(array) if not np.isfinite(image).all()]
        raise DataError(f"{where}: {len(bad):,} images hold NaN or infinity; image {bad[0]} is one")
    if kind == "f" and 0 <= low and high <= 1:
        return lambda part: (part * 255 + 0.5).astype(np.uint8)
    if 0 <= low and high <= 255 and (kind != "f" or _whole(array)):
        return lambda part: part.astype(np.uint8)
    if array.dtype == np.uint16:
        return lambda part: (part / 257 + 0.5).astype(np.uint8)
    allowed = "0 to 1, or whole numbers from 0 to 255" if kind == "f" else "0 to 255"
    raise DataError(
        f"{where}: values from {low:g} to {high:g}, and a pixel has {allowed}: scale them"
    )


def _whole(array: np.ndarray) -> bool:
    parts = np.array_split(array, len(array) // CHUNK + 1)
    return all(bool((part == np.floor(part)).all()) for part in parts)


def _without_alpha(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, 4) on white, (N, H, W, 3); other images as they are."""
    if images.ndim < 4 or images.shape[3] != 4:
        return images
    alpha = images[..., 3:].astype(np.float32) / 255
    return (images[..., :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)


def _reader(path: Path) -> Callable[[str], np.ndarray]:
    def read(name: str) -> np.ndarray:
        try:
            with np.load(path, allow_pickle=False) as archive:
                return archive[name]
        except _FAULTS as error:
            reason = str(error)
            if "allow_pickle" in reason:
                reason = f"{UNPICKLED}: save plain arrays"
            raise DataError(f"{path}: {name} cannot be read ({reason})") from None

    return read


def _labels(
    read: Callable[[str], np.ndarray],
    names: list[str | None],
    count: int,
    path: Path,
    notes: list[str],
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels (N,) and the names of the classes; zeros and no names if there are no labels."""
    given = [name for name in names if name]
    if not given:
        return np.zeros(count, np.int64), ()
    if len(given) < len(names):
        raise DataError(f"{path}: has {', '.join(given)}, and no labels of the other images")
    values = np.concatenate([_plain(read(name), f"{path}: {name}") for name in given])
    return number_labels(_matching(values, count, f"{path}: {given[0]}"), notes)


def number_labels(values: np.ndarray, notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels from 0 and the names of the classes, in their order. A single class says nothing, so
    it counts as no labels, and `notes` gets a sentence about it."""
    names, labels = np.unique(values, return_inverse=True)
    if len(names) == 1:
        notes.append(f"all images have the same label, {names[0]}: it is not used")
        return np.zeros(len(values), np.int64), ()
    return labels.reshape(-1).astype(np.int64), tuple(map(str, names.tolist()))


def _groups(
    read: Callable[[str], np.ndarray], headers: Mapping[str, tuple], count: int, path: Path
) -> np.ndarray | None:
    if "group" not in headers:
        return None
    values = _matching(_plain(read("group"), f"{path}: group"), count, f"{path}: group")
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _split(
    read: Callable[[str], np.ndarray], headers: Mapping[str, tuple], count: int, path: Path
) -> np.ndarray | None:
    if "split" not in headers:
        return None
    values = _matching(_plain(read("split"), f"{path}: split"), count, f"{path}: split")
    words = [value.lower() if isinstance(value, str) else value for value in values.tolist()]
    unknown = sorted({str(word) for word in words if word not in SPLIT_WORDS})
    if unknown:
        raise DataError(
            f"{path}: split has {', '.join(unknown[:3])}: use train, validation and test"
        )
    return np.array([SPLIT_WORDS[word] for word in words], np.int64)


def _plain(values: np.ndarray, where: str) -> np.ndarray:
    """Labels or groups as (N,) integers or words. They may be (N, 1), one-hot rows or whole
    floats."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and ((values == 0) | (values == 1)).all() and (values.sum(1) == 1).all():
        values = values.argmax(1)
    if values.ndim != 1:
        raise DataError(f"{where} has shape {values.shape}, not one value for each image")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "f" and np.isfinite(values).all() and _whole(values):
        values = values.astype(np.int64)
    if values.dtype.kind not in "iubU":
        raise DataError(f"{where} holds {values.dtype} values: use integers or words")
    return values.astype(np.int64) if values.dtype.kind == "b" else values


def _matching(values: np.ndarray, count: int, where: str) -> np.ndarray:
    if len(values) != count:
        raise DataError(f"{where} has {len(values):,} values for {count:,} images")
    return values
