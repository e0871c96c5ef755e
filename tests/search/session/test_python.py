"""A search from Python: the flags as keyword arguments, the result as an object."""

from __future__ import annotations

import json

import numpy as np
import pytest
import ray

import search.autoencoders
import search.classifiers
import search.latent_probes
from models.data import DataError
from models.data.glyphs import draw_glyphs
from models.trained import encode
from search.session.python import as_argv
from search.session.result import SearchResult
from search.store.files import FolderError
from search.task.settings import UsageError


@pytest.fixture(scope="module")
def drawn():
    """Drawings of five characters and their classes."""
    return draw_glyphs(5).reshape(-1, 28, 28), np.arange(5).repeat(20)


@pytest.fixture(scope="module")
def found(cluster, drawn, tmp_path_factory) -> SearchResult:
    """A tiny search of arrays in a process that has joined Ray."""
    return search.autoencoders.search(
        *drawn,
        num_samples=3,
        max_epochs=1,
        latent_sizes=[16],
        set={"depth": (2, 3), "width": 16},
        final_seeds=0,
        name="tiny",
        storage_path=tmp_path_factory.mktemp("runs"),
    )


def test_the_result_holds_tables_and_the_best_network(found, drawn):
    images, _ = drawn
    assert found.state == "finished" and found.groups == [16] and found.final is None
    assert len(found.trials) == 3 and set(found.trials["state"]) <= {"complete", "pruned"}
    assert found.trials["depth"].between(2, 3).all() and (found.trials["width"] == 16).all()
    assert list(found.epochs["epoch"]) == [1, 1, 1]
    best = found.best(16)
    assert best.configuration["depth"] in (2, 3)
    assert best.encode(images).shape == (100, 16)
    assert best.reconstruct(images).shape == images.shape
    error = np.square(best.reconstruct(images) - images / 255).mean()
    assert 0 < error < 0.3
    with pytest.raises(FolderError, match="16"):
        found.best(64)


def test_a_ray_that_was_joined_stays_joined(found):
    assert ray.is_initialized()


def test_the_command_could_have_run_it(found):
    run = json.loads((found.folder / "run.json").read_text())
    assert run["argv"][0].startswith("--dataset=") and "--set" in run["argv"]
    assert run["data"]["classes"] == 5 and run["settings"]["set"] == ["depth=2..3", "width=16"]


def test_resume_goes_on_and_refuses_another_search(found, drawn):
    where = {"name": "tiny", "storage_path": found.folder.parent, "resume": True}
    with pytest.raises(UsageError, match="--max-epochs 2 differs"):
        search.autoencoders.search(*drawn, max_epochs=2, **where)
    with pytest.raises(FolderError, match="exists already"):
        search.autoencoders.search(*drawn, **{**where, "resume": False})
    with pytest.raises((FolderError, UsageError)):
        search.autoencoders.search(drawn[0][:50], drawn[1][:50], **where)
    longer = search.autoencoders.search(*drawn, num_samples=4, **where)
    assert len(longer.trials) == 4 and longer.folder == found.folder


WRONG = {
    "no number of samples": ({"num_samples": 0}, "--num-samples: 0 is not at least 1"),
    "an unknown flag": ({"sample": 3}, "unrecognized arguments: --sample=3"),
    "an unknown hyperparameter": ({"set": {"depht": (2, 3)}}, "nearest is depth"),
    "a size twice": ({"latent_sizes": [32, 32]}, "names a value twice"),
    "data twice": ({"dataset": "mnist5k"}, "given twice"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_the_one_line_of_the_command(case, drawn, tmp_path):
    flags, told = WRONG[case]
    with pytest.raises(UsageError) as caught:
        search.autoencoders.search(*drawn, storage_path=tmp_path / "runs", **flags)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert not list((tmp_path / "runs").glob("[a-z]*"))


def test_labels_of_another_number_and_names_that_are_no_data_are_refused(drawn, tmp_path):
    images, labels = drawn
    with pytest.raises(UsageError, match="99 labels for 100 images"):
        search.classifiers.search(images, labels[1:], storage_path=tmp_path)
    with pytest.raises((UsageError, DataError)):
        search.classifiers.search("no-such-data", storage_path=tmp_path)


def test_flags_become_the_command_line_that_says_the_same():
    flags = {"num_samples": 20, "resume": True, "name": None, "grey": False, "log_to": ["mlflow"]}
    assert as_argv(flags) == ["--num-samples=20", "--resume", "--log-to", "mlflow"]
    wanted = {"depth": (2, 8), "activation": ["relu", "silu"], "dropout": 0.1}
    assert as_argv({"set": wanted}) == [
        *("--set", "activation=relu,silu", "depth=2..8", "dropout=0.1")
    ]


@pytest.mark.slow  # three searches and a report
def test_classifiers_and_probes_predict_and_a_report_is_written(cluster, tmp_path):
    images, labels = draw_glyphs(20).reshape(-1, 28, 28), np.arange(20).repeat(20)
    where = {"storage_path": tmp_path, "num_samples": 4, "final_seeds": 1}
    classified = search.classifiers.search(images, labels, max_epochs=4, **where)
    right = classified.best().predict(images) == labels
    assert right.mean() > 0.3
    coded = search.autoencoders.search(images, labels, max_epochs=2, latent_sizes=[32], **where)
    assert coded.report().read_text().startswith("<!")
    assert coded.final["winners"][0]["mean"]["test_mse"] > 0
    probed = search.latent_probes.search(
        images, labels, autoencoders=coded.folder, probes=["logistic"], warps=3, **where
    )
    best = probed.best("logistic-32")
    right = best.predict(images) == labels
    assert right.mean() > 0.3
    means = encode(best.network, images, warps=3)
    assert np.array_equal(best.encode(images), means)
    assert not np.array_equal(means, encode(best.network, images))
