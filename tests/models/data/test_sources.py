"""Published sets in the folders and under the names that people have them in; sets in colour."""

import gzip
import os
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from models.data import DataError, load, sources
from models.data.sources import IDX_FILES
from tests.models.data.test_data import BACKGROUND, small_omniglot, write_zip

ROOT = Path(__file__).parents[3]
REAL = Path(os.environ.get("DATA_DIR") or ROOT.parent / "shared" / "data")
needs_mnist = pytest.mark.skipif(not (REAL / "MNIST").is_dir(), reason=f"no MNIST in {REAL}")


@pytest.fixture
def small_idx(monkeypatch):
    """Ten images to train and five to test are a whole set here; returns the files."""
    shapes = dict(zip(IDX_FILES, [(10, 28, 28), (10,), (5, 28, 28), (5,)], strict=True))
    monkeypatch.setattr(sources, "IDX_FILES", shapes)
    files, sums, stream = {}, {}, np.random.RandomState(0)
    for name, shape in shapes.items():
        array = stream.randint(0, 10, shape).astype(np.uint8)
        header = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
        files[name] = header + array.tobytes()
        sums[name] = sources._sha256(array)
    monkeypatch.setattr(sources, "MNIST_SHA256", sums)
    return files


def put(folder: Path, files: dict[str, bytes], rename=lambda name: name) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / rename(name)).write_bytes(content)


def read(data_dir: Path, kind: str = "MNIST"):
    return sources.read_idx_set(kind, tuple("0123456789"), data_dir, False)


@pytest.mark.parametrize("place", ["MNIST/raw", "MNIST", "MNIST/MNIST/raw", "raw", "."])
@pytest.mark.parametrize("dotted", [False, True])
def test_mnist_is_found_where_people_put_it(tmp_path, small_idx, place, dotted):
    rename = (lambda name: name.replace("-idx", ".idx")) if dotted else (lambda name: name)
    put(tmp_path / place, small_idx, rename)
    assert read(tmp_path).images.shape == (15, 28, 28)


def test_files_of_another_set_in_the_data_folder_are_not_mnist(tmp_path, small_idx):
    other = {name: content[:-1] + b"\x0b" for name, content in small_idx.items()}
    put(tmp_path, other)
    with pytest.raises(DataError, match="of another set"):
        read(tmp_path)
    with pytest.raises(DataError, match="missing"):
        read(tmp_path, "FashionMNIST")


def test_a_sound_file_is_taken_beside_a_damaged_one(tmp_path, small_idx):
    put(tmp_path / "MNIST" / "raw", small_idx)
    name = next(iter(small_idx))
    whole = read(tmp_path).images
    (tmp_path / "MNIST" / "raw" / name).write_bytes(small_idx[name][:-9])
    with pytest.raises(DataError, match=name) as error:
        read(tmp_path)
    assert "delete" not in str(error.value)
    (tmp_path / "MNIST" / "raw" / f"{name}.gz").write_bytes(gzip.compress(small_idx[name]))
    assert np.array_equal(read(tmp_path).images, whole)


def keras(small_idx) -> dict[str, np.ndarray]:
    names = ("x_train", "y_train", "x_test", "y_test")
    shapes = sources.IDX_FILES.values()
    return {
        name: np.frombuffer(content[4 * (1 + len(shape)) :], np.uint8).reshape(shape)
        for name, content, shape in zip(names, small_idx.values(), shapes, strict=True)
    }


def test_keras_own_file_is_mnist(tmp_path, small_idx):
    np.savez(tmp_path / "mnist.npz", **keras(small_idx))
    put(tmp_path / "again" / "MNIST" / "raw", small_idx)
    found, expected = read(tmp_path), read(tmp_path / "again")
    assert np.array_equal(found.images, expected.images)
    assert np.array_equal(found.labels, expected.labels)


def test_another_file_of_that_name_is_not(tmp_path, small_idx):
    arrays = keras(small_idx)
    np.savez(tmp_path / "mnist.npz", **{**arrays, "y_test": 1 + arrays["y_test"]})
    with pytest.raises(DataError, match=r"mnist\.npz.*y_test"):
        read(tmp_path)


