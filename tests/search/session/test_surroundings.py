"""A whole search under difficult settings of the environment, and runs that were moved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.session.reasons import in_words
from search.task.settings import Settings, resolve

ROOT = Path(__file__).parents[3]
HOSTILE = {
    "MPLBACKEND": "module://a_notebook.backend_inline",
    "OMP_NUM_THREADS": "auto",
    "RAY_ADDRESS": "http://192.0.2.1:8265",  # of a cluster that does not answer
    "TUNE_RESULT_DIR": "/nowhere",
    "CUDA_VISIBLE_DEVICES": "",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "grpc_proxy": "http://127.0.0.1:9",
    "PYTHONPATH": ".",
    "LC_ALL": "C",
    "TERM": "dumb",
    "COLUMNS": "80",
    "HOME": "/proc/nowhere",
    "TMPDIR": "/tmp/" + 60 * "x",
}


@pytest.mark.slow
def test_a_search_ends_well_in_hostile_surroundings_and_under_uv_run(tmp_path):
    """Its parent is called `uv run`, as Ray sees it; there need not be a uv."""
    (tmp_path / "run").write_text('"$@"\nexit $?\n')
    storage = tmp_path / "rüns #1 [a] %20?"
    search = [
        *(sys.executable, "-m", "search.autoencoders", "--dataset", "mnist5k"),
        *"--train-size 50 --max-epochs 1 --num-samples 2 --latent-sizes 16 --final-seeds 0".split(),
        *("--storage-path", str(storage), "--name", "hostile", "--data-dir", str(tmp_path)),
    ]
    code = tmp_path / "code"
    code.symlink_to(ROOT)  # for the relative PYTHONPATH
    done = subprocess.run(
        ["uv", "run", *search],
        executable="/bin/bash",
        cwd=code,
        capture_output=True,
        timeout=500,
        env={**os.environ, **HOSTILE, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"2 complete" in done.stdout and os.fsencode(storage) in done.stdout
    assert HOSTILE["TMPDIR"].encode() in done.stdout


RECORDED = {**Settings().as_json(), "dataset": "mnist5k"}


@pytest.mark.parametrize(
    ("recorded", "environment", "used"),
    [
        ("{tmp}/gone", "{tmp}/here", "{tmp}/here"),  # the run was moved
        ("{tmp}/there", "{tmp}/here", "{tmp}/there"),
        ("{tmp}/gone", "{tmp}/gone too", "{tmp}/gone"),
    ],
)
def test_the_data_folder_of_now_counts_where_the_recorded_one_is_gone(
    recorded, environment, used, tmp_path, monkeypatch
):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", environment.format(tmp=tmp_path))
    settings = {**RECORDED, "data_dir": recorded.format(tmp=tmp_path)}
    assert resolve({}, settings, {}, {}).data_dir == used.format(tmp=tmp_path)
    given = resolve({"data_dir": "given"}, settings, {}, {})
    assert given.data_dir == "given"


def test_an_error_that_names_no_file_says_where_it_was_raised(tmp_path, monkeypatch):
    from models.start import _find

    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as failed:
        _find("models")
    assert "_find" in in_words(failed.value) and "models/start.py" in in_words(failed.value)
    with pytest.raises(FileNotFoundError) as failed:
        gone.read_text()
    assert in_words(failed.value) == str(failed.value)
