"""The presets of a search of probes: each probe at its default, and the report's perceptrons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search.task.space import Preset

MAIN_SIZE = 128  # the code size of the first presets
BLOCKS = (1, 2, 3, 4, 5, 6)
L2_SWEEP = (1e-5, 1e-4, 1e-3, 1e-2)

STEPS = {"views": 1, "scaling": False, "pca": 0, "lda": 0, "shrinkage": 0.05}
_MEANS = {**STEPS, "pca": 256, "lda": 192, "shrinkage": 0.003}
_FOREST = {**STEPS, "pca": 256, "shrinkage": 0.003, "max_features": 0.5, "min_samples_leaf": 1}
DEFAULTS: Mapping[str, dict] = {
    "nearest-mean": _MEANS,
    "knn": {**_MEANS, "neighbours": 10, "temperature": 0.05},
    "lda": {**STEPS, "lda_shrinkage": 0.01},
    "logistic": {**STEPS, "pca": 128, "scaling": True, "inverse_l2": 1.0},
    "mlp": {
        **STEPS,
        "blocks": 2,
        "width": 512,
        "dropout": 0.5,
        "input_norm": True,
        "hidden_norm": True,
        "activation": "silu",
        "label_smoothing": 0.1,
        "l2": 0.01,
        "l2_kind": "decoupled",
        "l2_later": None,
        "learning_rate": 2e-3,
    },
    "random-forest": {**_FOREST, "lda": 32, "max_features": 0.2},
    "extra-trees": {**_FOREST, "lda": 64},
    "catboost": {
        **STEPS,
        "pca": 128,
        "candidates": 10,
        "tree_depth": 4,
        "boosting_rate": 0.05,
        "l2_leaf_reg": 3.0,
        "ranker_lda": 48,
        "lda_shrinkage": 0.003,
    },
}
"""Every parameter of each probe at its default."""

REPORTED_MLP = {
    **DEFAULTS["mlp"],
    "dropout": 0.0,
    "input_norm": False,
    "hidden_norm": False,
    "activation": "relu",
    "label_smoothing": 0.0,
    "l2": 0.0,
    "l2_kind": "coupled",
    "learning_rate": 1e-3,
}
"""The report's perceptron: two blocks, and Adam with its own coupled L2. What the report leaves
out is set as torch's tutorials have it."""


def group(probe: str, size: int) -> str:
    """The name of a kind of probe at a code size; also of its winner's folder."""
    return f"{probe}-{size}"


def probe_presets(probes: tuple[str, ...], latent_sizes: tuple[int, ...]) -> tuple[Preset, ...]:
    """Each probe at its default at one code size, then at the others. With "mlp" among the probes,
    the report's two-stage perceptron comes between, and its number of blocks and its L2, changed
    one at a time, come last."""
    main = MAIN_SIZE if MAIN_SIZE in latent_sizes else latent_sizes[0]
    perceptrons = list(_reported_perceptrons(main)) if "mlp" in probes else []
    return (
        *(_preset(f"{probe}-default", probe, main) for probe in probes),
        *perceptrons[:1],
        *(
            _preset(f"{probe}-default-{size}", probe, size)
            for size in latent_sizes
            if size != main
            for probe in probes
        ),
        *perceptrons[1:],
    )


def _reported_perceptrons(size: int) -> Iterator[Preset]:
    """The two-stage one first."""

    def preset(name: str, **changed: Any) -> Preset:
        return _preset(name, "mlp", size, {**REPORTED_MLP, **changed})

    yield preset("report-two-stage", l2=1e-4, l2_later=5e-5)
    for blocks in BLOCKS:
        yield preset(f"mlp-{blocks}-blocks", blocks=blocks)
    for l2 in L2_SWEEP:
        yield preset(f"mlp-l2-{l2:g}", l2=l2)


def _preset(name: str, probe: str, size: int, values: Mapping[str, Any] | None = None) -> Preset:
    about = {"model": group(probe, size), "probe": probe, "latent_size": size}
    return Preset(name, {**about, **(values or DEFAULTS[probe])})
