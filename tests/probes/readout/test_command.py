"""`python -m probes.readout`: figures of a training and of a ranking, and what it refuses."""

import json

import pytest
import torch
from sklearn.decomposition import PCA

from models.networks.autoencoder import AutoencoderConfig
from models.training.loop import TrainingConfig
from probes.readout import ranking
from probes.readout.command import main
from probes.readout.curve import Training, measured, training_of
from probes.readout.measure import CHEAP_PROBES, PROBES, pca_error
from probes.readout.ranking import Ranked, correlations, drawn_settings, ranked
from tests.models.made_data import image_data, prepared_glyphs


def test_a_curve_is_measured_on_the_way_and_on_test_at_the_end(tmp_path):
    out = tmp_path / "curve.json"
    arguments = "curve --dataset mnist5k --train-size 100 --epochs 3 --every 2 --test"
    changes = "--set width=8 depth=2 latent_size=8 batch_size=50"
    assert main([*arguments.split(), *changes.split(), "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert [record["epoch"] for record in found["records"]] == [2, 3]
    first, last = found["records"]
    assert {"nearest mean", "LDA"} == {*first["validation"]} and "test" not in first
    assert {*last["test"]} == {*PROBES} and last["test_mse"] > 0
    assert last["components"] == 8 and 0.01 < last["test_pca_mse"] < 0.06
    assert all(0.1 < value <= 1 for value in last["test"].values())
    assert found["model"]["latent_size"] == 8
    assert found["training"]["contrastive_weight"] == 0.2


@pytest.mark.parametrize(
    "arguments",
    [
        "curve --set colour=3",
        "curve --set warp=much",
        "curve --set warp",
        "curve --set depth=0",
        "curve --dataset nowhere",
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, capsys):
    assert main(arguments.split()) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_changes_are_of_the_preset():
    plan = training_of({"contrast": "vicreg", "warp": "0", "linear_path": "true"}, 4, 2, 1)
    assert plan.training.contrast == "vicreg" and plan.training.warp == 0
    assert plan.model.linear_path and plan.training.max_epochs == 4 and plan.training.seed == 1
    assert plan.training.contrastive_weight == 0.2 and plan.model.latent_size == 128


def test_characters_never_seen_are_measured_where_there_are_none_nothing_is():
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 28, 28), generator=draws, dtype=torch.uint8)
    parts = torch.tensor([0] * 20 + [1] * 10 + [2] * 10)
    data = image_data(images, torch.arange(40) % 5, parts)
    model = AutoencoderConfig(depth=2, width=4, latent_size=4)
    plan = Training(model, TrainingConfig(max_epochs=1, batch_size=10), 5)
    (record,) = measured(plan, data, "nowhere", False, "cpu")
    assert "few_shot" not in record and "test" not in record


def test_the_settings_of_a_ranking_differ_and_are_the_same_each_time():
    settings = list(drawn_settings(12, 2))
    assert settings == list(drawn_settings(12, 2)) and len({*settings}) == 12
    assert {model.code_activation for model, _ in settings} == {"linear", "relu", "topk"}


def test_an_autoencoder_is_measured_by_cheap_probes_and_by_the_best(monkeypatch):
    monkeypatch.setattr(ranking, "LONG_PERCEPTRON", 3)
    model = AutoencoderConfig(depth=2, width=4, latent_size=8)
    found = ranked(model, TrainingConfig(max_epochs=1, batch_size=40), prepared_glyphs(8, 4))
    assert {*found.cheap} == {*found.seconds} == {*CHEAP_PROBES}
    assert 0 <= max(found.cheap.values()) <= 1 and found.best > 1 / 8


def test_the_correlation_is_of_ranks():
    cheap = [{"nearest mean": a, "LDA": -a, "short perceptron": a**3} for a in (0.1, 0.2, 0.4)]
    seconds = dict.fromkeys(CHEAP_PROBES, 0.5)
    found = [
        Ranked({}, error, values, seconds, best)
        for values, error, best in zip(cheap, (3.0, 2.0, 1.0), (0.5, 0.6, 0.9), strict=True)
    ]
    rows = correlations(found)
    values = {name: row["correlation"] for name, row in rows.items()}
    assert values == {"nearest mean": 1, "LDA": -1, "short perceptron": 1, "low error": 1}
    assert rows["LDA"]["seconds"] == 0.5


def test_the_error_of_pca_is_that_of_scikit_learn():
    data = prepared_glyphs(8, 4)
    train, held = (
        data.batch(rows).flatten(1).double().numpy() for rows in (data.train, data.validation)
    )
    pca = PCA(5).fit(train)
    wanted = ((held - pca.inverse_transform(pca.transform(held))) ** 2).mean()
    assert pca_error(data, data.validation, 5) == pytest.approx(wanted)
