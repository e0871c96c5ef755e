"""The autopsy in the report: numbers and verdicts from made-up files of `probes.autopsy`."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures import autopsy as figures
from analysis.measure.autopsy import forests as causes
from analysis.measure.autopsy.boosting import Boosting, boosting, iterations
from analysis.measure.autopsy.forests import MOSTLY_FORESTS, NO_FOREST, Forests, forests
from analysis.measure.autopsy.l2 import L2Answer, l2_answer, l2_lines
from analysis.page.sections.autopsy import autopsy_blocks, autopsy_provenance
from analysis.read.autopsy import Autopsy, find_autopsies, read_autopsy
from analysis.read.values import RunError
from analysis.tables.autopsy import measurements
from tests.analysis.report_page import report_page

STUDY = Path(__file__).resolve().parents[3] / "docs/study/runs/autopsy"
PROBES = ("extra-trees", "random-forest", "lda", "logistic", "1-nn")
BASE = dict(zip(PROBES, (0.61, 0.58, 0.70, 0.68, 0.66), strict=True))
COSTS = {
    "registration": {"centred": None, "not centred": (24.1, 23.2, 9.3, 9.0, 10.2)},
    "autoencoder": {
        "affine and masking": None,
        "plain": (12.3, 12.8, 5.1, 6.2, 9.9),
        "warped input": (-7.7, -8.0, -7.0, -7.0, -7.0),
    },
    "code size": {"128": None, "32": (2.5, 2.4, 12.0, 11.0, 3.0), "1024": (4.8, 5.2, -1, -2, -1)},
    "classes": {"200": None, "10": (-35, -37, -27, -29, -30), "964": (15.2, 16.0, 10, 11, 11.1)},
    "drawings per class": {"14": None, "1": (47, 46, 45, 41, 36), "10": (4.4, 4.5, 3.3, 3.1, 3.0)},
    "views": {"1": None, "10": (-10.2, -9.8, -3.0, -6.0, -2.0)},
    "leaf size": {"1": None, "5": (3.1, 2.9)},
    "mistakes": {
        "none": None,
        "labels mixed": (60.0, 57.0, 69.0, 67.0, 65.0),
        "scaling fitted on test": (0.1, 0.1, 0.0, 0.0, 0.0),
    },
}
"""Points that a level costs each probe of `PROBES`, or the first of them; None marks the
baseline."""

FORMULATIONS = {
    "all classes at once": (0.041, 63.0),
    "all classes, after LDA": (0.032, 61.0),
    "nearest-neighbour features": (0.42, 60.0),
    "re-ranking ten candidates": (0.731, 59.0),
}
VALUES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
FLAT = (1.0,) * 5
L2 = {
    ("coupled", False): ((0.74, 0.75, 0.70, 0.48, 0.09), (0.99, 0.98, 0.85, 0.55, 0.10)),
    ("decoupled", False): ((0.74, 0.74, 0.741, 0.745, 0.75), FLAT),
    ("coupled", True): ((0.76, 0.76, 0.75, 0.68, 0.45), (0.99, 0.99, 0.97, 0.80, 0.50)),
    ("decoupled", True): ((0.76, 0.76, 0.76, 0.765, 0.77), FLAT),
}


def row(question: str, factor: str, level: str, probe: str, mean: float, **more) -> dict:
    """A row of three seeds, half a point apart."""
    about = {"train_accuracy": more.pop("train", 1.0), "seconds": more.pop("seconds", 12.5)}
    runs = [{"seed": n, "accuracy": mean + 0.005 * (n - 1), **about} for n in range(3)]
    named = {"question": question, "factor": factor, "level": level, "probe": probe}
    return {**named, "baseline": False, "runs": runs, "accuracy": mean, "std": 0.005, **more}


def rows_of_trees(changed: dict | None = None) -> Iterator[dict]:
    for factor, levels in {**COSTS, **(changed or {})}.items():
        for level, lost in levels.items():
            for place, probe in enumerate(PROBES[: 2 if factor == "leaf size" else 5]):
                mean = BASE[probe] - (lost[place] / 100 if lost else 0)
                yield row("trees", factor, level, probe, mean, baseline=lost is None)
    for level, mean in {"200": 0.21, "964": 0.02, "10": 0.88}.items():
        yield row("trees", "classes", level, "catboost", mean, baseline=level == "200")


def rows_of_boosting(formulations: dict = FORMULATIONS) -> Iterator[dict]:
    for level, (mean, seconds) in formulations.items():
        yield row("boosting", "formulation", level, "catboost", mean, seconds=seconds)


def rows_of_l2(lines: dict = L2) -> Iterator[dict]:
    for (kind, norm), (reached, trained) in lines.items():
        for l2, mean, train in zip(VALUES, reached, trained, strict=True):
            level = f"{kind}, {l2:g}" + (" + batch norm" if norm else "")
            about = {"l2": l2, "l2_kind": kind, "batch_norm": norm, "train": train}
            yield row("l2", "L2", level, "mlp", mean, **about)


def all_rows() -> list[dict]:
    return [*rows_of_trees(), *rows_of_boosting(), *rows_of_l2()]


def write(folder: Path, rows: list[dict], **info) -> Path:
    folder.mkdir(parents=True)
    content = {
        "command": "python -m probes.autopsy --runs runs",
        "start": "2026-03-01T10:00:00+00:00",
        "seconds": 2712.0,
        "finished": True,
        "git_commit": "0123456789abcdef",
        "data": {"name": "omniglot", "split": "drawers", "classes": 964, "sha256": "ab" * 32},
        "classes": 200,
        "rows": rows,
    }
    (folder / "autopsy.json").write_text(json.dumps(content | info))
    return folder


@pytest.fixture
def read(tmp_path):
    """Rows as an autopsy that was read."""

    def made(rows, **info) -> Autopsy:
        place = tmp_path / str(len([*tmp_path.iterdir()]))
        return read_autopsy(write(place, list(rows), **info))

    return made


@pytest.fixture
def answered(read):
    """What is found of forests where some factors are changed, or left out."""

    def answer(changed: dict | None = None, without: tuple[str, ...] = ()) -> Forests | None:
        return forests(read(r for r in rows_of_trees(changed) if r["factor"] not in without))

    return answer


def cause_of(found: Forests, name: str):
    return next(cause for cause in found.causes if cause.name == name)


def words(autopsy: Autopsy) -> str:
    blocks = [*autopsy_blocks(autopsy), *autopsy_provenance(autopsy)]
    shown = (b.markdown() if hasattr(b, "markdown") else getattr(b, "words", b) for b in blocks)
    return "\n\n".join(block for block in shown if isinstance(block, str))


# Forests


def test_each_cause_has_its_cost_and_its_verdict_the_costliest_first(answered):
    found = answered()
    assert {cause.name: cause.hurts for cause in found.causes} == {
        "labels mixed": causes.ALL_PROBES,
        "drawings per class: 1": causes.FORESTS_MORE,
        "registration: not centred": MOSTLY_FORESTS,
        "classes: 964": causes.FORESTS_MORE,
        "autoencoder: plain": causes.FORESTS_MORE,
        "code size: 1024": MOSTLY_FORESTS,
        "leaf size: 5": causes.NO_CONTROL,
        "scaling fitted on test": NO_FOREST,
        "autoencoder: warped input": causes.HELPS,
        "views: 10": causes.HELPS,
    }
    points = [cause.cost.points for cause in found.causes]
    assert points == sorted(points, reverse=True)
    costs = cause_of(found, "registration: not centred").costs
    expected = dict(zip(PROBES, (24.1, 23.2, 9.3, 9.0, 10.2), strict=True))
    assert {probe: cost.points for probe, cost in costs.items()} == pytest.approx(expected)


@pytest.mark.parametrize(
    "lda, neighbour, verdict",
    [(11, 12, MOSTLY_FORESTS), (11, 13, causes.FORESTS_MORE), (-5, 23.5, causes.ALL_PROBES)],
)
def test_a_cause_is_judged_by_the_control_that_loses_most(answered, lda, neighbour, verdict):
    lost = (24.1, 23.2, lda, 9.0, neighbour)
    found = answered({"registration": {"centred": None, "not centred": lost}})
    assert cause_of(found, "registration: not centred").hurts == verdict


def test_a_difference_within_two_standard_errors_is_nothing(read):
    rows = list(rows_of_trees({"registration": COSTS["registration"]}))
    for each in rows:
        if each["level"] == "not centred":  # 24 points on average, 74 in one seed, -26 in another
            for run, change in zip(each["runs"], (0.5, 0.0, -0.5), strict=True):
                run["accuracy"] += change
    cause = cause_of(forests(read(rows)), "registration: not centred")
    assert cause.cost.points == pytest.approx(24.1) and cause.hurts == NO_FOREST


def test_levels_are_compared_within_the_seeds_that_both_have(read):
    """Seeds choose the classes, so that theirs differ more than levels do."""
    rows = list(rows_of_trees())
    for each in rows:
        for run, change in zip(each["runs"], (0.2, 0.0, -0.2), strict=True):
            run["accuracy"] += change
        if each["level"] == "not centred":
            del each["runs"][0]
    cause = cause_of(forests(read(rows)), "registration: not centred")
    assert cause.cost.points == pytest.approx(24.1) and cause.hurts == MOSTLY_FORESTS


def test_one_seed_must_show_three_points(read):
    def verdict(points: float) -> str:
        costs = {"registration": {"centred": None, "not centred": (points, 0, 0, 0, 0)}}
        rows = [each | {"runs": each["runs"][:1]} for each in rows_of_trees(costs)]
        return cause_of(forests(read(rows)), "registration: not centred").hurts

    assert (verdict(2.9), verdict(3.1)) == (NO_FOREST, MOSTLY_FORESTS)


def test_what_the_report_left_undone_is_set_against_the_best_it_could_have_done(answered):
    found = answered()
    habits = {cause.name: (cause.instead, cause.cost.points) for cause in found.habits}
    assert habits == {
        "registration: not centred": ("centred", pytest.approx(24.1)),
        "autoencoder: plain": ("warped input", pytest.approx(20.0)),
        "classes: 964": ("200", pytest.approx(15.2)),  # fewer classes cannot be chosen
        "views: 1": ("10", pytest.approx(10.2)),
        "leaf size: 1": ("5", pytest.approx(-3.1)),
    }
    assert [each.factor for each in found.met] == [
        "registration",
        "autoencoder",
        "classes",
        "views",
    ]


def test_a_habit_tells_forests_apart_where_controls_lose_less(answered):
    lost = (24.1, 23.2, 24.0, 9.0, 3.0)
    for costs, told in ((COSTS["registration"]["not centred"], True), (lost, False)):
        found = answered({"registration": {"centred": None, "not centred": costs}})
        assert found.met[0].tells_forests_apart is told


def test_the_rest_of_what_the_report_may_have_met(answered):
    found = answered()
    assert (found.code_size.level, found.code_size.cost.real) == ("1024", True)
    assert (found.drawings.fewer, found.drawings.most) == ("10", "14")
    assert found.drawings.gain.points == pytest.approx(4.4) and found.drawings.gain.real
    assert found.mistake.name == "labels mixed" and found.mistake.costs_controls
    alone = answered({"mistakes": {"none": None, "fitted on test": (50.0, 50.0, 0, 0, 0)}})
    assert not alone.mistake.costs_controls


def test_a_report_that_met_nothing_costly_stays_unexplained(answered):
    flat = {
        factor: {level: lost and (0.2,) * len(lost) for level, lost in levels.items()}
        for factor, levels in COSTS.items()
    }
    found = answered(flat)
    assert not found.met and len(found.habits) == 5 and found.mistake is None
    assert {cause.hurts for cause in found.causes} == {NO_FOREST} and not found.drawings.gain.real


def test_a_factor_that_was_not_measured_is_left_out(answered):
    found = answered(without=("registration", "code size", "mistakes", "drawings per class"))
    assert {cause.factor for cause in found.habits} == {"autoencoder", "classes", "views"} | {
        "leaf size"
    }
    assert found.code_size is found.mistake is found.drawings is None
    assert answered(without=tuple(COSTS)) is None


def test_forests_that_fail_at_the_baseline_too(read):
    rows = list(rows_of_trees())
    for each in rows:
        if each["probe"] in PROBES[:2]:
            each |= {"accuracy": each["accuracy"] / 4, "runs": []}
    assert not forests(read(rows)).learn and forests(read(rows_of_trees())).learn


def test_the_random_forest_stands_in_where_extra_trees_are_missing(read):
    found = forests(read(each for each in rows_of_trees() if each["probe"] != "extra-trees"))
    cause = cause_of(found, "registration: not centred")
    assert found.forest == "random-forest" and cause.cost.points == pytest.approx(23.2)


# Boosting


def boosted(read, formulations: dict = FORMULATIONS, trees: Iterator[dict] | None = None):
    rows = rows_of_trees() if trees is None else trees
    return boosting(read([*rows, *rows_of_boosting(formulations)]))


def test_boosting_fails_and_other_formulations_do_better(read):
    found: Boosting = boosted(read)
    assert found.fails and found.direct.accuracy == pytest.approx(0.041)
    assert found.forest.accuracy == pytest.approx(0.61 - 0.152)  # on as many classes
    assert [each.level for each in found.better] == [*FORMULATIONS][:1:-1]
    assert [each.level for each in found.no_better] == ["all classes, after LDA"]
    assert (found.fewest.level, found.most.level) == ("10", "964")


def test_boosting_as_good_as_a_forest_on_as_many_classes_does_not_fail(read):
    reached = FORMULATIONS | {"all classes at once": (0.43, 60.0)}
    assert not boosted(read, reached).fails
    few = (each for each in rows_of_trees() if each["factor"] != "classes")  # 0.61 is of 200
    found = boosted(read, reached, few)
    assert found.forest is None and found.fails


@pytest.mark.parametrize("gain, real", [(0.09, True), (0.001, False)])
def test_settings_of_catboost_are_judged_by_what_they_gain(read, gain, real):
    levels = {"depth 6": 0.04, "depth 3": 0.04 + gain}
    rows = [
        row("trees", "CatBoost", level, "catboost", mean, baseline=level == "depth 6")
        for level, mean in levels.items()
    ]
    found = boosted(read, trees=rows)
    assert found.setting.level == "depth 3" and found.setting_gain.real is real


def test_iterations_are_those_that_a_note_counts(read):
    notes = {"1 iterations in 30 s": 1, "50 iterations in 5 s": 50, "30 alphabets": 0, "": 0}
    rows = [row("boosting", "f", note, "catboost", 0.1, note=note) for note in notes]
    assert {each.note: iterations(each) for each in read(rows).rows} == notes


# L2


def l2_of(read, changed: dict | None = None) -> L2Answer:
    return l2_answer(l2_lines(read(rows_of_l2({**L2, **(changed or {})}))))


def test_coupled_l2_underfits(read):
    found = l2_of(read)
    assert (found.best.l2, found.strong.l2, found.first_worse.l2) == (1e-5, 1e-2, 1e-4)
    assert found.loss.points == pytest.approx(66.0) and found.underfits
    assert not found.above_seed_report and not found.batch_norm
    assert found.decoupled.cures and not found.normed.cures
    assert found.normed.cost.points == pytest.approx(31.0)


@pytest.mark.parametrize(
    "reached, cures",
    [
        ((0.7, 0.7, 0.5, 0.3, 0.1), False),
        ((0.7, 0.7, 0.7, 0.6, 0.5), False),
        ((0.7, 0.7, 0.7, 0.7, 0.6), True),
        ((0.3, 0.3, 0.5, 0.6, 0.7), True),
    ],
)
def test_another_kind_of_l2_cures_where_little_of_the_cost_is_left(read, reached, cures):
    found = l2_of(read, {("decoupled", False): (reached, FLAT), ("coupled", True): (reached, FLAT)})
    assert found.decoupled.cures is found.normed.cures is cures
    assert found.normed.top.accuracy == max(reached)


def test_l2_that_costs_nothing_and_a_fall_without_underfitting(read):
    assert not l2_of(read, {("coupled", False): ((0.7, 0.7, 0.7, 0.69, 0.7), FLAT)}).loss.real
    assert not l2_of(read, {("coupled", False): ((0.7, 0.7, 0.5, 0.3, 0.1), FLAT)}).underfits
    late = l2_of(read, {("coupled", False): ((0.82, 0.81, 0.815, 0.82, 0.005), FLAT)})
    assert late.above_seed_report and late.first_worse.l2 == 1e-2


def test_l2_is_answered_from_what_there_is(read):
    def alone(line):
        return l2_answer(l2_lines(read(rows_of_l2({line: L2[line]}))))

    found = alone(("coupled", True))
    assert found.batch_norm and found.decoupled is found.normed is None
    assert (
        l2_answer(l2_lines(read(rows_of_l2({("decoupled", True): L2["decoupled", True]})))) is None
    )


# The autopsy of the study


def test_the_autopsy_of_the_study():
    autopsy = read_autopsy(STUDY)
    found, boosted, l2 = forests(autopsy), boosting(autopsy), l2_answer(l2_lines(autopsy))
    met = {cause.name: round(cause.cost.points, 1) for cause in found.met}
    assert met == {"registration: not centred": 27.4, "classes: 964": 21.2, "views: 1": 2.2}
    assert found.learn and boosted.fails and l2.underfits
    assert boosted.better[0].level == "re-ranking ten candidates"
    assert l2.decoupled.cures and not l2.normed.cures


# Table, figures and page


def test_the_table_has_every_level_and_the_csv_every_seed(read):
    rows = all_rows()
    table = measurements(read(rows))
    assert len(table.rows) == len({(each["factor"], each["level"]) for each in rows})
    marked = {(r["factor"], r["level"]) for r in table.rows if r["baseline"]}
    assert marked == {(each["factor"], each["level"]) for each in rows if each["baseline"]}
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    assert len(lines) == 3 * len(rows)
    level = "coupled, 0.001 + batch norm"
    (line,) = [each for each in lines if (each["level"], each["seed"]) == (level, "2")]
    names = ("probe", "l2", "l2_kind", "batch_norm", "mean", "accuracy", "train_accuracy", "std")
    expected = ["mlp", "0.001", "coupled", "True", "0.68", "0.685", "0.8", "0.005"]
    assert [line[name] for name in names] == expected


def test_levels_of_a_factor_stand_together_numbers_by_size(read):
    rows = list(rows_of_trees())
    shown = measurements(read([*rows[::-2], *rows[-2::-2]])).rows
    factors = [each["factor"] for each in shown]
    assert factors == sorted(factors, key=factors.index)
    assert [r["level"] for r in shown if r["factor"] == "classes"] == ["10", "200", "964"]


def test_a_note_on_all_probes_is_printed_once(read):
    rows = [each for each in rows_of_trees() if each["level"] == "not centred"]
    for each in rows:
        each["note"] = "9 of 128 units active" + "; 30 trees" * ("tree" in each["probe"])
    table = measurements(read(rows)).markdown()
    assert table.count("9 of 128 units active") == table.count("extra-trees: 30 trees") == 1


@pytest.mark.parametrize("worst", [12.0, -12.0, 0.0])
def test_numbers_beside_the_bars_stay_in_the_picture(read, worst):
    long = "a level whose name is much longer than any reader would want to read " * 3
    costs = {"mistakes": {"none": None, long: (worst,) * 5, "b": (3.0,) * 5}}
    autopsy = read([*rows_of_trees(costs), *rows_of_boosting()])
    for drawn in (figures.causes(forests(autopsy)), figures.formulations(boosting(autopsy))):
        renderer = FigureCanvasAgg(drawn).get_renderer()
        drawn.draw_without_rendering()
        (axes,) = drawn.axes
        texts = [*axes.texts, *axes.get_yticklabels()]
        boxes = [each.get_window_extent(renderer) for each in texts if each.get_text()]
        width, height = drawn.canvas.get_width_height()
        assert len(boxes) > 3
        assert all(b.x0 >= 0 and b.x1 <= width and b.y0 >= 0 and b.y1 <= height for b in boxes)


def test_no_l2_has_a_place_beside_the_weakest(read):
    axes = figures.l2_curves(l2_lines(read(rows_of_l2()))).axes
    assert [label.get_text() for label in axes[0].get_xticklabels()][:2] == ["0", "1e-05"]
    assert len(axes) == 2 and list(axes[0].get_xticks()) == [0, 1, 2, 3, 4]


def test_an_autopsy_cut_off_anywhere_is_reported(read):
    rows = all_rows()
    for length in (0, 1, 2, 6, 11, 40, 90, len(rows) - 25, len(rows) - 19, len(rows) - 8):
        page = words(read(rows[:length], finished=False))
        assert "not finished" in page and not re.search(r"\bnan\b|\binf\b", page), length


def test_rows_with_holes_are_reported(read):
    rows = all_rows()
    for place, each in enumerate(rows):
        change = {
            0: {"runs": []},
            1: {"accuracy": None, "std": None},
            2: {"accuracy": None, "runs": []},
            3: {"level": None, "std": "?"},
            4: {"runs": [{}, 3, {"seed": None, "accuracy": "x"}]},
            5: {"l2": math.nan, "note": 7, "baseline": "yes", "probe": None},
        }
        each.update(change.get(place % 11, {}))
    page = words(read([*rows, "x", {}], data=None, classes=None, git_commit=None))
    assert "unknown" in page and not re.search(r"\bnan\b|\binf\b", page)


def test_words_of_the_file_cannot_break_the_page(read):
    bad = "a|b <script>\n# x `y`"
    rows = [
        row("trees", bad, "fine", "extra-trees", 0.6, baseline=True),
        row("trees", bad, bad, "extra-trees", 0.3, note=bad),
        row("trees", bad, bad, bad, 0.3),
        row("boosting", "formulation", "all classes at once", "catboost", 0.1),
        row("boosting", "formulation", bad, "catboost", 0.5),
    ]
    page = words(read(rows, command=bad, git_commit=bad))
    assert "<script>" not in re.sub(r"`[^`\n]*`", "", page)  # in code it is no markup
    assert not re.search(r"^# x", page, re.MULTILINE)


# Reading


@pytest.mark.parametrize(
    "content",
    ['{"rows": [', "[1]", '{"rows": 3, "start": "2026-03-01"}', '{"rows": []}', "[" * 100_000],
)
def test_a_broken_autopsy_is_skipped_in_one_line(tmp_path, content):
    broken = write(tmp_path / "runs/broken", [])
    (broken / "autopsy.json").write_text(content)
    with pytest.raises(RunError) as error:
        read_autopsy(broken)
    assert "\n" not in str(error.value)
    good = write(tmp_path / "runs/good", list(rows_of_l2()))
    found, skipped = find_autopsies(tmp_path / "runs")
    assert [each.name for each in found] == [good.name]
    assert [each.name for each in skipped] == ["broken"]


def test_the_newest_autopsy_comes_first(tmp_path):
    write(tmp_path / "a", [], start="2026-03-02T09:00:00+02:00")
    write(tmp_path / "b", [], start="2026-03-02T08:00:00")  # no zone: UTC
    assert [each.name for each in find_autopsies(tmp_path)[0]] == ["b", "a"]


def test_an_autopsy_alone_is_reported(tmp_path):
    folder = write(tmp_path / "runs/autopsy", all_rows())
    page = report_page(folder)
    assert page == report_page(folder.parent)
    assert {*re.findall(r"\]\(autopsy/([\w-]+)\.\w+\)", page)} == {
        *("causes", "boosting", "l2", "measurements")
    }
