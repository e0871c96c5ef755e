"""Codes of an untrained autoencoder, by setting."""

from probes.autopsy.codes import Codes, make_codes, train_autoencoder
from probes.autopsy.plan import Plan, Setting


def coded(plan: Plan, **changes) -> Codes:
    setting = Setting(classes=12, autoencoder="untrained", **changes)
    train_autoencoder(plan, setting, 0)
    return make_codes(plan, setting, 0)[0]
