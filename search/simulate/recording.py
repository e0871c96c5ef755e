"""Recording the learning curves of a run folder in a file that can be replayed."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

from models.files import write_atomically
from search.record.schema import COMPLETE, DIVERGED, PRUNED, SAMPLED
from search.simulate.curves import METRIC, searched_space
from search.store.files import FolderError
from search.store.folder import RunFolder


def record(run: Path, out: Path) -> int:
    """Write the curves of a run folder's sampled trials to `out`; return how many there are.

    Raises FolderError unless the run is a random search of autoencoders, in `searched_space`, that
    stopped no trial early."""
    folder = RunFolder(run)
    try:
        about = json.loads(folder.run_json.read_text(encoding="utf-8"))
        trials = _rows(folder.trials_csv)
        epochs = _rows(folder.epochs_csv)
    except (OSError, ValueError) as error:
        raise FolderError(f"{run} is not the folder of a search: {error}") from error
    _refuse_unfit(run, about, trials)
    names = tuple(searched_space(tuple(about["latent_sizes"])).all_distributions())
    kept = {row["number"]: row for row in trials if _is_curve(row)}
    lines = [
        {
            "number": row["number"],
            **{name: _short(kept[row["number"]][name]) for name in names},
            "epoch": row["epoch"],
            METRIC: _short(row[METRIC]),
        }
        for row in epochs
        if row["number"] in kept
    ]
    if not lines:
        raise FolderError(f"{run} holds no finished trial that was sampled")
    _write_csv_gz(out, lines)
    return len(kept)


def _refuse_unfit(run: Path, about: dict, trials: list[dict]) -> None:
    sizes = tuple(about.get("latent_sizes") or ())
    space = searched_space(sizes) if sizes else None
    if space is None or about.get("space") != space.as_json():
        raise FolderError(f"{run} did not search autoencoders over the space of the quick budget")
    if about["settings"].get("sampler") != "random":
        raise FolderError(f"{run} was not made with --sampler random")
    if any(row["state"] == PRUNED for row in trials):
        raise FolderError(
            f"{run} stopped trials early: make it with --grace-epochs as large as --max-epochs"
        )


def _is_curve(row: dict) -> bool:
    return row["preset"] == SAMPLED and row["state"] in (COMPLETE, DIVERGED)


def _rows(path: Path) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _short(text: str) -> str:
    """A number with six significant digits; whole numbers and other text stay as they are."""
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.6g}"
    except ValueError:
        return text


def _write_csv_gz(path: Path, rows: list[dict]) -> None:
    """Write a gzipped CSV. Its header holds no time and no name, so equal rows give equal bytes."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    packed = gzip.compress(text.getvalue().encode(), mtime=0)
    write_atomically(path, lambda file: file.write(packed))
