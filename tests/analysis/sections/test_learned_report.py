"""The report's part on what autoencoders learned, on made-up run folders."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest

from analysis.figures import learned as figures
from analysis.measure import learned as measured
from analysis.measure.learned import BETTER, NEITHER, NO, NOT_SHOWN, UNKNOWN, WORSE, YES
from analysis.page.blocks import Block, Picture
from analysis.page.sections.learned import learned_blocks
from analysis.read import gallery
from analysis.read.pictures import read_examples
from analysis.read.runs import Run, Skipped, read_run, winners
from analysis.read.values import RunError
from analysis.tables.learned import codes_table, question_table
from analysis.tables.writing.table import Table
from tests.analysis.run_folders import write_autoencoders

PICTURES = ["samples", "interpolations", "code-spread", "code-map", "error-and-accuracy"]


def write_gallery(folder: Path, kinds: int = 10, drawings: int = 200) -> Path:
    """Adds made-up arrays of `probes.gallery` to the examples of each winner."""
    draws = np.random.default_rng(0)
    for path in sorted((folder / "best").glob("*/examples.npz")):
        with np.load(path) as archive:
            kept = dict(archive)
        inputs = (kept["inputs"] * 255).astype(np.uint8)
        ends = inputs[:8].reshape(4, 2, 28, 28)
        way = np.linspace(0, 1, 9)[None, :, None, None]
        of_kind = draws.integers(0, kinds, drawings)
        kept |= {
            "samples": inputs[::-1],
            "interpolations": (ends[:, :1] * (1 - way) + ends[:, 1:] * way).astype(np.uint8),
            "interpolation_ends": ends,
            "code_spread": np.linspace(2, 0, int(path.parent.name), dtype=np.float32),
            "map": (draws.normal(0, 4, (drawings, 2)) + 9 * np.c_[of_kind, of_kind % 3]).astype(
                np.float32
            ),
            "map_kinds": of_kind.astype(np.int16),
            "map_names": np.array([f"Alphabet_of_the_(number)_{kind}" for kind in range(kinds)]),
        }
        np.savez_compressed(path, **kept)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return write_gallery(write_autoencoders(tmp_path_factory.mktemp("runs") / "ae", trials=12))


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """A copy of it, to be changed."""
    return copytree(made, tmp_path / "ae")


def blocks_of(folder: Path) -> list[Block]:
    return list(learned_blocks(read_run(folder)))


def names(blocks: list[Block], kind: type) -> list[str]:
    return [block.name for block in blocks if isinstance(block, kind)]


def spoil(folder: Path, size: int, **arrays: np.ndarray | None) -> None:
    """Puts other arrays in the place of those of a size's examples; None takes one out."""
    path = folder / "best" / str(size) / "examples.npz"
    with np.load(path) as archive:
        kept = {**archive, **arrays}
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})


def trials(errors: list[float], accuracies: list[float], complete: int | None = None) -> dict:
    n = len(errors)
    return {
        "best_validation_mse": errors,
        "best_probe_accuracy": accuracies,
        "latent_size": [128] * n,
        "state": ["complete" if complete is None or i < complete else "pruned" for i in range(n)],
        "id": [f"trial_{i:05d}" for i in range(n)],
        "number": [*range(n)],
        "preset": ["sampled"] * n,
    }


def with_trials(folder: Path, columns: dict) -> Run:
    pd.DataFrame(columns).to_csv(folder / "trials.csv", index=False)
    (folder / "final.json").unlink(missing_ok=True)
    return read_run(folder)


def test_everything_is_shown_in_order(made):
    blocks = blocks_of(made)
    sizes = [f"reconstructions-{size}" for size in (1024, 128, 32)]
    assert names(blocks, Picture) == [*sizes, *PICTURES, "error-by-active-units"]
    assert names(blocks, Table) == ["codes", "error-and-accuracy"]
    assert not names(blocks, Skipped)
    widths = {b.name: b.figure.get_size_inches()[0] for b in blocks if isinstance(b, Picture)}
    assert max(widths[name] for name in PICTURES) <= 8


def test_statistics_are_those_of_the_winners_trial_and_of_the_spread(made):
    run = read_run(made)
    chosen = winners(run)
    trial = run.trials["id"] == chosen[128].trial
    run.trials.loc[trial, ["best_active_fraction", "best_effective_rank"]] = 0.25, 12.34
    found = measured.codes(run, chosen, {128: np.array([3.0, *[1.0] * 10])})[1]
    assert (found.size, found.active_units, found.effective_rank) == (128, 32, 12.34)
    assert (found.largest_deviation, found.median_deviation) == (3, 1)
    assert found.widest_units == 2 and found.widest_share == pytest.approx(10 / 19)
    assert codes_table([found]).rows[0]["active_units"] == 32


def test_rank_correlations_are_of_complete_and_of_all_trials(folder):
    errors = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.5]
    run = with_trials(folder, trials(errors, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.99], complete=6))
    found = measured.question(run, {})
    (row,) = found.by_size
    assert (row.complete.value, row.complete.trials, row.all.trials) == (pytest.approx(-1), 6, 7)
    assert row.all.value == pytest.approx(-0.25)
    assert row.complete.high < 0 < row.all.high
    assert (row.lowest_mse, row.lowest_accuracy) == (0.01, 0.9)
    assert (row.highest_mse, row.highest_accuracy) == (0.5, 0.99)
    assert found.costliest.cost == pytest.approx(0.09) and found.pooled is None
    assert question_table(found).rows[0]["complete_n"] == 6


