"""The sides at which the blocks of a network work, for images of 16 to 128 pixels a side.

Whatever the size of the images, the blocks work at three sides, the finest of which has at most 23
pixels, so an image of 128 pixels costs little more than one of 32. Larger images are cut into
patches, whose pixels become channels (pixel unshuffle, Shi et al. 2016, arXiv:1609.05158).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from models.data.images import LEAST_SIDE, MOST_SIDE

MOST_INNER = 32  # pixels a side after the patches
LEAST_HALVED = 24  # a smaller image keeps its size in the first block


@dataclass(frozen=True)
class Resolution:
    """The sides of a network for square images of `image` pixels a side.

    >>> Resolution(28).sides, Resolution(128).patch, Resolution(128).sides
    ((14, 7, 4), 4, (16, 8, 4))
    """

    image: int

    @property
    def patch(self) -> int:
        """Side of the patches whose pixels become channels."""
        return -(-self.image // MOST_INNER)

    @property
    def inner(self) -> int:
        """The image's side in patches: at most 32."""
        return -(-self.image // self.patch)

    @property
    def sides(self) -> tuple[int, int, int]:
        """Sides that the blocks work at, finest first: each is half the one before."""
        first = -(-self.inner // 2) if self.inner >= LEAST_HALVED else self.inner
        return first, -(-first // 2), -(-first // 4)

    @property
    def shuffle(self) -> int:
        """Factor of the pixel shuffle from the finest side to at least the image's side."""
        return -(-self.image // self.sides[0])

    def block_sides(self, depth: int) -> list[int]:
        """Output side of each of `depth` encoder blocks, largest first. Each side gets one block,
        the finest first. The two coarser sides share the others; the finer takes an odd block.

        >>> Resolution(28).block_sides(6)
        [14, 7, 7, 7, 4, 4]
        """
        counts = [0, 0, 0]
        for block in range(depth):
            counts[block if block < 3 else 1 + (block + 1) % 2] += 1
        return [side for side, count in zip(self.sides, counts, strict=True) for _ in range(count)]

    def shrink(self, images: Tensor) -> Tensor:
        """Images (B, C, image, image) at the inner side, each pixel the mean of a patch."""
        if self.patch == 1:
            return images
        return F.avg_pool2d(images, self.patch, ceil_mode=True, count_include_pad=False)

    def enlarge(self, images: Tensor) -> Tensor:
        """Images (B, C, inner, inner) at the image's side, smooth between the patches."""
        if self.patch == 1:
            return images
        # Repeated pixels under a running mean are nearly a linear interpolation. Unlike
        # `interpolate` with mode="bilinear", both steps give the same gradient each time on a GPU.
        repeated = F.interpolate(images, scale_factor=self.patch, mode="nearest")
        around = self.patch // 2
        smooth = F.avg_pool2d(repeated, 2 * around + 1, 1, around, count_include_pad=False)
        return smooth[..., : self.image, : self.image]


def patches(images: Tensor, patch: int) -> Tensor:
    """Images (B, C, H, H) as (B, C patch^2, H / patch, H / patch); where `patch` does not divide H,
    the last patches repeat the border."""
    if patch == 1:
        return images
    missing = -images.shape[-1] % patch
    if missing:
        images = F.pad(images, (0, missing, 0, missing), mode="replicate")
    return F.pixel_unshuffle(images, patch)


def check_images(side: int, channels: int) -> None:
    """Raise ValueError unless a network takes images of that side, in pixels, and channels."""
    if not LEAST_SIDE <= side <= MOST_SIDE:
        raise ValueError(f"image_side must be from {LEAST_SIDE} to {MOST_SIDE}, got {side}")
    if channels not in (1, 3):
        raise ValueError(f"image_channels must be 1 or 3, got {channels}")
