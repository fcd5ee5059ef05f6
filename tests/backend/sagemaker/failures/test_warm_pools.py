"""Machines that are kept for the next trial."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from cloudtune.callbacks import TunerCallback
from cloudtune.localcloud import Fault
from cloudtune.store.entries import BILL
from cloudtune.trial import Trial
from tests.backend.sagemaker.failures.commands import Commands
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until

POOLS = "ml.m5.large for training warm pool usage"


@pytest.mark.defect("E10")
def test_machines_are_used_again(experiment: Experiment) -> None:
    """With warm pools one machine is handed on from trial to trial, told of, billed, and given back at the end."""
    experiment.cloud.set_quota(POOLS, 1)
    experiment.run([{"epochs": 2}] * 3, tuner={"n_workers": 1}, job={"keep_alive_period": 600})
    pools = [experiment.describe(trial)["WarmPoolStatus"] for trial in range(3)]
    assert [pool["Status"] for pool in pools] == ["Reused", "Reused", "Terminated"]
    assert [pool.get("ReusedByJob") for pool in pools[:2]] == [experiment.job(1), experiment.job(2)]
    assert experiment.says("warm pools: the machines of 2 of 3 jobs were used again")
    last = {bill["trial"]: bill for bill in experiment.entries(BILL) if bill["final"]}
    assert [last[trial]["retained"] for trial in range(3)] == [
        pool["ResourceRetainedBillableTimeInSeconds"] for pool in pools
    ]
    experiment.check_whole()


def test_pools_beyond_the_quota_are_told_of(experiment: Experiment) -> None:
    """SageMaker keeps no more than the quota without a word: the tuner says it before."""
    experiment.cloud.set_quota(POOLS, 0)
    experiment.run([{"epochs": 1}], job={"keep_alive_period": 600})
    assert experiment.says(
        "the account may keep 0 ml.m5.large in warm pools, and 1 are wanted: SageMaker keeps no more than that, "
        "without saying so; ask for 'ml.m5.large for training warm pool usage' with AWS Service Quotas"
    )
    experiment.check_whole()


class Raises(TunerCallback):
    """Cannot cope with the second epoch of the second trial."""

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        if (trial.trial_id, result["epoch"]) == (1, 2):
            raise KeyError("a column that is not there")


def test_machines_are_given_back_once_s3_answers_again(experiment: Experiment) -> None:
    """Before a machine is given back S3 is asked whose experiment it is: that it fails now is no reason to keep it."""
    experiment.cloud.set_quota(POOLS, 1)
    lives = Fault("internal_error", "s3:GetObject", resource="*/life.json", who="client", skip=1, count=6)
    experiment.cloud.faults.add(lives)
    # So seldom is a sign of life written that only reading it tells.
    experiment.run([{"epochs": 2}], job={"keep_alive_period": 600}, cadence={"life": 1000.0})
    assert experiment.says(f"giving the machine of {experiment.job()} back does not work at the moment, trying again")
    assert _kept(experiment, [0]) == []
    (last,) = [bill for bill in experiment.entries(BILL) if bill["final"]]
    assert last["retained"] < 300
    experiment.check_whole()


def test_a_tuner_that_may_give_nothing_back_does_not_wait_for_it(experiment: Experiment) -> None:
    """It ends, and says whose machines are kept: until their time is over would be up to an hour."""
    experiment.cloud.set_quota(POOLS, 1)
    experiment.cloud.faults.add(Fault("access_denied", "sagemaker:UpdateTrainingJob"))
    experiment.run([{"epochs": 1}], job={"keep_alive_period": 3600})
    assert _kept(experiment, [0]) == [experiment.job()]
    assert experiment.says(f"giving the machine of {experiment.job()} back has failed")
    assert experiment.says("keeps the machines of 1 ended jobs in warm pools")
    assert not any(bill["final"] for bill in experiment.entries(BILL))


def _kept(experiment: Experiment, trials: Sequence[int]) -> list[str]:
    """Jobs of trials whose machines are kept."""
    pools = {experiment.job(trial): experiment.describe(trial).get("WarmPoolStatus") for trial in trials}
    return [job for job, pool in pools.items() if pool and pool["Status"] in ("Available", "InUse")]


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_tuner_that_ends_by_an_error_keeps_no_machines(experiment: Experiment, is_refused: bool) -> None:
    """Those of the job that it stops, too, are given back; where that is refused, it says whose are kept."""
    experiment.cloud.set_quota(POOLS, 2)
    if is_refused:
        experiment.cloud.faults.add(Fault("access_denied", "sagemaker:UpdateTrainingJob"))
    with pytest.raises(KeyError, match="a column"):
        experiment.run(
            [{"epochs": 1}, {"epochs": 4, "hold": 2}],
            job={"keep_alive_period": 600},
            tuner={"callbacks": [Raises()]},
        )
    warned = [message for message in experiment.messages(logging.WARNING) if "in warm pools" in message]
    if is_refused:
        kept = _kept(experiment, range(2))
        assert experiment.job(0) in kept
        assert len(warned) == 1
        assert f"keeps the machines of {len(kept)} ended jobs in warm pools" in warned[0]
        assert all(job in warned[0] for job in kept)
        assert "`cloudtune reap trials` gives them back now" in warned[0]
    else:
        wait_until(lambda: _kept(experiment, range(2)) == [], "the end of the warm pools")
        assert warned == []


def test_a_tuner_that_leaves_trials_running_says_whose_machines_it_leaves(
    experiment: Experiment, commands: Commands
) -> None:
    """They are for the next tuner; it uses them, or gives them back at its end."""
    experiment.cloud.set_quota(POOLS, 2)
    work: dict[str, Any] = {
        "configs": [{"epochs": 2}, {"epochs": 4, "hold": 2}],
        "job": {"keep_alive_period": 600},
        "leave_running_when_interrupted": True,
    }
    first = commands.start(work)
    experiment.wait_for_epoch(2, 1)
    wait_until(lambda: experiment.entries(BILL), "the bill of trial 0")
    first.press_ctrl_c()
    first.wait()
    assert first.says(f"keeps the machines of 1 ended jobs in warm pools, which cost money ({experiment.job()})")
    assert _kept(experiment, [0]) == [experiment.job()]
    experiment.release(1)
    assert commands.start(work).wait() == 0
    assert _kept(experiment, range(2)) == []
    experiment.check_whole()
