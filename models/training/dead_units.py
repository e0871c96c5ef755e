"""AuxK: a loss that gives a task to units that are never active (Gao et al. 2024,
arXiv:2406.04093, appendix A.2).

A unit of a `topk` code that is never among the largest gets no gradient and stays dead. AuxK
lets the dead units reconstruct what the living ones miss. Gao et al. decode linearly, and
decode the dead units' part of the error alone. Here the decoder is no linear map, so both parts
are decoded together: the living units, without a gradient, and the largest of the dead ones. The
dead ones are decoded without the ReLU, behind which a unit that is negative for every image would
get no gradient. That is another pass of the decoder, so only a quarter of each batch takes it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.networks.autoencoder import Autoencoder

DEAD_AFTER = 5000  # images in a row without being active
SHARE = 4  # of each batch, a fourth takes the second decoding


class SilentUnits(nn.Module):
    """How many training images in a row each unit was not active. Part of a training's state."""

    images: Tensor

    def __init__(self, latent_size: int):
        super().__init__()
        self.register_buffer("images", torch.zeros(latent_size))

    @torch.no_grad()
    def update(self, codes: Tensor) -> Tensor:
        """Count a batch of codes (B, D); return which units are dead, bool (D,)."""
        silent = (codes == 0).all(0)
        self.images.add_(len(codes)).mul_(silent)
        return self.images > DEAD_AFTER


def auxk_loss(
    network: Autoencoder, values: Tensor, codes: Tensor, dead: Tensor, images: Tensor
) -> Tensor:
    """Mean squared error against `images` of what the living and the dead units decode together.

    values, codes: (B, D), before and after the code's activation. dead: bool (D,)."""
    part = -(-len(images) // SHARE)
    kept = min(network.config.kept_units, values.shape[1])
    lowest = torch.finfo(values.dtype).min
    largest, places = values[:part].masked_fill(~dead, lowest).topk(kept, dim=1, sorted=False)
    of_dead = largest.where(dead[places], 0)  # there may be fewer dead units than `kept`
    added = torch.zeros_like(codes[:part]).scatter(1, places, of_dead)
    outputs = network.decode(codes[:part].detach() + added)
    return F.mse_loss(outputs, images[:part])
