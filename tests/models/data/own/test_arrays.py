"""Own images in a .npz file: layouts, types, labels, and what is refused in one line."""

import numpy as np
import pytest

from models.data import DataError, load
from models.data.own.arrays import read_arrays

RANDOM = np.random.RandomState(0)
GREY = RANDOM.randint(0, 256, (40, 20, 20)).astype(np.uint8)
COLOUR = RANDOM.randint(0, 256, (40, 20, 20, 3)).astype(np.uint8)
DIGITS = np.arange(40) % 4


def save(folder, **arrays):
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


def read(folder, image_size=None, grey=False, **arrays):
    return read_arrays(save(folder, **arrays), image_size, grey)


def refusal(folder, image_size=None, **arrays) -> str:
    with pytest.raises(DataError) as error:
        read(folder, image_size, **arrays)
    assert str(folder / "own.npz") in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GREY, GREY),
        (GREY[..., None], GREY),
        (GREY[:, None], GREY),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        (GREY / 255, GREY),
        ((COLOUR / 255).astype(np.float16), COLOUR),
        (GREY.astype(np.float32), GREY),  # whole numbers of a byte, as OpenCV users have them
        (GREY.astype(np.int64), GREY),
        (GREY.astype(np.uint16) * 257, GREY),
        (GREY > 127, np.where(GREY > 127, 255, 0)),
        (np.asfortranarray(COLOUR), COLOUR),
    ],
)
def test_every_layout_and_type_gives_the_same_bytes(tmp_path, given, expected):
    images = read(tmp_path, images=given).images
    assert images.dtype == np.uint8 and images.shape == expected.shape
    assert np.abs(images.astype(int) - expected).max() <= (given.dtype == np.float16)


def test_the_ending_may_be_in_capitals(tmp_path):
    path = save(tmp_path, images=GREY).rename(tmp_path / "OWN.NPZ")
    assert load(str(path), tmp_path).name == "OWN"


def test_alpha_is_put_on_white(tmp_path):
    alpha = np.zeros((40, 20, 20, 1), np.uint8)
    alpha[:, :10] = 255
    images = read(tmp_path, images=np.concatenate([COLOUR, alpha], -1)).images
    assert np.array_equal(images[:, :10], COLOUR[:, :10]) and (images[:, 10:] == 255).all()


@pytest.mark.parametrize("labels", [DIGITS, DIGITS[:, None], np.eye(4)[DIGITS], DIGITS * 1.0])
def test_labels_are_read_as_keras_and_others_write_them(tmp_path, labels):
    pack = read(tmp_path, images=GREY, labels=labels)
    assert pack.labels.tolist() == DIGITS.tolist() and pack.class_names == ("0", "1", "2", "3")


@pytest.mark.parametrize("kind", ["U", "S"])
def test_words_are_labels_in_the_order_of_the_alphabet(tmp_path, kind):
    words = np.array(["dog", "cat", "owl", "ant"])[DIGITS].astype(kind)
    pack = read(tmp_path, images=GREY, labels=words)
    assert pack.class_names == ("ant", "cat", "dog", "owl")
    assert pack.labels[:4].tolist() == [2, 1, 3, 0]


def test_a_single_label_counts_as_none_and_is_said(tmp_path):
    pack = read(tmp_path, images=GREY, labels=np.ones(40, int))
    assert pack.class_names == () and not pack.labels.any() and len(pack.notes) == 1


def test_keras_layout_keeps_its_test_set_and_validates_on_a_tenth(tmp_path):
    path = save(
        tmp_path, x_train=GREY[:30], y_train=DIGITS[:30], x_test=GREY[30:], y_test=DIGITS[30:]
    )
    data = load(str(path), tmp_path)
    assert data.split == "file" and data.test.tolist() == list(range(30, 40))
    assert len(data.validation) == 3 and len(data.train) == 27


def test_a_size_and_grey_are_made(tmp_path):
    wide = RANDOM.randint(0, 256, (40, 40, 64, 3)).astype(np.uint8)
    images = read(tmp_path, 20, True, images=wide).images
    assert images.shape == (40, 20, 20)
    middle = wide[:, :, 12:52].astype(float) @ [0.299, 0.587, 0.114]
    areas = middle.reshape(40, 20, 2, 20, 2).mean((2, 4))
    assert np.abs(images - areas).max() < 1.6  # two roundings


def test_a_larger_size_keeps_the_mean(tmp_path):
    larger = read(tmp_path, 32, images=GREY).images
    assert larger.shape == (40, 32, 32)
    assert np.allclose(larger.mean((1, 2)), GREY.mean((1, 2)), atol=6)


def not_finite():
    images = GREY / 255
    images[7, 0, 0] = np.nan
    return images


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"images": not_finite()}, "image 7"),
        ({"images": GREY / 100.0}, "scale"),
        ({"images": GREY - 300.0}, "scale"),
        ({"images": GREY.astype(np.int32) * 9}, "scale"),
        ({"images": GREY.reshape(40, 400)}, "reshape"),
        ({"images": np.zeros((40, 20, 24), np.uint8)}, "--image-size"),
        ({"images": np.zeros((40, 200, 200), np.uint8)}, "--image-size"),
        ({"images": np.zeros((40, 8, 8), np.uint8)}, "--image-size"),
        ({"images": GREY.astype(complex)}, "complex"),
        ({"images": np.array([None, {}], object)}, "never unpickled"),
        ({"images": GREY, "labels": np.array([[1]] * 39 + [None], object)}, "never unpickled"),
        ({"images": GREY, "labels": DIGITS[:39]}, "39 values for 40"),
        ({"images": GREY, "labels": DIGITS + 0.5}, "integers or words"),
        ({"images": GREY, "labels": np.zeros((40, 2, 2))}, "one value for each"),
        ({"images": GREY, "split": np.array(["train", "tset"] * 20)}, "tset"),
        ({"pictures": GREY}, "pictures"),
        ({"x_train": GREY, "y_train": DIGITS, "x_test": GREY}, "no labels of the other"),
        ({"x_train": GREY, "x_test": COLOUR}, "--grey"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(tmp_path, arrays, reason):
    assert reason in refusal(tmp_path, **arrays)


def test_an_object_array_is_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    refusal(tmp_path, images=GREY, labels=np.array([Trap()] * 40, object))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_npz_is_named(tmp_path, content):
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"own\.npz"):
        load(str(tmp_path / "own.npz"), tmp_path)


def test_a_damaged_npz_is_named(tmp_path):
    path = save(tmp_path, images=GREY)
    content = bytearray(path.read_bytes())
    content[5000] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"own\.npz: images cannot be read"):
        load(str(path), tmp_path)
