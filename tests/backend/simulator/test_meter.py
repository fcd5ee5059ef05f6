"""The meter against the plain computation: the same to the last bit, for less work."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune import StoppingCriterion
from cloudtune.backend.simulator_backend import SimulatedDelays, SimulatorBackend
from cloudtune.backend.simulator_backend.attempt import SimulatedAttempt
from cloudtune.backend.simulator_backend.meter import Meter
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.trial import Trial
from tests.backend.simulator.driving import SPACE, Ramp, clock, opened
from tests.backend.simulator.test_experiments import make_tuner


class PlainMeter(Meter):
    """Reckons at every change, from all that runs."""

    plain = math.inf

    def changed(self, now: float) -> None:
        super().changed(now)
        if not self._limits or not self._price:
            return
        self.plain = math.inf
        left = (self._limits[-1] * (1 + 1e-9) - self._settled) / self._price
        left -= sum(self._seconds(attempt, now) for attempt in self._attempts.values())
        ends = sorted(end for attempt in self._attempts.values() if (end := attempt.free_at(self._end)) > now)
        begin = now
        for place, end in enumerate(ends):
            busy = len(ends) - place
            if left <= busy * (end - begin):
                self.plain = begin + max(0.0, left / busy)
                return
            left -= busy * (end - begin)
            begin = end

    def due(self, by: float) -> float:
        return self.plain if self._limits else math.inf


def driven(
    meter: type[Meter],
    wishes: list[tuple[str, int]],
    delays: SimulatedDelays,
    limits: list[float],
    spent: float,
    timeout: float | None,
) -> list[object]:
    """What a simulator with such a meter tells, and when."""
    backend = opened(SimulatorBackend(Ramp(startup=1, failing=(4,)), delays=delays, dollars_per_hour=1234.5))
    work = backend._opened()
    work.meter = meter(1234.5 / 3600, delays.end, work.attempts)
    backend.watch_cost(limits, spent)
    told: list[object] = []
    number = 0
    for wish, one in wishes:
        if wish == "start":
            backend.start_trial(Trial(number, {"width": one + 1}))
            number += 1
        elif wish == "stop" and number:
            backend.stop_trial(one % number)
        elif backend.busy_workers():
            told += [clock(backend), *backend.poll(timeout)]
    while backend.busy_workers():
        told += [clock(backend), *backend.poll(None)]
    return told


_WISHES = st.lists(st.tuples(st.sampled_from(["start", "start", "stop", "poll", "poll"]), st.integers(0, 7)))
_SECONDS = st.sampled_from([0.0, 1.0, 3.7, 50.0])
_LIMITS = st.lists(st.one_of(st.sampled_from([1e-9, 1.0, 2.0, 10.0, 1e9]), st.floats(0.01, 60)), max_size=5)


@settings(deadline=None)
@given(
    _WISHES,
    st.builds(SimulatedDelays, start=_SECONDS, report=_SECONDS, stop=_SECONDS, end=_SECONDS),
    _LIMITS,
    st.sampled_from([0.0, 1.5]),
    st.sampled_from([None, 0.7]),
)
def test_limits_are_reached_when_the_plain_computation_says(
    wishes: list[tuple[str, int]], delays: SimulatedDelays, limits: list[float], spent: float, timeout: float | None
) -> None:
    """Whatever begins and ends, limits far and near, reports under way: every event and every time are the same."""
    assert driven(Meter, wishes, delays, limits, spent, timeout) == driven(
        PlainMeter, wishes, delays, limits, spent, timeout
    )


@pytest.mark.parametrize(("limit", "report"), [(1e9, 0.0), (1.0, 0.0), (1.0, 20.0)])
def test_a_limit_of_cost_takes_little_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, report: float
) -> None:
    """With 100 workers attempts are looked at some times each, and not at every start and end of another.

    So it is where the limit is never reached, and where it ends the experiment, with reports under way or without.
    """
    looks = 0
    free_at = SimulatedAttempt.free_at

    def counted(attempt: SimulatedAttempt, end: float) -> float:
        nonlocal looks
        looks += 1
        return free_at(attempt, end)

    monkeypatch.setattr(SimulatedAttempt, "free_at", counted)
    tuner = make_tuner(
        tmp_path,
        SimulatorBackend(Ramp(), dollars_per_hour=0.5, delays=SimulatedDelays(report=report)),
        RandomSearch(SPACE, metric="loss", resource_attr="epoch", allow_duplicates=True, random_seed=1),
        stop_criterion=StoppingCriterion(max_num_trials_started=400, max_cost=limit),
        n_workers=100,
        save_tuner=False,
    )
    tuner.run()
    started = tuner.status.num_trials_started
    assert started > 280
    assert looks < 8 * started
