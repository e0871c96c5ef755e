"""The examples in docstrings of analysis/ hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import analysis


def test_the_examples_of_docstrings_hold():
    names = [module.name for module in pkgutil.walk_packages(analysis.__path__, "analysis.")]
    found = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert not {name: result for name, result in found.items() if result.failed}
    assert sum(result.attempted for result in found.values()) > 20
