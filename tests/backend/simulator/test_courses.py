"""The simulator by itself: when trials report and end, and where they go on."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.backend.simulator_backend import SimulatedDelays, SimulatorBackend
from cloudtune.backend.simulator_backend.backend import VIRTUAL_START
from cloudtune.backend.trial_backend import LeftRunning
from cloudtune.blackbox import Curve
from cloudtune.errors import BackendBroken
from cloudtune.trial import Bill, End, Outcome, Report, Trial
from tests.backend.simulator.driving import SPACE, Ramp, clock, goes_on, happens, opened, trial


def test_reports_come_when_the_curve_says() -> None:
    """Each report comes at its time on the curve, and the end with the last of them."""
    backend = opened(SimulatorBackend(Ramp(startup=3)))
    backend.start_trial(trial(0, 2))
    assert goes_on(backend) == [(5, 0, 1), (7, 0, 2), (9, 0, 3), (11, 0, 4), (13, 0, 5), (13, 0, "completed")]


def test_reports_have_what_a_reporter_adds() -> None:
    """A report is as a training script would have made it on that clock: its number, the time, and seconds so far."""
    backend = opened(SimulatorBackend(Ramp(), delays=SimulatedDelays(start=10)))
    backend.start_trial(trial(7, 2))
    backend.poll(None)
    (report,) = backend.poll(None)
    assert isinstance(report, Report)
    assert report[:4] == (7, 0, 0, 1)
    own = {"st_worker_iter": 1, "st_worker_timestamp": VIRTUAL_START + 14, "st_worker_time": 4.0}
    assert report.metrics == {"epoch": 2, "loss": 1.0, **own}


def test_what_happens_at_one_time_comes_in_order_of_its_cause() -> None:
    """Trials in step report together, in the order in which they got there."""
    backend = opened(SimulatorBackend(Ramp()))
    for number in (2, 0, 1):
        backend.start_trial(trial(number, 3))
    assert happens(backend) == [(3, 2, 1), (3, 0, 1), (3, 1, 1)]
    assert backend.busy_workers() == 3


def test_poll_waits_for_no_longer_than_it_may() -> None:
    """A timeout moves the clock and brings nothing; what happens at that very moment comes."""
    backend = opened(SimulatorBackend(Ramp()))
    backend.start_trial(trial(0, 4))
    assert backend.poll(2.5) == []
    assert clock(backend) == 2.5
    assert len(backend.poll(1.5)) == 1
    assert clock(backend) == 4
    backend.wake()
    assert backend.poll(None) == []
    assert clock(backend) == 4
    assert backend.poll(0) == []


def test_poll_for_ever_for_nothing_is_refused() -> None:
    """Where nothing will ever happen a poll without a timeout says so, instead of never coming back."""
    with pytest.raises(BackendBroken, match="nothing will ever happen"):
        opened(SimulatorBackend(Ramp())).poll(None)


def test_delays_take_their_time() -> None:
    """Starting, reporting, stopping and ending take the virtual seconds that were stated, the worker being busy."""
    backend = opened(SimulatorBackend(Ramp(), delays=SimulatedDelays(start=100, report=0.5, stop=20, end=7)))
    backend.start_trial(trial(0, 2))
    backend.start_trial(trial(1, 50))
    told = [happens(backend)[0] for _ in range(6)]
    assert told == [*[(100.5 + 2 * level, 0, level) for level in range(1, 6)], (117, 0, "completed")]
    backend.stop_trial(1)
    backend.stop_trial(1)
    assert (clock(backend), backend.busy_workers()) == (117, 1)
    assert happens(backend) == [(137, 1, "stopped")]
    assert backend.busy_workers() == 0


def test_reports_under_way_still_come() -> None:
    """What a trial had reported when it was told to pause comes before its end, though the tuner learns of it late."""
    backend = opened(SimulatorBackend(Ramp(), delays=SimulatedDelays(report=3)))
    backend.start_trial(trial(0, 2))
    assert happens(backend) == [(5, 0, 1)]  # made at 2; by 5 it has made another
    backend.pause_trial(0)
    assert goes_on(backend) == [(7, 0, 2), (7, 0, "paused")]
    backend.resume_trial(trial(0, 2, attempt=1))
    assert happens(backend) == [(12, 0, 3)]


def test_paused_trial_goes_on_from_its_checkpoint() -> None:
    """A resumed trial repeats nothing but the time since its last report, and pays no start of the curve again."""
    backend = opened(SimulatorBackend(Ramp(startup=50)))
    backend.start_trial(trial(0, 10))
    assert [happens(backend), happens(backend)] == [[(60, 0, 1)], [(70, 0, 2)]]
    assert backend.poll(6) == []
    backend.pause_trial(0)
    assert happens(backend) == [(76, 0, "paused")]
    backend.resume_trial(trial(0, 10, attempt=1))
    assert goes_on(backend) == [(86, 0, 3), (96, 0, 4), (106, 0, 5), (106, 0, "completed")]


def test_without_checkpoints_a_trial_begins_anew() -> None:
    """Where nothing is saved a resumed trial starts with its first level, and so does one made from another's."""
    backend = opened(SimulatorBackend(Ramp(), checkpoints=False))
    backend.start_trial(trial(0, 10))
    assert happens(backend) == [(10, 0, 1)]
    backend.pause_trial(0)
    assert happens(backend) == [(10, 0, "paused")]
    backend.resume_trial(trial(0, 10, attempt=1))
    assert happens(backend) == [(20, 0, 1)]
    backend.start_trial(trial(1, 10), checkpoint_trial_id=0)
    assert happens(backend) == [(30, 0, 2), (30, 1, 1)]


