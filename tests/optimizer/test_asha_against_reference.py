"""ASHA decides exactly as a naive implementation of the paper does, on any course of events and on real curves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA
from cloudtune.trial import Trial
from tests.contracts.scheduler_contract import METRIC, PROGRAMS, RESOURCE, Simulation, Step
from tests.optimizer.asha_reference import Reference

_HERE = Path(__file__).parents[2]
TASKSET = Path(os.environ.get("CLOUDTUNE_TASKSET", _HERE.parent / "shared" / "data" / "taskset"))

SETTINGS = st.tuples(
    st.sampled_from([(1, 3.0, 27), (1, 2.0, 9), (2, 1.5, 11), (1, 4.0, 4), (5, 3.0, 5)]), st.booleans(), st.booleans()
)


def make(kind: str, rungs: tuple[int, float, int], ends_itself: bool, maximize: bool) -> tuple[ASHA, Reference]:
    """A scheduler, and the reference for it."""
    grace_period, reduction_factor, max_t = rungs
    scheduler = ASHA(
        {"x": uniform(0, 1), "epochs": max_t},
        metric=METRIC,
        mode="max" if maximize else "min",
        max_resource_attr="epochs" if ends_itself else None,
        max_t=max_t,
        grace_period=grace_period,
        reduction_factor=reduction_factor,
        type=kind,
        random_seed=1,
    )
    return scheduler, Reference(scheduler.rung_levels, ends_itself, maximize)


@given(PROGRAMS, SETTINGS)
def test_stopping_decides_as_the_reference(program: list[Step], given_settings: tuple[Any, bool, bool]) -> None:
    """Every report is answered as by sorting all results of the rungs that it reached."""
    scheduler, reference = make("stopping", *given_settings)
    simulation = Simulation(scheduler)
    for entry in simulation.run(program):
        if entry[0] == "report":
            _, trial, epoch, _, decision, result = entry
            assert decision == reference.stopping(trial, epoch, result[METRIC])


@given(PROGRAMS, SETTINGS)
def test_promotion_decides_as_the_reference(program: list[Step], given_settings: tuple[Any, bool, bool]) -> None:
    """Every suggestion resumes the trial that sorting all rungs from the top would choose, or starts a new one."""
    scheduler, reference = make("promotion", *given_settings)
    ends_itself = given_settings[1]
    simulation = Simulation(scheduler)
    told: dict[int, int] = {}
    for entry in simulation.run(program):
        if entry[0] == "report":
            _, trial, epoch, _, decision, result = entry
            assert decision == reference.pausing_at(trial, epoch, result[METRIC])
        elif entry[0] == "suggest":
            _, resumed, config, trial, *_ = entry
            told[trial] = config["epochs"]
            expected = reference.promotion()
            assert resumed == (None if expected is None else expected[0])
            if ends_itself:
                assert config["epochs"] == (reference.levels[0] if expected is None else expected[1])
            else:
                assert config["epochs"] == reference.levels[-1]
        elif entry[0] == "script end":
            # Below the level that it was told.
            assert reference.pausing_at(entry[1], told[entry[1]], entry[-1][METRIC]) == "PAUSE"
        elif entry[0] == "error":
            reference.failed(entry[1])
        elif entry[0] in ("remove", "complete"):
            reference.ended(entry[1])


def curves() -> list[Path]:
    """The recorded learning curves that are there."""
    return sorted(TASKSET.glob("*.npz"))


@pytest.mark.skipif(not curves(), reason="the recorded TaskSet curves are not beside the repository")
@pytest.mark.parametrize("kind", ["stopping", "promotion"])
def test_real_curves_are_decided_as_by_the_reference(kind: str) -> None:
    """On recorded validation losses, with their NaNs and infinities, four trials at a time, every decision agrees."""
    for path in curves():
        valid = np.load(path)["valid"][:250]
        scheduler, reference = make(kind, (1, 3.0, 50), True, False)
        running: list[Trial] = []
        epochs: dict[int, int] = {}
        started = 0
        trials: dict[int, Trial] = {}
        ends = {"STOP": 0, "PAUSE": 0, "resumed": 0, "completed": 0}
        while running or started < len(valid):
            while len(running) < 4:
                suggestion = scheduler.suggest()
                expected = reference.promotion()
                assert suggestion is not None
                assert suggestion.trial_id == (None if expected is None else expected[0])
                if suggestion.trial_id is not None:
                    running.append(trials[suggestion.trial_id])
                    ends["resumed"] += 1
                elif started < len(valid):
                    assert suggestion.config is not None
                    trials[started] = Trial(started, suggestion.config)
                    scheduler.on_trial_add(trials[started])
                    running.append(trials[started])
                    started += 1
                else:
                    break
            # Trials take turns in an order that is not that of their ids.
            trial = running.pop(len(epochs) * 7 % len(running)) if running else None
            if trial is None:
                break
            trial_id = trial.trial_id
            epoch = epochs[trial_id] = epochs.get(trial_id, 0) + 1
            loss = float(valid[trial_id, epoch])
            decision = scheduler.on_trial_result(trial, {RESOURCE: epoch, METRIC: loss})
            decide = reference.stopping if kind == "stopping" else reference.pausing_at
            assert decision == decide(trial_id, epoch, loss)
            if decision == "CONTINUE" and epoch < 50:
                running.append(trial)
            elif decision == "CONTINUE":
                ends["completed"] += 1
                scheduler.on_trial_complete(trial, {RESOURCE: epoch, METRIC: loss})
            else:
                ends[decision] += 1
                scheduler.on_trial_remove(trial)
                reference.ended(trial_id)
        assert ends["completed"] > 0
        if kind == "stopping":
            assert ends["STOP"] > 100
        else:
            assert ends["PAUSE"] > ends["resumed"] > 50
