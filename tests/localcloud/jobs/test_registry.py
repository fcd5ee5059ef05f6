"""The registry of training jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.jobs.registry import JobRegistry
from cloudtune.localcloud.jobs.training_job import TrainingJob
from tests.localcloud.services.small_sagemaker import HandClock, training_request

WHERE = ("123456789012", "us-east-1")


@pytest.fixture
def registry() -> Iterator[JobRegistry]:
    """An empty one."""
    with mock_aws():
        yield JobRegistry()


def new_job(name: str, region: str = "us-east-1") -> TrainingJob:
    return TrainingJob(training_request(name), HandClock(), "123456789012", region)


def test_jobs_are_kept_by_account_region_and_name(registry: JobRegistry) -> None:
    """In order of creation; going through the registry gives all of them."""
    jobs = [new_job("b"), new_job("a"), new_job("a", "eu-west-1")]
    for job in jobs:
        registry.add(job)
    assert list(registry.of(*WHERE).values()) == jobs[:2]
    assert registry.of("123456789012", "eu-west-1") == {"a": jobs[2]}
    assert set(registry) == set(jobs)


def test_a_name_is_kept_once(registry: JobRegistry) -> None:
    """A second job of the name never takes the first one's place."""
    registry.add(new_job("a"))
    with pytest.raises(ValueError, match="training job a in us-east-1 already"):
        registry.add(new_job("a"))


def test_live_jobs_are_those_that_have_not_ended(registry: JobRegistry) -> None:
    """Whether they were added, put in directly, or deleted."""
    jobs = {name: new_job(name) for name in "abcd"}
    for name in "abc":
        registry.add(jobs[name])
    registry.of(*WHERE)["d"] = jobs["d"]
    assert registry.live(*WHERE) == list(jobs.values())
    jobs["a"].finish("Completed", "Completed", "")
    jobs["b"].want_stop()
    del registry.of(*WHERE)["c"]
    assert registry.live(*WHERE) == [jobs["b"], jobs["d"]]
    assert registry.live("123456789012", "eu-west-1") == []


def test_a_reset_of_moto_clears_the_jobs() -> None:
    """Also those that were running, even where as many new ones have come."""
    registry = JobRegistry()
    with mock_aws():
        registry.add(new_job("a"))
    with mock_aws():
        assert not registry.of(*WHERE)
        job = new_job("b")
        registry.of(*WHERE)["b"] = job
        assert registry.live(*WHERE) == [job]


def test_an_unknown_region_is_an_error_of_the_client(registry: JobRegistry) -> None:
    """With a code that clients do not retry."""
    with pytest.raises(AwsError, match="mars-1 does not exist") as refusal:
        registry.of("123456789012", "mars-1")
    assert refusal.value.status == 400
