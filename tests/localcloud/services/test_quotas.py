"""Limits by instance type and way of use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from moto import mock_aws

from tests.localcloud.services.small_sagemaker import CALLER, SmallSagemaker, small_sagemaker, training_request

GPU = "ml.g4dn.xlarge for training job usage"
SPOT = "ml.g4dn.xlarge for spot training job usage"
POOL = "ml.g4dn.xlarge for training warm pool usage"


def spot(name: str) -> dict[str, Any]:
    stopping = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}
    return training_request(name, EnableManagedSpotTraining=True, StoppingCondition=stopping)


def test_the_text_is_that_of_aws() -> None:
    """Word for word, for clients that look for numbers in it."""
    with small_sagemaker(quotas={GPU: 1}) as sagemaker:
        sagemaker.create("a")
        error = sagemaker.refused("CreateTrainingJob", training_request("b"))
    assert (error.code, error.status) == ("ResourceLimitExceeded", 400)
    assert error.message == (
        "The account-level service limit 'ml.g4dn.xlarge for training job usage' is 1 Instances, with current "
        "utilization of 1 Instances and a request delta of 1 Instances. Please use AWS Service Quotas to request an "
        "increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase "
        "for this quota."
    )


def test_spot_and_on_demand_are_counted_apart() -> None:
    """As are instance types."""
    with small_sagemaker(quotas={GPU: 1, SPOT: 1}) as sagemaker:
        sagemaker.create("a")
        sagemaker.call("CreateTrainingJob", spot("b"))
        assert "spot training job usage' is 1" in sagemaker.refused("CreateTrainingJob", spot("c")).message
        other = {"InstanceType": "ml.c5.xlarge", "InstanceCount": 9}
        sagemaker.create("d", ResourceConfig=other)
        assert [sagemaker.quotas.used(name, *_where()) for name in (GPU, SPOT)] == [1, 1]
        assert sagemaker.quotas.used("ml.c5.xlarge for training job usage", *_where()) == 9


def test_a_stopping_job_counts_until_it_has_ended() -> None:
    """Its instances are still there."""
    with small_sagemaker(default_quota=1) as sagemaker:
        job = sagemaker.create("a")
        job.want_stop()
        assert sagemaker.refused("CreateTrainingJob", training_request("b")).code == "ResourceLimitExceeded"
        job.finish("Stopped", "Stopped", "")
        sagemaker.create("b")


def test_limits_can_be_changed_while_the_cloud_runs() -> None:
    """Also to nothing; jobs that run go on."""
    with small_sagemaker(quotas={GPU: 1}) as sagemaker:
        job = sagemaker.create("a")
        sagemaker.quotas.set(GPU, 0)
        job.finish("Completed", "Completed", "")
        assert "is 0 Instances" in sagemaker.refused("CreateTrainingJob", training_request("b")).message
        sagemaker.quotas.set(GPU, 2)
        sagemaker.create("b")
        assert sagemaker.quotas.limits() == {GPU: 2}
        with pytest.raises(ValueError, match="cannot be -1"):
            sagemaker.quotas.set(GPU, -1)


def test_limits_of_a_single_job_can_be_raised(sagemaker: SmallSagemaker) -> None:
    """As AWS does on request: five days and twenty instances are only the defaults."""
    sagemaker.quotas.set("Longest run time for a training job", 864_000)
    sagemaker.create("a", StoppingCondition={"MaxRuntimeInSeconds": 864_000})
    sagemaker.quotas.set("Maximum number of instances per training job", 30)
    sagemaker.create("b", ResourceConfig={"InstanceType": "ml.c5.xlarge", "InstanceCount": 30})
    assert sagemaker.quotas.used("ml.c5.xlarge for training job usage", *_where()) == 30


def test_warm_pools_do_not_refuse_a_job() -> None:
    """Without room for a pool the job runs all the same; how much is used the pools know."""
    with small_sagemaker(quotas={POOL: 0}) as sagemaker:
        resources = {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "KeepAlivePeriodInSeconds": 60}
        sagemaker.create("a", ResourceConfig=resources)
        sagemaker.pooled = 3
        assert sagemaker.quotas.used(POOL, *_where()) == 3
        assert sagemaker.quotas.limit(POOL) == 0
        assert sagemaker.quotas.limit(GPU) is None
        assert sagemaker.quotas.used("something else", *_where()) == 0


def _where() -> tuple[str, str]:
    return CALLER.account, CALLER.region


class QuotaMachine(RuleBasedStateMachine):
    """The instances in use against a count by hand, and creation against the limit."""

    def __init__(self) -> None:
        super().__init__()
        self.mock = mock_aws()
        self.mock.start()
        self.sagemaker = SmallSagemaker(quotas={GPU: 6})
        self.number = 0

    def teardown(self) -> None:
        self.mock.stop()

    def counted(self) -> int:
        jobs = self.sagemaker.jobs.of(*_where()).values()
        return sum(job.instance_count for job in jobs if not job.is_terminal)

    @rule(count=st.integers(1, 4))
    def create(self, count: int) -> None:
        used = self.counted()
        assert self.sagemaker.quotas.used(GPU, *_where()) == used
        self.number += 1
        resources = {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": count}
        request = training_request(f"job-{self.number}", ResourceConfig=resources)
        if used + count > 6:
            assert self.sagemaker.refused("CreateTrainingJob", request).code == "ResourceLimitExceeded"
        else:
            self.sagemaker.call("CreateTrainingJob", request)

    @rule(data=st.data(), change=st.sampled_from(["stop", "finish", "delete"]))
    def change(self, data: st.DataObject, change: str) -> None:
        jobs = self.sagemaker.jobs.of(*_where())
        if not jobs:
            return
        job = jobs[data.draw(st.sampled_from(sorted(jobs)))]
        if change == "stop":
            job.want_stop()
        elif change == "finish" and not job.is_terminal:
            job.finish("Completed", "Completed", "")
        elif change == "delete" and job.is_terminal:
            self.sagemaker.call("DeleteTrainingJob", TrainingJobName=job.name)

    @rule()
    def reset(self) -> None:
        self.mock.stop()
        self.mock.start()


QuotaMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestQuotaMachine = QuotaMachine.TestCase
