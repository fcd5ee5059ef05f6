"""Service Quotas for SageMaker, through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.localcloud.services.service_quotas import AWS_CODES, UNLIMITED, known_quotas

NAME = "ml.g4dn.xlarge for training job usage"
LIMITED = {NAME: 4, "ml.g4dn.xlarge for training warm pool usage": 0}


@pytest.fixture
def quotas() -> Iterator[Any]:
    with InProcessCloud(quotas=LIMITED) as cloud:
        yield cloud.client("service-quotas")


def listed(quotas: Any, operation: str = "list_service_quotas") -> dict[str, Any]:
    pages = quotas.get_paginator(operation).paginate(ServiceCode="sagemaker", PaginationConfig={"PageSize": 100})
    return {quota["QuotaName"]: quota for page in pages for quota in page["Quotas"]}


def test_every_way_to_use_an_instance_type_has_a_quota(quotas: Any) -> None:
    """With AWS's names, the cloud's limits, and a large number where there is none."""
    found = listed(quotas)
    assert found[NAME]["Value"] == 4
    assert found["ml.g4dn.xlarge for training warm pool usage"]["Value"] == 0
    assert found["ml.g4dn.xlarge for spot training job usage"]["Value"] == UNLIMITED
    assert found["Maximum number of instances per training job"]["Value"] == 20
    assert found[NAME]["QuotaArn"] == "arn:aws:servicequotas:us-east-1:123456789012:sagemaker/L-3F53BF0F"
    assert found[NAME]["Adjustable"] is True
    assert len({quota["QuotaCode"] for quota in found.values()}) == len(found) == len(known_quotas())


def test_codes_have_the_form_of_awss(quotas: Any) -> None:
    """Known codes are AWS's; the others are made up from the name and do not change."""
    by_name = {quota.name: quota.code for quota in known_quotas().values()}
    assert all(len(code) == 10 and code.startswith("L-") and int(code[2:], 16) for code in by_name.values())
    assert {name: by_name[name] for name in AWS_CODES} == AWS_CODES
    assert by_name["ml.c5.xlarge for training job usage"] == "L-B4912290"


def test_a_quota_can_be_asked_for_by_its_code(quotas: Any) -> None:
    """The limit in force and the default; what does not exist is NoSuchResourceException."""
    assert quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-3F53BF0F")["Quota"]["Value"] == 4
    default = quotas.get_aws_default_service_quota(ServiceCode="sagemaker", QuotaCode="L-3F53BF0F")["Quota"]
    assert default["Value"] == UNLIMITED
    assert default["QuotaArn"] == "arn:aws:servicequotas:us-east-1::sagemaker/L-3F53BF0F"
    assert listed(quotas, "list_aws_default_service_quotas")[NAME]["Value"] == UNLIMITED
    with pytest.raises(ClientError) as missing:
        quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-00000000")
    assert missing.value.response["Error"]["Code"] == "NoSuchResourceException"


def test_an_increase_is_noted_and_raises_nothing(quotas: Any) -> None:
    """It stays PENDING; a second one for the same quota is refused, and one that is no increase."""
    asked = {"ServiceCode": "sagemaker", "QuotaCode": "L-3F53BF0F"}
    request = quotas.request_service_quota_increase(**asked, DesiredValue=10)["RequestedQuota"]
    assert request["Status"] == "PENDING"
    assert quotas.get_service_quota(**asked)["Quota"]["Value"] == 4
    history = quotas.list_requested_service_quota_change_history(ServiceCode="sagemaker")["RequestedQuotas"]
    assert [entry["Id"] for entry in history] == [request["Id"]]
    assert quotas.get_requested_service_quota_change(RequestId=request["Id"])["RequestedQuota"]["DesiredValue"] == 10
    for value, code in ((11, "ResourceAlreadyExistsException"), (4, "IllegalArgumentException")):
        with pytest.raises(ClientError) as refused:
            quotas.request_service_quota_increase(**asked, DesiredValue=value)
        assert refused.value.response["Error"]["Code"] == code


def test_bad_pages_are_refused(quotas: Any) -> None:
    """A token that was not given: InvalidPaginationTokenException."""
    for token in ("zzzz", "MTAwMDAw", "LTE="):
        with pytest.raises(ClientError) as refused:
            quotas.list_service_quotas(ServiceCode="sagemaker", NextToken=token)
        assert refused.value.response["Error"]["Code"] == "InvalidPaginationTokenException"


def test_other_services_are_motos(quotas: Any) -> None:
    """moto has default quotas of VPC, which are still to be had."""
    assert quotas.list_aws_default_service_quotas(ServiceCode="vpc")["Quotas"]
    assert quotas.list_services()["Services"] == [{"ServiceCode": "sagemaker", "ServiceName": "Amazon SageMaker"}]
