"""A configuration in words, as tables and sentences give it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from analysis.read.runs import Result
from analysis.read.values import number
from analysis.tables.writing.formats import short
from analysis.tables.writing.table import Column


def configuration(winner: Result | None) -> dict[str, Any]:
    """The columns of a table of winners that say which configuration it is; holes if there is
    none."""
    result = winner or Result()
    known = bool(result.preset)
    return {
        "configuration": in_words(result.preset, result.parameters) if known else "",
        "preset": result.preset,
        "trial": result.trial,
        "state": result.state,
        "epochs": result.epochs,
        "seeds": result.seeds,
        "parameters": json.dumps(result.parameters, sort_keys=True, default=str) if known else "",
    }


CONFIGURATION = Column("configuration", lambda row: row["configuration"] or "-", numeric=False)


def in_words(preset: str, parameters: Mapping[str, Any]) -> str:
    """A configuration as a reader would say it: what is off or has no effect is left out.

    >>> in_words("sampled", {"depth": 5, "width": 32, "noise": "none", "l1": 1e-05, "l2": 0})
    'sampled: depth 5, width 32, L1 1e-05'
    >>> in_words("naive", {"hidden": 128, "residual": True, "hidden_activation": False})
    '`naive`: residual blocks, hidden units 128, no activation between the dense layers'
    """
    parameters = _effective(parameters)
    order = [*_ORDER, *(key for key in parameters if key not in _ORDER)]
    known = {key: parameters[key] for key in order if _is_on(parameters.get(key))}
    noise, level = known.pop("noise", ""), known.pop("noise_level", 0)
    parts = [_part(key, value) for key, value in known.items() if key not in _NAMED_ELSEWHERE]
    if parameters.get("hidden_activation") is False:
        parts.append("no activation between the dense layers")
    if noise and level:
        parts.append(f"{noise} noise {short(level)} on the input")
    if known.get("activation"):
        parts.append(str(known["activation"]))
    name = preset if preset == "sampled" else f"`{preset}`"
    return f"{name}: {', '.join(parts)}" if parts else name


def _effective(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that change anything: no more components than there are, an LDA's shrinkage
    only where there is an LDA, the kind of an L2 likewise; one view is the drawing itself.

    >>> _effective({"latent_size": 32, "views": 1, "pca": 128, "lda": 0, "shrinkage": 0.05})
    {'latent_size': 32, 'pca': 32, 'lda': 0}
    """
    found, most = dict(parameters), number(parameters.get("latent_size"))
    for step in ("pca", "lda"):
        components = number(found.get(step))
        if components > 0 and most > 0:
            found[step] = most = int(min(components, most))
    idle = {
        "views": found.get("views") == 1,
        "shrinkage": not number(found.get("lda")) > 0,
        "l2_kind": not number(found.get("l2")) > 0,
    }
    return {name: value for name, value in found.items() if not idle.get(name)}


_ORDER = """
    views scaling pca lda shrinkage blocks depth decoder_depth width stem residual
    input_norm hidden hidden_norm dropout noise noise_level l1 l2 l2_kind l2_later
    label_smoothing affine elastic learning_rate
""".split()
_NAMED_ELSEWHERE = ("activation", "hidden_activation", "latent_size", "model", "probe")
"""Parameters that are named elsewhere, or by a rule of `in_words`."""

_PARAMETER_WORDS = {
    "l1": "L1",
    "l2": "L2",
    "l2_kind": "L2",
    "l2_later": "L2 later",
    "l2_leaf_reg": "L2 of leaves",
    "inverse_l2": "inverse L2",
    "scaling": "units scaled",
    "pca": "PCA",
    "lda": "LDA",
    "lda_shrinkage": "LDA shrinkage",
    "ranker_lda": "LDA of the ranker",
    "input_norm": "norm of the input",
    "min_samples_leaf": "leaves of at least",
    "residual": "residual blocks",
    "hidden": "hidden units",
    "hidden_norm": "norm between the dense layers",
}


def parameter_words(key: str) -> str:
    """A parameter's column name as words.

    >>> parameter_words("l2"), parameter_words("learning_rate")
    ('L2', 'learning rate')
    """
    return _PARAMETER_WORDS.get(key, key.replace("_", " "))


def _part(key: str, value: Any) -> str:
    words = parameter_words(key)
    return words if value is True else f"{words} {short(value)}"


def _is_on(value: Any) -> bool:
    """Not absent, zero or switched off."""
    if isinstance(value, (int, float)):
        return value is True or (value != 0 and math.isfinite(number(value)))
    return bool(value) and value != "none" and isinstance(value, str)
