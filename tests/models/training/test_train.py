"""The example of the docstring: a training in five lines."""

import functools
import textwrap

import models.data
import models.training
from models.networks.classifier import ClassifierConfig


def example() -> str:
    """The indented lines of the docstring."""
    lines = models.training.__doc__.splitlines()
    return textwrap.dedent("\n".join(line for line in lines if line.startswith("    ")))


def test_the_example_of_the_docstring_prints_a_falling_error(tmp_path, monkeypatch, capsys):
    small = functools.partial(models.data.load, train_size=500)
    monkeypatch.setattr(models.data, "load", small)
    monkeypatch.chdir(tmp_path)
    exec(example(), {})
    records = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(example().splitlines()) == 5
    assert [epoch for epoch, _ in records] == ["1", "2", "3"]
    assert float(records[-1][1]) < float(records[0][1])


def test_a_classifier_is_trained_by_the_same_call(tmp_path):
    data = models.data.load("mnist5k", tmp_path, train_size=200)
    model = ClassifierConfig(depth=1, width=2, hidden=4)
    config = models.training.TrainingConfig(max_epochs=1)
    (record,) = models.training.train(model, config, data)
    assert 0 <= record["validation_accuracy"] <= 1
