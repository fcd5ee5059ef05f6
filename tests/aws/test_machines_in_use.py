"""Which instances the jobs of an account have: groups, spot, whoever they belong to, with few calls."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.machines_in_use import JobMachines, MachinesInUse
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.localcloud.in_process import InProcessCloud
from tests.aws.conftest import training_request


def _create(cloud: InProcessCloud, name: str, **request: Any) -> None:
    cloud.client("sagemaker").create_training_job(**training_request(name, **request))


def _machines(instance_type: str, count: int) -> dict[str, Any]:
    return {"InstanceType": instance_type, "InstanceCount": count, "VolumeSizeInGB": 1}


def _use(cloud: InProcessCloud) -> MachinesInUse:
    del cloud  # it is up
    return MachinesInUse(Aws(budget=RateBudget({})))


def test_what_a_job_has(in_process_cloud: InProcessCloud) -> None:
    """Type and number, of each group; whether on spot; which experiment it belongs to."""
    groups = [
        {"InstanceType": "ml.m5.large", "InstanceCount": 1, "InstanceGroupName": "a"},
        {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "InstanceGroupName": "b"},
    ]
    _create(in_process_cloud, "plain", ResourceConfig=_machines("ml.m5.large", 3))
    _create(in_process_cloud, "groups", ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})
    _create(
        in_process_cloud,
        "spot",
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
        ResourceConfig=_machines("ml.m5.large", 1),
        Environment={"CLOUDTUNE_PLACE": "s3://bucket/cloudtune/a/b/abcdef/"},
    )
    assert sorted(_use(in_process_cloud).now(), key=lambda one: one.name) == [
        JobMachines("groups", (("ml.m5.large", 1), ("ml.g5.xlarge", 2)), False, ""),
        JobMachines("plain", (("ml.m5.large", 3),), False, ""),
        JobMachines("spot", (("ml.m5.large", 1),), True, "s3://bucket/cloudtune/a/b/abcdef/"),
    ]


@pytest.mark.parametrize("may_search", [True, False])
def test_many_jobs(in_process_cloud: InProcessCloud, may_search: bool) -> None:
    """One Search tells of all of them; without the right to it they are described. None is asked for twice."""
    for number in range(7):
        _create(in_process_cloud, f"job-{number}", ResourceConfig=_machines("ml.m5.large", 1))
    if not may_search:
        in_process_cloud.faults.add("access_denied", operation="sagemaker:Search")
    use = _use(in_process_cloud)
    assert len(use.now()) == 7
    assert len(use.now()) == 7
    counts = in_process_cloud.call_counts()
    assert counts["sagemaker:Search"] == 1
    assert counts.get("sagemaker:DescribeTrainingJob", 0) == (0 if may_search else 7)


def test_jobs_that_have_ended(in_process_cloud: InProcessCloud) -> None:
    """They have no instances any more; those that are being stopped do."""
    for name in ("ends", "stops"):
        _create(in_process_cloud, name, ResourceConfig=_machines("ml.m5.large", 1))
    use = _use(in_process_cloud)
    assert len(use.now()) == 2
    in_process_cloud.job("ends").finish("Completed", "Completed", "")
    in_process_cloud.client("sagemaker").stop_training_job(TrainingJobName="stops")
    assert [one.name for one in use.now()] == ["stops"]
