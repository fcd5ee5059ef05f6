"""Which paused trials keep their checkpoints: by rank, so many at most, and each is told once for every pause."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA, MOASHA, PASHA, SyncHyperband
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.schedulers.kept_checkpoints import KeptCheckpoints, chance_deviation
from cloudtune.optimizer.schedulers.rungs import PromotionRung
from tests.contracts.scheduler_contract import METRIC, PROGRAMS, Simulation, Step, replay

SPACE: dict[str, Any] = {"x": uniform(0, 1), "epochs": 9}

MAKERS: dict[str, Callable[[], TrialScheduler]] = {
    "promotion": lambda: ASHA(
        SPACE, metric=METRIC, max_resource_attr="epochs", type="promotion", max_num_checkpoints=2, random_seed=1
    ),
    "pasha": lambda: PASHA(
        SPACE, metric=METRIC, max_resource_attr="epochs", reduction_factor=2, max_num_checkpoints=2, random_seed=1
    ),
    "synchronous": lambda: SyncHyperband(SPACE, metric=METRIC, max_resource_attr="epochs", random_seed=1),
}


def rung(level: int, next_level: int, values: list[float], kept: KeptCheckpoints, first_id: int) -> PromotionRung:
    """A rung at which trials with these values have paused."""
    made = PromotionRung(level, next_level)
    made.keep_ranks()
    entries = [made.record(value) for value in values]
    for number, entry in enumerate(entries):
        kept.pause(first_id + number, made, entry)
    return made


def test_the_worst_of_a_rung_goes_first() -> None:
    """Of five trials at one rung the two best keep their checkpoints, of equal ones the earlier."""
    kept = KeptCheckpoints(2)
    rung(1, 3, [0.3, 0.1, math.inf, 0.1, 0.2], kept, 0)
    assert sorted(kept.take_expendable()) == [0, 2, 4]
    assert kept.take_expendable() == []


def test_between_rungs_it_is_what_would_be_lost_that_counts() -> None:
    """A middling trial at a high rung is kept before one like it at a low rung; a hopeless one is not."""
    for num_above, expected in ((5, 104), (12, 11)):
        kept = KeptCheckpoints(num_above + 4)  # one less than there are
        rung(9, 27, [float(value) for value in range(num_above)], kept, 0)
        rung(1, 3, [0.0, 1.0, 2.0, 3.0, 4.0], kept, 100)
        assert kept.take_expendable() == [expected]


def test_the_chance_is_the_binomial_one() -> None:
    """The deviation is that of the number of ``n`` results among the best share: 0 at the share, 2 two sigma beyond."""
    assert chance_deviation(30, 90, 1 / 3) == pytest.approx(0)
    sigma = math.sqrt(90 * 2 / 9)
    assert chance_deviation(40, 90, 1 / 3) == pytest.approx(10 / sigma)


def test_a_trial_that_goes_on_is_not_told() -> None:
    """A trial that was resumed before anybody asked is not expendable; after its next pause it may be again."""
    kept = KeptCheckpoints(1)
    made = rung(1, 3, [0.1, 0.2, 0.3], kept, 0)
    kept.go_on(1)
    assert kept.take_expendable() == [2]
    kept.go_on(2)
    kept.pause(2, made, made.record(0.9))
    assert kept.take_expendable() == [2]


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_the_limit_is_a_positive_integer(limit: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="max_num_checkpoints must be a positive integer, got"):
        PASHA(SPACE, metric=METRIC, max_t=9, max_num_checkpoints=limit)


def test_where_nothing_pauses_a_limit_is_refused() -> None:
    """With the stopping type there are no paused trials, and ranks by several metrics are not kept."""
    with pytest.raises(ValueError, match="with type='stopping' there are none; leave it out, or use type='promotion'"):
        ASHA(SPACE, metric=METRIC, max_t=9, max_num_checkpoints=3)
    with pytest.raises(ValueError, match="max_num_checkpoints=3 needs paused trials to be ranked by one metric"):
        MOASHA.__mro__[1](  # the baseline has no such argument
            SPACE, metric=["a", "b"], resource_attr="epoch", max_t=9, type="promotion", max_num_checkpoints=3
        )


class Told:
    """Follows what a scheduler tells while a simulation runs: which paused trials have lost their checkpoints."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.gone: set[int] = set()
        self._read = 0

    def ask(self) -> list[int]:
        """Asks the scheduler. What it tells must be paused, and have its checkpoint still."""
        log = self.simulation.log
        self.gone -= {entry[1] for entry in log[self._read :] if entry[0] == "suggest"}
        self._read = len(log)
        told = list(self.simulation.scheduler.expendable_checkpoints())
        assert len(set(told)) == len(told)
        assert self.simulation.paused.keys() >= set(told)
        assert not self.gone & set(told)
        self.gone |= set(told)
        return told


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=20)
@given(program=PROGRAMS)
def test_each_is_told_once_and_only_while_it_is_paused(kind: str, program: list[Step]) -> None:
    """Whatever happens, and whether it is asked after each step or now and then; no more than the limit are kept."""
    simulation = Simulation(MAKERS[kind]())
    told = Told(simulation)
    for number, step in enumerate(program):
        simulation.run([step])
        if number % 3 != 2:
            told.ask()
            if kind != "synchronous":
                assert len(simulation.paused.keys() - told.gone) <= 2


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=20)
@given(program=PROGRAMS)
def test_the_same_are_gone_after_restoring_and_pickling(kind: str, program: list[Step]) -> None:
    """A scheduler that was told the log tells all that are gone; a pickled one what the first has not told yet."""
    simulation = Simulation(MAKERS[kind]())
    told = Told(simulation)
    half = len(program) // 2
    simulation.run(program[:half])
    told.ask()
    simulation.run(program[half:])
    pickled: TrialScheduler = pickle.loads(pickle.dumps(simulation.scheduler))
    restored = MAKERS[kind]()
    replay(simulation.log, restored)
    assert list(pickled.expendable_checkpoints()) == told.ask()
    assert set(restored.expendable_checkpoints()) == told.gone
