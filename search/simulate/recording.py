"""Recording the learning curves of a run folder in a file that can be replayed."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

from models.files import write_atomically
from search.record.schema import COMPLETE, DIVERGED, PRUNED, SAMPLED
from search.simulate.recorded import space_from_json
from search.store.files import FolderError
from search.store.folder import RunFolder


def record(run: Path, out: Path) -> int:
    """Write the curves of a run folder's sampled trials to `out`; return how many there are.

    The run may be of any search. Raises FolderError unless it is a random search that stopped no
    trial early and measured every trial after its first epoch."""
    folder = RunFolder(run)
    try:
        about = json.loads(folder.run_json.read_text(encoding="utf-8"))
        trials, epochs = _rows(folder.trials_csv), _rows(folder.epochs_csv)
        head = {name: about[name] for name in ("command", "metric", "mode", "space")}
        names = tuple(space_from_json(about["space"]).all_distributions())
        head["data"] = about["data"].get("name") if isinstance(about["data"], dict) else None
        sampler = about["settings"].get("sampler")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise FolderError(f"{run} is not the folder of a search: {error!r}") from error
    _refuse_unfit(run, sampler, trials)
    kept = {row["number"]: row for row in trials if _is_curve(row)}
    if at_once := sorted(kept.keys() - {row["number"] for row in epochs if row["epoch"] == "1"}):
        raise FolderError(
            f"{run}: trial {at_once[0]} has no curve, because its model is fitted at once: leave "
            "such models out of the search"
        )
    lines = [
        {
            "number": row["number"],
            **{name: _short(kept[row["number"]].get(name, "")) for name in names},
            "epoch": row["epoch"],
            head["metric"]: _short(row[head["metric"]] or "nan"),
        }
        for row in epochs
        if row["number"] in kept
    ]
    if not lines:
        raise FolderError(f"{run} holds no finished trial that was sampled")
    _write(out, head, lines)
    return len(kept)


def _refuse_unfit(run: Path, sampler: str | None, trials: list[dict]) -> None:
    if sampler != "random":
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


def _write(path: Path, head: dict, rows: list[dict]) -> None:
    """Write a file of curves. It holds no time and no path, so equal runs give equal bytes."""
    text = io.StringIO(newline="")
    text.write(f"# {json.dumps(head)}\n")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    packed = gzip.compress(text.getvalue().encode(), mtime=0)
    write_atomically(path, lambda file: file.write(packed))
