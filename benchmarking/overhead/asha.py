"""What one call of ASHA costs as trials become many: it must not grow."""

from __future__ import annotations

import gc
import time
from collections import deque

import numpy as np

from benchmarking.overhead.measurement import Row, seconds
from cloudtune.config_space import loguniform, randint, uniform
from cloudtune.optimizer.baselines import ASHA
from cloudtune.trial import Trial

SIZES = (1_000, 10_000, 50_000)
MAX_LEVEL = 27
NUM_WORKERS = 8
#: Calls timed at each size.
WINDOW = 1_000
SPACE = {
    "lr": loguniform(1e-5, 1),
    "width": randint(8, 512),
    "a": uniform(0, 1),
    "b": uniform(0, 1),
    "max_epochs": MAX_LEVEL,
}

#: The limits of 8 and 25 µs hold on a machine where an empty call in a loop takes 0.05 µs.
_EMPTY_CALL = 0.05


def empty_call() -> float:
    """Microseconds of an empty Python call in a loop."""

    def nothing(_trial: object, _result: object) -> None:
        return None

    def loop() -> None:
        for _ in range(200_000):
            nothing(None, None)

    return min(seconds(loop) for _ in range(5)) / 200_000 * 1e6


def costs(how: str) -> dict[int, tuple[float, float]]:
    """Mean microseconds of (on_trial_result, suggest) around each size, in one growing experiment."""
    scheduler = ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type=how, random_seed=0
    )
    rng = np.random.default_rng(0)
    noise = iter(rng.random(40 * SIZES[-1]).tolist())
    running: deque[tuple[Trial, int, int]] = deque()
    trials: dict[int, tuple[Trial, int]] = {}
    found: dict[int, tuple[float, float]] = {}
    timed: dict[str, list[float]] = {"report": [0.0, 0], "suggest": [0.0, 0]}
    clock = time.perf_counter
    gc.collect()
    gc.disable()
    try:
        while len(found) < len(SIZES):
            while len(running) < NUM_WORKERS:
                begin = clock()
                suggestion = scheduler.suggest()
                spent = clock() - begin
                timed["suggest"][0] += spent
                timed["suggest"][1] += 1
                assert suggestion is not None
                assert suggestion.config is not None
                if suggestion.trial_id is None:
                    trial, level = Trial(len(trials), suggestion.config), 0
                    scheduler.on_trial_add(trial)
                    trials[trial.trial_id] = (trial, 0)
                else:
                    trial, level = trials[suggestion.trial_id]
                    trial.config = suggestion.config
                running.append((trial, level, trial.config["max_epochs"]))
            trial, level, last = running.popleft()
            level += 1
            result = {"loss": next(noise) / level, "epoch": level}
            begin = clock()
            decision = scheduler.on_trial_result(trial, result)
            spent = clock() - begin
            timed["report"][0] += spent
            timed["report"][1] += 1
            trials[trial.trial_id] = (trial, level)
            if decision != "CONTINUE":
                scheduler.on_trial_remove(trial)
            elif level == last:
                scheduler.on_trial_complete(trial, result)
            else:
                running.append((trial, level, last))
            size = len(trials)
            goal = SIZES[len(found)]
            if size == goal - WINDOW // 2 and timed["suggest"][1] > 1:
                timed = {"report": [0.0, 0], "suggest": [0.0, 0]} if size != goal else timed
            if size >= goal + WINDOW // 2:
                found[goal] = tuple(total / max(1, count) * 1e6 for total, count in timed.values())  # type: ignore[assignment]
    finally:
        gc.enable()
    return found


def measure(repeats: int) -> list[Row]:
    """The rows of ASHA: cost of a call at three sizes, and how it grows."""
    unit = empty_call()
    rows: list[Row] = []
    for how in ("stopping", "promotion"):
        taken = [costs(how) for _ in range(repeats)]
        for position, (call, limit) in enumerate((("on_trial_result", 8.0), ("suggest", 25.0))):
            by_size = {size: float(np.median([run[size][position] for run in taken])) for size in SIZES}
            rows.extend(
                Row(f"ASHA {how}: {call} at {size:,} trials", cost, unit, "µs", limit / _EMPTY_CALL, "empty call")
                for size, cost in by_size.items()
            )
            rows.append(
                Row(
                    f"ASHA {how}: {call}, 50k against 1k",
                    by_size[SIZES[-1]],
                    by_size[SIZES[0]],
                    "µs",
                    1.5,
                    "itself at 1k",
                )
            )
    return rows
