"""The perceptron and its two kinds of L2."""

import pytest
import torch

from probes.classifiers.perceptron import CrossEntropy, Perceptron, PerceptronConfig, build_network


def test_coupled_l2_is_half_the_squared_parameters_in_the_loss():
    config = PerceptronConfig(blocks=1, width=4, dropout=0.0)
    network = build_network(config, 3, 2)
    codes, labels = torch.randn(8, 3), torch.zeros(8, dtype=torch.int64)
    generator = torch.Generator()
    plain = CrossEntropy(0.0, 0.0).loss(network, codes, labels, generator)
    coupled = CrossEntropy(0.0, 0.1).loss(network, codes, labels, generator)
    squares = sum(float(p.square().sum()) for p in network.parameters())
    assert float(coupled - plain) == pytest.approx(0.05 * squares, rel=1e-4)


def test_strong_coupled_l2_underfits_where_decoupled_does_not(blobs):
    codes, labels = blobs
    base = {"blocks": 2, "width": 32, "dropout": 0.0, "l2": 0.1, "hidden_norm": False}
    base["batch_size"] = 16
    scores = {
        kind: Perceptron(PerceptronConfig(**base, l2_kind=kind), 30).fit(codes, labels)
        for kind in ("coupled", "decoupled")
    }
    accuracy = {kind: probe.score(codes, labels) for kind, probe in scores.items()}
    assert accuracy["coupled"] < accuracy["decoupled"] - 0.1


def test_the_second_stage_of_l2_begins_in_the_middle():
    config = PerceptronConfig(l2=1e-2, l2_later=1e-3, l2_kind="coupled")
    probe = Perceptron(config, stages=4)
    seen = []
    for stage in range(4):
        probe.stage_ = stage
        seen.append(probe._objective().coupled_l2)
    assert seen == [1e-2, 1e-2, 1e-3, 1e-3]


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"l2_kind": "both"}])
def test_a_perceptron_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError):
        PerceptronConfig(**{**{"blocks": 1}, **wrong})
