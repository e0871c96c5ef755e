"""Why forests and boosting fail on the codes, and why stronger L2 makes the perceptron worse.

`python -m probes.autopsy` changes one factor at a time and measures, with several seeds, the
accuracy of trees and boosting, and of other classifiers, which do not split on single units. It
writes `autopsy.json` after every setting, and a second run of the same plan continues it.
`python -m analysis.report` makes the table, the figure and the answer from the file. Accuracy is on
the validation split: no test image is read.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from models.data import DataError
from models.ending import Ending, check
from models.machine import usable_cores
from models.streams import steady_streams
from probes.autopsy.codes import (
    autoencoder_path,
    autoencoder_setting,
    load_data,
    train_autoencoder,
)
from probes.autopsy.levels import all_levels, group_alike
from probes.autopsy.measure import measure
from probes.autopsy.plan import Plan, Setting
from probes.autopsy.record import Record


def run(plan: Plan, base: Setting | None = None) -> None:
    """Measure everything that autopsy.json does not have yet, and write it after every setting.

    Raises DataError if the data set cannot be loaded, OSError if a file cannot be written."""
    data = load_data(plan, True)
    all_classes = len(data.class_names)
    base = replace(base or Setting(), classes=min(plan.classes, all_classes))
    levels = all_levels(base, all_classes)
    record = Record(plan, data, base, levels)
    to_do = group_alike(levels, plan.seeds, record.known)
    print(f"autopsy: {len(to_do)} settings to measure", flush=True)
    workers = Parallel(n_jobs=plan.jobs, return_as="generator_unordered")
    needed = {(autoencoder_setting(alike[0].setting), seed) for alike, seed in to_do}
    missing = [each for each in needed if not autoencoder_path(plan, *each).exists()]
    trainings = (delayed(train_autoencoder)(plan, *each) for each in sorted(missing, key=repr))
    for number, _ in enumerate(workers(trainings), 1):
        print(f"autoencoder {number} of {len(missing)} trained", flush=True)
    measured = workers(delayed(measure)(plan, *each) for each in to_do)
    for number, results in enumerate(measured, 1):
        record.results += results
        record.write(finished=False)
        level = results[0].level
        accuracies = {each.probe: f"{each.run['accuracy']:.3f}" for each in results}
        print(f"[{number}/{len(to_do)}] {level.factor}, {level.name}: {accuracies}", flush=True)
    record.write(finished=True)
    report = shlex.join(["python", "-m", "analysis.report", "--runs", str(plan.out)])
    print(f"wrote {record.path}; the report reads it: {report}")


def main(arguments: list[str] | None = None) -> int:
    """Run the autopsy; return 2, with one line on stderr, if the data cannot be loaded, and 128 and
    its number after a signal: 130 after Ctrl-C."""
    with (
        steady_streams("probes.autopsy"),
        Ending("probes.autopsy", "; the same command continues it") as ending,
    ):
        plan = Plan(**vars(_parser().parse_args(arguments)))
        try:
            return _run(plan)
        except KeyboardInterrupt as stop:
            status = ending.say(stop)
            # Without this, its processes would first finish their fits, which may take minutes.
            with ending.held():
                get_reusable_executor().shutdown(wait=False, kill_workers=True)
            return status


def _run(plan: Plan) -> int:
    try:
        try:
            run(plan)
        except DataError as error:
            if plan.dataset != "omniglot":
                raise
            print(f"note: omniglot is not available, glyphs is used instead ({error})")
            run(replace(plan, dataset="glyphs"))
    except (DataError, OSError) as error:
        print(f"probes.autopsy: error: {error}", file=sys.stderr)
        return 2
    except TerminatedWorkerError as error:
        check()  # the signal that ended the workers may be meant for this process too
        reason = str(error).strip().partition("\n")[0]
        print(f"probes.autopsy: stopped: {reason}; the same command continues it", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m probes.autopsy",
        description="Measure why forests and boosting fail on an autoencoder's codes.",
    )
    add = parser.add_argument
    add("--dataset", default="omniglot", choices=("omniglot", "glyphs"))
    add("--data-dir", default=os.environ.get("DATA_DIR", "data"))
    add("--out", type=Path, default=Path("runs/autopsy"), help="default runs/autopsy")
    add("--seeds", type=int, default=3, help="default 3")
    add("--classes", type=int, default=200, help="classes of the baseline (default 200)")
    add("--epochs", type=int, default=6, help="to train each autoencoder (default 6)")
    add("--seconds", type=float, default=8.0, help="time limit of boosting (default 8)")
    add(
        "--forest-seconds",
        type=float,
        default=180.0,
        help="time limit of a forest; a note says if it is reached (default 180)",
    )
    add(
        "--formulation-seconds",
        type=float,
        default=40.0,
        help="time limit of each formulation of boosting (default 40)",
    )
    add("--jobs", type=int, default=usable_cores(), help="processes (default: all cores)")
    return parser
