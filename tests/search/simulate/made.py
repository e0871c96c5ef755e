"""Made-up curves, for the tests of the simulator and of the benchmark."""

from __future__ import annotations

import numpy as np
import optuna

from search.autoencoders.space import autoencoder_space
from search.simulate.recorded import Curves, coordinates

GROUP = "latent_size"
SIZES = (1024, 32)
EPOCHS = 9


def made(number: int = 60, seed: int = 0) -> Curves:
    """Curves of random configurations: a bowl in two of the parameters, and one that diverges."""
    space = autoencoder_space(SIZES, full=False, for_probes=False)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    parameters = tuple(
        {GROUP: SIZES[n % 2], **study.ask(space.distributions).params} for n in range(number)
    )
    points = np.array([coordinates(space, p) for p in parameters])
    level = 0.01 + np.square(points[:, :2] - 0.3).sum(1) / 10
    values = level[:, None] + 0.2 * np.exp(-np.arange(1, EPOCHS + 1) / 3)
    values[-1, 4:] = np.nan
    return Curves(space, parameters, values, points, np.array([p[GROUP] for p in parameters]))
