"""What the first screen tells a reader to do next."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from analysis.measure import next_steps
from analysis.measure.next_steps import EDGE, MOST, SHORT, TIE, UNFINISHED
from analysis.read.runs import Run, read_run, winners
from search.record.schema import SEARCH_INTERRUPTED
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
