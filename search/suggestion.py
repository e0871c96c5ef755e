"""What to try next: Optuna's TPE on the honest ranking of the trials so far.

A suggestion is a function of (history, space, group, seed, number) and of nothing else. That is
what makes a resumed search ask for what the uninterrupted one would have asked for: there is no
sampler state to lose.
"""

from __future__ import annotations

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from search.space import Space
from search.state import COMPLETE, PRUNED, RUNNING, TrialRecord

SAMPLERS = ("tpe", "random")
STARTUP_TRIALS = 10  # Optuna's own default: random until that many are finished


def suggest(
    history: list[TrialRecord],
    space: Space,
    group: object,
    seed: int,
    number: int,
    metric: str,
    mode: str,
    sampler: str = "tpe",
) -> dict:
    """Values for `space.distributions`, for the trial of that number in `group`.

    TPE learns from all groups of the family at once, which one group alone has too few trials
    for: each trial enters with its rank within its own group (0 best, 1 worst), so that the good
    set is the best of every code size and not just the largest one. Ranks are Optuna's own order:
    finished trials by value, then pruned ones by how far they came and their last value. Running
    trials count as worst (constant liar), so that parallel workers spread; diverged and failed
    ones do not count, as in Optuna. With `sampler` "random" the history is not looked at.
    """
    space = space.of(group)
    history = [trial for trial in history if trial.group in space.groups]
    distributions = space.all_distributions()
    study = optuna.create_study(sampler=_sampler(sampler, seed, number))
    ranks = _ranks(history, metric, mode) if sampler == "tpe" else {}
    study.add_trials(
        [
            _as_finished(trial, space, distributions, ranks[trial.number])
            for trial in history
            if trial.number in ranks
        ]
    )
    study.enqueue_trial({space.group: group})
    params = study.ask(distributions).params
    return {name: params[name] for name in space.distributions}


def _sampler(name: str, seed: int, number: int) -> optuna.samplers.BaseSampler:
    value = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if name == "random":
        return optuna.samplers.RandomSampler(seed=value)
    return optuna.samplers.TPESampler(
        seed=value, multivariate=True, n_startup_trials=STARTUP_TRIALS
    )


def _ranks(history: list[TrialRecord], metric: str, mode: str) -> dict[int, float]:
    """Rank in (0, 1) of each finished trial within its group; 1 for running ones."""
    groups: dict[object, list[TrialRecord]] = {}
    for trial in history:
        if trial.state in (COMPLETE, PRUNED) and trial.records:
            groups.setdefault(trial.group, []).append(trial)
    ranks = {trial.number: 1.0 for trial in history if trial.state == RUNNING}
    for trials in groups.values():
        ordered = sorted(trials, key=lambda trial: _order(trial, metric, mode))
        ranks |= {trial.number: (place + 0.5) / len(ordered) for place, trial in enumerate(ordered)}
    return ranks


def _order(trial: TrialRecord, metric: str, mode: str) -> tuple:
    sign = 1 if mode == "min" else -1
    if trial.state == COMPLETE:
        return 0, 0, sign * trial.best_record(metric, mode)[metric]
    return 1, -trial.epochs, sign * trial.records[-1][metric]


def _as_finished(
    trial: TrialRecord, space: Space, distributions: dict, rank: float
) -> optuna.trial.FrozenTrial:
    params = {space.group: trial.group, **space.nearest(trial.parameters)}
    return create_trial(
        state=TrialState.COMPLETE, value=rank, params=params, distributions=distributions
    )
