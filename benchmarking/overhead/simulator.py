"""What the simulator costs per report, against the scheduler alone on an event heap.

The work: ASHA, 1,000 trials on 4 workers, over a table of 500 configurations x 27 epochs with times of their own. The
floor is the same experiment without tuner, store and backend: a heap of (time, trial), and ASHA.
"""

from __future__ import annotations

import gc
import heapq
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarking.overhead.measurement import Row, in_turn
from cloudtune.backend import SimulatorBackend
from cloudtune.blackbox import Blackbox, TabularBlackbox
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.config_space import randint
from cloudtune.optimizer.baselines import ASHA
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store.local_store import LocalStore
from cloudtune.trial import Trial
from cloudtune.tuner import Tuner

NUM_TRIALS = 1_000
NUM_CONFIGS = 500
NUM_EPOCHS = 27
NUM_WORKERS = 4
SPACE = {"row": randint(0, NUM_CONFIGS - 1)}

#: Whole loop with its store against the scheduler alone.
LIMIT = 3.0
#: Microseconds per report of the predecessor's simulator on a quiet machine, see the issue; 20 times faster is wanted,
#: where an empty call in a loop takes 0.05 µs.
PREDECESSOR = 690.0
_EMPTY_CALL = 0.05
#: A million reports, seconds.
MILLION_LIMIT = 60.0


def table() -> TabularBlackbox:
    """Curves that cross now and then, and take 5 to 15 seconds an epoch."""
    rng = np.random.default_rng(0)
    epochs = np.arange(1, NUM_EPOCHS + 1)
    level, slope, pace = rng.random((3, NUM_CONFIGS, 1, 1))
    loss = level + (0.5 + slope) / epochs + 0.02 * rng.random((NUM_CONFIGS, 1, NUM_EPOCHS))
    return TabularBlackbox(
        SPACE, {"row": range(NUM_CONFIGS)}, loss[..., None], ["loss"], epochs, "epoch", elapsed=(5 + 10 * pace) * epochs
    )


def scheduler(how: str) -> TrialScheduler:
    """ASHA over the table, which may try a configuration again."""
    return ASHA(
        {**SPACE, "epochs": NUM_EPOCHS},
        metric="loss",
        resource_attr="epoch",
        max_resource_attr="epochs",
        type=how,
        allow_duplicates=True,
        random_seed=0,
    )


def alone(blackbox: Blackbox, how: str) -> tuple[float, int]:
    """Seconds and reports of an event heap with ASHA."""
    asha = scheduler(how)
    gc.collect()
    begin = time.perf_counter()
    heap: list[tuple[float, int, Trial, Any, int]] = []
    trials: dict[int, Trial] = {}
    levels: dict[int, int] = {}
    now, count, reports, free = 0.0, 0, 0, NUM_WORKERS
    while True:
        while free and len(trials) < NUM_TRIALS:
            suggestion = asha.suggest()
            assert suggestion is not None
            assert suggestion.config is not None
            if suggestion.trial_id is None:
                trial = Trial(len(trials), suggestion.config)
                trials[trial.trial_id] = trial
                asha.on_trial_add(trial)
            else:
                trial = trials[suggestion.trial_id]
                trial.config = suggestion.config
            curve = blackbox.curve(trial.config)
            level = levels.get(trial.trial_id, 0)
            shift = now - (curve.elapsed[level - 1] if level else 0.0)
            heapq.heappush(heap, (shift + curve.elapsed[level], count, trial, (curve, shift), level))
            count += 1
            free -= 1
        if not heap:
            return time.perf_counter() - begin, reports
        now, _, trial, (curve, shift), level = heapq.heappop(heap)
        result = {"epoch": curve.resources[level], "loss": curve.metrics["loss"][level]}
        level += 1
        levels[trial.trial_id] = level
        reports += 1
        decision = asha.on_trial_result(trial, result)
        if decision != "CONTINUE":
            asha.on_trial_remove(trial)
            free += 1
        elif level == trial.config["epochs"]:
            asha.on_trial_complete(trial, result)
            free += 1
        else:
            heapq.heappush(heap, (shift + curve.elapsed[level], count, trial, (curve, shift), level))
            count += 1


def whole(blackbox: Blackbox, how: str, limit: StoppingCriterion | None = None) -> tuple[float, int]:
    """Seconds and reports of the experiment with its tuner, its log on the disk, and its results."""
    with tempfile.TemporaryDirectory() as folder:
        tuner = Tuner(
            SimulatorBackend(blackbox),
            scheduler(how),
            limit or StoppingCriterion(max_num_trials_started=NUM_TRIALS),
            n_workers=NUM_WORKERS,
            tuner_name="simulated",
            suffix_tuner_name=False,
            callbacks=[ProgressCallback(live=False)],
            store=LocalStore(Path(folder) / "simulated"),
        )
        gc.collect()
        begin = time.perf_counter()
        tuner.run()
        return time.perf_counter() - begin, tuner.status.num_evaluations


def _per_report(work: Callable[[], tuple[float, int]]) -> Callable[[], float]:
    def measured() -> float:
        seconds, reports = work()
        return seconds / reports * 1e6

    return measured


def empty_call() -> float:
    """Microseconds of an empty Python call in a loop."""

    def nothing(_trial: object, _result: object) -> None:
        return None

    begin = time.perf_counter()
    for _ in range(200_000):
        nothing(None, None)
    return (time.perf_counter() - begin) / 200_000 * 1e6


def measure(repeats: int) -> list[Row]:
    """The rows of the simulator."""
    blackbox = table()
    unit = statistics.median(empty_call() for _ in range(5))
    rows: list[Row] = []
    for how in ("stopping", "promotion"):
        whole(blackbox, how)
        ours, floor = in_turn(
            repeats,
            _per_report(lambda how=how: whole(blackbox, how)),  # type: ignore[misc]
            _per_report(lambda how=how: alone(blackbox, how)),  # type: ignore[misc]
        )
        work = f"simulated ASHA {how}, {NUM_TRIALS:,} trials: a report"
        rows.append(Row(work, ours, floor, "µs", LIMIT, "heap + ASHA alone"))
        rows.append(Row(work, ours, unit, "µs", PREDECESSOR / 20 / _EMPTY_CALL, "empty call"))
    rows.append(_million(blackbox, unit))
    return rows


def _million(blackbox: Blackbox, unit: float) -> Row:
    """A million reports in one experiment."""
    seconds, reports = whole(blackbox, "stopping", StoppingCriterion(max_num_evaluations=1_000_000))
    limit = MILLION_LIMIT / (1e6 * _EMPTY_CALL * 1e-6)
    return Row("a million simulated reports", seconds * 1e6 / reports, unit, "s", limit, "a million empty calls")
