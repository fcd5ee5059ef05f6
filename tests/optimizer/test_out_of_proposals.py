"""A searcher that is out of proposals for now: schedulers go on the same whether or not they have asked it in vain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.config_space import uniform
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.schedulers import (
    FIFOScheduler,
    HyperbandScheduler,
    PopulationBasedTraining,
    SynchronousHyperbandScheduler,
)
from cloudtune.optimizer.searchers import RandomSearcher
from cloudtune.trial import Config
from tests.contracts.scheduler_contract import METRIC, RESOURCE, STEPS, TOLD, Simulation, Step, comparable, replay

SPACE: dict[str, Any] = {"x": uniform(0, 1), TOLD: 4}
#: The newest trial fails, and there is nothing in its place.
IN_VAIN = [Step("suggest"), Step("fail", -1), Step("suggest")]
PROGRAMS = st.lists(st.one_of(STEPS.map(lambda step: [step]), st.just(IN_VAIN)), min_size=20, max_size=60).map(
    lambda parts: [step for part in parts for step in part]
)


class WaitsForAReport(RandomSearcher):
    """Proposes nothing after a failure while other trials run, until one of these reports."""

    def __init__(self) -> None:
        super().__init__(SPACE, [])
        self.running: set[int] = set()
        self.is_waiting = False

    def suggest(self) -> Config | None:
        return None if self.is_waiting and self.running else super().suggest()

    def on_trial_add(self, trial_id: int, config: Config) -> None:
        self.running.add(trial_id)

    def on_trial_resume(self, trial_id: int, config: Config) -> None:
        self.running.add(trial_id)

    def on_trial_result(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        self.is_waiting = False

    def on_trial_complete(self, trial_id: int, config: Config, result: dict[str, Any]) -> None:
        self.running.remove(trial_id)

    def on_trial_error(self, trial_id: int, config: Config) -> None:
        self.running.remove(trial_id)
        self.is_waiting = True

    def on_trial_remove(self, trial_id: int, config: Config) -> None:
        self.running.remove(trial_id)


def made(kind: Callable[..., TrialScheduler], **options: Any) -> TrialScheduler:
    return kind(SPACE, WaitsForAReport(), metric=METRIC, random_seed=1, max_resource_attr=TOLD, **options)


def synchronous(level: int = 1) -> TrialScheduler:
    """Brackets of 4 trials told 1, the best of which goes on to 4, and of 2 told 4; with level 2 both are of 2."""
    return made(SynchronousHyperbandScheduler, resource_attr=RESOURCE, rung_levels=[level])


SCHEDULERS: dict[str, Callable[[], TrialScheduler]] = {
    "fifo": lambda: made(FIFOScheduler),
    "promotion": lambda: made(HyperbandScheduler, resource_attr=RESOURCE, type="promotion", brackets=2),
    "synchronous": lambda: synchronous(2),
    "population": lambda: made(PopulationBasedTraining, perturbation_interval=1),
}


def restored(simulation: Simulation, fresh: TrialScheduler) -> Simulation:
    """The same simulation, continued from its log: that does not tell which questions were in vain."""
    replay(simulation.log, fresh)
    return simulation.continue_with(fresh)


@pytest.mark.parametrize("name", SCHEDULERS)
@settings(max_examples=30)
@given(PROGRAMS, PROGRAMS)
def test_an_experiment_goes_on_from_its_log_as_it_would_have(name: str, before: list[Step], after: list[Step]) -> None:
    """Whenever it was asked in vain, and however often."""
    live = Simulation(SCHEDULERS[name]())
    live.run(before)
    begin = len(live.log)
    other = restored(live, SCHEDULERS[name]())
    assert comparable(other.run(after)) == comparable(live.run(after)[begin:])


def test_a_bracket_whose_trials_have_failed_goes_on_when_there_are_proposals_again() -> None:
    """It was not given up when there were none, for nothing in the log would tell."""
    live = Simulation(synchronous())
    live.run([*[Step("suggest")] * 5, Step("fail", 4), Step("suggest")])
    assert live.log[-1] == ("nothing",)
    for simulation in (restored(live, synchronous()), live):
        simulation.run([Step("report", 0), *[Step("suggest")] * 2])
        assert [config[TOLD] for config in simulation.new_configs()[-2:]] == [4, 1]


def test_a_bracket_goes_on_with_the_trials_that_wait_and_the_next_begins_afterwards() -> None:
    """That is a suggestion, which the log has: the best is resumed, and no further trial begins there."""
    live = Simulation(synchronous())
    live.run([Step("suggest"), Step("suggest"), Step("suggest"), Step("fail", 2)])
    live.run([Step("report", 0), Step("end", 0), Step("suggest")])
    assert live.new_configs()[-1][TOLD] == 1
    live.run([Step("report", 0), Step("end", 0), Step("fail", 0), Step("suggest")])
    assert live.log[-1][:2] == ("suggest", 0)
    for simulation in (restored(live, synchronous()), live):
        simulation.run([Step("report", 0), Step("suggest")])
        assert simulation.new_configs()[-1][TOLD] == 4
