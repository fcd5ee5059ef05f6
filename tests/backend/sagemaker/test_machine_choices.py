"""Which machines a config space may choose, and what one more trial may therefore cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.prices import price_per_hour
from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.backend.sagemaker_backend.machine_choices import instance_types, most_instances
from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning
from cloudtune.config_domains import ConfigSpaceError
from cloudtune.config_space import choice, finrange, lograndint, ordinal, randint, uniform
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.trial import Trial
from tests.backend.sagemaker.harness import BUCKET, make_backend, training_job


@pytest.mark.parametrize(
    ("entry", "types"),
    [
        ({}, ["ml.m5.large"]),
        ({"st_instance_type": None}, ["ml.m5.large"]),
        ({"st_instance_type": "ml.g5.xlarge"}, ["ml.g5.xlarge"]),
        ({"st_instance_type": choice(["ml.g5.xlarge", "ml.p3.2xlarge"])}, ["ml.g5.xlarge", "ml.p3.2xlarge"]),
        ({"st_instance_type": ordinal(["ml.g5.xlarge", "ml.p3.2xlarge"])}, ["ml.g5.xlarge", "ml.p3.2xlarge"]),
    ],
)
def test_all_types_that_trials_may_get(entry: dict[str, Any], types: list[str]) -> None:
    """All that the space allows; the template's where it says nothing."""
    assert instance_types({"lr": 0.1, **entry}, "ml.m5.large") == types


@pytest.mark.parametrize(
    ("entry", "count"),
    [
        ({}, 3),
        ({"st_instance_count": None}, 3),
        ({"st_instance_count": 2}, 2),
        ({"st_instance_count": randint(1, 4)}, 4),
        ({"st_instance_count": lograndint(1, 16)}, 16),
        ({"st_instance_count": finrange(1, 5, 3, cast_int=True)}, 5),
        ({"st_instance_count": choice([8, 2])}, 8),
    ],
)
def test_the_most_instances_that_a_trial_may_get(entry: dict[str, Any], count: int) -> None:
    """The greatest number that the space allows; the template's where it says nothing."""
    assert most_instances({"lr": 0.1, **entry}, 3) == count


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("type", choice(["ml.m5.large", "g4dn.xlarge"]), "not like 'g4dn.xlarge'; did you mean 'ml.g4dn.xlarge'?"),
        ("type", "local", "LocalBackend"),
        ("type", "", "not like ''"),
        ("type", randint(1, 3), "not like 3"),
        ("count", "two", "st_instance_count must be a whole number, at least 1, got 'two'"),
        ("count", ordinal([1, "2"], kind="equal"), "got '2'; did you mean 2?"),
        ("count", choice([2, 1.5]), "got 1.5"),
        ("count", choice([True, 2]), "got True"),
        ("count", randint(0, 4), "got 0"),
        ("count", finrange(1, 2, 3), "got 1.5"),
        ("count", uniform(1, 4), "fractions of machines; use randint"),
        ("count", -1, "got -1"),
    ],
)
def test_machines_that_cannot_be_are_refused(tmp_path: Path, name: str, entry: Any, message: str) -> None:
    """A mistake in any value that a configuration may get is told before anything begins, and names the entry."""
    backend = make_backend()
    with pytest.raises(ConfigSpaceError, match=re.escape(message)) as caught:
        backend.open(
            ExperimentPlace("trials", "abcdef", tmp_path, 1, config_space={"lr": 0.1, f"st_instance_{name}": entry})
        )
    assert str(caught.value).startswith(f"config space: st_instance_{name} ")


@pytest.mark.parametrize("name", ["type", "count"])
def test_groups_leave_nothing_to_choose(tmp_path: Path, name: str) -> None:
    """Where the job has groups of instances, the config space cannot choose machines: told before anything begins."""
    groups = [{"InstanceGroupName": "one", "InstanceType": "ml.m5.large", "InstanceCount": 1}]
    backend = make_backend(training_job(instance_type="ml.g4dn.xlarge", instance_groups=groups))
    space = {f"st_instance_{name}": choice(["ml.m5.large", "ml.m5.xlarge"]) if name == "type" else 2}
    with pytest.raises(ConfigSpaceError, match=f"st_instance_{name} .* groups of instances; leave it out"):
        backend.open(ExperimentPlace("trials", "abcdef", tmp_path, 1, config_space=space))


def test_a_trial_may_cost_what_its_dearest_machine_does(local_cloud: LocalCloud, tmp_path: Path) -> None:
    """``count_committed`` holds also where the configuration chooses: its limit is of the dearest choice."""
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    space = {"st_instance_type": choice(["ml.m5.large", "ml.m5.xlarge"]), "st_instance_count": randint(1, 3)}
    backend = make_backend(training_job(max_run=7200))
    backend.open(ExperimentPlace("trials", "abcdef", tmp_path, 1, config_space=space))
    try:
        price = price_per_hour("ml.m5.xlarge", "us-east-1")
        assert price is not None
        assert backend.trial_cost_limit() == pytest.approx(price * 3 * (7200 + STOP_GRACE) / 3600)
    finally:
        backend.close(stop_running=False)


@pytest.mark.parametrize("known", [True, False])
def test_a_trial_of_groups_may_cost_what_all_of_them_do(local_cloud: LocalCloud, tmp_path: Path, known: bool) -> None:
    """Each group counts with its own price; where one has none, nothing is known."""
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    other = "ml.m5.xlarge" if known else "ml.none.large"
    groups = [
        {"InstanceGroupName": "few", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        {"InstanceGroupName": "many", "InstanceType": other, "InstanceCount": 3},
    ]
    backend = make_backend(training_job(max_run=7200, instance_type="ml.g4dn.xlarge", instance_groups=groups))
    backend.open(ExperimentPlace("trials", "abcdef", tmp_path, 1))
    try:
        prices = [price_per_hour(one, "us-east-1") for one in ("ml.m5.large", other)]
        if known:
            hourly = (prices[0] or 0) + 3 * (prices[1] or 0)
            assert backend.trial_cost_limit() == pytest.approx(hourly * (7200 + STOP_GRACE) / 3600)
        else:
            assert backend.trial_cost_limit() is None
    finally:
        backend.close(stop_running=False)


@pytest.mark.parametrize("how", ["begun", "attached", "settled"])
def test_a_trial_whose_machine_is_not_known_yet_counts_as_the_dearest(
    local_cloud: LocalCloud, tmp_path: Path, how: str
) -> None:
    """As long as SageMaker does not say what a job runs, or has run, on, it is committed to cost the most it may."""
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    local_cloud.faults.add(Fault("throttle", "sagemaker:*"))
    backend = make_backend(fallback_instance_types=["ml.m5.4xlarge", "ml.m5.xlarge"])
    space = {"st_instance_type": choice(["ml.m5.large", "ml.p3.16xlarge"]), "st_instance_count": choice([1, 2])}
    trial = Trial(0, {"st_instance_type": "ml.m5.large", "st_instance_count": 1})
    backend.open(ExperimentPlace("trials", "abcdef", tmp_path, 1, config_space=space))
    try:
        dearest, count = "ml.m5.4xlarge", 1
        if how == "begun":
            backend.start_trial(trial)
        elif how == "attached":
            backend.attach([LeftRunning(trial)])
        else:
            backend.settle([(0, 0)])
            dearest, count = "ml.p3.16xlarge", 2  # not even its configuration is known
        price = price_per_hour(dearest, "us-east-1")
        assert price is not None
        assert backend.committed_cost() == pytest.approx(count * price * (3600 + STOP_GRACE) / 3600)
    finally:
        backend.close(stop_running=False)
