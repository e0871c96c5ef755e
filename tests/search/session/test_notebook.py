"""A search in Jupyter: the notebook of docs/ runs, progress is one block, an interrupt is clean."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[3]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
pytestmark = pytest.mark.slow  # minutes

BEGIN = """
from models.data import load
import search.autoencoders
data = load("mnist5k", "data")
images, labels = data.images.numpy(), data.labels.numpy()
flags = dict(train_size=400, max_epochs=4, num_samples=14, latent_sizes=[32], max_concurrent=1,
             final_seeds=1, name="notebook", set={"depth": (2, 3)})
"""
SEARCH = "result = search.autoencoders.search('mnist5k', data_dir='data', **flags)"
RESUME = SEARCH.replace("**flags)", "**flags, resume=True)")
AFTER = """
import ray
codes = result.best(32).encode(images[:2])
print(ray.is_initialized(), result.state, len(result.trials), codes.shape)
"""


def client(cells, folder):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    return notebook, nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(folder)}}, allow_errors=True
    )


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the kernel runs in another folder


def blocks(cell):
    """The outputs of a cell that progress is drawn in."""
    shown = [out for out in cell.outputs if out.output_type == "display_data"]
    return [out for out in shown if "trials done" in out.data.get("text/plain", "")]


def printed(cell):
    return "".join(out.text for out in cell.outputs if out.output_type == "stream")


def interrupt_after(client, ledger, events):
    """Interrupt the kernel once the ledger has so many events."""

    def wait():
        while not (ledger.exists() and ledger.read_bytes().count(b"\n") >= events):
            time.sleep(0.1)
        asyncio.run(client.km._async_interrupt_kernel())

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()


def test_an_interrupted_kernel_stops_cleanly_and_goes_on(tmp_path):
    notebook, runner = client([BEGIN, SEARCH, RESUME, AFTER], tmp_path)
    interrupt_after(runner, tmp_path / "runs" / "notebook" / "ledger.log", 9)
    runner.execute()
    begun, interrupted, resumed, after = notebook.cells
    assert not begun.outputs
    (error,) = [out for out in interrupted.outputs if out.output_type == "error"]
    assert error.ename == "KeyboardInterrupt" and "resume=True" in error.evalue
    assert len(blocks(interrupted)) == len(blocks(resumed)) == 1
    assert "14/14 trials done" in blocks(resumed)[0].data["text/plain"]
    assert "14/14 trials done" not in printed(resumed)  # the block is redrawn and not printed
    assert printed(after) == "False finished 14 (2, 32)\n"


def test_the_notebook_of_the_documentation_runs_and_shows_pictures(tmp_path):
    notebook = nbformat.read(NOTEBOOK, 4)
    kept = [bool(cell.get("outputs")) for cell in notebook.cells]
    runner = nbclient.NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}
    )
    runner.execute()  # raises what a cell raises
    assert [bool(cell.get("outputs")) for cell in notebook.cells] == kept
    shown = [out.get("data", {}) for cell in notebook.cells for out in cell.get("outputs", ())]
    assert sum("image/png" in data for data in shown) >= 2