def test_resumed_with_another_configuration() -> None:
    """A trial that goes on with another configuration follows that one's curve from where it was."""
    backend = opened(SimulatorBackend(Ramp()))
    backend.start_trial(trial(0, 10))
    happens(backend), happens(backend)
    backend.pause_trial(0)
    happens(backend)
    backend.resume_trial(trial(0, 1, attempt=1))
    (report,) = backend.poll(None)
    assert isinstance(report, Report)
    assert (clock(backend), report.metrics["epoch"], report.metrics["loss"]) == (21, 3, 1 / 3)


def test_new_trial_from_a_copied_checkpoint() -> None:
    """A new trial begins at the level that the other, which runs on, has reached; a copy of nothing is nothing."""
    backend = opened(SimulatorBackend(Ramp()))
    backend.start_trial(trial(0, 10))
    happens(backend), happens(backend)
    backend.start_trial(trial(1, 1), checkpoint_trial_id=0)
    backend.start_trial(trial(2, 2), checkpoint_trial_id=5)
    assert goes_on(backend)[:4] == [(21, 1, 3), (22, 2, 1), (22, 1, 4), (23, 1, 5)]


def test_deleted_checkpoint_is_gone() -> None:
    """A trial whose checkpoint was deleted begins anew if it is resumed all the same."""
    backend = opened(SimulatorBackend(Ramp()))
    backend.start_trial(trial(0, 10))
    happens(backend)
    backend.pause_trial(0)
    happens(backend)
    backend.delete_checkpoint(0)
    backend.delete_checkpoint(99)
    backend.resume_trial(trial(0, 10, attempt=1))
    assert happens(backend) == [(20, 0, 1)]


def test_trains_as_far_as_its_configuration_says() -> None:
    """A trial ends at its ``max_resource_attr``, the scheduler's or the backend's own, and goes on from there."""
    for backend, place in (
        (SimulatorBackend(Ramp()), {"max_resource_attr": "epochs"}),
        (SimulatorBackend(Ramp(), max_resource_attr="epochs"), {}),
    ):
        opened(backend, {**SPACE, "epochs": 5}, **place)
        backend.start_trial(trial(0, 10, epochs=2))
        assert goes_on(backend) == [(10, 0, 1), (20, 0, 2), (20, 0, "completed")]
        backend.resume_trial(trial(0, 10, attempt=1, epochs=3))
        assert goes_on(backend) == [(30, 0, 3), (30, 0, "completed")]
        backend.resume_trial(trial(0, 10, attempt=2, epochs=3))
        assert goes_on(backend) == [(30, 0, "completed")]


