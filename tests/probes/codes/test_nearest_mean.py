"""The nearest class mean of codes."""

import math

import torch

from probes.codes.nearest_mean import nearest_mean_accuracy

CENTRES = 10 * torch.eye(10)


def gaussian(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def clusters(per_class: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(10).repeat(per_class)
    return CENTRES[labels] + gaussian(len(labels), 10, seed), labels + 100


def test_separate_clusters_are_all_named_right():
    assert nearest_mean_accuracy(*clusters(20, 0), *clusters(10, 1)) == 1


def test_permuted_labels_give_chance():
    codes, labels = clusters(100, 0)
    shuffled = labels[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    assert nearest_mean_accuracy(codes, shuffled, *clusters(100, 1)) < 0.25


def test_a_loud_unit_does_not_decide_alone():
    def with_noise(seed):
        codes, labels = clusters(50, seed)
        return torch.cat([codes, 1e4 * gaussian(500, 1, seed + 10)], 1), labels

    assert nearest_mean_accuracy(*with_noise(0), *with_noise(1)) > 0.95


def test_a_dead_unit_does_no_harm():
    def with_dead(seed):
        codes, labels = clusters(20, seed)
        return torch.cat([codes, torch.full((200, 1), 0.1)], 1), labels

    assert nearest_mean_accuracy(*with_dead(0), *with_dead(1)) == 1


def test_a_class_never_seen_is_a_mistake():
    codes, labels = clusters(20, 0)
    others, other_labels = clusters(10, 1)
    seen = labels != 103
    assert nearest_mean_accuracy(codes[seen], labels[seen], others, other_labels) == 0.9


def test_no_codes_give_nan():
    codes, labels = clusters(2, 0)
    none = codes[:0], labels[:0]
    assert math.isnan(nearest_mean_accuracy(codes, labels, *none))
    assert math.isnan(nearest_mean_accuracy(*none, codes, labels))
