"""Images of any size brought to the size and the channels that a search takes."""

from __future__ import annotations

import numpy as np

from models.data.errors import DataError
from models.data.images import LEAST_SIDE, MOST_SIDE, resize, to_grey


def fit_images(images: np.ndarray, image_size: int | None, grey: bool, where: str) -> np.ndarray:
    """Square uint8 images of 16 to 128 pixels: (N, side, side), or (N, side, side, 3) in colour.

    images: uint8 (N, height, width) or (N, height, width, 3). image_size: the side to resize to,
    after the central square was cut out; None keeps square images as they are. grey: whether
    colours become grey.

    Raises DataError, which begins with `where`, for images that are not square or are too small or
    too large, if there is no `image_size`.
    """
    check_side(images.shape[1:3], image_size, where)
    if grey and images.ndim == 4:
        images = to_grey(images)
    if image_size is None:
        return images
    return resize(central_square(images), image_size)


def check_side(size: tuple[int, ...], image_size: int | None, where: str) -> None:
    """Raise DataError unless images of `size` (height, width) can be brought to `image_size`."""
    height, width = size
    if image_size is not None:
        if not LEAST_SIDE <= image_size <= MOST_SIDE:
            raise DataError(
                f"{image_size} is no image size: choose from {LEAST_SIDE} to {MOST_SIDE} pixels"
            )
        if not min(height, width):
            raise DataError(f"{where}: images of {height} x {width} pixels")
    elif height != width:
        raise DataError(
            f"{where}: {width} x {height} pixels are not square; --image-size S cuts out the "
            f"central square and resizes it to S pixels, {LEAST_SIDE} to {MOST_SIDE}"
        )
    elif not LEAST_SIDE <= height <= MOST_SIDE:
        raise DataError(
            f"{where}: {width} x {height} pixels, and a search takes {LEAST_SIDE} to {MOST_SIDE} a "
            "side; --image-size S resizes"
        )


def central_square(images: np.ndarray) -> np.ndarray:
    """The largest central square of images (N, height, width, ...): a view of them."""
    height, width = images.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, top : top + side, left : left + side]