def test_stop_after_the_last_report_lets_it_end() -> None:
    """A trial that has made all its reports ends by itself, whatever it is told then."""
    backend = opened(SimulatorBackend(Ramp(), delays=SimulatedDelays(end=5, stop=100)))
    backend.start_trial(trial(0, 1))
    for _ in range(5):
        happens(backend)
    backend.stop_trial(0)
    assert happens(backend) == [(10, 0, "completed")]
    backend.stop_trial(0)
    backend.pause_trial(77)


def test_failures_are_part_of_a_curve() -> None:
    """A curve may end in a failure; a trial that was told to train less far does not get there."""
    backend = opened(SimulatorBackend(Ramp(failing=(3,))), {**SPACE, "epochs": 5}, max_resource_attr="epochs")
    backend.start_trial(trial(0, 3, epochs=5))
    backend.start_trial(trial(1, 3, epochs=1))
    assert [event[1:] for event in goes_on(backend)] == [(0, 1), (1, 1), (1, "completed"), (0, 2), (0, "failed")]
    backend.start_trial(trial(2, 3, epochs=5))
    end = [event for _ in range(2) for event in backend.poll(None)][-1]
    assert isinstance(end, End)
    assert (end.reason, end.exit_code) == ("it blew up", 1)


def test_report_may_lack_a_metric() -> None:
    """Where a curve has no value the report has no such key."""

    class Gaps(Ramp):
        def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
            return Curve([1, 2], {"loss": [0.5, None], "accuracy": [None, math.nan]}, [1, 2])

    backend = opened(SimulatorBackend(Gaps()))
    backend.start_trial(trial(0, 3))
    reports = [event for _ in range(2) for event in backend.poll(None) if isinstance(event, Report)]
    assert [sorted(key for key in report.metrics if not key.startswith("st_")) for report in reports] == [
        ["epoch", "loss"],
        ["accuracy", "epoch"],
    ]


def test_takes_over_what_an_earlier_tuner_left() -> None:
    """What ran has ended with its tuner, and goes on from the last report in the log, at the time of the log."""
    backend = opened(SimulatorBackend(Ramp()))
    backend.recall({0: {"epoch": 3, "loss": 1.0}, 1: {}, 2: {"epoch": 1}}, 500.0)
    backend.attach([LeftRunning(trial(0, 10)), LeftRunning(trial(1, 10))])
    assert backend.busy_workers() == 2
    assert [event[1:] for event in happens(backend)] == [(0, "interrupted"), (1, "interrupted")]
    assert backend.busy_workers() == 0
    backend.resume_trial(trial(0, 10, attempt=1))
    backend.resume_trial(trial(1, 10, attempt=1))
    assert happens(backend) == [(510, 0, 4), (510, 1, 1)]


def test_every_open_begins_at_the_same_moment() -> None:
    """The clock is that of no machine: it begins anew for each experiment, and stands still between polls."""
    backend = SimulatorBackend(Ramp())
    for _ in range(2):
        opened(backend)
        assert backend.time() == VIRTUAL_START
        backend.start_trial(trial(0, 2))
        assert happens(backend) == [(2, 0, 1)]
        backend.close(stop_running=True)
        assert backend.time() == VIRTUAL_START + 2


def test_time_of_the_scheduler_counts_only_if_asked() -> None:
    """Real time of the scheduler moves the clock where that was asked for, and what was due meanwhile comes at once."""
    exact, counting = SimulatorBackend(Ramp()), SimulatorBackend(Ramp(), count_scheduler_time=True)
    for backend in (exact, counting):
        opened(backend).start_trial(trial(0, 2))
        backend.scheduler_took(4.5)
    assert happens(exact) == [(2, 0, 1)]
    assert happens(counting) == [(4.5, 0, 1), (4.5, 0, 2)]


