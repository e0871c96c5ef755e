"""The levels: one factor at a time, and equal settings together."""

from dataclasses import fields

from probes.autopsy.levels import Level, all_levels, factor_levels, group_alike
from probes.autopsy.plan import Setting

EVERYTHING = 964


def test_every_level_changes_one_thing_and_every_factor_has_the_baseline():
    base = Setting()
    found: dict[str, list[Level]] = {}
    for level in factor_levels(base, EVERYTHING):
        found.setdefault(level.factor, []).append(level)
        changed = [
            f for f in fields(base) if getattr(level.setting, f.name) != getattr(base, f.name)
        ]
        assert len(changed) <= 1, level
    for factor, levels in found.items():
        assert [level.setting for level in levels].count(base) == 1, factor
    assert {"registration", "autoencoder", "code size", "classes", "mistakes"} <= found.keys()
    assert [level.name for level in found["classes"]] == ["10", "50", "200", "964"]


def test_what_is_the_same_is_measured_once():
    levels = all_levels(Setting(classes=12), EVERYTHING)
    to_do = group_alike(levels, 1, set())
    assert sum(len(alike) for alike, _ in to_do) == len(levels)
    baselines = [alike for alike, _ in to_do if len(alike) > 1]
    assert len(baselines) == 1 and len(baselines[0]) == 11  # one for each factor
