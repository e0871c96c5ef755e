"""What the first screen tells a reader to do next."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest
from optuna.distributions import CategoricalDistribution

from analysis.measure import next_steps
from analysis.measure.course.warnings import Edge
from analysis.measure.next_steps import EDGE, MOST, SHORT, TIE, UNFINISHED
from analysis.read.runs import Run, read_run, winners
from search.autoencoders.task import AutoencoderTask
from search.classifiers.task import ClassifierTask
from search.latent_probes.task import ProbeTask
from search.record.schema import SEARCH_INTERRUPTED
from search.task.changes import full_name
from search.task.own import OwnSpace, refuse_impossible
from search.task.ranges import read_wanted
from tests.analysis.run_folders import write_autoencoders


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "ae"
    return read_run(write_autoencoders(folder, trials=20, pictures=False))


def of_kind(run: Run, kind: str) -> list[next_steps.Step]:
    return [step for step in next_steps.next_steps([run]) if step.kind == kind]


def with_winner(run: Run, **parameters) -> Run:
    """The run, whose winner at code size 128 is a sampled trial with these parameters."""
    changed = tuple(
        replace(each, preset="sampled", parameters={**each.parameters, **parameters})
        if each.group == 128
        else replace(each, preset="sae")
        for each in run.final.winners
    )
    return replace(run, final=replace(run.final, winners=changed))


def test_an_unfinished_search_is_resumed_first(run):
    young = replace(run, info={**run.info, "state": SEARCH_INTERRUPTED})
    step = next_steps.next_steps([young])[0]
    assert step.kind == UNFINISHED and "--resume" in shlex.split(step.command)
    assert not of_kind(run, UNFINISHED)


def test_winners_that_were_best_in_the_last_epoch_are_trained_longer(run):
    trials = run.trials.assign(best_epoch=run.max_epochs)
    (step,) = of_kind(replace(run, trials=trials), SHORT)
    words = shlex.split(step.command)
    assert int(words[words.index("--max-epochs") + 1]) == step.epochs == 3 * run.max_epochs
    assert words[words.index("--start-from") + 1] == run.name
    assert set(step.groups) == set(winners(run))
    assert not of_kind(replace(run, trials=trials.assign(best_epoch=1)), SHORT)
    settings = {**run.settings, "storage_path": "/elsewhere"}
    kept = replace(run, trials=trials, info={**run.info, "settings": settings})
    assert "--storage-path /elsewhere --start-from ae" in of_kind(kept, SHORT)[0].command


def test_an_edge_is_searched_beyond(run):
    space = json.loads(run.info["space"]["distributions"]["learning_rate"])["attributes"]
    (step,) = of_kind(with_winner(run, learning_rate=space["high"], depth=5, width=24), EDGE)
    assert step.groups == (128,)
    wanted = dict(word.split("=") for word in shlex.split(step.command) if "=" in word)
    assert wanted["learning_rate"] == f"{space['low']:g}..{10 * space['high']:g}"
    low = json.loads(run.info["space"]["distributions"]["depth"])["attributes"]["low"]
    (step,) = of_kind(with_winner(run, learning_rate=2e-3, depth=low, width=24), EDGE)
    wanted = dict(word.split("=") for word in shlex.split(step.command) if "=" in word)
    assert wanted["depth"].startswith("1..")  # a depth of zero is none
    assert not of_kind(with_winner(run, learning_rate=2e-3, depth=5, width=24), EDGE)


def test_the_commands_keep_what_the_run_searched(run):
    own = "learning_rate=1e-4..0.01/log", "dropout=0..0.3/0.1", "depth=3"
    argv = [
        "--latent-sizes",
        "128",
        "--space",
        "own.toml",
        "--num-samples=7",
        "--time-budget-s",
        "9",
    ]
    info = {**run.info, "argv": argv, "settings": {**run.settings, "set": [*own]}}
    trials = run.trials.assign(best_epoch=run.max_epochs)
    inside = {"learning_rate": 0.002, "depth": 5, "width": 24}
    on_edge = with_winner(replace(run, info=info, trials=trials), **inside, dropout=0.3)
    (longer,), (wider,) = of_kind(on_edge, SHORT), of_kind(on_edge, EDGE)
    for step in (longer, wider):
        words = shlex.split(step.command)
        assert words[words.index("--latent-sizes") + 1] == "128"
        assert "--num-samples=7" in words and "depth=3" in words and "--space" not in words
    assert {*own} < {*shlex.split(longer.command)} and "--time-budget-s" not in longer.command
    assert "dropout=0..0.6/0.1" in wider.command and own[1] not in wider.command
    assert "--time-budget-s 9" in wider.command


TASKS = (
    AutoencoderTask((128,), 9, "quick", "probe_accuracy"),
    ClassifierTask(5, 9, "quick"),
    ProbeTask(("knn", "lda", "logistic", "mlp", "extra-trees", "catboost"), (128,), 9, "quick"),
)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_every_wider_range_can_be_searched(task, run):
    for family in task.space().families or (task.space(),):
        for name, searched in family.distributions.items():
            if isinstance(searched, CategoricalDistribution):
                continue
            for end in ("low", "high"):
                full = full_name(family, name)
                words = next_steps._wider(run, full, [Edge(128, name, 0.0, searched, end)])
                if not words:
                    continue
                own = replace(task, own=OwnSpace(read_wanted([f"{full}={words}"])))
                refuse_impossible(own)
                (now,) = [
                    each
                    for each in own.space().families or (own.space(),)
                    if each.name == family.name
                ]
                now = now.distributions[name]
                assert (now.low < searched.low) == (end == "low")
                assert (now.high > searched.high) == (end == "high")


def test_a_tie_is_measured_with_more_seeds(run):
    wide = tuple(
        replace(each, std={**each.std, run.metric: 1.0}) if each.group == 32 else each
        for each in run.final.winners
    )
    steps = of_kind(replace(run, final=replace(run.final, winners=wide)), TIE)
    assert len(steps) == 1 and 32 in steps[0].groups
    assert "--final-seeds 6" in steps[0].command and "--resume" in steps[0].command


def test_there_are_five_steps_at_most_and_each_run_has_its_first(run):
    trials = run.trials.assign(best_epoch=run.max_epochs)
    worst = replace(run, trials=trials, info={**run.info, "state": SEARCH_INTERRUPTED})
    steps = next_steps.next_steps([worst] * 4)
    assert len(steps) == MOST
    assert [step.kind for step in steps[:4]] == [UNFINISHED] * 4