@pytest.mark.parametrize(
    "accuracies, verdict, overall",
    [
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], BETTER, YES),
        ([0.4, 0.5, 0.6, 0.7, 0.8, 0.9], WORSE, NO),
        ([0.5, 0.9, 0.4, 0.8, 0.6, 0.7], NEITHER, NOT_SHOWN),
        ([0.5] * 6, UNKNOWN, UNKNOWN),
        ([0.9, 0.8, 0.7, 0.6], UNKNOWN, UNKNOWN),
    ],
)
def test_the_answer_follows_from_the_numbers(folder, accuracies, verdict, overall):
    errors = [0.01 * (place + 1) for place in range(len(accuracies))]
    run = with_trials(folder, trials(errors, accuracies))
    found = measured.question(run, {})
    assert (found.by_size[0].verdict, found.verdict) == (verdict, overall)
    assert list(learned_blocks(run))


def test_trials_that_diverged_or_lack_a_figure_are_left_out_and_counted(folder):
    columns = trials([0.01, 0.02, 0.03, 0.04], [0.9, 0.8, float("nan"), 0.7])
    columns["state"][3] = "diverged"
    found = measured.question(with_trials(folder, columns), {})
    assert (len(found.trials), found.left_out) == (2, 2)


def test_a_folder_of_an_older_version_says_what_makes_the_pictures(tmp_path):
    blocks = blocks_of(write_autoencoders(tmp_path / "old", trials=12))
    skipped = [block for block in blocks if isinstance(block, Skipped)]
    assert [block.name for block in skipped] == [
        f"{name}.png, code 1024, 128, 32" for name in PICTURES[:-1]
    ]
    assert all("--resume" in block.reason for block in skipped)


def test_a_validation_split_too_small_for_a_map_is_not_called_old(folder):
    spoil(folder, 128, map=None, map_kinds=None, map_names=None)
    with pytest.raises(RunError, match="too few drawings"):
        gallery.read_map(read_run(folder), 128)


@pytest.mark.parametrize(
    "read, arrays",
    [
        (read_examples, {"inputs": np.zeros((4, 9))}),
        (gallery.read_samples, {"samples": np.zeros((16, 28, 27), np.uint8)}),
        (gallery.read_samples, {"samples": np.array([{}], dtype=object)}),
        (gallery.read_samples, {"samples": np.array(["ink"])}),
        (gallery.read_interpolations, {"interpolations": np.zeros((4, 1, 28, 28))}),
        (gallery.read_interpolations, {"interpolations": np.float64(1)}),
        (gallery.read_interpolations, {"interpolation_ends": np.zeros((3, 2, 28, 28))}),
        (gallery.read_spread, {"code_spread": np.array([1, np.nan])}),
        (gallery.read_spread, {"code_spread": np.zeros(0)}),
        (gallery.read_spread, {"code_spread": np.array([-1.0])}),
        (gallery.read_map, {"map": np.full((200, 2), np.inf)}),
        (gallery.read_map, {"map": np.zeros((200, 3))}),
        (gallery.read_map, {"map_kinds": np.full(200, 10)}),
        (gallery.read_map, {"map_kinds": np.zeros(199, int)}),
        (gallery.read_map, {"map_names": np.arange(10)}),
        (gallery.read_map, {"map_names": np.array(["a"] * 10, dtype=object)}),
    ],
)
def test_unusable_arrays_are_refused(folder, read, arrays):
    spoil(folder, 128, **arrays)
    with pytest.raises(RunError, match=r"best/128/examples\.npz cannot be read"):
        read(read_run(folder), 128)


def test_what_cannot_be_read_is_named_and_the_rest_shown(folder):
    spoil(folder, 128, samples=np.zeros(3))
    (folder / "best/32/examples.npz").unlink()
    blocks = blocks_of(folder)
    assert names(blocks, Skipped) == [
        "reconstructions-32.png",
        "samples.png, code 128",
        *(f"{name}.png, code 32" for name in PICTURES[:-1]),
    ]
    assert set(PICTURES) <= set(names(blocks, Picture))


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", b"PK\x03\x04 broken", "half", "an array", "foreign"],
)
def test_a_broken_file_is_refused(folder, content):
    path = folder / "best/128/examples.npz"
    if content == "half":
        content = path.read_bytes()[: path.stat().st_size // 2]
    elif content == "an array":
        np.save(buffer := io.BytesIO(), np.zeros(3))
        content = buffer.getvalue()
    elif content == "foreign":
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("samples.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8'}")
        content = buffer.getvalue()
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"best/128/examples\.npz"):
        gallery.read_samples(read_run(folder), 128)


def test_missing_columns_are_holes(folder):
    frame = pd.read_csv(folder / "trials.csv")
    gone = [name for name in frame if name.startswith("best_") and name != "best_validation_mse"]
    frame.drop(columns=gone).to_csv(folder / "trials.csv", index=False)
    run = read_run(folder)
    assert names(list(learned_blocks(run)), Skipped) == ["error-and-accuracy.png"]
    assert measured.question(run, winners(run)).verdict == UNKNOWN
    assert not any(
        np.isfinite(each.effective_rank) for each in measured.codes(run, winners(run), {})
    )


def test_many_kinds_and_drawings_in_one_point_are_drawn():
    kinds = tuple(f"kind {number}" for number in range(20))
    one = gallery.CodeMap(np.zeros((20, 2)), np.arange(20), kinds)
    assert len(figures.maps({128: one}).legends[0].get_texts()) == 14