@needs_mnist
@pytest.mark.slow
def test_the_published_files_are_known_by_their_content(tmp_path):
    for name in IDX_FILES:
        (tmp_path / name.replace("-idx", ".idx")).symlink_to(REAL / "MNIST" / "raw" / name)
    assert load("mnist", tmp_path).sha256 == load("mnist", REAL).sha256


@pytest.fixture
def small_background(monkeypatch):
    monkeypatch.setattr(sources, "OMNIGLOT_PARTS", {BACKGROUND: 3})
    return small_omniglot()


@pytest.mark.parametrize("place", [".", "omniglot-py", "omniglot-py/omniglot-py"])
@pytest.mark.parametrize("prefix", ["", f"{BACKGROUND}/", "omniglot/python/"])
def test_omniglot_is_found_one_level_too_deep(tmp_path, small_background, place, prefix):
    files = {f"{prefix}{name}": content for name, content in small_background.items()}
    files[f"__MACOSX/{BACKGROUND}/Made/character01/._0001_01.png"] = b"no image"
    write_zip(tmp_path / place / f"{BACKGROUND}.zip", files)
    assert (
        load("omniglot", tmp_path, download=False).labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    )


def test_an_alphabet_may_be_a_symbolic_link(tmp_path, small_background):
    for name, content in small_background.items():
        path = tmp_path / "elsewhere" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    home = tmp_path / "omniglot-py" / BACKGROUND
    home.mkdir(parents=True)
    (home / "Made").symlink_to(tmp_path / "elsewhere" / BACKGROUND / "Made")
    assert len(load("omniglot", tmp_path, download=False).images) == 60


def test_a_sound_folder_is_taken_beside_a_damaged_archive(tmp_path, small_background):
    archive = write_zip(tmp_path / "omniglot-py" / f"{BACKGROUND}.zip", small_background)
    shutil.unpack_archive(archive, tmp_path / "omniglot-py")
    archive.write_bytes(archive.read_bytes()[:-100])
    assert len(load("omniglot", tmp_path, download=False).images) == 60


# Sets in colour: small files in the published form, whose sums torchvision is made to accept


@pytest.fixture
def any_sum(monkeypatch):
    import torchvision.datasets.cifar
    import torchvision.datasets.svhn
    import torchvision.datasets.utils

    for module in (torchvision.datasets.cifar, torchvision.datasets.svhn):
        monkeypatch.setattr(module, "check_integrity", lambda *_: True)


def test_cifar10_has_its_colours_its_classes_and_its_split(tmp_path, any_sum):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    stream, each = np.random.RandomState(0), 40
    pixels = {}
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        pixels[name] = stream.randint(0, 256, (each, 3 * 32 * 32)).astype(np.uint8)
        batch = {"data": pixels[name], "labels": [n % 10 for n in range(each)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = [f"class {n}" for n in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    data = load("cifar10", tmp_path, download=False)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [180, 20, 40]
    assert data.test.min() == 200 and data.class_names == tuple(names) and data.channels == 3
    red = pixels["test_batch"][0].reshape(3, 32, 32)[0]
    assert np.array_equal(data.images[200, :, :, 0].numpy(), red)
    assert load("cifar10", tmp_path, download=False, grey=True, image_size=16).images.shape == (
        *(240, 16, 16),
    )


def test_svhn_is_read_with_ten_as_zero(tmp_path, any_sum):
    stream = np.random.RandomState(0)
    for name, count in (("train_32x32.mat", 100), ("test_32x32.mat", 30)):
        pixels = stream.randint(0, 256, (32, 32, 3, count)).astype(np.uint8)
        labels = (np.arange(count) % 10 + 1)[:, None]
        scipy.io.savemat(tmp_path / name, {"X": pixels, "y": labels})
    data = load("svhn", tmp_path, download=False)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [90, 10, 30]
    assert data.labels[:11].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert np.array_equal(data.images[100].numpy(), pixels[..., 0])


@pytest.mark.parametrize("name", ["cifar10", "svhn"])
def test_a_set_in_colour_that_is_missing_says_what_to_do(tmp_path, name):
    with pytest.raises(DataError, match="downloads are off"):
        load(name, tmp_path, download=False)


def test_a_damaged_cifar10_is_named(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(b"not published")
    with pytest.raises(DataError, match="cifar-10-batches-py"):
        load("cifar10", tmp_path, download=False)
