"""What simulated workers cost, and when that reaches a limit."""

from __future__ import annotations

import pytest

from cloudtune.backend.simulator_backend import SimulatedDelays, SimulatorBackend
from cloudtune.trial import Bill, End, Report
from tests.backend.simulator.driving import Ramp, clock, goes_on, happens, opened, trial


def test_workers_are_billed() -> None:
    """With a price, reports tell what the attempt has cost from its start, and a bill how long its worker was busy."""
    delays = SimulatedDelays(start=3, stop=4)
    backend = opened(SimulatorBackend(Ramp(), delays=delays, dollars_per_hour=36.0))
    backend.start_trial(trial(0, 2))
    (report,) = backend.poll(None)
    assert isinstance(report, Report)
    assert report.metrics["st_worker_cost"] == pytest.approx(0.05)
    backend.stop_trial(0)
    end, bill = backend.poll(None)
    assert isinstance(end, End)
    assert end.bill_follows
    assert isinstance(bill, Bill)
    assert bill.dollars == pytest.approx(0.09)
    assert bill == Bill(0, 0, bill.dollars, 9.0, 0.0, "simulated", final=True)


def test_a_worker_is_billed_until_it_is_free() -> None:
    """Reports under way for longer than an end or a stop takes cost nothing, though the tuner waits for them."""
    delays = SimulatedDelays(report=7, end=1, stop=2)
    backend = opened(SimulatorBackend(Ramp(), delays=delays, dollars_per_hour=3600))
    backend.start_trial(trial(0, 2))
    assert goes_on(backend)[4:] == [(17, 0, 5), (17, 0, "completed"), (17, 0, 11)]
    backend.start_trial(trial(2, 2))
    began = clock(backend)
    assert happens(backend) == [(began + 9, 2, 1)]
    backend.stop_trial(2)
    assert goes_on(backend)[-2:] == [(began + 15, 2, "stopped"), (began + 15, 2, 11)]


def test_a_limit_of_cost_is_told_when_it_is_reached() -> None:
    """What all that runs has cost comes as bills at that moment, while nothing else happens; each limit comes once."""
    backend = opened(SimulatorBackend(Ramp(), delays=SimulatedDelays(start=100), dollars_per_hour=3600))
    backend.watch_cost([19.0, 60.0, 18.0, 10.0], 10.0)
    for number in (0, 1):
        backend.start_trial(trial(number, 9))
    assert happens(backend) == [(pytest.approx(4), 0, pytest.approx(4)), (pytest.approx(4), 1, pytest.approx(4))]
    assert backend.poll(0.25) == []
    assert happens(backend)[0] == (pytest.approx(4.5), 0, pytest.approx(4.5))
    backend.stop_trial(0)
    end, bill = backend.poll(None)
    assert isinstance(bill, Bill)
    assert (end.trial_id, bill.final) == (0, True)
    assert bill.seconds == pytest.approx(4.5)
    (bill,) = backend.poll(None)  # 4.5 by the one that has ended, 10 before
    assert isinstance(bill, Bill)
    assert (bill.trial_id, bill.final) == (1, False)
    assert bill.dollars == pytest.approx(45.5)
    assert happens(backend) == [(109, 1, 1)]


def test_a_stop_that_takes_long_costs_what_it_takes() -> None:
    """A limit that a trial would not have reached by itself is reached while it stops."""
    backend = opened(SimulatorBackend(Ramp(), delays=SimulatedDelays(stop=100), dollars_per_hour=3600))
    backend.watch_cost([50.0], 0.0)
    backend.start_trial(trial(0, 1))
    assert happens(backend) == [(1, 0, 1)]
    backend.stop_trial(0)
    assert happens(backend) == [(pytest.approx(50), 0, pytest.approx(50))]
    assert goes_on(backend) == [(101, 0, "stopped"), (101, 0, 101)]


def test_without_a_price_no_limit_of_cost_is_reached() -> None:
    """Where workers cost nothing, or nobody knows what, the limit changes nothing."""
    for price in (None, 0.0):
        backend = opened(SimulatorBackend(Ramp(), dollars_per_hour=price))
        backend.watch_cost([1e-9], 0.0)
        backend.start_trial(trial(0, 2))
        assert [told[2] for told in goes_on(backend)][:6] == [1, 2, 3, 4, 5, "completed"]
