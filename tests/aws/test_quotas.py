"""How many instances the account may have, as Service Quotas and the user's own file tell it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws import quotas
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, NotFound, Throttled
from cloudtune.aws.own_files import BadFile
from cloudtune.aws.quotas import ENV_QUOTAS, forget_quotas, quota_code, quota_name, training_quota
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults

GPU = "ml.g4dn.xlarge"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder where a user's own files are, empty; nothing is remembered of what other tests were told."""
    monkeypatch.setenv("CLOUDTUNE_SETTINGS", str(tmp_path))
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "service-quotas:ListServiceQuotas=1000")  # as the local cloud allows
    forget_quotas()
    yield tmp_path
    forget_quotas()


class Account:
    """Stands where Service Quotas is to answer as no local cloud does: pages of what is in force, and of defaults."""

    def __init__(self, region: str = "us-east-1", **told: Any) -> None:
        self.account, self.region = "123456789012", region
        self._told = told
        self.calls: list[str] = []

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        assert service == "service-quotas"
        assert params["ServiceCode"] == "sagemaker"
        self.calls.append(operation)
        answer = self._told[operation]
        if isinstance(answer, Exception):
            raise answer
        return {"Quotas": [{"QuotaName": name, "QuotaCode": "L-1", "Value": value} for name, value in answer.items()]}


def test_the_three_quotas_of_an_instance_type_are_told_apart(local_cloud: LocalCloud) -> None:
    """On demand, spot and warm pools have limits of their own, under AWS's names."""
    local_cloud.set_quota(f"{GPU} for training job usage", 4)
    local_cloud.set_quota(f"{GPU} for spot training job usage", 16)
    local_cloud.set_quota(f"{GPU} for training warm pool usage", 0)
    aws = Aws()
    assert training_quota(aws, GPU) == 4
    assert training_quota(aws, GPU, spot=True) == 16
    assert training_quota(aws, GPU, warm_pool=True) == 0
    assert training_quota(aws, "ml.made-up.xlarge") is None
    assert quota_code(aws, quota_name(GPU)) == "L-3F53BF0F"
    assert quota_code(aws, "made up") is None


def test_aws_is_asked_once_for_all_pages(local_cloud: LocalCloud) -> None:
    """There are hundreds of quotas on pages of a hundred; what was read once serves every later look-up."""
    aws = Aws()
    assert training_quota(aws, "ml.t3.xlarge", warm_pool=True) is not None, "on the last page"
    pages = local_cloud.call_counts()["servicequotas:ListServiceQuotas"]
    assert pages > 3
    for kind in ("ml.c5.xlarge", "ml.m5.large", GPU):
        assert training_quota(Aws(), kind) is not None
    assert local_cloud.call_counts()["servicequotas:ListServiceQuotas"] == pages
    local_cloud.set_quota(f"{GPU} for training job usage", 7)
    forget_quotas()
    assert training_quota(aws, GPU) == 7


def test_regions_have_quotas_of_their_own() -> None:
    """What one region told is not taken for another's."""
    virginia = Account(list_service_quotas={quota_name(GPU): 1.0})
    ireland = Account("eu-west-1", list_service_quotas={quota_name(GPU): 2.0})
    assert training_quota(virginia, GPU) == 1  # type: ignore[arg-type] # all that is asked of it
    assert training_quota(ireland, GPU) == 2  # type: ignore[arg-type] # as above


def test_the_default_counts_where_nothing_else_is_in_force() -> None:
    """AWS lists some quotas among the defaults only; what is in force wins, and spares the other list."""
    account = Account(
        list_service_quotas={quota_name(GPU): 8.0},
        list_aws_default_service_quotas={quota_name(GPU): 0.0, quota_name(GPU, spot=True): 2.0},
    )
    assert training_quota(account, GPU) == 8  # type: ignore[arg-type] # all that is asked of it
    assert account.calls == ["list_service_quotas"]
    assert training_quota(account, GPU, spot=True) == 2  # type: ignore[arg-type] # as above
    assert training_quota(account, GPU, warm_pool=True) is None  # type: ignore[arg-type] # as above


def test_a_caller_who_may_not_ask_goes_on_without(
    local_cloud: LocalCloud, faults: CloudFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """Quotas are then unknown, which the log says once with the remedy, and no experiment fails for it."""
    faults.add("access_denied", operation="servicequotas:*")
    aws = Aws()
    with caplog.at_level(logging.INFO, logger=quotas.__name__):
        assert training_quota(aws, GPU) is None
        assert training_quota(aws, GPU, spot=True) is None
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2, "one for what is in force, one for the defaults"
    assert ENV_QUOTAS in told[0]
    assert "servicequotas:ListServiceQuotas" in told[0]


@pytest.mark.parametrize("denied", ["list_service_quotas", "list_aws_default_service_quotas"])
def test_one_list_will_do(denied: str) -> None:
    """Rights are given one by one: what the allowed list tells is used."""
    told = {quota_name(GPU): 3.0}
    lists: dict[str, Any] = {"list_service_quotas": told, "list_aws_default_service_quotas": told}
    account = Account(**{**lists, denied: AccessDenied("no")})
    assert training_quota(account, GPU) == 3  # type: ignore[arg-type] # all that is asked of it


def test_a_region_without_service_quotas_tells_nothing() -> None:
    """The service itself may be unknown there."""
    account = Account(list_service_quotas=NotFound("no"), list_aws_default_service_quotas=NotFound("no"))
    assert training_quota(account, GPU) is None  # type: ignore[arg-type] # all that is asked of it


def test_throttling_is_waited_for(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """A page that was refused is asked for again, and none is lost."""
    local_cloud.set_quota(f"{GPU} for training job usage", 5)
    faults.add("throttle", operation="servicequotas:ListServiceQuotas", skip=1, count=2)
    assert training_quota(Aws(), GPU) == 5


def test_a_failure_is_not_remembered_as_ignorance() -> None:
    """Only a clear no counts as unknown; after throttling without end the next look-up asks again."""
    account = Account(list_service_quotas=Throttled("busy"), list_aws_default_service_quotas={})
    for _ in range(2):
        with pytest.raises(Throttled):
            training_quota(account, GPU)  # type: ignore[arg-type] # all that is asked of it
    assert len(account.calls) == 2


def test_the_users_own_file_comes_first(
    local_cloud: LocalCloud, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a region or for all; AWS is not asked for what stands there."""
    own = {"us-east-1": {quota_name(GPU): 3}, "*": {quota_name(GPU): 9, quota_name(GPU, spot=True): 6}}
    (settings / "quotas.json").write_text(json.dumps({"instances": own}))
    assert training_quota(Aws(), GPU) == 3
    assert training_quota(Aws("eu-west-1"), GPU) == 9
    assert training_quota(Aws(), GPU, spot=True) == 6
    assert "servicequotas:ListServiceQuotas" not in local_cloud.call_counts()
    assert training_quota(Aws(), GPU, warm_pool=True) == 1_000_000, "what the local cloud tells for no limit"
    other = settings / "other.json"
    other.write_text('{"instances": "many"}')
    monkeypatch.setenv(ENV_QUOTAS, str(other))
    with pytest.raises(BadFile, match=r"other\.json.*quotas.*instances"):
        training_quota(Aws(), GPU)
