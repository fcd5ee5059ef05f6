"""The local cloud of a command that launches studies: one that is up, one for its time, or AWS itself."""

from __future__ import annotations

import os
from typing import Any

import boto3
import click
import pytest

from benchmarking.definitions import BENCHMARKS
from cloudtune.cli.study_cloud import StudyCloud, study_cloud
from cloudtune.localcloud import LocalCloud
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.options import StudyRequest, study_request


def _request(**values: Any) -> StudyRequest:
    return study_request(Catalogue(BENCHMARKS), {"experiment_tag": "t", "benchmark": ("digits_mlp",), **values})


def _buckets() -> list[str]:
    return [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]


def test_one_for_the_time_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there with the bucket of the experiments, is told of, and leaves the environment as it was."""
    monkeypatch.setenv("AWS_PROFILE", "mine")
    before = dict(os.environ)
    told: list[str] = []
    with study_cloud(_request(local_cloud=True, s3_path="s3://here/below"), told.append) as cloud:
        assert cloud == StudyCloud(costs=False, ends_with_command=True)
        assert _buckets() == ["here"]
        endpoint = os.environ["AWS_ENDPOINT_URL"]
        assert os.environ["CLOUDTUNE_AWS_RATES"] == "*=inf"
    assert told == ["a local cloud runs until this command ends; nothing of it costs"]
    assert dict(os.environ) == before
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(click.ClickException, match=f"no local cloud answers at {endpoint}, which AWS_END"):
        _enter(_request(local_cloud=True))


def test_its_region_is_the_one_that_is_asked_for() -> None:
    """The account's own bucket is that of the region."""
    with study_cloud(_request(local_cloud=True, region="eu-west-1"), print):
        assert os.environ["AWS_REGION"] == "eu-west-1"
        assert _buckets() == ["sagemaker-eu-west-1-123456789012"]


def test_one_that_is_up(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used, and stays; our own pace of calls is left as it is, as its limits may be AWS's."""
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://mine")
    with study_cloud(_request(local_cloud=True, wait=False), print) as cloud:
        assert cloud == StudyCloud(costs=False, ends_with_command=False)
        assert _buckets() == ["mine"]
        assert "CLOUDTUNE_AWS_RATES" not in os.environ
    assert _buckets() == ["mine"]


@pytest.mark.parametrize(
    ("endpoint", "costs"),
    [
        (None, True),
        ("https://sagemaker.example.com", True),
        ("http://10.0.0.1:5000", True),
        ("http://127.0.0.1:9", False),
        ("http://localhost:9", False),
        ("http://[::1]:9", False),
    ],
)
def test_what_costs_money(endpoint: str | None, costs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is not on this machine, as far as its address tells; whether anybody answers there or not."""
    if endpoint is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with study_cloud(_request(), print) as cloud:
        assert cloud == StudyCloud(costs)


def test_one_that_only_the_environment_names(local_cloud: LocalCloud) -> None:
    """As in `cloudtune localcloud run -- python launchers/launch_remote.py ...`: it has no bucket yet."""
    with study_cloud(_request(), print) as cloud:
        assert cloud == StudyCloud(costs=False)
        assert _buckets() == ["sagemaker-us-east-1-123456789012"]


def test_an_endpoint_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local cloud was asked for, and the environment names something else: neither is taken silently."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://aws.example.com")
    with pytest.raises(click.UsageError, match=r"names https://aws.example.com, which is not on this machine; unset"):
        _enter(_request(local_cloud=True))


def test_not_waiting_for_one_that_ends() -> None:
    """Its experiments would end with it at once."""
    with pytest.raises(click.UsageError, match="ends with this command, which therefore waits; leave out --wait 0"):
        _enter(_request(local_cloud=True, wait=False))


def _enter(request: StudyRequest) -> None:
    with study_cloud(request, print):
        pass
