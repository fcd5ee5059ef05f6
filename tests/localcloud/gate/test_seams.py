"""Where our handlers go into moto, and that moto is as it was when they are gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import moto.backend_index as backend_index
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.base_backend import BaseBackend
from moto.core.common_models import BaseModel
from moto.core.responses import BaseResponse
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import FakeKey
from moto.s3.responses import S3Response
from moto.sagemaker.models import sagemaker_backends

from cloudtune.localcloud.gate import moto_seam
from cloudtune.localcloud.gate.moto_seam import RESET_MODULE, RESET_PATH, S3_HANDLERS, URL_PATHS, SeamMoved, check_seam
from cloudtune.localcloud.gate.seams import CloudAlreadyOpen, Seams
from cloudtune.localcloud.settings import CloudSettings
from tests.localcloud.gate.stand_in import StandIn, client, open_gate


def state_of_moto() -> list[Any]:
    """All that is changed while a cloud is open."""
    tables = [dict(import_module(module).url_paths) for module in (*URL_PATHS, RESET_MODULE)]
    handlers = [S3Response.__dict__[name] for name in S3_HANDLERS]
    members = [BaseModel.__dict__["__new__"], FakeKey.__dict__["etag"], FakeKey.__dict__["__del__"]]
    bases = list(import_module("moto.servicequotas.urls").url_bases)
    return [tables, handlers, members, bases, list(backend_index.backend_url_patterns)]


def test_this_moto_is_the_one_we_know() -> None:
    """Fails loudly when an upgrade of moto moves a seam; the message says which."""
    check_seam()


def test_closing_a_cloud_gives_moto_back_as_it_was() -> None:
    """Also if it is closed twice; and moto's own training jobs are back, which are born completed."""
    before = state_of_moto()
    seams = Seams(StandIn(CloudSettings()).platform)
    seams.install()
    assert state_of_moto() != before
    seams.uninstall()
    seams.uninstall()
    assert state_of_moto() == before
    with mock_aws():
        sagemaker = client("sagemaker")
        sagemaker.create_training_job(
            TrainingJobName="train-1",
            RoleArn="arn:aws:iam::123456789012:role/tuning",
            AlgorithmSpecification={"TrainingInputMode": "File", "TrainingImage": "image"},
            OutputDataConfig={"S3OutputPath": "s3://bucket/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        assert sagemaker.describe_training_job(TrainingJobName="train-1")["TrainingJobStatus"] == "Completed"


def test_a_second_cloud_in_a_process_is_refused(cloud: StandIn) -> None:
    """With the remedy; the first one goes on, and giving up the second does it no harm."""
    second = Seams(StandIn(CloudSettings()).platform)
    with pytest.raises(CloudAlreadyOpen, match="close that one first"):
        second.install()
    second.uninstall()
    client("sts").get_caller_identity()
    assert cloud.calls.counts() == {"sts:GetCallerIdentity": 1}


def test_an_installation_that_fails_half_way_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next cloud can be opened."""
    before = state_of_moto()

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cloudtune.localcloud.gate.seams.lock_etags", broken)
    with pytest.raises(ZeroDivisionError):
        Seams(StandIn(CloudSettings()).platform).install()
    assert state_of_moto() == before
    monkeypatch.undo()
    with open_gate():
        client("sts").get_caller_identity()


@pytest.mark.parametrize("version", ["5.1.22", "5.3.0", "6.0"])
def test_another_version_of_moto_is_refused(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """The message says which versions fit."""
    monkeypatch.setattr(moto_seam, "version", lambda name: version)
    with pytest.raises(SeamMoved, match=re.escape(f"moto {version}") + ".*pip install 'moto>=5.2,<5.3'"):
        check_seam()


def _lose_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moto.sagemaker.urls.url_paths", {"{0}/v2/$": print})


def _gain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(import_module("moto.logs.urls").url_paths, "{0}/v2/$", print)


def _lose_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(import_module(RESET_MODULE).url_paths, RESET_PATH)


def _other_dispatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseResponse, "_dispatch", lambda self, request: None)


def _other_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseModel, "__new__", lambda cls: None)


def _plain_etag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeKey, "etag", "etag")


def _other_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Response, "key_dispatch", lambda request: None)


def _cached_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseBackend, "url_paths", {})


def _other_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moto.sagemaker.models.SageMakerModelBackend.training_jobs", None, raising=False)
    backend = sagemaker_backends["123456789012"]["us-east-1"]
    monkeypatch.delattr(backend, "training_jobs")


@pytest.mark.parametrize(
    "change",
    [
        _lose_path,
        _gain_path,
        _lose_reset,
        _other_dispatch,
        _other_model,
        _plain_etag,
        _other_s3,
        _cached_paths,
        _other_jobs,
    ],
)
def test_a_moto_that_has_changed_is_noticed(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Each thing that we build upon is looked at before a cloud opens, rather than failing somewhere later."""
    change(monkeypatch)
    with pytest.raises(SeamMoved, match="does not fit moto"):
        Seams(StandIn(CloudSettings()).platform).install()


def test_the_server_finds_the_price_list(cloud: StandIn) -> None:
    """By the host that boto3 names and by the one that moto makes from the signature."""
    hosts = ("https://api.pricing.us-east-1.amazonaws.com/", "http://pricing.us-east-1.amazonaws.com")
    for host in hosts:
        found = [service for service, pattern in backend_index.backend_url_patterns if pattern.match(host)]
        assert found == ["servicequotas"]
    with suppress(ClientError):  # whatever it answers: the price list was asked, and not Service Quotas
        client("pricing").describe_services(ServiceCode="AmazonSageMaker")
    assert cloud.calls.counts() == {"pricing:DescribeServices": 1}


@pytest.mark.parametrize("service", ["sagemaker", "s3", "logs", "iam", "servicequotas", "sagemakermetrics", "moto_api"])
def test_motos_server_takes_our_handlers(cloud: StandIn, service: Any) -> None:
    """flask wants names of its own for all of them."""
    app = create_backend_app(service)
    assert any("gate" in name or "seams" in name for name in app.view_functions)


def test_motos_reset_forgets_the_jobs_first(cloud: StandIn) -> None:
    """Jobs that still run would write into the next state. Looking at the page resets nothing."""
    app = create_backend_app("moto_api").test_client()
    client("s3").create_bucket(Bucket="models")
    assert app.get("/moto-api/reset").status_code == 400
    assert cloud.forgotten == 0
    assert app.post("/moto-api/reset").status_code == 200
    assert cloud.forgotten == 1
    assert client("s3").list_buckets()["Buckets"] == []
