"""PASHA decides exactly as a naive implementation of the paper does, on any course of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import uniform
from cloudtune.optimizer.schedulers import HyperbandScheduler, soft_ranking
from cloudtune.trial import Trial
from tests.contracts.scheduler_contract import METRIC, PROGRAMS, RESOURCE, Simulation, Step
from tests.optimizer.pasha_reference import PashaReference

SETTINGS = st.tuples(
    st.sampled_from([(1, 3.0, 27), (1, 2.0, 9), (2, 1.5, 11), (1, 4.0, 4), (5, 3.0, 5), (3, 3.0, 27)]),
    st.booleans(),
    st.booleans(),
)


def make(
    rungs: tuple[int, float, int], ends_itself: bool, maximize: bool, window: int = soft_ranking.WINDOW
) -> tuple[HyperbandScheduler, PashaReference]:
    """A scheduler, and the reference for it."""
    grace_period, reduction_factor, max_t = rungs
    scheduler = HyperbandScheduler(
        {"x": uniform(0, 1), "epochs": max_t},
        metric=METRIC,
        mode="max" if maximize else "min",
        resource_attr=RESOURCE,
        max_resource_attr="epochs" if ends_itself else None,
        max_t=max_t,
        grace_period=grace_period,
        reduction_factor=reduction_factor,
        type="pasha",
        random_seed=1,
    )
    return scheduler, PashaReference(scheduler.rung_levels, ends_itself, maximize, window)


def compare(
    log: list[tuple[Any, ...]], scheduler: HyperbandScheduler, reference: PashaReference, ends_itself: bool
) -> None:
    """Tells a log to the reference, which must have answered the same."""
    told: dict[int, int] = {}
    for entry in log:
        if entry[0] == "report":
            _, trial, epoch, _, decision, result = entry
            assert decision == reference.reported(trial, epoch, result[METRIC])
        elif entry[0] == "suggest":
            resumed, config, trial = entry[1:4]
            told[trial] = config["epochs"]
            expected = reference.promotion()
            assert resumed == (None if expected is None else expected[0])
            if ends_itself:
                assert config["epochs"] == (reference.levels[0] if expected is None else expected[1])
        elif entry[0] == "script end":
            # Below the level that it was told.
            assert reference.counted(entry[1], told[entry[1]], entry[-1][METRIC]) == "PAUSE"
        elif entry[0] == "error":
            reference.failed(entry[1])
        elif entry[0] in ("remove", "complete"):
            reference.ended(entry[1])


@given(PROGRAMS, SETTINGS)
def test_pasha_decides_as_the_reference(program: list[Step], given_settings: tuple[Any, bool, bool]) -> None:
    """Every report and every suggestion is answered as by sorting and comparing everything anew."""
    scheduler, reference = make(*given_settings)
    compare(Simulation(scheduler).run(program), scheduler, reference, given_settings[1])


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=9, max_size=9), min_size=12, max_size=40),
    st.sampled_from([(1, 2.0, 9), (3, 3.0, 9), (1, 3.0, 9), (2, 2.0, 9)]),
    st.integers(1, 6),
    st.booleans(),
)
def test_noisy_curves_are_decided_as_by_the_reference(
    curves: list[list[int]], rungs: tuple[int, float, int], window: int, maximize: bool
) -> None:
    """Where learning curves cross time and again, epsilon and top rung are the reference's, whatever the window."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soft_ranking, "WINDOW", window)
        scheduler, reference = make(rungs, True, maximize, window)
        trials: list[Trial] = []
        at: dict[int, int] = {}
        for _ in range(3 * len(curves)):
            suggestion, expected = scheduler.suggest(), reference.promotion()
            assert suggestion is not None
            assert suggestion.trial_id == (None if expected is None else expected[0])
            if suggestion.trial_id is None:
                if len(trials) == len(curves):
                    break
                assert suggestion.config is not None
                trial = Trial(len(trials), suggestion.config)
                trials.append(trial)
                scheduler.on_trial_add(trial)
            else:
                trial = trials[suggestion.trial_id]
            decision = "CONTINUE"
            while decision == "CONTINUE" and at.get(trial.trial_id, 0) < 9:
                epoch = at[trial.trial_id] = at.get(trial.trial_id, 0) + 1
                value = curves[trial.trial_id][epoch - 1] / epoch
                decision = scheduler.on_trial_result(trial, {RESOURCE: epoch, METRIC: value})
                assert decision == reference.reported(trial.trial_id, epoch, value)
            scheduler.on_trial_remove(trial)
            reference.ended(trial.trial_id)
            bracket: Any = scheduler._brackets[0]
            assert (bracket.top, bracket.epsilon) == (reference.top, reference.epsilon)
