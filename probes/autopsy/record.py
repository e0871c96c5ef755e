"""What the autopsy writes: `autopsy.json`, with a row for each classifier at each level."""

from __future__ import annotations

import json
import shlex
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from models.data import ImageData
from models.files import write_atomically
from models.provenance import git_commit, timestamp
from probes.autopsy.levels import Level
from probes.autopsy.measure import Result
from probes.autopsy.plan import Plan, Setting


class Record:
    """`autopsy.json` of a plan. Continues the file of an earlier run of the same plan."""

    def __init__(self, plan: Plan, data: ImageData, base: Setting, levels: list[Level]):
        self.path, self._base = plan.out / "autopsy.json", base
        earlier = self._read(plan)
        self.results = list(_results(earlier, levels))
        self.known = {  # already measured: (question, factor, level, seed)
            (row["question"], row["factor"], row["level"], run["seed"])
            for row in earlier.get("rows", [])
            for run in row["runs"]
        }
        self._begin = time.time() - earlier.get("seconds", 0.0)
        self._header = {
            "command": shlex.join(["python", "-m", "probes.autopsy", *sys.argv[1:]]),
            "start": earlier.get("start", timestamp()),
            "git_commit": git_commit(),
            "data": data.summary(),
            "classes": base.classes,
            "plan": _plan_as_json(plan),
        }

    def write(self, finished: bool) -> None:
        """Write all results so far."""
        content = {
            **self._header,
            "seconds": round(time.time() - self._begin, 1),
            "finished": finished,
            "rows": rows_of(self.results, self._base),
        }
        text = json.dumps(content, indent=1) + "\n"
        write_atomically(self.path, lambda file: file.write(text.encode()))

    def _read(self, plan: Plan) -> dict[str, Any]:
        """The file of an earlier run; empty if there is none or it has another plan."""
        try:
            earlier = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        free = {"seeds": None, "jobs": None}  # these may change
        same = {**earlier.get("plan", {}), **free} == {**_plan_as_json(plan), **free}
        return earlier if same else {}


def _plan_as_json(plan: Plan) -> dict[str, Any]:
    """A plan without the folders of this machine."""
    return {**asdict(plan), "out": plan.out.name, "data_dir": ""}


def _results(earlier: dict[str, Any], levels: list[Level]) -> Iterator[Result]:
    """The results of an earlier file."""
    named = {(level.question, level.factor, level.name): level for level in levels}
    for row in earlier.get("rows", []):
        if level := named.get((row["question"], row["factor"], row["level"])):
            yield from (Result(level, row["probe"], run, row["note"]) for run in row["runs"])


def rows_of(results: Iterable[Result], base: Setting) -> list[dict[str, Any]]:
    """Results as rows: a row has the runs of all seeds, their mean accuracy and its standard
    deviation (None for a single seed)."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for result in results:
        level = result.level
        row = rows.setdefault(
            (level.question, level.factor, level.name, result.probe),
            {
                "question": level.question,
                "factor": level.factor,
                "level": level.name,
                "baseline": level.question == "trees" and level.setting == base,
                "probe": result.probe,
                **level.extra,
                "note": result.note,
                "runs": [],
            },
        )
        row["runs"] = sorted([*row["runs"], result.run], key=lambda run: run["seed"])
    for row in rows.values():
        values = [run["accuracy"] for run in row["runs"]]
        row["accuracy"] = statistics.fmean(values)
        row["std"] = statistics.stdev(values) if len(values) > 1 else None
    return list(rows.values())
