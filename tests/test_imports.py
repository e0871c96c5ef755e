"""Imports point one way: search -> probes -> models, analysis -> probes, models, and never back up
between the folders of a package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "models": {"probes", "search", "analysis", "ray", "optuna"},
    "probes": {"search", "analysis", "ray", "optuna"},
    "analysis": {"search", "ray", "torch", "optuna"},
    "search": set(),
    "search.record": {"ray", "torch", "optuna", "models", "probes"},
}
# What a module, or every module of a package, may import although it is forbidden.
ALLOWED = {
    "analysis": {"search.record.schema"},
    "analysis.measure.study": {"optuna"},
    "analysis.measure.course.warnings": {"optuna"},  # reads the searched ranges
}
# The floors of each package, lowest first; rooms between the same brackets may not import each
# other. A module of the package itself that is no room here stands above all rooms.
FLOORS = {
    "models": [("files", "machine"), "data", "networks", "training"],
    "probes": ["codes", ("classifiers", "generation"), ("autopsy", "readout")],
    "search": [
        *("record", "task", "store", "tune", "cluster", "dashboards", "session"),
        *("autoencoders", "classifiers", "latent_probes"),
        *("simulate", "benchmark"),
    ],
    "analysis": ["read", "measure", "tables", "figures", "page"],
}


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module of `package` imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, package if node.level == 1 else "beyond " + package
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def is_within(name: str, packages: set[str]) -> bool:
    """Whether a dotted name is one of `packages` or inside one of them."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def violations(source: str, package: str, module: str = "") -> list[str]:
    allowed = ALLOWED.get(package, set()) | ALLOWED.get(module, set())
    return [
        f"line {line}: {package} imports {name}"
        for line, name in imported(source, package)
        if name.startswith("beyond")
        or (is_within(name, FORBIDDEN[package]) and not is_within(name, allowed))
    ]


def floor_of(room: str, package: str) -> int:
    """The number of a room's floor, from 0; of a module that is no room, the number above all."""
    for number, rooms in enumerate(FLOORS[package]):
        if room == rooms or room in rooms and isinstance(rooms, tuple):
            return number
    return len(FLOORS[package])


def climbs(source: str, package: str, module: str) -> list[str]:
    """The imports by which a module of a room uses a room of a higher floor, or its neighbour."""
    room = module.split(".")[1]
    here, found = floor_of(room, package), []
    for line, name in imported(source, package):
        parts = name.split(".")
        if parts[0] != package or len(parts) == 1 or parts[1] == room:
            continue
        if floor_of(parts[1], package) >= here and here < len(FLOORS[package]):
            found.append(f"line {line}: {module} imports {name}")
    return found


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package.replace(".", "/")).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_it_may(package):
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in modules(package)
        if (wrong := violations(path.read_text("utf-8"), package, dotted(path)))
    }
    assert modules(package) and not found


@pytest.mark.parametrize("package", FLOORS)
def test_no_import_runs_back_up_between_the_folders_of_a_package(package):
    rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert not {room for room in rooms if floor_of(room, package) == len(FLOORS[package])}
    found = [
        wrong
        for path in modules(package)
        if path.parent != ROOT / package
        for wrong in climbs(path.read_text("utf-8"), package, dotted(path))
    ]
    assert not found


@pytest.mark.parametrize(
    "module, source, up",
    [
        ("search.store.folder", "from search.tune.logbook import Logbook", True),
        ("search.store.folder", "from search.record.ledger import FileLedger", False),
        ("search.store.folder", "from search.store.bucket import BucketFiles", False),
        ("search.task.space", "def late():\n    import search.tune.tuner", True),
        ("search.task.space", "from search import fetch", True),  # a command stands above all
        ("probes.generation.distances", "from probes.classifiers import mlp", True),
        ("probes.autopsy.command", "from probes.classifiers import mlp", False),
        ("models.networks.autoencoder", "import models.training.loop", True),
    ],
)
def test_an_import_that_runs_up_is_found(module, source, up):
    assert bool(climbs(source, module.split(".")[0], module)) == up


def test_no_module_is_named_utils():
    paths = [path for package in (*FLOORS, "tests") for path in modules(package)]
    names = {part for path in paths for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not [name for name in names if "util" in name]


@pytest.mark.parametrize(
    "package, source",
    [
        ("models", "import ray"),
        ("models", "from ray.tune import Trainable"),
        ("models", "import numpy as np, optuna.trial as t"),
        ("models", "from probes.closed_form import nearest_mean_accuracy"),
        ("models", "def late():\n    import search.run"),
        ("models", "if TYPE_CHECKING:\n    from analysis import runs"),
        ("models", "from ..search import run"),
        ("models", "import importlib\nray = importlib.import_module('ray.tune')"),
        ("models", "ray = __import__('ray')"),
        ("probes", "from search.space import Space"),
        ("probes", "from optuna import trial"),
        ("analysis", "try:\n    import ray\nexcept ImportError:\n    pass"),
        ("analysis", "from search.store.folder import RunFolder"),
        ("analysis", "from search.record.state import SearchState"),
        ("analysis", "import torch"),
        ("search.record", "import torch"),
        ("search.record", "from models.data import load"),
        ("analysis", "from optuna import importance"),
    ],
)
def test_a_planted_violation_is_found(package, source):
    assert violations(source, package)


@pytest.mark.parametrize("module", [module for module in ALLOWED if "." in module])
def test_only_the_modules_of_the_study_may_import_optuna(module):
    assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists()
    assert not violations("import optuna", "analysis", module)
    assert violations("import optuna", "analysis", "analysis.report")
    assert violations("import ray", "analysis", module)
    assert violations("from search.study import STUDY_NAME", "analysis", module)


@pytest.mark.parametrize(
    "package, source",
    [
        ("models", "from models.codes import effective_rank\nfrom . import data"),
        ("models", "import rayon\n'import ray'\n# import ray\nsearch = optuna = None"),
        ("probes", "from models.data import load"),
        ("analysis", "import models, probes.closed_form"),
        ("analysis", "from search.record.schema import ENDED"),
        ("analysis", "from search.record import schema"),
        ("search", "import ray, optuna, models, probes"),
    ],
)
def test_an_allowed_import_is_let_through(package, source):
    assert not violations(source, package)
