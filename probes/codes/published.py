"""Published few-shot accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SETTINGS = ((5, 1), (5, 5), (20, 1), (20, 5))  # (ways, shots) that are published for Omniglot


@dataclass(frozen=True)
class Published:
    """Accuracies on Omniglot that were published, by (ways, shots)."""

    method: str
    source: str
    accuracy: Mapping[tuple[int, int], float]


# The protocols differ: CACTUs tests on 423 characters of its own choice, and `load_unseen` centres
# the ink, which helps so much that the accuracy of plain pixels must always stand beside these.
PUBLISHED = (
    Published(
        "CACTUs-MAML",
        "Hsu et al. 2019, arXiv:1810.02334",
        dict(zip(SETTINGS, (0.688, 0.878, 0.481, 0.734), strict=True)),
    ),
    Published(
        "UMTRA",
        "Khodadadeh et al. 2019, arXiv:1811.11819",
        dict(zip(SETTINGS, (0.838, 0.954, 0.743, 0.921), strict=True)),
    ),
)
