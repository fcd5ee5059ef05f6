"""MOASHA: what it decides with several metrics, and that with one it is ASHA."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA, MOASHA
from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.optimizer.schedulers.moasha import ParetoHyperbandScheduler, ParetoPromotionRung, ParetoStoppingRung
from cloudtune.optimizer.schedulers.non_dominated import Fronts
from cloudtune.optimizer.schedulers.rungs import PromotionRung
from cloudtune.trial import Trial
from tests.contracts.scheduler_contract import PROGRAMS, Simulation, Step, comparable
from tests.optimizer.recording_searcher import RecordingSearcher

CONTINUE, PAUSE, STOP = SchedulerDecision.CONTINUE, SchedulerDecision.PAUSE, SchedulerDecision.STOP

SPACE: dict[str, Any] = {"x": uniform(0, 1), "max_epochs": 9}

POINTS = st.lists(st.tuples(*[st.integers(0, 12).map(float)] * 2), min_size=1, max_size=25)


def moasha(**arguments: Any) -> MOASHA:
    """MOASHA with two metrics."""
    given_arguments = {"metric": ["loss", "time"], "max_resource_attr": "max_epochs", "random_seed": 1, **arguments}
    return MOASHA(SPACE, **given_arguments)


def answers(scheduler: MOASHA, points: list[tuple[float, ...]]) -> list[str]:
    """The decisions on trials that report these points, one after another, at the first level."""
    decisions = []
    for trial_id, point in enumerate(points):
        trial = Trial(trial_id, dict(SPACE))
        scheduler.on_trial_add(trial)
        result = dict(zip(scheduler.metric_names(), point, strict=True))
        decisions.append(scheduler.on_trial_result(trial, {"epoch": 1, **result}))
    return decisions


@pytest.mark.defect("C3")
def test_a_point_that_dominates_all_others_goes_on() -> None:
    """The fourth of these is better than every other in everything; the two in between are not among the best third."""
    assert answers(moasha(), [(1, 1), (2, 2), (3, 3), (0, 0)]) == [CONTINUE, STOP, STOP, CONTINUE]


@pytest.mark.defect("C3")
@given(POINTS)
def test_a_point_is_never_stopped_before_one_that_it_dominates(points: list[tuple[float, float]]) -> None:
    """Ranks are ranks: what is stopped leaves nothing that it dominates among those that rank well enough to go on."""
    rung, fronts = ParetoStoppingRung(1, 3), Fronts()
    for n, point in enumerate(points, start=1):
        front = fronts.add(point)
        before = sum(map(len, fronts.numbers[:front]))
        room = (n - 1) // 3 + 1
        if rung.admits(point):
            assert before < room
        else:
            assert before + len(fronts.numbers[front]) > room
            ranked = [number for f in range(len(fronts.numbers)) for number in fronts.best(f, len(fronts.numbers[f]))]
            better = [points[number] for number in ranked[:room]]
            assert not any(point[0] <= x and point[1] <= y for x, y in better)


@pytest.mark.defect("C3")
@given(POINTS)
def test_the_first_front_goes_on_where_there_is_room(points: list[tuple[float, float]]) -> None:
    """A new point that no other dominates goes on, unless there are more of such points than may go on."""
    rung, fronts = ParetoStoppingRung(1, 3), Fronts()
    for n, point in enumerate(points, start=1):
        front = fronts.add(point)
        admitted = rung.admits(point)
        if front == 0 and len(fronts.numbers[0]) <= (n - 1) // 3 + 1:
            assert admitted


def test_within_a_front_what_lies_apart_goes_on() -> None:
    """Of points that trade one metric for the other, both ends go on, and what is next to another does not."""
    crowd = [(float(i), 10.0 - i) for i in (0, 1, 2, 3, 4, 5)]
    decisions = answers(moasha(reduction_factor=2), [*crowd, (10.0, 0.0), (0.5, 9.5)])
    assert decisions[-2:] == [CONTINUE, STOP]


@settings(max_examples=15)
@pytest.mark.parametrize("kind", ["stopping", "promotion"])
@given(PROGRAMS, st.sampled_from(["min", "max"]))
def test_with_one_metric_it_is_asha(kind: str, program: list[Step], mode: str) -> None:
    """Also where a second metric is constant, or only repeats the first."""
    arguments = {"max_resource_attr": "max_epochs", "type": kind, "random_seed": 1}
    asha = Simulation(ASHA(SPACE, metric="loss", mode=mode, **arguments)).run(program)  # type: ignore[arg-type]
    one = Simulation(moasha(metric=["loss"], mode=mode, type=kind)).run(program)
    assert comparable(one) == comparable(asha)
    for more in [(1.0,), ()]:
        both = Simulation(moasha(mode=mode, type=kind)).run([step._replace(more=more) for step in program])
        assert decisions(both) == decisions(asha)


def decisions(log: list[tuple[Any, ...]]) -> list[Any]:
    """What was suggested and decided."""
    return [entry[:4] if entry[0] == "suggest" else (entry[1], entry[4]) for entry in log if len(entry) > 4]


@settings(max_examples=15)
@pytest.mark.parametrize("kind", ["stopping", "promotion"])
@given(PROGRAMS, st.tuples(st.integers(-40, 40), st.integers(-40, 40)))
def test_units_and_signs_do_not_matter(kind: str, program: list[Step], exponents: tuple[int, int]) -> None:
    """A metric in other units, or turned round together with its mode, changes no decision."""
    plain = Simulation(moasha(type=kind)).run(program)
    turned = [
        step._replace(value=-math.ldexp(step.value, exponents[0]), more=(math.ldexp(step.more[0], exponents[1]),))
        for step in program
        if step.more
    ]
    assert decisions(Simulation(moasha(type=kind, mode=["max", "min"])).run(turned)) == decisions(plain)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400], ids=["nan", "inf", "-inf", "huge"])
def test_a_point_with_one_value_that_is_no_number_ranks_worst(value: float) -> None:
    """However good its other metric is."""
    assert answers(moasha(), [(1.0, 5.0), (value, -9.0)]) == [CONTINUE, STOP]
    assert answers(moasha(), [(value, -9.0), (1.0, 5.0), (-9.0, value)]) == [CONTINUE, CONTINUE, STOP]


def test_diverged_trials_are_stopped_where_most_are() -> None:
    """Where so many diverge that one of them is among the best share, it goes on only as the very first."""
    points: list[tuple[float, ...]] = [
        (math.nan, 1.0),
        (1.0, math.inf),
        (2.0, 2.0),
        (-math.inf, 0.0),
        (math.nan, math.nan),
        (3.0, 3.0),
    ]
    assert answers(moasha(), points) == [CONTINUE, STOP, CONTINUE, STOP, STOP, CONTINUE]


def test_a_metric_that_is_missing_is_named() -> None:
    """All of them must be in the report that decides."""
    scheduler = moasha()
    trial = Trial(0, dict(SPACE))
    scheduler.on_trial_add(trial)
    with pytest.raises(ValueError, match=r"must report 'epoch' \(resource_attr\) and 'loss', 'time' \(metric\)"):
        scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1.0})
    with pytest.raises(ValueError, match="there are 2 metrics but 1 modes"):
        moasha(mode=["min"])


@pytest.mark.defect("C11")
@pytest.mark.parametrize("kind", ["stopping", "promotion"])
def test_the_searcher_is_told_everything(kind: str) -> None:
    """A searcher of one's own hears of every suggestion, start, report, completion, failure and removal."""
    searcher = RecordingSearcher(SPACE, [])
    scheduler = ParetoHyperbandScheduler(
        SPACE, searcher, metric=["loss", "size"], resource_attr="epoch", max_t=27, type=kind
    )
    assert searcher.tell_all_and_return_calls(scheduler) == searcher.expected_calls()
    assert searcher.goal is not None
    assert searcher.goal.metrics == ("loss", "size")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=30))
