"""What one call of PASHA costs as trials become many: it must not grow, nor exceed 100 µs on a quiet machine.

Two courses: losses that keep their order but for noise, so that the second rung stays the top one and comes to hold a
third of all trials; and losses that are drawn anew at every epoch, so that all rungs are opened.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from benchmarking.overhead.asha import empty_call
from benchmarking.overhead.measurement import Row
from cloudtune.config_space import loguniform, randint, uniform
from cloudtune.optimizer.baselines import PASHA
from cloudtune.trial import Trial

SIZES = (1_000, 10_000, 50_000)
GRACE_PERIOD = 3
MAX_LEVEL = 81
NUM_WORKERS = 8
#: Calls are averaged while so many trials are added around each size.
WINDOW = 900
SPACE = {
    "lr": loguniform(1e-5, 1),
    "width": randint(8, 512),
    "a": uniform(0, 1),
    "b": uniform(0, 1),
    "max_epochs": MAX_LEVEL,
}

#: The limits in µs hold on a machine where an empty call in a loop takes 0.05 µs.
_EMPTY_CALL = 0.05
LIMITS = {"report": 25.0, "arrival at the second rung": 100.0, "suggestion": 25.0}

#: A loss, of a trial with a number and an epoch, by a random number in [0, 1).
Losses = Callable[[int, int, float], float]


def settled(trial: int, epoch: int, _draw: float) -> float:
    """Trials keep their order, but that every two neighbours swap places every other epoch."""
    quality = float((trial // 2) * 7919 % 100_003)
    return quality + (0.25 if (trial % 2 == 0) == (epoch % 4 < 2) else -0.25)


def restless(_trial: int, _epoch: int, draw: float) -> float:
    """Any trial may be the best at any epoch."""
    return draw


def costs(losses: Losses) -> dict[int, dict[str, float]]:
    """Mean microseconds of each kind of call around each size, in one growing experiment."""
    scheduler = PASHA(
        SPACE,
        metric="loss",
        max_resource_attr="max_epochs",
        grace_period=GRACE_PERIOD,
        allow_duplicates=True,
        random_seed=0,
    )
    rng = np.random.default_rng(0)
    running: deque[tuple[Trial, int, int]] = deque()
    trials: list[Trial] = []
    at: dict[int, int] = {}
    found: dict[int, dict[str, float]] = {}
    spent, calls = dict.fromkeys(LIMITS, 0.0), dict.fromkeys(LIMITS, 0)
    clock = time.process_time  # other processes must not count, for few calls are averaged
    gc.collect()
    gc.disable()
    try:
        while len(found) < len(SIZES):
            while len(running) < NUM_WORKERS:
                begin = clock()
                suggestion = scheduler.suggest()
                spent["suggestion"] += clock() - begin
                calls["suggestion"] += 1
                assert suggestion is not None
                assert suggestion.config is not None
                if suggestion.trial_id is None:
                    trial = Trial(len(trials), suggestion.config)
                    scheduler.on_trial_add(trial)
                    trials.append(trial)
                    if len(trials) == SIZES[len(found)] - WINDOW // 2:
                        spent, calls = dict.fromkeys(LIMITS, 0.0), dict.fromkeys(LIMITS, 0)
                else:
                    trial = trials[suggestion.trial_id]
                    trial.config = suggestion.config
                running.append((trial, at.get(trial.trial_id, 0), trial.config["max_epochs"]))
            trial, level, last = running.popleft()
            level += 1
            result = {"loss": losses(trial.trial_id, level, float(rng.random())), "epoch": level}
            kind = "arrival at the second rung" if level == 3 * GRACE_PERIOD else "report"
            begin = clock()
            decision = scheduler.on_trial_result(trial, result)
            spent[kind] += clock() - begin
            calls[kind] += 1
            if decision == "CONTINUE" and level < last:
                running.append((trial, level, last))
            elif decision == "CONTINUE":
                scheduler.on_trial_complete(trial, result)
            else:
                at[trial.trial_id] = level
                scheduler.on_trial_remove(trial)
            if len(trials) >= SIZES[len(found)] + WINDOW // 2:
                found[SIZES[len(found)]] = {one: spent[one] / max(1, calls[one]) * 1e6 for one in LIMITS}
    finally:
        gc.enable()
    return found


def measure(repeats: int) -> list[Row]:
    """The rows of PASHA: cost of each kind of call at three sizes, and how it grows."""
    unit = empty_call()
    rows: list[Row] = []
    for name, losses in (("settled", settled), ("restless", restless)):
        taken = [costs(losses) for _ in range(repeats)]
        for kind, limit in LIMITS.items():
            by_size = {size: float(np.median([run[size][kind] for run in taken])) for size in SIZES}
            rows.extend(
                Row(f"PASHA {name}: {kind} at {size:,} trials", cost, unit, "µs", limit / _EMPTY_CALL, "empty call")
                for size, cost in by_size.items()
            )
            rows.append(
                Row(
                    f"PASHA {name}: {kind}, 10k against 1k",
                    by_size[SIZES[1]],
                    by_size[SIZES[0]],
                    "µs",
                    1.5,
                    "itself at 1k",
                )
            )
    return rows
