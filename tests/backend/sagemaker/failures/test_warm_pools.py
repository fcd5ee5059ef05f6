"""Machines that are kept for the next trial."""

from __future__ import annotations

import pytest

from cloudtune.store.entries import BILL
from tests.backend.sagemaker.failures.experiment import Experiment

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


def test_pools_beyond_the_quota(experiment: Experiment) -> None:
    """SageMaker keeps no more than the quota without a word: the tuner says it before."""
    experiment.cloud.set_quota(POOLS, 0)
    experiment.run([{"epochs": 1}], job={"keep_alive_period": 600})
    assert experiment.says(
        "the account may keep 0 ml.m5.large in warm pools, and 1 are wanted: SageMaker keeps no more than that, "
        "without saying so; ask for 'ml.m5.large for training warm pool usage' with AWS Service Quotas"
    )
    experiment.check_whole()
