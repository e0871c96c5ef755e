"""Frechet classifier distances: what final.json has of them, and their table."""

from __future__ import annotations

from dataclasses import replace

from analysis.measure.frechet import SETS, frechet
from analysis.page.sections.frechet import frechet_blocks
from analysis.read.runs import Result, read_run
from analysis.tables.frechet import distance_table
from analysis.tables.writing.table import Table
from tests.analysis.run_folders import write_autoencoders


def winner(*values: float, sha256: str = "ab" * 32, warning: str = "") -> Result:
    """With distances of the reconstructions, the two samples and the floor."""
    classifier = {"source": "a run", "data": "mnist5k", "validation_accuracy": 0.966}
    distances = {
        name: {
            "frechet": value,
            "low": value - 2.5,
            "high": value + 3.5,
            "kernel": value / 200,
            "images": 500,
            "rank": 250,
            "dimensions": 256,
            "warning": warning if name == "gaussian" else "",
        }
        for name, value in zip(SETS, values, strict=False)
    }
    entry = {"classifier": {**classifier, "sha256": sha256}, "distances": distances}
    return Result(entry={"frechet_classifier_distance": entry})


def test_distances_are_those_of_final_json_beside_their_floor():
    found = frechet({128: winner(44.4, 72.9, 74.6, 5.3, warning="rank 250")})
    (row,) = distance_table(found).rows
    assert (row["reconstructions_kernel"], row["images"]) == (0.222, 500)
    (line,) = distance_table(found).markdown().splitlines()[2:]
    assert line == (
        "| 128 | 44.4 [41.9, 47.9] | 72.9 [70.4, 76.4] | 74.6 [72.1, 78.1] | 5.3 [2.8, 8.8] "
        "| 500 | 250 of 256 |"
    )
    assert found.warnings == {"rank 250": [(128, "gaussian")]} and not found.missing


def test_code_sizes_of_different_classifiers_are_kept_apart():
    chosen = {
        1024: winner(1, 2, 3, 4, sha256="aa"),
        128: winner(1, 2, 3, 4, sha256="bb"),
        64: winner(1, 2, 3, 4, sha256="aa"),
        32: Result(),
    }
    found = frechet(chosen)
    sizes = [[row["latent_size"] for row in rows] for rows in found.by_classifier]
    assert sizes == [[1024, 64], [128]] and found.missing == [32]


def test_what_is_no_number_is_a_hole():
    entry = {"distances": {"floor": {"frechet": "high"}, "gaussian": 3}}
    found = frechet({32: Result(entry={"frechet_classifier_distance": entry})})
    assert found.missing == [32] and found.frame["images"].isna().all()


def test_a_run_is_reported_with_and_without_distances(tmp_path):
    run = read_run(write_autoencoders(tmp_path / "run", trials=9, pictures=False))
    assert not [block for block in frechet_blocks(run) if isinstance(block, Table)]
    first = run.final.winners[0]
    measured = replace(first, entry=winner(1, 2, 3, 4, warning="few").entry)
    final = replace(run.final, winners=(measured, *run.final.winners[1:]))
    (table,) = [b for b in frechet_blocks(replace(run, final=final)) if isinstance(b, Table)]
    assert table.rows[0]["floor_frechet"] == 4
