"""A user's own space: what it makes of the default one, and of the presets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from probes.classifiers.fitting import PROBES
from search.autoencoders.task import AutoencoderTask
from search.classifiers.task import ClassifierTask
from search.latent_probes.task import ProbeTask
from search.task.changes import changed, ends
from search.task.own import OwnSpace, changes, refuse_impossible
from search.task.ranges import read_wanted
from search.task.settings import UsageError
from search.task.space_file import as_toml, read_space_file

AUTOENCODERS = AutoencoderTask((128, 32), 9, "quick")
TASKS = (
    AUTOENCODERS,
    AutoencoderTask((128,), 81, "full", "probe_accuracy"),
    ClassifierTask(10, 9, "quick"),
    ProbeTask(tuple(PROBES), (128, 32), 9, "quick"),
)
PROBE = TASKS[-1]


def own(task, *texts):
    return replace(task, own=OwnSpace(read_wanted(texts)))


def distribution(task, name, *texts):
    space = own(task, *texts).space()
    return space.distributions.get(name, space.constants.get(name))


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("depth=2..4", "depth", IntDistribution(2, 4)),
        ("learning_rate=1e-4..1e-2", "learning_rate", FloatDistribution(1e-4, 1e-2, log=True)),
        ("l1=0..0.01/linear", "l1", FloatDistribution(0.0, 0.01)),
        ("dropout=0.1..0.2", "dropout", FloatDistribution(0.1, 0.2, step=0.05)),
        ("dropout=0.1..0.22", "dropout", FloatDistribution(0.1, 0.22)),
        ("width=16..64/16", "width", IntDistribution(16, 64, step=16)),
        ("activation=relu,silu", "activation", CategoricalDistribution(("relu", "silu"))),
        ("depth=2,4,8", "depth", CategoricalDistribution((2, 4, 8))),
        ("dropout=0.1", "dropout", 0.1),
        ("depth=4..4", "depth", 4),
        ("l1=0", "l1", 0.0),
        ("linear_path=true", "linear_path", True),
        ("warp=0..1", "warp", FloatDistribution(0.0, 1.0)),
        ("decoder_depth=1..3", "decoder_depth", IntDistribution(1, 3)),
    ],
)
def test_a_range_is_narrowed_fixed_or_replaced(text, name, expected):
    assert distribution(AUTOENCODERS, name, text) == expected
    assert type(distribution(AUTOENCODERS, name, text)) is type(expected)


def test_what_is_not_named_stays_and_every_parameter_is_in_one_place():
    before, after = AUTOENCODERS.space(), own(AUTOENCODERS, "depth=4", "warp=0..1").space()
    names = {*before.distributions, *before.constants}
    assert {*after.distributions, *after.constants} == names
    assert not {*after.distributions} & {*after.constants}
    assert all(after.distributions[n] == before.distributions[n] for n in ("width", "l1", "noise"))


def test_a_name_without_a_probe_is_for_all_that_have_it_and_one_with_a_probe_comes_before():
    space = own(PROBE, "pca=0,64", "mlp.pca=128", "mlp.blocks=1..3").space()
    family = {each.name: each for each in space.families}
    assert family["knn"].distributions["pca"] == CategoricalDistribution((0, 64))
    assert family["mlp"].constants["pca"] == 128
    assert family["mlp"].distributions["blocks"] == IntDistribution(1, 3)
    assert space.groups == PROBE.space().groups and space.meaning == PROBE.space().meaning


@pytest.mark.parametrize(
    ("task", "text", "nearest"),
    [
        (AUTOENCODERS, "dept=2..4", "nearest is depth"),
        (AUTOENCODERS, "lerning_rate=0.1", "nearest is learning_rate"),
        (AUTOENCODERS, "activation=relo", "nearest is relu"),
        (PROBE, "mlp.block=2", "nearest is mlp.blocks"),
        (AUTOENCODERS, "latent_size=64", "--latent-sizes"),
        (PROBE, "probe=mlp", "--probes"),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one(task, text, nearest):
    with pytest.raises(UsageError, match=nearest):
        own(task, text).space()


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (AUTOENCODERS, "depth=2.5..4"),
        (AUTOENCODERS, "depth=few"),
        (AUTOENCODERS, "depth=0..4"),
        (AUTOENCODERS, "dropout=0..1"),
        (AUTOENCODERS, "learning_rate=0..0.1"),
        (AUTOENCODERS, "learning_rate=0..0.1/linear"),
        (AUTOENCODERS, "dropout=0..0.12/0.05"),
        (AUTOENCODERS, "l1=-1..1/linear"),
        (AUTOENCODERS, "noise=0..1"),
        (AUTOENCODERS, "linear_path=1"),
        (AUTOENCODERS, "decoder_depth=few"),
        (TASKS[2], "noise=fog"),
        (TASKS[2], "hidden=0..64"),
        (TASKS[2], "hidden_activation=maybe"),
        (PROBE, "mlp.dropout=0..1"),
        (PROBE, "mlp.activation=tanh"),
        (PROBE, "views=1..6"),
        (PROBE, "knn.neighbours=0..9"),
        (PROBE, "max_features=0.5..1.5"),
        (PROBE, "catboost.tree_depth=3..17"),
        (PROBE, "pca=-1..64"),
        (PROBE, "shrinkage=0.1..2"),
    ],
)
def test_an_impossible_range_is_refused_in_one_line_that_names_it(task, text):
    with pytest.raises(UsageError) as error:
        refuse_impossible(own(task, text))
    assert "\n" not in str(error.value)
    assert text.partition("=")[0].rpartition(".")[2] in str(error.value)


def test_a_space_of_fixed_values_is_one_configuration():
    """The report prints a command that trains one configuration alone."""
    fixed = {name: ends(d)[0] for name, d in AUTOENCODERS.space().distributions.items()}
    space = changed(AUTOENCODERS.space(), read_wanted(fixed))
    assert space.distributions == {} and fixed.items() <= space.constants.items()


@pytest.mark.parametrize("task", TASKS)
def test_the_default_space_is_possible_and_equal_to_what_is_printed_of_it(task, tmp_path):
    refuse_impossible(task)
    path = tmp_path / "space.toml"
    path.write_text(as_toml(task.space(), task.default_space()))
    again = changed(task.default_space(), read_space_file(str(path)))
    assert again == task.space() and again.as_json() == task.space().as_json()
    assert not changes(task) and task.presets() == task.default_presets()


@pytest.mark.parametrize(
    ("task", "texts"),
    [
        (AUTOENCODERS, ["l1=0..0.01/linear", "width=16..32/1", "depth=2,4", "decoder_depth=1..3"]),
        (AUTOENCODERS, ["depth=2..8/log", "dropout=0..0.12", "linear_path=false", "warp=0.5"]),
        (PROBE, ["mlp.l2=0..0.1/linear", "pca=16", "random-forest.max_features=0.1..0.5/0.1"]),
    ],
)
def test_a_changed_space_is_printed_as_a_file_that_makes_it(task, texts, tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(as_toml(own(task, *texts).space(), task.default_space()))
    assert changed(task.default_space(), read_space_file(str(path))) == own(task, *texts).space()
    assert changes(own(task, *texts))


def test_a_preset_stays_where_it_lies_inside_or_off_a_log_scale_s_low_end():
    def kept(*texts):
        return {preset.name for preset in own(AUTOENCODERS, *texts).presets()}

    everything = kept()
    assert "even-deeper-dae" in everything  # 12 blocks, of at most 9 that are sampled
    assert kept("depth=2..9") == everything  # the default says the same
    assert everything - kept("depth=2..10") == {"even-deeper-dae", "deeper-sae"}
    assert kept("l1=1e-9..1e-3") == everything
    assert kept("l1=1e-6..1e-3") == {"dae-l1", "sae", "sae-relu", "deeper-sae"}
    assert kept("linear_path=true") == {"linear-path-128", "linear-path-32"}
    assert kept("dropout=0.3") == {"dae-l1", "deeper-dae", "even-deeper-dae"}


def test_what_is_left_out_is_named_with_its_reason():
    task = own(PROBE, "mlp.blocks=1..3", "knn.neighbours=20..40")
    left_out = task.own.left_out(task.default_presets(), task.default_space())
    assert left_out == {
        **{f"mlp-{blocks}-blocks": ["mlp.blocks"] for blocks in (4, 5, 6)},
        "knn-default": ["knn.neighbours"],
        "knn-default-32": ["knn.neighbours"],
    }
    names = [preset.name for preset in task.presets()]
    assert names == [p.name for p in task.default_presets() if p.name not in left_out]


def test_the_example_in_docs_is_a_space_of_autoencoders():
    example = Path(__file__).parents[3] / "docs" / "space.toml"
    task = replace(AUTOENCODERS, own=OwnSpace(read_space_file(str(example))))
    refuse_impossible(task)
    assert task.space().distributions["width"] == IntDistribution(16, 64, step=16)
    assert task.space().constants["noise"] == "none"


@pytest.mark.parametrize(
    "content", ["depth = ", "depth = 1979-05-27", "[depth]\nlow = 2", "depth = []", "\xff"]
)
def test_a_file_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "space.toml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match="space.toml"):
        read_space_file(str(path))


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match="gone.toml"):
        read_space_file(str(tmp_path / "gone.toml"))
