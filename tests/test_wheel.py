"""The wheel, installed in an environment of its own and used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from shutil import copy2
from zipfile import ZipFile

import pytest

from tests.search.cluster.nodes import Nodes

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "probes", "search", "analysis")
TINY = "--dataset mnist5k --train-size 200 --max-epochs 1 --num-samples 2 --final-seeds 0".split()
AUTOPSY = (
    "--dataset glyphs --seeds 1 --classes 10 --epochs 1 --seconds 0.2 --forest-seconds 0.2 "
    "--formulation-seconds 0.2 --jobs 1"
).split()


def tracked(*paths: str) -> list[str]:
    """The files of the checkout that git knows and that are still there."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no git checkout")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the tracked files alone: a clone has no build folder of an earlier wheel."""
    source, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("wheel")
    for name in tracked(*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy2(ROOT / name, source / name)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(out), str(source))
    (path,) = out.iterdir()
    return path


def pip(command: str, *arguments: str, python: str = sys.executable) -> None:
    quiet = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    line = [sys.executable, "-m", "pip", "--python", python, command, *quiet, *arguments]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Installed:
    """An environment with the wheel, and with what the running environment has installed but the
    project itself: a path in a .pth file does not read the .pth files of an editable install."""

    def __init__(self, folder: Path, wheel: Path):
        venv.create(folder, with_pip=False)
        self.folder, self.python = folder, folder / "bin" / "python"
        pip("install", str(wheel), python=str(self.python))
        (self.packages,) = folder.glob("lib/python3*/site-packages")
        installed = [path for path in sys.path if Path(path).name.endswith("-packages")]
        (self.packages / "dependencies.pth").write_text("\n".join(installed))

    def process(self, *arguments: str, folder: Path, **environment: str) -> subprocess.Popen:
        unset = ("PYTHONPATH", "VIRTUAL_ENV")
        inherited = {name: value for name, value in os.environ.items() if name not in unset}
        return subprocess.Popen(
            [str(self.python), *arguments],
            cwd=folder,
            env={**inherited, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, folder: Path, **environment: str) -> tuple[int, str, str]:
        """Exit status, output and errors of a Python process."""
        process = self.process(*arguments, folder=folder, **environment)
        out, err = process.communicate(timeout=500)
        return process.returncode, out, err

    def start(self, module: str, *flags: str, folder: Path, **environment: str) -> None:
        """Run a command that must end well."""
        status, out, err = self.run("-m", module, *flags, folder=folder, **environment)
        assert status == 0, out + err


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Installed:
    return Installed(tmp_path_factory.mktemp("environment"), wheel)


def test_the_wheel_has_each_file_of_the_four_packages_and_no_other(wheel):
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(tracked(*PACKAGES))


def test_the_packages_come_from_the_new_environment(installed, tmp_path):
    script = (
        f"import {', '.join(PACKAGES)}\nfor each in ({', '.join(PACKAGES)}): print(each.__file__)"
    )
    _, out, _ = installed.run("-c", script, folder=tmp_path)
    assert out.split() == [str(installed.packages / name / "__init__.py") for name in PACKAGES]


def test_a_search_and_its_report_start_in_another_folder(installed, tmp_path):
    (tmp_path / "models").mkdir()  # a folder of weights, not a package: it hides nothing
    installed.start("search.autoencoders", *TINY, folder=tmp_path)
    installed.start("analysis.report", folder=tmp_path)
    assert (tmp_path / "report" / "report.html").exists()


def test_recorded_curves_are_installed(installed, tmp_path):
    flags = "--seeds 1 --trials 2 --searchers random".split()
    installed.start("search.simulate", *flags, folder=tmp_path)


@pytest.mark.slow
def test_the_other_searches_start_in_another_folder(installed, tmp_path):
    for module in ("search.autoencoders", "search.classifiers", "search.latent_probes"):
        installed.start(module, *TINY, folder=tmp_path)
    installed.start("analysis.report", folder=tmp_path)


@pytest.mark.slow
def test_the_autopsy_starts_in_another_folder(installed, tmp_path):
    """It is ended once it has measured something: the whole of it takes long."""
    with installed.process("-m", "probes.autopsy", *AUTOPSY, folder=tmp_path) as process:
        result = tmp_path / "runs" / "autopsy" / "autopsy.json"
        end = time.monotonic() + 400
        while not result.exists() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        process.terminate()
        assert result.exists(), process.communicate(timeout=60)


@pytest.mark.slow
def test_two_nodes_get_the_code_of_the_wheel_from_the_driver(installed, tmp_path):
    with Nodes(installed.folder) as nodes:
        nodes.head(sees=(installed.folder,))
        nodes.add(), nodes.add()
        flags = [*TINY, "--address", nodes.address]
        for module in ("search.autoencoders", "search.classifiers", "search.latent_probes"):
            installed.start(module, *flags, folder=tmp_path, **nodes.environment)


@pytest.mark.parametrize(
    "module, hiding",
    [
        ("search.autoencoders", "models.py"),
        ("search.latent_probes", "probes/__init__.py"),
        ("probes.autopsy", "models/__init__.py"),
        ("analysis.report", "probes.py"),
    ],
)
def test_a_module_of_the_folder_that_hides_ours_is_one_line_and_status_2(
    module, hiding, installed, tmp_path
):
    path = tmp_path / hiding
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise SystemExit('it was imported')")
    status, out, err = installed.run("-m", module, folder=tmp_path)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert str(tmp_path / Path(hiding).parts[0]) in err
