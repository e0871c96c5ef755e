"""The measures of `--parts gpu`: `python -m search.benchmark.gpu.measures NAME --out FILE`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from search.benchmark import inputs

Report = Callable[[str, object], None]  # takes the name and the value of a figure


@dataclass(frozen=True)
class Measure:
    """`run` reports figures; `seconds` is the time that it needs, by device."""

    run: Callable[[argparse.Namespace, str, Report], None]
    seconds: dict[str, int]


def _step(given: argparse.Namespace, device: str, report: Report) -> None:
    from search.benchmark.gpu.step import measure_steps

    measure_steps(inputs.images(given, 10_000 if device == "cuda" else 500), device, report)


def _together(given: argparse.Namespace, device: str, report: Report) -> None:
    from search.benchmark.gpu.together import measure_together

    measure_together(inputs.images(given, 20_000 if device == "cuda" else 500), device, report)


def _processes(given: argparse.Namespace, device: str, report: Report) -> None:
    from search.benchmark.gpu.together import measure_processes

    measure_processes(given, device, report)


def _search(given: argparse.Namespace, device: str, report: Report) -> None:
    from search.benchmark.gpu.searches import measure_full_search

    measure_full_search(given, device, report)


def _trials(given: argparse.Namespace, device: str, report: Report) -> None:
    from search.benchmark.gpu.searches import measure_trials_an_hour

    measure_trials_an_hour(given, device, report)


MEASURES = {
    "step": Measure(_step, {"cuda": 45, "cpu": 15}),
    "together": Measure(_together, {"cuda": 30, "cpu": 15}),
    "search": Measure(_search, {"cuda": 150, "cpu": 30}),
    "trials": Measure(_trials, {"cuda": 120, "cpu": 60}),
    "processes": Measure(_processes, {"cuda": 60, "cpu": 20}),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=tuple(MEASURES))
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(argv)
    found: dict[str, object] = {}

    def report(name: str, value: object) -> None:
        found[name] = value
        given.out.write_text(json.dumps(found))

    MEASURES[given.name].run(given, inputs.device(), report)
    report("whole", True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
