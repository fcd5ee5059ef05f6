"""Learning how long jobs take to end after their script: few questions, answered soon."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.settle_times import SettleTimes


def ask(times: SettleTimes, true: float) -> tuple[float | None, int]:
    """Asks as the watcher does until a job is over that takes ``true`` seconds: when it was known, and how often."""
    last = 0.0
    for asked in range(times.most):
        delay = times.delay(asked)
        assert delay is not None
        assert delay >= last
        if delay >= true:
            times.learn(last, delay)
            return delay - true, asked + 1
        last = delay
    return None, times.most


def test_never_more_than_five_questions() -> None:
    """After the fifth there is no time for a sixth: the listing finds the job."""
    times = SettleTimes(Cadence().settle)
    assert [times.delay(n) is None for n in range(7)] == [False] * 5 + [True] * 2


@pytest.mark.parametrize("true", [0.2, 1.0, 5.0, 20.0, 45.0])
def test_known_soon_once_learnt(true: float) -> None:
    """For jobs that all take the same, the median delay of the answer is below two seconds once 40 were seen."""
    times = SettleTimes(Cadence().settle)
    for _ in range(40):
        delay, _ = ask(times, true)
        if delay is None:
            times.learn(true, true + 1)  # found by the listing
    delays = [ask(times, true)[0] for _ in range(31)]
    assert None not in delays
    assert statistics.median([delay for delay in delays if delay is not None]) < 2.0


@given(st.lists(st.floats(0.1, 60), min_size=1, max_size=80))
def test_it_does_not_creep(trues: list[float]) -> None:
    """The typical time stays within what was seen: our own delays do not add up."""
    times = SettleTimes(Cadence().settle, first_guess=trues[0])
    for true in trues:
        ask(times, true)
    delay = times.delay(0)
    assert delay is not None
    assert delay <= max(trues) * 3 + 40