def test_promotion_takes_the_best_that_waits(steps: list[tuple[int, int, bool]]) -> None:
    """What is promoted waits, ranks well enough, and no waiting trial is of an earlier front."""
    rung, fronts = ParetoPromotionRung(1, 3), Fronts()
    waiting: set[int] = set()
    for trial_id, (x, y, waits) in enumerate(steps):
        fronts.add((x, y))
        number = rung.record((x, y))
        if waits:
            rung.wait(trial_id, number)
            waiting.add(trial_id)
        chosen = rung.promotable()
        room = fronts.size // 3
        front_of = {int(n): f for f, numbers in enumerate(fronts.numbers) for n in numbers}
        sure = {n for n in waiting if sum(f <= front_of[n] for f in front_of.values()) <= room}
        if chosen is None:
            assert not sure
        else:
            assert front_of[chosen] == min(front_of[n] for n in waiting)
            assert sum(f < front_of[chosen] for f in front_of.values()) < room
            rung.leave(chosen)
            waiting.remove(chosen)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, math.inf, math.inf]), st.booleans()), max_size=40))
def test_a_rung_of_one_metric_is_that_of_asha(steps: list[tuple[float, bool]]) -> None:
    """Result by result the same trial may be promoted."""
    ours, plain = ParetoPromotionRung(1, 2), PromotionRung(1, 2)
    for trial_id, (value, waits) in enumerate(steps):
        number, entry = ours.record((float(value),)), plain.record(float(value))
        if waits:
            ours.wait(trial_id, number)
            plain.wait(trial_id, entry)
        chosen = ours.promotable()
        assert chosen == plain.promotable()
        if chosen is not None:
            ours.leave(chosen)
            plain.leave(chosen)
