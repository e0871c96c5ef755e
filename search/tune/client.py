"""A Tuner that stays with its driver, where the driver is a Ray Client (`--address ray://…`).

`tune.Tuner` moves itself into an actor on the head node there, and the ledger, its lock and Ctrl-C
are here. Ray offers no setting for that: this module is all that uses Ray's internals for it.
"""

from __future__ import annotations

import tempfile
from unittest.mock import patch

from ray.tune import ResultGrid
from ray.tune.impl.tuner_internal import TunerInternal


class LocalTuner:
    """As `tune.Tuner`, as far as a search needs it."""

    def __init__(self, trainable, *, tune_config, run_config):
        self._internal = TunerInternal(
            trainable=trainable,
            tune_config=tune_config,
            run_config=run_config,
            _tuner_kwargs={"_remote": False},
        )

    def fit(self) -> ResultGrid:
        # Ray would keep what it writes for itself in the session folder of this machine's node,
        # and a client's machine has none.
        with (
            tempfile.TemporaryDirectory(prefix="search-") as folder,
            patch("ray.train._internal.storage._get_ray_train_session_dir", lambda: folder),
        ):
            return self._internal.fit()
