"""The two calls of asynchronous successive halving, timed the same way for every toolkit that has it.

Eight trials run at a time, each reporting levels 1 to 27 in turn; the stopping rule ends trials at levels 1, 3 and 9,
keeping a third at each.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Protocol

import numpy as np

from cloudtune.optimizer.baselines import ASHA
from cloudtune.trial import Trial

MAX_LEVEL = 27
NUM_WORKERS = 8
#: Calls are averaged while so many trials are added around each size.
WINDOW = 200


class Method(Protocol):
    """One toolkit's successive halving."""

    def suggest(self) -> Any:
        """A new trial."""

    def report(self, trial: Any, level: int, loss: float) -> bool:
        """Takes a report; whether the trial goes on."""

    def end(self, trial: Any, level: int, loss: float, stopped: bool) -> None:
        """The trial was stopped, or has trained to its end. Not timed."""


class OurASHA:
    """cloudtune's."""

    def __init__(self) -> None:
        from cloudtune.config_space import loguniform, randint, uniform

        space = {"lr": loguniform(1e-5, 1), "width": randint(8, 512), "a": uniform(0, 1), "b": uniform(0, 1)}
        self._scheduler = ASHA(space, metric="loss", resource_attr="epoch", max_t=MAX_LEVEL, random_seed=0)
        self._count = 0

    def suggest(self) -> Trial:
        """See :class:`Method`."""
        suggestion = self._scheduler.suggest()
        assert suggestion is not None
        assert suggestion.config is not None
        trial = Trial(self._count, suggestion.config)
        self._count += 1
        self._scheduler.on_trial_add(trial)
        return trial

    def report(self, trial: Trial, level: int, loss: float) -> bool:
        """See :class:`Method`."""
        return self._scheduler.on_trial_result(trial, {"loss": loss, "epoch": level}) == "CONTINUE"

    def end(self, trial: Trial, level: int, loss: float, stopped: bool) -> None:
        """See :class:`Method`."""
        if stopped:
            self._scheduler.on_trial_remove(trial)
        else:
            self._scheduler.on_trial_complete(trial, {"loss": loss, "epoch": level})


def costs(method: Method, sizes: tuple[int, ...], budget: float) -> dict[int, tuple[float, float]]:
    """Mean microseconds of (report, suggest) around each size, in one growing experiment.

    Args:
        method: A new one.
        sizes: Numbers of trials, rising.
        budget: Seconds after which the sizes that were not reached are left out.
    """
    rng = np.random.default_rng(0)
    running: deque[tuple[Any, int]] = deque()
    found: dict[int, tuple[float, float]] = {}
    spent, calls = [0.0, 0.0], [0, 0]
    clock = time.perf_counter
    end, count = clock() + budget, 0
    while len(found) < len(sizes) and clock() < end:
        goal = sizes[len(found)]
        while len(running) < NUM_WORKERS:
            begin = clock()
            trial = method.suggest()
            spent[1] += clock() - begin
            calls[1] += 1
            running.append((trial, 0))
            count += 1
            if count == goal - WINDOW // 2:
                spent, calls = [0.0, 0.0], [0, 0]
        trial, level = running.popleft()
        level += 1
        loss = float(rng.random()) / level
        begin = clock()
        goes_on = method.report(trial, level, loss)
        spent[0] += clock() - begin
        calls[0] += 1
        if goes_on and level < MAX_LEVEL:
            running.append((trial, level))
        else:
            method.end(trial, level, loss, stopped=not goes_on)
        if count >= goal + WINDOW // 2:
            found[goal] = (spent[0] / calls[0] * 1e6, spent[1] / calls[1] * 1e6)
    return found
