"""The report's part on what autoencoders learned, on made-up run folders."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.figures import learned as learned_figures
from analysis.figures import style as figures
from analysis.page.blocks import Block, Heading, Picture
from analysis.page.sections import learned
from analysis.page.sections.learned import answer, code_statistics, correlations, learned_blocks
from analysis.read.runs import RunError, Skipped, read_run, winners
from analysis.tables.frames import Table
from tests.analysis.test_analysis import write_run

PICTURES = ["samples", "interpolations", "code-spread", "code-map", "error-and-accuracy"]


def write_gallery(folder: Path, kinds: int = 10, drawings: int = 200) -> Path:
    """Adds made-up arrays of `probes.gallery` to the examples of each winner."""
    draws = np.random.default_rng(0)
    for place in sorted((folder / "best").iterdir()):
        with np.load(place / "examples.npz") as archive:
            kept = dict(archive)
        inputs = (kept["inputs"] * 255).astype(np.uint8)
        ends = inputs[:8].reshape(4, 2, 28, 28)
        way = np.linspace(0, 1, 9)[None, :, None, None]
        of_kind = draws.integers(0, kinds, drawings)
        kept |= {
            "samples": inputs[::-1],
            "interpolations": (ends[:, :1] * (1 - way) + ends[:, 1:] * way).astype(np.uint8),
            "interpolation_ends": ends,
            "code_spread": np.linspace(2, 0, int(place.name), dtype=np.float32),
            "map": (draws.normal(0, 4, (drawings, 2)) + 9 * np.c_[of_kind, of_kind % 3]).astype(
                np.float32
            ),
            "map_kinds": of_kind.astype(np.int16),
            "map_names": np.array([f"Alphabet_of_the_(number)_{kind}" for kind in range(kinds)]),
        }
        np.savez_compressed(place / "examples.npz", **kept)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return write_gallery(write_run(tmp_path_factory.mktemp("runs") / "ae", trials=40))


def blocks_of(folder: Path) -> list[Block]:
    run = read_run(folder)
    return list(learned_blocks(run, winners(run)))


def names(blocks: list[Block], kind: type) -> list[str]:
    return [block.name for block in blocks if isinstance(block, kind)]


def words(blocks: list[Block]) -> str:
    return "\n".join(block for block in blocks if isinstance(block, str))


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


def with_trials(folder: Path, columns: dict) -> Path:
    pd.DataFrame(columns).to_csv(folder / "trials.csv", index=False)
    (folder / "final.json").unlink(missing_ok=True)
    return folder


def test_everything_is_shown_in_order(good):
    blocks = blocks_of(good)
    sizes = [f"reconstructions-{size}" for size in (1024, 128, 32)]
    assert names(blocks, Picture) == [*sizes, *PICTURES]
    assert names(blocks, Table) == ["codes", "error-and-accuracy"]
    assert not names(blocks, Skipped)
    assert all(block.words.startswith("#### ") for block in blocks if isinstance(block, Heading))
    assert "t-SNE (van der Maaten and Hinton 2008)" in words(blocks)
    widths = {b.name: b.figure.get_size_inches()[0] for b in blocks if isinstance(b, Picture)}
    assert max(widths[name] for name in PICTURES) <= 8


def test_the_same_folder_gives_the_same_bytes(good):
    first, again = (
        [figures.png(block.figure) for block in blocks_of(good) if isinstance(block, Picture)]
        for _ in range(2)
    )
    assert first == again


def test_statistics_are_those_of_the_winners_trial_and_of_the_spread(good):
    run = read_run(good)
    run.trials.loc[run.trials["id"] == winners(run)[128].trial, "best_active_fraction"] = 0.25
    run.trials.loc[run.trials["id"] == winners(run)[128].trial, "best_effective_rank"] = 12.34
    units = np.array([3.0, *[1.0] * 10])
    row = code_statistics(run, winners(run), {128: units}).rows[1]
    assert (row["latent_size"], row["active_units"], row["effective_rank"]) == (128, 32, 12.34)
    assert (row["largest_deviation"], row["median_deviation"]) == (3, 1)
    assert row["widest_units"] == 2 and row["widest_share"] == pytest.approx(10 / 19)


def test_rank_correlations_are_of_complete_and_of_all_trials(tmp_path):
    errors = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.5]
    folder = with_trials(
        write_run(tmp_path / "ae"), trials(errors, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.99], complete=6)
    )
    (row,) = correlations(read_run(folder)).rows
    assert (row["complete"], row["complete_n"], row["all_n"]) == (pytest.approx(-1), 6, 7)
    assert row["all"] == pytest.approx(-0.25)
    assert row["complete_high"] < 0 < row["all_high"]
    assert (row["lowest_mse"], row["lowest_accuracy"]) == (0.01, 0.9)
    assert (row["highest_mse"], row["highest_accuracy"]) == (0.5, 0.99)


@pytest.mark.parametrize(
    "accuracies, said",
    [
        (
            [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
            "one that can be judged, the lower error goes with better codes",
        ),
        ([0.4, 0.5, 0.6, 0.7, 0.8, 0.9], "the lower error goes with worse codes"),
        ([0.5, 0.9, 0.4, 0.8, 0.6, 0.7], "one that can be judged, neither goes with the other"),
        ([0.5] * 6, "cannot be judged"),
        ([0.9, 0.8, 0.7, 0.6], "cannot be judged"),
    ],
)
def test_the_answer_follows_from_the_numbers(tmp_path, accuracies, said):
    errors = [0.01 * (place + 1) for place in range(len(accuracies))]
    folder = with_trials(write_run(tmp_path / "ae"), trials(errors, accuracies))
    assert said in answer(correlations(read_run(folder)))


def test_trials_that_diverged_or_lack_a_figure_are_left_out_and_counted(tmp_path):
    columns = trials([0.01, 0.02, 0.03, 0.04], [0.9, 0.8, float("nan"), 0.7])
    columns["state"][3] = "diverged"
    folder = with_trials(write_run(tmp_path / "ae"), columns)
    assert "Left out: 2 trials that diverged, failed or lack a figure." in words(blocks_of(folder))
    assert len(learned.measured_trials(read_run(folder), {})) == 2


def test_a_folder_of_an_older_version_says_what_makes_the_pictures(tmp_path):
    blocks = blocks_of(write_run(tmp_path / "old", trials=40))
    skipped = [block for block in blocks if isinstance(block, Skipped)]
    assert [block.name for block in skipped] == [
        f"{name}.png, code 1024, 128, 32" for name in PICTURES[:-1]
    ]
    assert all(
        block.reason.startswith("made by an older version; python -m search.autoencoders")
        and "--resume" in block.reason
        for block in skipped
    )


def test_a_validation_split_too_small_for_a_map_is_not_called_old(tmp_path):
    folder = write_gallery(write_run(tmp_path / "small"))
    spoil(folder, 128, map=None, map_kinds=None, map_names=None)
    with pytest.raises(RunError, match="too few drawings"):
        learned.read_map(read_run(folder), 128)


@pytest.mark.parametrize(
    "read, arrays",
    [
        ("samples", {"samples": np.zeros((16, 28, 27), np.uint8)}),
        ("samples", {"samples": np.array([{}], dtype=object)}),
        ("samples", {"samples": np.array(["ink"])}),
        ("interpolations", {"interpolations": np.zeros((4, 1, 28, 28))}),
        ("interpolations", {"interpolations": np.float64(1)}),
        ("interpolations", {"interpolation_ends": np.zeros((3, 2, 28, 28))}),
        ("spread", {"code_spread": np.array([1, np.nan])}),
        ("spread", {"code_spread": np.zeros(0)}),
        ("spread", {"code_spread": np.array([-1.0])}),
        ("map", {"map": np.full((200, 2), np.inf)}),
        ("map", {"map": np.zeros((200, 3))}),
        ("map", {"map_kinds": np.full(200, 10)}),
        ("map", {"map_kinds": np.zeros(199, int)}),
        ("map", {"map_names": np.arange(10)}),
        ("map", {"map_names": np.array(["a"] * 10, dtype=object)}),
    ],
)
def test_unusable_arrays_are_refused(tmp_path, read, arrays):
    folder = write_gallery(write_run(tmp_path / "ae"))
    spoil(folder, 128, **arrays)
    with pytest.raises(RunError, match=r"best/128/examples\.npz cannot be read"):
        getattr(learned, f"read_{read}")(read_run(folder), 128)


def test_what_cannot_be_read_is_named_and_the_rest_shown(tmp_path):
    folder = write_gallery(write_run(tmp_path / "ae"))
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
def test_a_broken_file_is_refused(tmp_path, content):
    folder = write_gallery(write_run(tmp_path / "ae"))
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
        learned.read_samples(read_run(folder), 128)


@pytest.mark.parametrize("count, state", [(1, "running"), (2, "finished")])
def test_few_trials_are_enough(tmp_path, count, state):
    blocks = blocks_of(write_gallery(write_run(tmp_path / "ae", trials=count, state=state)))
    assert set(PICTURES) <= set(names(blocks, Picture))
    for block in blocks:
        if isinstance(block, Picture):
            assert figures.png(block.figure).startswith(b"\x89PNG")


def test_a_run_without_any_trial_is_said_to_have_none(tmp_path):
    folder = write_run(tmp_path / "ae", state="running")
    for name in ("trials.csv", "epochs.csv"):
        (folder / name).write_text("")
    assert blocks_of(folder) == [
        "No trial has been measured yet, so there is no autoencoder to look at."
    ]


def test_missing_columns_are_holes(tmp_path):
    folder = write_gallery(write_run(tmp_path / "ae"))
    frame = pd.read_csv(folder / "trials.csv")
    gone = [name for name in frame if name.startswith("best_") and name != "best_validation_mse"]
    frame.drop(columns=gone).to_csv(folder / "trials.csv", index=False)
    blocks = blocks_of(folder)
    assert names(blocks, Skipped) == ["error-and-accuracy.png"]
    assert "cannot be judged" in words(blocks) and "no effective rank is recorded" in words(blocks)


def test_many_kinds_and_drawings_of_one_place_are_drawn():
    kinds = tuple(f"kind {number}" for number in range(20))
    one = learned_figures.CodeMap(np.zeros((20, 2)), np.arange(20), kinds)
    figure = learned_figures.maps({128: one})
    assert len(figure.legends[0].get_texts()) == 14
