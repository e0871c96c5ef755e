"""Operations on stacks of uint8 images: resizing, grey, centring on the ink.

Grey images are (N, height, width), images in colour (N, height, width, 3).
"""

import numpy as np
import torch
from torch.nn import functional as F

LEAST_SIDE, MOST_SIDE = 16, 128  # pixels of an image that a network takes
CHUNK = 1024  # images at a time, to limit the memory of the float64 copy


class SizedImages:
    """What has `images`, uint8 (N, side, side) or (N, side, side, 3) in colour, has their size."""

    images: torch.Tensor

    @property
    def side(self) -> int:
        """Pixels of an image along each side."""
        return self.images.shape[1]

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for images in colour."""
        return self.images.shape[3] if self.images.ndim == 4 else 1


def area_resize(images: torch.Tensor, side: int = 28) -> torch.Tensor:
    """Shrinks square images (..., n, n) to (..., side, side), both uint8, each new pixel the mean
    of the area it covers (rounded half up).

    If n is not a multiple of `side`, an old pixel on a border counts in both new pixels, in
    proportion to its area: 105 -> 28 averages 3.75 x 3.75 pixels. So the mean of the image is kept.
    `interpolate(mode="area")` would average windows that overlap.
    """
    n = images.shape[-1]
    # In units of 1/side of an old pixel: an old pixel is `side` long, a new pixel is n long.
    old, new = torch.arange(n) * side, torch.arange(side)[:, None] * n
    overlap = (torch.minimum(old + side, new + n) - torch.maximum(old, new)).clamp(min=0)
    overlap = overlap.double()  # (side, n); whole numbers, so every sum below is exact
    chunks = [overlap @ chunk.double() @ overlap.T for chunk in images.split(CHUNK)]
    return torch.cat([(total / n**2 + 0.5).floor().to(torch.uint8) for total in chunks])


def resize(images: np.ndarray, side: int) -> np.ndarray:
    """Square images (N, n, n) or (N, n, n, 3) at another size, uint8: by area averaging to a
    smaller one, bilinearly to a larger one."""
    if images.shape[1] == side:
        return images
    change = area_resize if side < images.shape[1] else _enlarge
    resized = np.empty((len(images), side, side, *images.shape[3:]), np.uint8)
    for start in range(0, len(images), CHUNK):  # in parts: the whole may take most of the memory
        part = torch.from_numpy(images[start : start + CHUNK])
        in_colour = part.ndim == 4
        changed = change(part.movedim(-1, 1) if in_colour else part, side)
        resized[start : start + CHUNK] = (changed.movedim(1, -1) if in_colour else changed).numpy()
    return resized


def _enlarge(images: torch.Tensor, side: int) -> torch.Tensor:
    floats = images.float() if images.ndim == 4 else images.float().unsqueeze(1)
    larger = F.interpolate(floats, size=(side, side), mode="bilinear", align_corners=False)
    return larger.round().to(torch.uint8).reshape(*images.shape[:-2], side, side)


def to_grey(images: np.ndarray) -> np.ndarray:
    """The luma (ITU-R 601) of images (N, h, w, 3), as Pillow rounds it: (N, h, w), uint8."""
    grey = np.empty(images.shape[:3], np.uint8)
    for start in range(0, len(images), CHUNK):
        red, green, blue = np.moveaxis(images[start : start + CHUNK].astype(np.uint32), -1, 0)
        luma = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
        grey[start : start + CHUNK] = luma
    return grey


def to_floats(images: torch.Tensor) -> torch.Tensor:
    """uint8 images (N, h, w) or (N, h, w, 3) as float32 (N, channels, h, w) in [0, 1]."""
    channels_first = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return channels_first.float().div_(255)


def as_pictures(images: torch.Tensor) -> torch.Tensor:
    """Images (N, 1, h, w) as (N, h, w), and images (N, 3, h, w) as (N, h, w, 3)."""
    return images.squeeze(1) if images.shape[1] == 1 else images.permute(0, 2, 3, 1).contiguous()


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_floats`, rounded; values that are not finite become 0 or 1."""
    return as_pictures(images.nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8))


def centre_of_mass(images: torch.Tensor) -> torch.Tensor:
    """Row and column of the centre of mass of the ink of images (N, h, w): float64 (N, 2), pixels.

    For an image without ink it is the middle of the image.
    """
    axes = [_mean_position(images.sum(dim)) for dim in (2, 1)]
    return torch.stack(axes, 1)


def centre_ink(images: torch.Tensor) -> torch.Tensor:
    """Shifts each image (N, h, w) by whole pixels, so that its ink's centre of mass is within half
    a pixel of the middle. The shift is shorter if ink would leave the image, so no ink is lost.
    """
    for dim in (1, 2):
        images = _centre_along(images, dim)
    return images


def _mean_position(profile: torch.Tensor) -> torch.Tensor:
    """Mean index (N,), weighted by the ink, of profiles (N, n)."""
    mass, middle = profile.sum(1), (profile.shape[1] - 1) / 2
    moment = (profile * torch.arange(profile.shape[1])).sum(1)  # int64, so exact
    return torch.where(mass > 0, moment / mass.clamp(min=1).double(), middle)


def _centre_along(images: torch.Tensor, dim: int) -> torch.Tensor:
    n, profile = images.shape[dim], images.sum(3 - dim)  # (N, n), int64
    shift = ((n - 1) / 2 - _mean_position(profile) + 0.5).floor().long()
    inked = (profile > 0).byte()
    before, after = inked.argmax(1), inked.flip(1).argmax(1)  # blank lines on each side
    shift = torch.minimum(torch.maximum(shift, -before), after)
    # Only blank lines wrap around, since the shift is clamped.
    source = (torch.arange(n) - shift[:, None]) % n  # (N, n)
    source = source.unsqueeze(3 - dim).expand_as(images)
    return images.gather(dim, source)
