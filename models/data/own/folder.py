"""The user's own images in a folder: decoded once, in parallel, into the packed cache."""

from __future__ import annotations

import struct
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from models.data.cache import TEST, TRAIN, VALIDATION, Pack, cached
from models.data.errors import DataError
from models.data.own.arrays import number_labels
from models.data.own.fitting import check_side
from models.data.own.room import check_room
from models.files import find_files
from models.machine import usable_cores

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
PARTS = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION}
PARTS |= {"test": TEST}  # folders of these names are a split, where there are no others
MOST_BROKEN = 0.01  # of the files; a folder with more of them is not what its owner thinks
MOST_NAMED = 3  # of the broken files; a note stays one line
PROGRESS_S = 5.0
ORIENTATION = 0x0112  # the EXIF tag; from 5 on, width and height change places
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, as paths relative to it, with their classes and their split."""

    files: tuple[str, ...]
    classes: tuple[str, ...]  # of each file; empty if the folder is flat
    parts: tuple[int, ...]  # of each file; empty if the folder is not split
    others: tuple[str, ...]  # files that are no images


@dataclass(frozen=True)
class Header:
    """What the beginning of an image file says."""

    size: tuple[int, int]  # height and width, as a viewer shows it
    coloured: bool
    frames: int


def read_folder(folder: Path, data_dir: Path, image_size: int | None, grey: bool) -> Pack:
    """The images of a folder.

    A folder of folders is torchvision's `ImageFolder` layout: each folder is a class. If the
    folders are `train`, `test` and perhaps `val`, they are the split, and the classes are inside. A
    flat folder has no labels. Transparent images are put on white, 16 bits become 8, an animation
    is its first frame, and a rotation that EXIF says is applied.

    Raises DataError, with the file and the reason in one line.
    """
    listing = list_images(folder)
    stats = [(file, (folder / file).stat()) for file in listing.files]
    stamp = [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]
    build = partial(_build, folder, listing, image_size, grey)
    return cached(f"own-{folder.name}", (stamp, image_size, grey), data_dir, build)


def list_images(folder: Path) -> Listing:
    """The images of a folder, in the order of their names. Symbolic links are followed; hidden
    files and `__MACOSX` are not looked at. Raises DataError."""
    found, others = list[str](), list[str]()
    for path in sorted(file.relative_to(folder).as_posix() for file in find_files(folder)):
        (found if path.lower().endswith(SUFFIXES) else others).append(path)
    if not found:
        endings = sorted({Path(path).suffix for path in others})[:5]
        files = "1 other file" if len(others) == 1 else f"{len(others):,} other files"
        has = f"{files} ({' '.join(endings)})" if others else "no file at all"
        raise DataError(f"{folder}: holds no PNG, JPEG, BMP or WebP image, but {has}")
    places = [path.split("/") for path in found]
    parts: tuple[int, ...] = ()
    if {place[0] for place in places if len(place) > 1} >= {"train", "test"} and all(
        place[0] in PARTS for place in places
    ):
        parts = tuple(PARTS[place[0]] for place in places)
        places = [place[1:] for place in places]
    depths = {min(len(place), 2) for place in places}
    if len(depths) > 1:
        loose = next("/".join(place) for place in places if len(place) == 1)
        raise DataError(
            f"{folder}: some images are in folders and some are not, as {loose}; put each into the "
            "folder of its class, or all into one folder"
        )
    classes = tuple(place[0] for place in places) if depths == {2} else ()
    return Listing(tuple(found), classes, parts, tuple(others))


def _build(folder: Path, listing: Listing, image_size: int | None, grey: bool) -> Pack:
    broken: dict[str, str] = {}
    headers = _for_each(folder, listing.files, _header, broken, "looking at")
    _refuse_many(folder, broken, len(listing.files))
    size = _common_size(folder, headers, image_size)
    coloured = not grey and any(header.coloured for header in headers.values())
    shape = (len(headers), size, size, 3) if coloured else (len(headers), size, size)
    check_room(str(folder), shape)
    decode = partial(_decode, side=size, mode="RGB" if coloured else "L")
    pixels = _for_each(folder, tuple(headers), decode, broken, "decoding")
    _refuse_many(folder, broken, len(listing.files))
    kept = [number for number, file in enumerate(listing.files) if file in pixels]
    images = np.stack([pixels[listing.files[number]] for number in kept])
    notes = _notes(listing, broken, headers, grey)
    labels, names = np.zeros(len(kept), np.int64), tuple[str, ...]()
    if listing.classes:
        labels, names = number_labels(np.array(listing.classes)[kept], notes)
    parts = np.array(listing.parts, np.int64)[kept] if listing.parts else None
    return Pack(images, labels, None, names, parts, tuple(notes))


def _for_each(
    folder: Path,
    files: Sequence[str],
    read: Callable[[Path], Found],
    broken: dict[str, str],
    doing: str,
) -> dict[str, Found]:
    """What `read` returns of each file, in parallel. A file that cannot be read goes to `broken`,
    with the reason."""

    def attempt(file: str) -> Found | str:
        try:
            return read(folder / file)
        except _UNREADABLE as error:
            return " ".join(str(error).split()).replace(f"{folder}/", "") or type(error).__name__

    found: dict[str, Found] = {}
    due = time.monotonic() + PROGRESS_S
    with ThreadPoolExecutor(usable_cores()) as threads:
        results = threads.map(attempt, files)
        for number, (file, result) in enumerate(zip(files, results, strict=True)):
            if isinstance(result, str):
                broken[file] = result
            else:
                found[file] = result
            if time.monotonic() > due:
                print(f"{doing} images of {folder}: {number:,} of {len(files):,}", file=sys.stderr)
                due = time.monotonic() + PROGRESS_S
    return found


def _refuse_many(folder: Path, broken: dict[str, str], files: int) -> None:
    if len(broken) <= max(1, MOST_BROKEN * files) and len(broken) < files:
        return
    raise DataError(
        f"{folder}: {len(broken):,} of {files:,} images cannot be read: {_named(broken)}; mend "
        "them or move them away"
    )


def _named(broken: dict[str, str]) -> str:
    """The first files that cannot be read, each with its reason, and how many follow."""
    named = ", ".join(f"{file} ({broken[file]})" for file in list(broken)[:MOST_NAMED])
    more = len(broken) - MOST_NAMED
    return f"{named} and {more:,} more" if more > 0 else named


def _common_size(folder: Path, headers: dict[str, Header], image_size: int | None) -> int:
    """The side of all images. Raises DataError if they differ and no size is given."""
    sizes: dict[tuple[int, int], str] = {}
    for file, header in headers.items():
        sizes.setdefault(header.size, file)
    if image_size is None and len(sizes) > 1:
        (one, of_one), (other, of_other) = list(sizes.items())[:2]
        raise DataError(
            f"{folder}: images of {len(sizes):,} sizes, as {of_one} ({one[1]} x {one[0]}) and "
            f"{of_other} ({other[1]} x {other[0]}); --image-size S cuts out the central square of "
            "each and resizes it"
        )
    for size, file in sizes.items():
        check_side(size, image_size, f"{folder}/{file}")
    return image_size or next(iter(sizes))[0]


def _notes(
    listing: Listing, broken: dict[str, str], headers: dict[str, Header], grey: bool
) -> list[str]:
    """In which ways the set differs from the files: images left out, cut, or read in colour."""
    notes = []
    if broken:
        notes.append(f"left out, as it cannot be read: {_named(broken)}")
        if len(broken) > 1:
            notes[-1] = f"{len(broken)} images cannot be read and are left out: {_named(broken)}"
    if listing.others:
        verb = "is no image and is" if len(listing.others) == 1 else "are no images and are"
        count = "" if len(listing.others) == 1 else f" and {len(listing.others) - 1:,} more"
        notes.append(f"{listing.others[0]}{count} {verb} left out")
    coloured = [file for file, header in headers.items() if header.coloured]
    if not grey and 0 < len(coloured) < len(headers):
        notes.append(
            f"{len(coloured):,} of {len(headers):,} images are in colour, as {coloured[0]}, so all "
            "are read in colour; --grey makes them grey"
        )
    moving = sum(header.frames > 1 for header in headers.values())
    if moving:
        notes.append(f"of {moving:,} animated images the first frame is used")
    cut = sum(header.size[0] != header.size[1] for header in headers.values())
    if cut:
        notes.append(f"of {cut:,} images that are not square the central square is used")
    return notes


def _header(path: Path) -> Header:
    with Image.open(path) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION, 1) >= 5:
            width, height = height, width
        return Header((height, width), _is_coloured(image), getattr(image, "n_frames", 1))


def _is_coloured(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        return bool((palette != palette[:, :1]).any())
    return image.mode not in ("1", "L", "LA", "La", "I", "F") and not image.mode.startswith("I;16")


def _decode(path: Path, side: int, mode: str) -> np.ndarray:
    """A file as pixels (side, side) or (side, side, 3), uint8."""
    with Image.open(path) as image:
        if min(image.size) > 2 * side:
            image.draft(None, (2 * side, 2 * side))  # a JPEG is decoded at a part of its size
        shown = _on_white(_eight_bit(ImageOps.exif_transpose(image))).convert(mode)
    width, height = shown.size
    square = min(shown.size)
    left, top = (width - square) // 2, (height - square) // 2
    if square != side:
        how = Image.Resampling.BOX if side < square else Image.Resampling.BILINEAR
        shown = shown.resize((side, side), how, (left, top, left + square, top + square))
    elif width != height:
        shown = shown.crop((left, top, left + square, top + square))
    return np.asarray(shown)


def _eight_bit(image: Image.Image) -> Image.Image:
    """An image of at most 8 bits a channel. Pillow itself would cut off what is above 255."""
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.float32)
        return Image.fromarray((values.clip(0, 65535) / 257 + 0.5).astype(np.uint8))
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "RGBa", "LA", "La", "PA") and "transparency" not in image.info:
        return image
    with_alpha = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, with_alpha).convert("RGB")
