"""`search.latent_probes` as a command: tiny searches of digits from end to end."""

from __future__ import annotations

import json

import pytest
import torch

from models.data import load
from probes.classifiers.fitting import predict, restore_probe
from probes.codes.encoding import attach_codes, load_autoencoder
from search.latent_probes.codes import CODES
from search.latent_probes.task import ProbeTask
from tests.search.driver import study_of
from tests.search.session.test_command import command, data_dir, refused, rows  # noqa: F401  (a fixture)

MODULE = "search.latent_probes"
FAST = ("nearest-mean", "knn", "extra-trees")
TINY = (
    "--dataset mnist5k --train-size 300 --max-epochs 2 --final-seeds 2 --latent-sizes 16 "
    "--warps 2 --name tiny --num-samples 5 --probes"
).split() + [*FAST]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, data_dir):  # noqa: F811
    storage = tmp_path_factory.mktemp("runs")
    done = command(*TINY, "--storage-path", storage, "--data-dir", data_dir, module=MODULE)
    assert done.returncode == 0, done.stderr
    return storage / "tiny", done.stdout


def final(folder) -> dict:
    return json.loads((folder / "final.json").read_text())


def test_without_a_run_the_report_s_autoencoder_is_trained(tiny):
    folder, printed = tiny
    assert "training the preset sae at code size 16 first" in printed
    _, config = load_autoencoder(folder / "autoencoders" / "16")
    assert config["preset"] == "sae" and config["data"]["name"] == "mnist5k"
    found = final(folder)["autoencoders"]["16"]
    assert found["source"] == "trained for this search" and len(found["sha256"]) == 64


def test_the_first_trials_are_one_of_each_probe_at_its_default(tiny):
    trials = rows(tiny[0] / "trials.csv")
    assert [trial["probe"] for trial in trials[:3]] == [*FAST]
    assert [trial["preset"] for trial in trials[:3]] == [f"{probe}-default" for probe in FAST]
    assert {trial["preset"] for trial in trials[3:]} == {"sampled"}
    assert trials[0]["neighbours"] == "" != trials[1]["neighbours"]
    assert all(trial["latent_size"] == "16" for trial in trials)


def test_each_probe_has_a_winner_refit_on_both_splits_and_tested_with_new_seeds(tiny):
    found = final(tiny[0])
    assert found["refit_on"] == "train+validation"
    assert [winner["model"] for winner in found["winners"]] == [f"{probe}-16" for probe in FAST]
    for winner in found["winners"]:
        assert [run["seed"] for run in winner["runs"]] == [1, 2]
        low, high = winner["test_accuracy_interval"]
        assert low < winner["mean"]["test_accuracy"] < high
        assert "validation_accuracy" not in winner["mean"]
        assert winner["probe"] in FAST and winner["latent_size"] == 16


def test_the_stored_winner_reaches_the_accuracy_that_was_searched(tiny, data_dir):  # noqa: F811
    folder = tiny[0]
    network, _ = load_autoencoder(folder / "autoencoders" / "16")
    data = load("mnist5k", data_dir, train_size=300)
    coded = attach_codes(data, {16: network}, 5, folder.parent / CODES, warps=2)
    task = ProbeTask(FAST, (16,), 2, "quick")
    for probe in FAST:
        target = folder / "best" / f"{probe}-16"
        config = json.loads((target / "config.json").read_text())
        weights = torch.load(target / "weights.pt", weights_only=True)
        fitted, projection = restore_probe(weights, config["parameters"], task.scale)
        held = coded.validation.numpy()
        right = predict(fitted, projection, coded, 16, held) == coded.labels.numpy()[held]
        assert right.mean() == pytest.approx(config["validation_accuracy"], abs=0.002)


def test_digits_have_no_characters_never_seen(tiny):
    assert final(tiny[0])["few_shot"] == []


def test_the_study_opens_with_the_parameters_of_each_trial_s_own_probe(tiny):
    trials = study_of(tiny[0]).trials
    assert len(trials) == 5
    assert "neighbours" in trials[1].params and "neighbours" not in trials[0].params


