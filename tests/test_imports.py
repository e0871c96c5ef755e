"""Imports point one way: search -> probes -> models, analysis -> probes, models and the schema of a
run folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "models": {"probes", "search", "analysis", "ray", "optuna"},
    "probes": {"search", "analysis", "ray", "optuna"},
    "analysis": {"search", "ray", "optuna"},
    "search": set(),
}
ALLOWED = {"analysis.measure.study": {"optuna"}}
SCHEMA = "search.record.schema"  # of a run folder, the only module of search that analysis knows


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and name of every module that one of `package` imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, package if node.level == 1 else "beyond " + package
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def violations(source: str, package: str, module: str = "") -> list[str]:
    forbidden = FORBIDDEN[package] - ALLOWED.get(module, set())
    return [
        f"line {line}: {package} imports {name}"
        for line, name in imported(source, package)
        if name.split(".")[0] in forbidden or name.startswith("beyond")
        if (package, name) != ("analysis", SCHEMA)
    ]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_it_may(package):
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in modules(package)
        if (wrong := violations(path.read_text("utf-8"), package, dotted(path)))
    }
    assert modules(package) and not found


def test_no_module_is_named_utils():
    paths = [path for package in (*FORBIDDEN, "tests") for path in modules(package)]
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
        ("analysis", "from search.folder import RunFolder"),
        ("analysis", "from search.record.state import TrialRecord"),
        ("probes", "from search.record.schema import ENDED"),
        ("analysis", "from optuna import importance"),
    ],
)
def test_a_planted_violation_is_found(package, source):
    assert violations(source, package)


@pytest.mark.parametrize("module", ALLOWED)
def test_only_the_measuring_of_the_study_may_import_optuna(module):
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
        ("search", "import ray, optuna, models, probes"),
    ],
)
def test_an_allowed_import_is_let_through(package, source):
    assert not violations(source, package)
