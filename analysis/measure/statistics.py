"""Statistics that several sections use."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.special import betaincinv  # scipy.stats takes as long to import as a run to read


def spearman(first: Iterable[float], second: Iterable[float]) -> float:
    """Spearman's rank correlation of two series of one length; nan where either is constant.

    >>> spearman([1, 2, 3, 4], [1, 4, 9, 16]), spearman([1, 2, 3, 4], [2, 2, 2, 2])
    (1.0, nan)
    """
    ranks = [pd.Series([*values], dtype=float).rank().to_numpy() for values in (first, second)]
    if any(len(each) < 2 or np.ptp(each) == 0 for each in ranks):
        return math.nan
    return round(float(np.corrcoef(*ranks)[0, 1]), 12)


def spearman_interval(rho: float, pairs: int) -> tuple[float, float]:
    """The 95 % interval of a rank correlation of more than 3 pairs (Bonett and Wright 2000, by
    Fisher's z).

    >>> [round(end, 2) for end in spearman_interval(0.9524, 8)]
    [0.66, 0.99]
    """
    middle = math.atanh(min(max(rho, -0.999), 0.999))  # at 1 the interval would have no width
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (pairs - 3))
    return math.tanh(middle - half), math.tanh(middle + half)


def share_at_most(hits: int, trials: int) -> float:
    """The largest share that `hits` of `trials` still allow, at 95 % (exact binomial, one-sided;
    Clopper and Pearson 1934).

    >>> round(share_at_most(0, 30), 3), share_at_most(0, 0)
    (0.095, 1.0)
    """
    if hits == trials:
        return 1.0
    return float(betaincinv(hits + 1, trials - hits, 0.95))
