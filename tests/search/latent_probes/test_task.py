"""The presets and the space of a search of probes."""

from __future__ import annotations

import pytest

from probes.classifiers.fitting import PROBES
from search.latent_probes.presets import DEFAULTS
from search.latent_probes.task import ProbeTask


@pytest.mark.parametrize("budget", ["quick", "full"])
def test_every_probe_has_a_default_and_a_space_that_its_default_completes(budget):
    task = ProbeTask(tuple(PROBES), (1024, 128, 32), 27, budget)
    presets = task.presets()
    assert [preset.parameters["probe"] for preset in presets[:8]] == [*PROBES]
    assert {preset.parameters["latent_size"] for preset in presets[:8]} == {128}
    assert presets[8].name == "report-two-stage"
    assert len({preset.name for preset in presets}) == len(presets) < 50
    space = task.space()
    assert len(space.groups) == 24 and {p.parameters["model"] for p in presets} == {*space.groups}
    for group in space.groups:
        family, about = space.of(group), space.meaning[group]
        assert {*family.distributions, *family.constants} == {*DEFAULTS[about["probe"]]}


def test_the_report_s_sweeps_change_one_thing_each():
    presets = {p.name: p.parameters for p in ProbeTask(("mlp",), (128,), 27, "quick").presets()}
    base = presets["mlp-2-blocks"]
    for blocks in (1, 3, 4, 5, 6):
        assert {k for k in base if presets[f"mlp-{blocks}-blocks"][k] != base[k]} == {"blocks"}
    for l2 in ("1e-05", "0.0001", "0.001", "0.01"):
        changed = presets[f"mlp-l2-{l2}"]
        assert {k for k in base if changed[k] != base[k]} == {"l2"} and changed["l2"] == float(l2)
    two_stage = presets["report-two-stage"]
    assert (two_stage["blocks"], two_stage["l2"], two_stage["l2_later"]) == (2, 1e-4, 5e-5)
