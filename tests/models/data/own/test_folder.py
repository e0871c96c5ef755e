"""Own images in a folder: layouts, kinds of files, and trouble."""

import numpy as np
import pytest
from PIL import Image

from models.data import DataError, load
from models.data.own import folder as folders
from models.data.own.folder import read_folder

SIDE = 24


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def picture(seed: int = 0, size=(SIDE, SIDE), mode: str = "RGB") -> Image.Image:
    """A smooth picture in colour: a JPEG keeps it nearly."""
    small = np.random.RandomState(seed).randint(0, 256, (3, 3, 3)).astype(np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BILINEAR).convert(mode)


def fill(folder, count: int = 30, mode: str = "RGB", ending: str = "png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(number, mode=mode).save(folder / f"{number:03}.{ending}")
    return folder


def read(folder, image_size=None, grey=False):
    return read_folder(folder, folder.parent / "data", image_size, grey)


def refusal(folder, **more) -> str:
    with pytest.raises(DataError) as error:
        read(folder, **more)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "bmp", "webp"])
def test_each_kind_of_file_is_read(tmp_path, ending):
    images = read(fill(tmp_path / "own", 3, ending=ending)).images
    expected = np.stack([np.asarray(picture(number)) for number in range(3)])
    assert images.shape == (3, SIDE, SIDE, 3)
    assert np.abs(images.astype(int) - expected).mean() < 6


def test_a_flat_folder_has_no_labels_and_folders_are_classes(tmp_path):
    assert read(fill(tmp_path / "flat", 3)).class_names == ()
    for name in ("dog", "cat"):
        fill(tmp_path / "tree" / name, 4)
    fill(tmp_path / "tree" / "dog" / "deeper", 2)
    pack = read(tmp_path / "tree")
    assert pack.class_names == ("cat", "dog") and np.bincount(pack.labels).tolist() == [4, 6]


def test_folders_named_train_and_test_are_the_split(tmp_path):
    for part, count in (("train", 12), ("val", 4), ("test", 3)):
        for name in ("dog", "cat"):
            fill(tmp_path / "own" / part / name, count)
    data = load(str(tmp_path / "own"), tmp_path)
    assert data.split == "file" and data.class_names == ("cat", "dog")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [24, 8, 6]


def test_the_second_read_decodes_nothing(tmp_path, monkeypatch):
    folder = fill(tmp_path / "own", 3)
    first = read(folder)
    monkeypatch.setattr(folders, "_decode", None)
    again = read(folder)
    assert np.array_equal(first.images, again.images) and again.parts is None
    (folder / "000.png").write_bytes((folder / "001.png").read_bytes())
    with pytest.raises(TypeError):
        read(folder)


def test_the_channels_of_all_follow_from_the_files(tmp_path):
    assert read(fill(tmp_path / "grey", 3, mode="L")).images.shape == (3, SIDE, SIDE)
    folder = fill(tmp_path / "mixed", 3, mode="L")
    picture().save(folder / "colour.png")
    pack = read(folder)
    assert pack.images.shape == (4, SIDE, SIDE, 3)
    assert any("1 of 4" in note and "colour.png" in note for note in pack.notes)
    assert read(folder, grey=True).images.shape == (4, SIDE, SIDE)


def test_sixteen_bits_keep_their_range(tmp_path):
    (tmp_path / "own").mkdir()
    ramp = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "own" / "ramp.png")
    images = read(tmp_path / "own").images
    assert images.shape == (1, SIDE, SIDE) and np.abs(images[0] - ramp / 257).max() <= 1


def test_palette_alpha_cmyk_and_a_rotation_are_read_as_a_viewer_shows_them(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    turned = picture().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[folders.ORIENTATION] = 6  # to be turned clockwise, back to how it was
    turned.save(folder / "a.jpg", exif=exif, quality=100)
    picture().quantize(200).save(folder / "b.png")
    see_through = picture().convert("RGBA")
    see_through.putalpha(Image.fromarray(np.eye(SIDE, dtype=np.uint8) * 255))
    see_through.save(folder / "c.png")
    picture().convert("CMYK").save(folder / "d.jpg", quality=100)
    picture(mode="1").save(folder / "e.png")
    images = read(folder).images.astype(int)
    plain = np.asarray(picture()).astype(int)
    for image in images[[0, 1, 3]]:
        assert np.abs(image - plain).mean() < 8
    on_diagonal = np.eye(SIDE, dtype=bool)
    assert (images[2][~on_diagonal] == 255).all()
    assert np.array_equal(images[2][on_diagonal], plain[on_diagonal])


def test_an_animation_is_its_first_frame_and_is_said(tmp_path):
    folder = fill(tmp_path / "own", 2)
    picture(5).save(
        folder / "moving.webp", save_all=True, append_images=[picture(6)], lossless=True
    )
    pack = read(folder)
    assert np.array_equal(pack.images[2], np.asarray(picture(5)))
    assert any("first frame" in note for note in pack.notes)


def test_a_broken_file_and_a_text_file_are_left_out_and_named(tmp_path):
    folder = fill(tmp_path / "own", 120)
    (folder / "notes.txt").write_text("of a person")
    sound = (folder / "007.png").read_bytes()
    (folder / "007.png").write_bytes(sound[: len(sound) // 2])
    pack = read(folder)
    assert len(pack.images) == 119
    assert ["007.png" in note for note in pack.notes] == [True, False]
    assert "notes.txt" in pack.notes[1]
    assert read(folder).notes == pack.notes  # from the cache


def test_many_broken_files_are_refused(tmp_path):
    folder = fill(tmp_path / "own", 20)
    for number in range(5):
        (folder / f"{number:03}.png").write_bytes(b"no image")
    said = refusal(folder)
    assert all(each in said for each in ("5 of 20", "000.png", "002.png", "and 2 more"))


def test_unequal_sizes_need_a_size(tmp_path):
    folder = fill(tmp_path / "own", 3)
    picture(1, (60, 40)).save(folder / "wide.png")
    assert "wide.png (60 x 40)" in refusal(folder) and "--image-size" in refusal(folder)
    pack = read(folder, image_size=20)
    assert pack.images.shape == (4, 20, 20, 3)
    middle = picture(1, (60, 40)).crop((10, 0, 50, 40)).resize((20, 20), Image.Resampling.BOX)
    assert np.abs(pack.images[3].astype(int) - np.asarray(middle)).max() <= 1
    assert any("not square" in note for note in pack.notes)


def test_images_beside_folders_are_refused(tmp_path):
    fill(tmp_path / "own" / "dog", 2)
    picture().save(tmp_path / "own" / "loose.png")
    assert "loose.png" in refusal(tmp_path / "own")


def test_a_folder_without_images_says_what_it_has(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.tif").write_bytes(b"II")
    assert ".tif" in refusal(tmp_path / "own")


def test_links_are_followed_and_what_systems_add_is_not_seen(tmp_path):
    fill(tmp_path / "elsewhere", 2)
    own = fill(tmp_path / "own" / "dog", 2).parent
    (own / "cat").symlink_to(tmp_path / "elsewhere")
    (own / "loop").symlink_to(own)
    (own / "__MACOSX").mkdir()
    (own / "__MACOSX" / "._000.png").write_bytes(b"x")
    (own / ".hidden.png").write_bytes(b"x")
    assert read(own).class_names == ("cat", "dog")
