"""`python -m probes.readout curve` trains an autoencoder. Every few epochs it measures what LDA and
the nearest mean read from its codes, and few-shot accuracies on characters never seen. `python -m
probes.readout rank` trains many small autoencoders and says which cheap probe ranks them as the
best probe does. Both measure on the validation split; `--test` adds the test split, where a short
perceptron and extra-trees read the codes too, and PCA's error."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.data import DataError, load
from models.data.prepared import prepare
from models.ending import ends_at_signals
from models.files import write_atomically
from probes.readout.curve import described, measured, training_of
from probes.readout.ranking import correlations, drawn_settings, ranked


@ends_at_signals("probes.readout", "; what it measured is in the file that --out names")
def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; return 2, with one line on stderr, for bad input."""
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except (DataError, ValueError, OSError) as error:
        print(f"probes.readout: error: {error}", file=sys.stderr)
        return 2
    return 0


def _curve(given: argparse.Namespace) -> None:
    changes = dict(_pair(text) for text in given.set)
    plan = training_of(changes, given.epochs, given.every, given.seed)
    data = load(given.dataset, given.data_dir, train_size=given.train_size)
    about = {"data": data.summary(), **described(plan)}
    records: list[dict[str, Any]] = []
    for record in measured(plan, data, given.data_dir, given.test, _device()):
        records.append(record)
        shown = {name: round(value, 4) for name, value in record["validation"].items()}
        units = f"{record['units_per_image']:.1f} active units, {record['dead_units']:.0f} dead"
        error = f"MSE {record['validation_mse']:.5f}"
        print(f"epoch {record['epoch']}: {error}, {units}, {shown}", flush=True)
        for row in record.get("few_shot", []):
            setting = f"{row['ways']}-way {row['shots']}-shot"
            print(f"  {setting}, {row['features']}: {row['accuracy']:.3f}", flush=True)
        _write(given.out, {**about, "records": records})
    if given.test:
        last = records[-1]
        shown = {name: round(value, 4) for name, value in last["test"].items()}
        share = last["test_mse"] / max(last["test_pca_mse"], 1e-30)
        floor = f"PCA({last['components']}) {last['test_pca_mse']:.5f}, a share of {share:.3f}"
        print(f"test: MSE {last['test_mse']:.5f}, {floor}, {shown}")


def _rank(given: argparse.Namespace) -> None:
    data = load(given.dataset, given.data_dir, train_size=given.train_size)
    prepared = prepare(data, _device())
    found = []
    for model, training in drawn_settings(given.autoencoders, given.epochs):
        found.append(ranked(model, training, prepared))
        shown = {name: round(value, 3) for name, value in found[-1].cheap.items()}
        print(f"[{len(found)}/{given.autoencoders}] best {found[-1].best:.3f}, {shown}", flush=True)
        rows = [asdict(each) for each in found]
        _write(given.out, {"data": data.summary(), "autoencoders": rows})
    for name, row in correlations(found).items():
        seconds = f", {row['seconds']:.3f} s" if "seconds" in row else ""
        print(f"{name}: rank correlation {row['correlation']:+.3f}{seconds}")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"--set takes NAME=VALUE, got {text!r}")
    return name, value


def _write(path: Path | None, content: dict[str, Any]) -> None:
    if path is not None:
        text = json.dumps(content, indent=1) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m probes.readout", description=__doc__)
    commands = parser.add_subparsers(required=True)
    curve = commands.add_parser("curve", help="train one autoencoder and measure its codes")
    curve.set_defaults(run=_curve)
    add = curve.add_argument
    add("--set", nargs="*", default=[], metavar="NAME=VALUE", help="changes to the preset")
    add("--epochs", type=_positive, default=25, help="default 25")
    add("--every", type=_positive, default=5, help="epochs between measurements (default 5)")
    add("--seed", type=int, default=0)
    add("--test", action="store_true", help="measure the test split too, at the end")
    rank = commands.add_parser("rank", help="compare probes by how they rank autoencoders")
    rank.set_defaults(run=_rank)
    rank.add_argument("--autoencoders", type=_positive, default=30, help="default 30")
    rank.add_argument("--epochs", type=_positive, default=2, help="of each (default 2)")
    for command, size in ((curve, None), (rank, 3000)):
        add = command.add_argument
        add("--dataset", default="omniglot", help="default omniglot")
        add("--data-dir", default=os.environ.get("DATA_DIR", "data"))
        add("--train-size", type=_positive, default=size, help="training images at most")
        add("--out", type=Path, help="a JSON file for all figures")
    return parser
