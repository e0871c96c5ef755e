"""A small plan, and codes of an untrained autoencoder."""

import pytest

from probes.autopsy.codes import Codes
from probes.autopsy.plan import Plan
from tests.probes.autopsy.coded import coded


@pytest.fixture(scope="session")
def plan(tmp_path_factory) -> Plan:
    folder = tmp_path_factory.mktemp("autopsy")
    return Plan("glyphs", str(folder / "data"), folder / "out", 2, 12, 1, 0.2, 9.0, 0.2, 1)


@pytest.fixture(scope="session")
def codes(plan) -> Codes:
    return coded(plan)
