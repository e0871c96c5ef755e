"""The presets that are the seed report's perceptron on codes."""

from __future__ import annotations

BLOCKS = {f"mlp-{blocks}-blocks": blocks for blocks in range(1, 7)}
"""By its number of blocks, without L2."""

L2 = {
    "mlp-2-blocks": 0.0,
    "mlp-l2-1e-05": 1e-5,
    "mlp-l2-0.0001": 1e-4,
    "mlp-l2-0.001": 1e-3,
    "mlp-l2-0.01": 1e-2,
}
"""By its L2, with two blocks, from none to the strongest."""

TWO_STAGE, TWO_STAGE_L2 = "report-two-stage", (1e-4, 5e-5)
"""With two blocks and an L2 that is lowered half way."""
