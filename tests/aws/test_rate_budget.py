"""The rate budget, in virtual time."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.rate_budget import AWS_RATES, LONGEST_WAIT, RateBudget, process_budget, rates_with, wait_for
from cloudtune.localcloud.settings import AWS_RATES as CLOUD_RATES
from tests.aws.forked import in_child
from tests.aws.shared_limit import CREATE, share

LIST = "sagemaker:ListTrainingJobs"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float, cancel: threading.Event | None) -> None:
        self.now += seconds


def budget_at(time: Time, rates: dict[str, float] | None = None) -> RateBudget:
    """A budget in virtual time, with the same jitter each time."""
    return RateBudget(rates or {CREATE: 1.0, LIST: 2.0}, lambda: time.now, time.sleep, random.Random(0))


def times(time: Time, budget: RateBudget, operation: str, calls: int) -> list[float]:
    """When calls are allowed that come as fast as they may."""
    allowed = []
    for _ in range(calls):
        assert budget.acquire(operation)
        allowed.append(round(time.now, 6))
    return allowed


def test_calls_come_at_the_rate_of_their_operation() -> None:
    """One a second after the first; an operation with two a second begins with two at once."""
    time = Time()
    budget = budget_at(time)
    assert times(time, budget, CREATE, 4) == [0, 1, 2, 3]
    time.now = 0.0
    assert times(time, budget_at(time), LIST, 4) == [0, 0, 0.5, 1]


def test_operations_do_not_wait_for_each_other() -> None:
    """A stop is not delayed by creates; what has no rate is not paced at all."""
    time = Time()
    budget = budget_at(time)
    times(time, budget, CREATE, 1)
    assert times(time, budget, LIST, 1) == [0]
    assert times(time, budget, "s3:GetObject", 1000)[-1] == 0


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.sampled_from([0.5, 1.0, 3.0, 10.0]))
def test_no_second_has_more_calls_than_the_rate(pauses: list[float], rate: float) -> None:
    """However calls come, any span of time holds at most rate times span, and one burst."""
    time = Time()
    budget = budget_at(time, {CREATE: rate})
    allowed = []
    for pause in pauses:
        time.now += pause
        budget.acquire(CREATE)
        allowed.append(time.now)
    for first, start in enumerate(allowed):
        for last in range(first, len(allowed)):
            assert last - first + 1 <= max(1.0, rate) + rate * (allowed[last] - start) + 1e-6


def test_refusals_lengthen_the_wait_up_to_a_bound_and_admissions_shorten_it() -> None:
    """Multiplicative, with jitter, bounded; after a few admissions the nominal rate is back."""
    time = Time()
    budget = budget_at(time)
    waits = []
    for _ in range(40):
        budget.acquire(CREATE)
        budget.throttled(CREATE)
        waits.append(budget.take(CREATE))
    assert waits[0] < 0.3
    assert 0.5 * LONGEST_WAIT <= waits[-1] <= 1.5 * LONGEST_WAIT
    assert len({round(wait, 6) for wait in waits[-10:]}) == 10, "no two waits are alike"
    for _ in range(10):
        budget.acquire(CREATE)
        budget.succeeded(CREATE)
    assert times(time, budget, CREATE, 3)[1:] == pytest.approx([time.now - 1, time.now])


def test_after_a_refusal_calls_come_one_by_one() -> None:
    """Threads that wait together do not all ask at once when the wait is over."""
    time = Time()
    budget = budget_at(time, {LIST: 10.0})
    for _ in range(5):
        budget.take(LIST)
        budget.throttled(LIST)
    time.now += budget.take(LIST)
    assert budget.take(LIST) == 0
    assert budget.take(LIST) > 0


def test_a_cancelled_wait_ends_at_once_and_uses_nothing_up() -> None:
    """A tuner that ends does not sit out the waits of calls that it no longer wants."""
    budget = RateBudget({CREATE: 0.001})
    cancel = threading.Event()
    assert budget.acquire(CREATE, cancel)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(budget.acquire(CREATE, cancel)))
    waiting.start()
    cancel.set()
    waiting.join(60)
    assert answers == [False]
    assert not budget.acquire("sagemaker:StopTrainingJob", cancel)


def test_many_threads_share_one_budget() -> None:
    """Each admission is given once, to one of them."""
    time = Time()
    budget = RateBudget({CREATE: 50.0}, lambda: time.now)
    taken: list[float] = []

    def take_all() -> None:
        while (wait := budget.take(CREATE)) == 0:
            taken.append(wait)

    threads = [threading.Thread(target=take_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == 50


@pytest.mark.parametrize("seed", range(20))
def test_one_process_uses_nearly_all_of_a_limit(seed: int) -> None:
    """32 creates at one a second take less than 36 s."""
    assert share(1, 32, seed, (0.002, 0.05)).seconds < 36


@pytest.mark.parametrize("latency", [(0.002, 0.02), (0.02, 0.15), (0.1, 0.5)])
@pytest.mark.parametrize("seed", range(10))
def test_twenty_processes_share_a_limit(seed: int, latency: tuple[float, float]) -> None:
    """160 creates by 20 processes that know nothing of each other take less than 240 s, without flooding AWS."""
    outcome = share(20, 8, seed, latency)
    assert outcome.seconds < 240
    assert outcome.calls < 10 * 160
    assert outcome.longest_wait < outcome.seconds


@pytest.mark.parametrize("seed", range(5))
def test_a_limit_that_is_lower_than_thought_is_lived_with(seed: int) -> None:
    """The rates are guesses in part: where AWS admits a third of one, its limit is still nearly used up."""
    assert share(4, 8, seed, (0.02, 0.15), limit=0.3).seconds < 32 / 0.3 * 1.5


def test_waiting_ends_by_itself_too() -> None:
    """Without anything that could cancel it."""
    cancel = threading.Event()
    wait_for(0.001, None)
    wait_for(0.001, cancel)
    assert not cancel.is_set()


def test_our_rates_stay_below_the_clouds() -> None:
    """Calls spaced by exactly AWS's limit arrive closer than that now and then."""
    for operation, rate in CLOUD_RATES.items():
        assert 0.9 * rate <= AWS_RATES[operation] < rate


