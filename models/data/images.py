"""Exact operations on uint8 images (N, h, w): shrinking, and centring of the ink."""

import torch

CHUNK = 1024  # images at a time, to limit the memory of the float64 copy


def area_resize(images: torch.Tensor, side: int = 28) -> torch.Tensor:
    """Shrinks square images (N, n, n) to (N, side, side), both uint8, each new pixel the mean of
    the area it covers (rounded half up).

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


def to_floats(images: torch.Tensor) -> torch.Tensor:
    """uint8 images (N, h, w) as float32 (N, 1, h, w) in [0, 1]."""
    return images.unsqueeze(1).float().div_(255)


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
