"""The page in a real browser: what the part "Explore" does, and what the page asks for.

Skipped where there is no Chromium; `.ci/run` installs it where it may.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import report
from analysis.page import document, html
from analysis.page.explore import data_of, explore_blocks
from analysis.page.sections.autoencoders import autoencoder_curves
from analysis.read.runs import read_run
from tests.analysis.run_folders import write_autoencoders, write_classifiers

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)

TRIALS = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Two runs, and a page of the parts that the script and the style sheet are about."""
    home = tmp_path_factory.mktemp("page")
    write_autoencoders(home / "runs/ae", trials=TRIALS, pictures=False)
    write_classifiers(home / "runs/classes", trials=8)
    runs = [read_run(home / "runs/ae"), read_run(home / "runs/classes")]
    blocks = {"Explore": explore_blocks(runs), "The search": autoencoder_curves(runs[0])}
    parts = [(title, [("f", each) for each in part]) for title, part in blocks.items()]
    markdown, files = document.written(parts)
    (home / "report.html").write_text(html.render(markdown, files, data_of(runs)))
    return home


@pytest.fixture(scope="module")
def trials(home) -> list[dict[str, str]]:
    with (home / "runs/ae/trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser, home) -> Iterator[Any]:
    """Opens the page; at the end no error was written and nothing was asked for."""
    contexts, faults = [], []

    def opened(width: int = 1280, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                faults.append(request.url)
                if not request.url.startswith(("file:", "data:"))
                else None
            ),
        )
        page.goto((home / "report.html").as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def shown(page) -> list[int]:
    """The numbers of the trials in the table, in its order."""
    show_all = page.get_by_role("button", name=re.compile("^Show all .* rows"))
    if show_all.count():
        show_all.click()
    return [int(words) for words in page.locator(".trials tbody td:first-child").all_inner_texts()]


def drag(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def settle(page) -> None:
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def test_a_click_on_a_column_sorts_by_it_and_another_turns_the_order(open_page, trials):
    page = open_page()
    by_depth = [float(trial["depth"]) for trial in trials]
    page.locator("#explore-columns summary").click()
    page.get_by_label("depth", exact=True).check()
    header = page.locator("th", has=page.locator("[data-sort=depth]"))
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert [by_depth[number] for number in shown(page)] == sorted(by_depth)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [by_depth[number] for number in shown(page)] == sorted(by_depth, reverse=True)


def test_text_and_ranges_filter_by_keyboard_alone(open_page, trials):
    page = open_page()
    page.locator("#explore-text").focus()
    page.keyboard.type("sae")
    settle(page)
    presets = {int(t["number"]) for t in trials if "sae" in t["preset"]}
    assert set(shown(page)) == presets
    page.locator("#explore-clear").press("Enter")
    page.locator("#explore-ranges summary").press("Enter")
    low = page.locator("fieldset[data-key=depth] input").first
    low.focus()
    page.keyboard.type("6")
    page.keyboard.press("Tab")
    settle(page)
    assert set(shown(page)) == {int(t["number"]) for t in trials if float(t["depth"]) >= 6}
    page.locator("fieldset[data-key=state]").get_by_label("pruned").press("Space")
    settle(page)
    left = [t for t in trials if float(t["depth"]) >= 6 and t["state"] != "pruned"]
    assert set(shown(page)) == {int(t["number"]) for t in left}
    page.locator(".trials tbody button").first.press("Enter")
    first = page.locator(".trials tbody button").first.inner_text()
    assert page.locator(".trial h3").inner_text() == f"Trial {first}"


def test_a_brush_on_an_axis_selects_in_every_view_and_a_click_drops_it(open_page, trials):
    page = open_page()
    axis = page.locator("[data-axis=activation]")
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    middle = box["x"] + box["width"] / 2
    drag(page, (middle, box["y"] + 2), (middle, box["y"] + 60))  # the upper end: the last choice
    wanted = {int(t["number"]) for t in trials if t["activation"] == "silu"}
    assert 0 < len(wanted) < TRIALS and set(shown(page)) == wanted
    for chart, hidden in (("parallel", "out"), ("curves", "gone"), ("scatter", "out")):
        drawn = page.locator(f"#explore-{chart} [data-trial]:not(.{hidden})")
        numbers = {int(n) for n in drawn.evaluate_all("all => all.map((e) => e.dataset.trial)")}
        assert numbers == wanted
    boxes = page.locator("fieldset[data-key=activation] input")
    assert [boxes.nth(turn).is_checked() for turn in range(3)] == [False, False, True]
    axis.click()
    settle(page)
    assert len(shown(page)) == TRIALS


def test_a_box_in_the_scatter_plot_selects_by_both_its_sides(open_page, trials):
    page = open_page()
    area = page.locator("#explore-scatter .area")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    x, y = box["x"], box["y"]
    drag(page, (x + 2, y + box["height"] / 2), (x + box["width"] / 2, y + box["height"] - 2))
    numbers = shown(page)
    assert 0 < len(numbers) < TRIALS
    rates = sorted(float(t["learning_rate"]) for t in trials)
    middle = (rates[0] * rates[-1]) ** 0.5
    assert all(float(trials[n]["learning_rate"]) <= 1.1 * middle for n in numbers)
    left_out = [t for t in trials if int(t["number"]) not in numbers]
    best = max(float(trials[n]["best_validation_mse"]) for n in numbers)
    cheaper = [t for t in left_out if float(t["best_validation_mse"] or 9) < best]
    assert all(float(t["learning_rate"]) >= 0.9 * middle for t in cheaper)


def test_the_best_of_a_code_size_are_one_click_away(open_page, trials):
    page = open_page()
    button = page.locator("[data-top='128']")
    button.click()
    settle(page)
    of_size = [t for t in trials if t["latent_size"] == "128" and t["best_validation_mse"]]
    of_size = [t for t in of_size if t["state"] not in ("error", "diverged")]
    of_size.sort(key=lambda t: float(t["best_validation_mse"]))
    assert shown(page) == [int(t["number"]) for t in of_size[:5]]
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    settle(page)
    assert len(shown(page)) == TRIALS


def test_hovering_tells_the_trial_and_marks_it_in_every_view(open_page):
    page = open_page()
    dot = page.locator("#explore-scatter circle").last
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hint = page.locator(".hint")
    assert hint.is_visible()
    number = re.match(r"Trial (\d+) ", hint.inner_text())[1]
    marked = page.locator(".hot").evaluate_all("all => all.map((e) => e.dataset.trial)")
    assert len(marked) >= 3 and set(marked) == {number}


def test_configuration_and_command_of_a_trial_are_copied(open_page, trials):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.locator("[data-top='32']").click()
    settle(page)
    page.locator(".trials tbody button").first.click()
    trial = trials[shown(page)[0]]
    page.get_by_role("button", name="Copy configuration").click()
    page.get_by_text("The configuration is copied.").wait_for()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["latent_size"] == 32
    assert copied["learning_rate"] == float(trial["learning_rate"])
    page.get_by_role("button", name="Copy command").click()
    page.get_by_text("The command is copied.").wait_for()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:3] == ["python", "-m", "search.autoencoders"]
    assert words[-2:] == ["--num-samples", "1"]
    assert words[words.index("--latent-sizes") + 1] == "32"
    fixed = dict(word.split("=") for word in words[words.index("--set") + 1 : -2])
    assert float(fixed["l1"]) == float(trial["l1"])
    assert fixed["activation"] == trial["activation"]
    assert fixed["linear_path"] == trial["linear_path"].lower() and "latent_size" not in fixed


def test_another_search_of_the_page_is_one_choice_away(open_page):
    page = open_page()
    page.locator("#explore-run").select_option(index=1)
    assert len(shown(page)) == 8
    assert page.locator("[data-axis=label_smoothing]").count() == 1


def test_the_page_is_light_and_dark_as_the_reader_wants(open_page):
    def brightness(page) -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert brightness(open_page(color_scheme="light")) > 700
    assert brightness(open_page(color_scheme="dark")) < 150


def test_pictures_stand_in_the_place_of_the_tools_on_paper_and_without_a_script(open_page):
    screen, still = open_page(), open_page(java_script_enabled=False)
    assert screen.locator(".explore").is_visible()
    assert not screen.locator(".picture.still").first.is_visible()
    screen.locator("#explore-pictures").check()
    assert screen.locator(".picture.still").first.is_visible()
    screen.locator("#explore-pictures").uncheck()
    screen.emulate_media(media="print")
    for page in (screen, still):
        assert page.locator(".explore:visible").count() == 0
        assert page.locator("#explore").is_visible()
        assert page.locator(".picture.still").first.is_visible()


def test_nothing_is_wider_than_a_telephone(open_page):
    page = open_page(width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("[data-top='1024']").click()
    settle(page)
    assert len(shown(page)) == 5


def test_every_control_has_a_name_that_a_screen_reader_says(open_page):
    page = open_page()
    page.locator("#explore-ranges summary").click()
    page.locator("#explore-columns summary").click()
    nameless = page.evaluate("""() => [
      ...document.querySelectorAll(".explore :is(button, input, select, summary, [role], svg)")
    ].filter((each) => !(each.getAttribute("aria-label") || each.innerText
      || (each.labels && each.labels[0] && each.labels[0].innerText)
      || each.getAttribute("role") === "status")).map((each) => each.outerHTML)""")
    assert nameless == []
    tree = page.locator(".explore").aria_snapshot()
    for said in ('searchbox "Filter"', 'checkbox "pruned"', 'button "code 128"', "img "):
        assert said in tree


@pytest.mark.slow
def test_a_page_of_500_trials_opens_in_a_second_and_answers_in_a_tenth(browser, tmp_path):
    write_autoencoders(tmp_path / "runs/many", trials=500, epochs=27, pictures=False)
    assert report.main(["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    file = tmp_path / "out/report.html"
    assert file.stat().st_size < 6e6
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(file.as_uri())
    opened = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    answers = {}
    for ranges in ("closed", "open"):
        page.evaluate(
            "open => { document.getElementById('explore-ranges').open = open }", ranges == "open"
        )
        answers[f"a range, fields {ranges}"] = page.evaluate(CHANGE_A_RANGE)
        for axis in ("learning_rate", "best"):
            answers[f"a brush on {axis}, fields {ranges}"] = brush(page, axis)
            page.locator("#explore-clear").click()
    page.close()
    medians = {name: round(statistics.median(found)) for name, found in answers.items()}
    print(f"opened in {opened:.0f} ms; medians of the answers, ms: {medians}")
    brushes = [median for name, median in medians.items() if name.startswith("a brush")]
    assert opened < 1000 and max(brushes) < 100


CHANGE_A_RANGE = """async () => {
  const field = document.querySelector("fieldset[data-key=depth] input"), found = [];
  for (let turn = 0; turn < 15; turn += 1) {
    await new Promise((done) => requestAnimationFrame(done));
    const start = performance.now();
    field.value = 2 + (turn % 5);
    field.dispatchEvent(new Event("change"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    found.push(performance.now() - start);
  }
  return found;
}"""
TIME_MOVES = """() => {
  if (!window.answers) addEventListener("pointermove", () => {
    const start = performance.now();
    requestAnimationFrame(() => setTimeout(() => window.answers.push(performance.now() - start)));
  }, { capture: true });
  window.answers = [];
}"""


def brush(page, axis: str) -> list[float]:
    """Drag down an axis in 20 moves; the milliseconds from each until its answer is laid out."""
    target = page.locator(f"[data-axis={axis}]")
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 4
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(TIME_MOVES)
    for move in range(1, 21):
        page.mouse.move(x, y + move * (box["height"] - 40) / 20)
        settle(page)  # as a browser gives a page at most one move for each frame
    page.mouse.up()
    return page.evaluate("window.answers")
