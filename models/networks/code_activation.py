"""The activation of a code: it leaves the units as they are, or sets most of them to zero."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

CodeActivation = Literal["linear", "relu", "topk"]
CODE_ACTIVATIONS: tuple[str, ...] = get_args(CodeActivation)


def activate_code(values: Tensor, activation: CodeActivation, kept: int) -> Tensor:
    """Codes (B, D) of the encoder's values (B, D).

    `linear`: the values. `relu`: negative values become zero, so an L1 penalty makes units exactly
    zero. `topk`: the same, and in each code only the `kept` largest stay (the k-sparse autoencoder
    of Makhzani and Frey 2013, arXiv:1312.5663, with the ReLU of Gao et al. 2024, arXiv:2406.04093).
    """
    if activation == "linear":
        return values
    if activation == "relu":
        return torch.relu(values)
    return keep_largest(torch.relu(values), kept)


def keep_largest(values: Tensor, kept: int) -> Tensor:
    """Values (B, D) with all but the `kept` largest of each row set to zero.

    Units are kept by position, not by a threshold, because many values are equal in bfloat16."""
    if kept >= values.shape[1]:
        return values
    largest, places = values.topk(kept, dim=1, sorted=False)
    return torch.zeros_like(values).scatter(1, places, largest)
