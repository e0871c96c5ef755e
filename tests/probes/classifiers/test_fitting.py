"""Every classifier learns, is stored, and continues an interrupted fit; a fit that needs too much
memory is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probes.classifiers.fitting import AT_ONCE, PROBES, ProbeRun, Scale, predict, restore_probe
from probes.classifiers.limits import ProbeTooLarge
from probes.codes.encoding import CodedData
from search.latent_probes.presets import DEFAULTS, REPORTED_MLP
from tests.probes.conftest import CLASSES, SIZE

pytestmark = pytest.mark.filterwarnings("ignore:lbfgs failed to converge")

SCALE = Scale(stages=3, trees=2, iterations=4, logistic_iterations=20)


def parameters(probe: str, **changes) -> dict:
    small = {"width": 64, "pca": 0, "candidates": 5, "ranker_lda": 8, "lda": 0, "dropout": 0.1}
    known = {name: value for name, value in small.items() if name in DEFAULTS[probe]}
    known |= {"learning_rate": 0.01, "batch_size": 16} if probe == "mlp" else {}
    return {**DEFAULTS[probe], **known, "probe": probe, "latent_size": SIZE, **changes}


def fitted(coded: CodedData, probe: str, **changes) -> tuple[ProbeRun, list[dict]]:
    run = ProbeRun(parameters(probe, **changes), 0, coded, SCALE)
    return run, list(run.epochs())


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_learns_and_counts_its_stages(coded, probe):
    _, records = fitted(coded, probe)
    epochs = [record["epoch"] for record in records]
    assert epochs == ([SCALE.stages] if probe in AT_ONCE else [1, 2, 3])
    assert records[-1]["validation_accuracy"] > 5 / CLASSES
    assert 0 <= records[-1]["train_accuracy"] <= 1 and np.isfinite(records[-1]["train_loss"])


@pytest.mark.parametrize("probe", PROBES)
def test_what_is_stored_predicts_as_what_was_fitted(coded, probe, tmp_path):
    run, records = fitted(coded, probe)
    torch.save(run.weights(), tmp_path / "weights.pt")
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    probe_again, projection = restore_probe(weights, run.parameters, SCALE)
    held = coded.validation.numpy()
    again = predict(probe_again, projection, coded, SIZE, held)
    accuracy = (again == coded.labels.numpy()[held]).mean()
    assert accuracy == pytest.approx(records[-1]["validation_accuracy"], abs=1 / len(held))


@pytest.mark.parametrize("probe", sorted(set(PROBES) - AT_ONCE))
def test_a_fit_that_is_gone_on_with_ends_as_one_that_was_not_stopped(coded, probe):
    _, whole = fitted(coded, probe)
    first = ProbeRun(parameters(probe), 0, coded, SCALE)
    stages = first.epochs()
    begun = [next(stages), next(stages)]
    second = ProbeRun(parameters(probe), 0, coded, SCALE)
    second.load_state_dict(first.state_dict())
    assert [*begun, *second.epochs()] == whole


@pytest.mark.parametrize("probe", ["mlp", "extra-trees"])
def test_the_seed_decides(coded, probe):
    runs = [ProbeRun(parameters(probe), seed, coded, SCALE) for seed in (0, 0, 1)]
    records = [list(run.epochs()) for run in runs]
    assert records[0] == records[1] != records[2]


def test_a_probe_that_needs_too_much_memory_is_refused_with_both_figures(coded):
    run = ProbeRun(parameters("extra-trees"), 0, coded, SCALE, memory_bytes=1e5)
    with pytest.raises(ProbeTooLarge, match=r"needs about \d.* GB of memory.* may use 0.0"):
        next(run.epochs())


def test_the_report_s_perceptron_is_a_perceptron(coded):
    _, records = fitted(coded, "mlp", **{k: v for k, v in REPORTED_MLP.items() if k != "width"})
    assert records[-1]["train_accuracy"] > records[0]["train_accuracy"] - 0.05
