"""Weights under best/: they are kept once a trial has ended, also after a crash in the middle."""

from __future__ import annotations

import json

import pytest

from search.record.decision import Decision
from search.record.schema import LAST, PROMOTE, STOP
from search.tune import winners
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook

TASK = ToyTask(max_epochs=2, trouble=("",))


def train(logbook, values, *kinds):
    """A trial that leaves checkpoints as a worker does, with one decision after each epoch."""
    trial = logbook.new_trial()
    for epoch, (value, kind) in enumerate(zip(values, kinds, strict=True), 1):
        record = {"epoch": epoch, "train_loss": value, "value": value, "seconds": 0.1}
        logbook.store.save(trial.id, {"record": record}, {"value": value})
        logbook.record_epoch(trial, record, Decision(kind))
    return trial


def kept(logbook) -> dict[str, str]:
    """Folder under best/ -> the trial that its config names."""
    return {
        path.parent.name: json.loads(path.read_text())["trial"]
        for path in logbook.folder.best.glob("*/config.json")
    }


def test_the_best_trial_of_a_group_and_every_preset_keep_their_weights(tmp_path):
    logbook = open_logbook(tmp_path / "run", TASK)
    train(logbook, (0.9, 0.8), PROMOTE, LAST)
    assert kept(logbook) == {"preset-0": "trial_00000", "1": "trial_00000"}
    train(logbook, (0.1,), STOP)  # a lower value, but not with the full budget
    assert kept(logbook) == {"preset-0": "trial_00000", "1": "trial_00000"}
    train(logbook, (0.5,), STOP)
    train(logbook, (0.7, 0.6), PROMOTE, LAST)
    assert kept(logbook) == {"preset-0": "trial_00000", "1": "trial_00003", "2": "trial_00002"}
    assert logbook.store.trial_ids() == set()


@pytest.mark.parametrize("broken", ["write_atomically", "write_json"])
def test_a_crash_before_or_after_the_weights_is_mended_by_a_resume(tmp_path, monkeypatch, broken):
    logbook = open_logbook(tmp_path / "run", TASK)

    def crash(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(winners, broken, crash)
        with pytest.raises(KeyboardInterrupt):
            train(logbook, (0.9, 0.8), PROMOTE, LAST)
    assert kept(logbook) == {}
    again = open_logbook(tmp_path / "run", TASK)
    assert kept(again) == {"preset-0": "trial_00000", "1": "trial_00000"}
    assert (again.folder.best / "1" / "weights.pt").exists()
    assert again.store.trial_ids() == set()