def test_a_finished_search_resumes_to_the_same_tables(tiny, data_dir):  # noqa: F811
    folder = tiny[0]
    files = ("trials.csv", "epochs.csv", "final.json", "autoencoders/16/weights.pt")
    before = [(folder / name).read_bytes() for name in files]
    more = ("--resume", "--name", "tiny", "--storage-path", folder.parent, "--data-dir", data_dir)
    done = command(*more, module=MODULE)
    assert done.returncode == 0, done.stderr
    assert "training the preset" not in done.stdout
    assert [(folder / name).read_bytes() for name in files] == before


def test_codes_come_from_the_run_that_is_named_and_what_is_too_large_is_not_begun(
    tiny,
    data_dir,  # noqa: F811
    tmp_path,
):
    run = tmp_path / "searched"
    for name in ("weights.pt", "config.json"):
        target = run / "best" / "16" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tiny[0] / "autoencoders" / "16" / name).read_bytes())
    flags = "--dataset mnist5k --train-size 300 --max-epochs 3 --final-seeds 0 --num-samples 1"
    probe = ("--probes", "extra-trees", "--memory-per-trial-gb", "0.0001", "--name", "limits")
    where = ("--autoencoders", run, "--storage-path", tmp_path, "--data-dir", data_dir)
    done = command(*flags.split(), *probe, *where, module=MODULE)
    assert done.returncode == 1, done.stderr  # no trial is best
    assert f"the best of {run}" in done.stdout and "training" not in done.stdout
    (trial,) = rows(tmp_path / "limits" / "trials.csv")
    assert (trial["state"], trial["failures"]) == ("error", "1")  # not tried again
    assert trial["reason"] == "memory limit"
    assert "GB of memory" in trial["detail"] and "--memory-per-trial-gb" in trial["detail"]


def test_a_trial_that_takes_too_long_is_stopped_where_it_is(tiny, data_dir, tmp_path):  # noqa: F811
    flags = "--dataset mnist5k --train-size 300 --max-epochs 3 --final-seeds 0 --num-samples 1"
    more = ("--probes", "extra-trees", "--latent-sizes", "16", "--seconds-per-trial", "0.01")
    source = tmp_path / "run" / "best"
    source.mkdir(parents=True)
    (source / "16").symlink_to(tiny[0] / "autoencoders" / "16")
    where = ("--storage-path", tmp_path, "--data-dir", data_dir, "--name", "late")
    done = command(*flags.split(), *more, *where, module=MODULE)
    assert done.returncode == 0, done.stderr  # it found the newest run by itself
    (trial,) = rows(tmp_path / "late" / "trials.csv")
    assert (trial["state"], trial["epochs"]) == ("pruned", "1")
    assert trial["reason"] == "time limit"
    assert "of the 0.01 that a trial may take" in trial["detail"]


@pytest.mark.parametrize(
    "flags, named",
    [
        (["--autoencoders", "/nowhere"], "/nowhere is no folder of a run"),
        (["--probes", "svm"], "svm"),
        (["--probes", "knn", "knn"], "--probes knn knn names a value twice"),
        (["--latent-sizes", "0"], "0"),
        (["--seconds-per-trial", "-1"], "-1"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(flags, named, tmp_path, data_dir, capsys):  # noqa: F811
    where = ("--dataset", "mnist5k", "--storage-path", tmp_path, "--data-dir", data_dir)
    done = refused(*flags, *where, capsys=capsys, module=MODULE)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and named in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_autoencoder_that_may_have_seen_test_images_is_refused(
    tiny,
    tmp_path,
    data_dir,  # noqa: F811
    capsys,
):
    target = tmp_path / "run" / "best" / "16"
    target.mkdir(parents=True)
    source = tiny[0] / "autoencoders" / "16"
    (target / "weights.pt").write_bytes((source / "weights.pt").read_bytes())
    config = json.loads((source / "config.json").read_text())
    config["data"]["split"] = "another"
    (target / "config.json").write_text(json.dumps(config))
    where = ("--storage-path", tmp_path, "--data-dir", data_dir, "--dataset", "mnist5k")
    done = refused("--autoencoders", "run", *where, capsys=capsys, module=MODULE)
    assert done.returncode == 2 and "stratified split" in done.stderr
