"""The autopsy: one thing at a time, what is the same measured once, written as it goes."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from models.data import load
from probes.autopsy import command as autopsy
from probes.autopsy.command import Level, Plan, Setting, factor_levels, levels_of, make_codes
from probes.autopsy.fits import BOOSTING, FITS, Codes, fit_perceptron

EVERYTHING = 964


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    folder = tmp_path_factory.mktemp("autopsy")
    return Plan("glyphs", str(folder / "data"), folder / "out", 2, 12, 1, 0.2, 9.0, 0.2, 1)


@pytest.fixture(scope="module")
def codes(plan) -> Codes:
    return coded(plan)


def coded(plan: Plan, **changes) -> Codes:
    setting = Setting(classes=12, autoencoder="untrained", **changes)
    autopsy.train_autoencoder(plan, setting, 0)
    return make_codes(plan, setting, 0)[0]


def test_every_level_changes_one_thing_and_every_factor_has_the_baseline():
    base = Setting()
    found: dict[str, list[Level]] = {}
    for level in factor_levels(base, EVERYTHING):
        found.setdefault(level.factor, []).append(level)
        changed = [
            f for f in fields(base) if getattr(level.setting, f.name) != getattr(base, f.name)
        ]
        assert len(changed) <= 1, level
    for factor, levels in found.items():
        assert [level.setting for level in levels].count(base) == 1, factor
    assert {"registration", "autoencoder", "code size", "classes", "mistakes"} <= found.keys()
    assert [level.name for level in found["classes"]] == ["10", "50", "200", "964"]


def test_what_is_the_same_is_measured_once(plan):
    levels = levels_of(plan, load("glyphs", plan.data_dir))
    to_do = autopsy._to_do(levels, 1, set())
    assert sum(len(alike) for alike, _ in to_do) == len(levels)
    baselines = [alike for alike, _ in to_do if len(alike) > 1]
    assert len(baselines) == 1 and len(baselines[0]) == 11  # one for each factor


@pytest.mark.parametrize("probe", FITS)
def test_every_classifier_is_fitted_and_better_than_guessing(codes, probe):
    fit = FITS[probe](codes, 0, 5.0, Setting())
    assert fit.held.shape == codes.held_labels.shape and len(fit.train) == codes.drawings
    assert (fit.held == codes.held_labels).mean() > 2 / 12


@pytest.mark.parametrize("name", BOOSTING)
def test_every_formulation_of_boosting_answers_with_known_classes(codes, name):
    fit = BOOSTING[name](codes, 0, 1.0)
    assert set(fit.held) <= set(codes.labels) and len(fit.train) == codes.drawings
    assert (fit.train == codes.labels[: codes.drawings]).mean() > 2 / 12


def test_boosting_ends_when_its_time_does(codes):
    fit = FITS["catboost"](codes, 0, 0.05, Setting())
    assert int(fit.note.split()[0]) < 1000 and "in 0.05 s" in fit.note


def test_features_that_take_too_long_to_make_are_given_up(codes):
    fit = BOOSTING["nearest-neighbour features"](codes, 0, 1e-6)
    assert len(set(fit.held)) == 1 and set(fit.held) <= set(codes.labels)
    assert len(fit.train) == codes.drawings and fit.note.startswith("0 iterations in")


def test_rotations_keep_distances_but_for_lda(codes, plan):
    def distances(some: Codes) -> np.ndarray:
        return np.linalg.norm(some.train[:20, None] - some.train[None, :20], axis=2)

    for rotation in ("random rotation", "PCA"):
        turned = coded(plan, rotation=rotation)
        assert distances(turned) == pytest.approx(distances(codes), rel=1e-3, abs=1e-3)
        assert not np.allclose(turned.train, codes.train, atol=1e-3)
    assert coded(plan, rotation="LDA(48)").train.shape[1] == 11  # a class fewer than there are


def test_the_mistakes_are_what_they_are_called(codes, plan):
    collided = coded(plan, mistake="labels collide")
    assert len(np.unique(collided.labels)) == 6 and set(collided.held_labels) <= set(range(6))
    renumbered = coded(plan, mistake="labels renumbered")
    assert np.array_equal(np.unique(renumbered.held_labels), np.unique(codes.held_labels))
    assert not np.array_equal(renumbered.held_labels, codes.held_labels)
    scaled = coded(plan, mistake="scaling on test")
    assert scaled.held.mean(0) == pytest.approx(0, abs=1e-5)


def test_fewer_drawings_and_more_views(codes, plan):
    few = coded(plan, drawings=3)
    assert np.bincount(few.labels)[np.unique(few.labels)].tolist() == [3] * 12
    viewed = coded(plan, drawings=3, views=4)
    assert len(viewed.train) == 4 * 36 and viewed.drawings == 36
    assert np.array_equal(viewed.train[:36], few.train)
    assert np.array_equal(viewed.held, few.held)  # what is measured on is never augmented


def test_no_test_image_is_read(plan, monkeypatch):
    data = load("glyphs", plan.data_dir)
    read = []
    monkeypatch.setattr(
        autopsy, "_encode", lambda n, d, rows, v, s: read.append(rows) or rows[:, None] * 1.0
    )
    monkeypatch.setattr(autopsy, "_with_mistake", lambda codes, *rest: codes)
    make_codes(plan, Setting(classes=12, autoencoder="untrained"), 0)
    assert not set(np.concatenate(read)) & set(data.test.numpy())


def test_the_perceptron_shows_training_and_held_out_predictions(codes):
    fit = fit_perceptron(codes, 0, 0.0, "coupled", True)
    assert (fit.train == codes.labels[: codes.drawings]).mean() > 0.9


def test_it_writes_as_it_goes_and_goes_on_without_measuring_again(plan, monkeypatch):
    base = Setting(classes=12, autoencoder="untrained")
    some = [
        Level("registration", "centred", base, ("1-nn", "lda")),
        Level("code size", "128", base, ("1-nn",)),
        Level("drawings per class", "3", replace(base, drawings=3), ("1-nn",)),
    ]
    monkeypatch.setattr(autopsy, "levels_of", lambda plan, data: some)
    monkeypatch.setattr(
        autopsy,
        "Setting",
        lambda *a, **k: Setting(*a, **{**k, "autoencoder": "untrained"}) if k else Setting(*a),
    )
    autopsy.run(replace(plan, seeds=1))
    path = plan.out / "autopsy.json"
    first = json.loads(path.read_text())
    assert first["finished"] and len(first["rows"]) == 4
    monkeypatch.setattr(autopsy, "make_codes", None)  # nothing is measured again
    autopsy.run(replace(plan, seeds=1))
    assert json.loads(path.read_text())["rows"] == first["rows"]


def test_data_that_cannot_be_had_is_one_line_and_status_2(tmp_path, capsys, monkeypatch):
    def refuse(*args, **kwargs):
        raise autopsy.DataError("no such files: give --data-dir")

    monkeypatch.setattr(autopsy, "load", refuse)
    assert autopsy.main(["--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "--data-dir" in said.err