def test_pickles_while_it_is_closed() -> None:
    """A backend goes into a tuner's snapshot with all its settings, but not while it is open."""
    backend = SimulatorBackend(
        Ramp(startup=4),
        seed=3,
        max_resource_attr="epochs",
        delays=SimulatedDelays(stop=2),
        checkpoints=False,
        count_scheduler_time=True,
        dollars_per_hour=0.5,
        delete_checkpoints=True,
    )
    again = pickle.loads(pickle.dumps(backend))
    before, after = vars(backend), vars(again)
    assert after.pop("blackbox").startup == before.pop("blackbox").startup
    assert after == before
    with pytest.raises(RuntimeError, match="close it first"):
        pickle.dumps(opened(SimulatorBackend(Ramp())))


_WISHES = st.lists(
    st.tuples(st.sampled_from(["start", "stop", "pause", "resume", "poll", "wait", "copy"]), st.integers(0, 3)),
    max_size=40,
)
_SECONDS = st.sampled_from([0.0, 1.0, 3.7])


@settings(deadline=None)
@given(_WISHES, st.builds(SimulatedDelays, start=_SECONDS, report=_SECONDS, stop=_SECONDS, end=_SECONDS), st.booleans())
def test_any_order_of_wishes(wishes: list[tuple[str, int]], delays: SimulatedDelays, checkpoints: bool) -> None:
    """Reports of an attempt come once, in order and before its end, whatever a tuner asks for and when.

    Levels follow on each other, with checkpoints none comes twice in one trial, and the clock never goes back. A limit
    of cost is told when it is reached, and no later.
    """
    backend = opened(
        SimulatorBackend(Ramp(startup=1, failing=(4,)), delays=delays, checkpoints=checkpoints, dollars_per_hour=3600.0)
    )
    limits = [2.0, 2.5, 20.0]
    backend.watch_cost(limits, 0.0)
    bills: dict[tuple[int, int], float] = {}
    attempts: dict[int, int] = {}
    running: set[int] = set()
    numbers: dict[tuple[int, int], list[int]] = {}
    levels: dict[int, list[int]] = {}
    resumable: set[int] = set()
    before = 0.0

    def take(timeout: float | None) -> None:
        nonlocal before
        events = backend.poll(timeout)
        for event in events:
            assert event.attempt == attempts[event.trial_id]
            if isinstance(event, Bill):
                assert event.final is not (event.trial_id in running)
                assert event.dollars is not None
                bills[event[:2]] = event.dollars
                continue
            assert event.trial_id in running
            if isinstance(event, Report):
                numbers.setdefault(event[:2], []).append(event.number)
                levels.setdefault(event.trial_id, []).append(event.metrics["epoch"])
            elif isinstance(event, End):
                running.discard(event.trial_id)
                if event.outcome is Outcome.paused:
                    resumable.add(event.trial_id)
        cost = sum(bills.values())
        if any(isinstance(event, Bill) and not event.final for event in events):
            assert cost == pytest.approx(limits.pop(0))
        while limits and cost >= limits[0]:  # by final bills
            assert cost == pytest.approx(limits.pop(0))
        assert clock(backend) >= before
        before = clock(backend)

    for wish, number in wishes:
        if wish == "start" and number not in attempts:
            attempts[number] = 0
            backend.start_trial(Trial(number, {"width": number + 1}))
            running.add(number)
        elif wish == "copy" and number + 4 not in attempts:
            attempts[number + 4] = 0
            backend.start_trial(Trial(number + 4, {"width": number + 2}), checkpoint_trial_id=number)
            running.add(number + 4)
        elif wish == "resume" and number in resumable:
            resumable.remove(number)
            attempts[number] += 1
            backend.resume_trial(Trial(number, {"width": number + 1}, attempts[number]))
            running.add(number)
        elif wish == "stop":
            backend.stop_trial(number)
        elif wish == "pause":
            backend.pause_trial(number)
        elif wish == "poll" and running:
            take(None)
        else:
            take(1.3)
        assert backend.busy_workers() == len(running)
    while running:
        take(None)
    for of_attempt in numbers.values():
        assert of_attempt == list(range(len(of_attempt)))
    for of_trial in levels.values():
        steps = pairwise(of_trial)
        assert all(after == level + 1 or (not checkpoints and after == 1) for level, after in steps)


def test_simulator_is_public(tmp_path: Path) -> None:
    """The backend is where users look for it."""
    from cloudtune.backend import SimulatorBackend as Public

    assert Public is SimulatorBackend