def test_an_account_with_other_limits_can_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A granted increase is used; patterns and unlimited operations are understood."""
    rates = rates_with(" sagemaker:CreateTrainingJob = 5 , logs:*=inf, s3:PutObject=100")
    assert rates[CREATE] == 5
    assert rates["s3:PutObject"] == 100
    assert "logs:FilterLogEvents" not in rates
    assert rates["sagemaker:StopTrainingJob"] == AWS_RATES["sagemaker:StopTrainingJob"]
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    budget = process_budget()
    assert all(budget.take(CREATE) == 0 for _ in range(100))
    assert process_budget() is budget


@pytest.mark.parametrize("given_", ["x", "a=", "a=b", "a=0", "a=-1", "a=nan"])
def test_rates_that_make_no_sense_are_refused(given_: str) -> None:
    """A misspelt setting is named, with an example of how it is written."""
    with pytest.raises(ValueError, match="CLOUDTUNE_AWS_RATES"):
        rates_with(given_)


def test_a_forked_child_has_a_budget_of_its_own() -> None:
    """Also where another thread of the parent held the lock at that moment; with other jitter than its siblings."""
    budget = RateBudget({CREATE: 1.0})
    budget.take(CREATE)
    with budget._lock:
        first = in_child(lambda: (budget.take(CREATE), budget._random.random()))
        second = in_child(lambda: (budget.take(CREATE), budget._random.random()))
    assert isinstance(first, tuple)
    assert isinstance(second, tuple)
    assert first[0] == second[0] == 0
    assert first[1] != second[1]
