"""Service Quotas for SageMaker: the limits that ``Quotas`` holds, in the form in which AWS lists them."""

from __future__ import annotations

import functools
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.services.operation import NotOurs, Operation
from cloudtune.localcloud.services.paging import cut_page
from cloudtune.localcloud.services.quotas import DEFAULTS, ON_DEMAND, SPOT, WARM_POOL

if TYPE_CHECKING:
    from cloudtune.localcloud.caller import Caller
    from cloudtune.localcloud.platform import Platform

SERVICE = "sagemaker"
SERVICE_NAME = "Amazon SageMaker"
#: Told where the cloud sets no limit: Service Quotas has no way to say that there is none.
UNLIMITED = 1_000_000
#: AWS's own codes, as users have published them from their accounts. All others are made up here, from the name, in
#: AWS's form: look a quota up by its name, which is AWS's.
AWS_CODES: Mapping[str, str] = {
    "ml.g4dn.xlarge for training job usage": "L-3F53BF0F",
    "ml.g4dn.xlarge for spot training job usage": "L-944F78BB",
    "ml.g5.xlarge for training job usage": "L-B6D80D9C",
    "ml.m5.xlarge for training job usage": "L-CCE2AFA6",
    "ml.m5.xlarge for spot training job usage": "L-4CEE6BA6",
    "ml.p5.48xlarge for training job usage": "L-82E1C851",
}


@dataclass(frozen=True)
class _Quota:
    code: str
    name: str


@functools.cache
def known_quotas() -> Mapping[str, _Quota]:
    """Every quota that is told of, by code, in order of their names.

    Three for each instance type that botocore knows for training, and the two limits of a single job.
    """
    model = botocore.session.get_session().get_service_model(SERVICE)
    types = model.shape_for("TrainingInstanceType").enum
    names = sorted([f"{kind} {use}" for kind in types for use in (ON_DEMAND, SPOT, WARM_POOL)] + list(DEFAULTS))
    quotas = [_Quota(AWS_CODES.get(name) or _made_up_code(name), name) for name in names]
    return {quota.code: quota for quota in quotas}


def _made_up_code(name: str) -> str:
    return f"L-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest().upper()}"


def list_service_quotas(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """The limits in force."""
    _only_sagemaker(params)
    asked = params.get("QuotaCode")
    quotas = [quota for quota in known_quotas().values() if asked in (None, quota.code)]
    page, token = _page(quotas, params)
    return {"Quotas": [_described(platform, caller, quota) for quota in page], **token}


def list_aws_default_service_quotas(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """The limits as they are without ``quotas`` in the settings."""
    _only_sagemaker(params)
    page, token = _page(list(known_quotas().values()), params)
    return {"Quotas": [_default(platform, caller, quota) for quota in page], **token}


def get_service_quota(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """One limit in force."""
    return {"Quota": _described(platform, caller, _named(params))}


def get_aws_default_service_quota(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """One limit as it is without ``quotas`` in the settings."""
    return {"Quota": _default(platform, caller, _named(params))}


def list_services(_platform: Platform, _caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """SageMaker alone."""
    page, token = _page([{"ServiceCode": SERVICE, "ServiceName": SERVICE_NAME}], params)
    return {"Services": list(page), **token}


def request_service_quota_increase(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """Notes the wish as PENDING for ever: nobody raises a limit here but who sets the cloud's ``quotas``."""
    quota = _named(params)
    wanted = params.get("DesiredValue")
    if not isinstance(wanted, int | float) or not _value(platform, quota) < wanted <= 1e10:
        raise AwsError("IllegalArgumentException", "Provided value is not greater than the current value of the quota.")
    requests = platform.quotas.requests
    if any(request["QuotaCode"] == quota.code and _is_of(request, caller) for request in requests):
        raise AwsError(
            "ResourceAlreadyExistsException", "Only one open service quota increase request is allowed per quota."
        )
    now = platform.clock.time()
    described = _described(platform, caller, quota)
    request: dict[str, Any] = {
        "Id": uuid.uuid4().hex,
        "DesiredValue": float(wanted),
        "Status": "PENDING",
        "Created": now,
        "LastUpdated": now,
        "Requester": f'{{"accountId":"{caller.account}"}}',
        "QuotaRequestedAtLevel": "ACCOUNT",
    }
    request.update(
        {
            key: described[key]
            for key in ("ServiceCode", "ServiceName", "QuotaArn", "QuotaCode", "QuotaName", "GlobalQuota", "Unit")
        }
    )
    requests.append(request)
    return {"RequestedQuota": request}


def list_requested_changes(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """The wishes of the caller's account in its region, newest first; of one quota, if one is named."""
    if params.get("ServiceCode") not in (None, SERVICE):
        return {"RequestedQuotas": []}
    found = [
        request
        for request in reversed(platform.quotas.requests)
        if _is_of(request, caller)
        and params.get("Status") in (None, request["Status"])
        and params.get("QuotaCode") in (None, request["QuotaCode"])
    ]
    page, token = _page(found, params)
    return {"RequestedQuotas": list(page), **token}


def get_requested_change(platform: Platform, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
    """One wish, by its id."""
    for request in platform.quotas.requests:
        if request["Id"] == params.get("RequestId") and _is_of(request, caller):
            return {"RequestedQuota": request}
    raise _no_such("The request failed because the specified request does not exist.")


def _no_such(message: str) -> AwsError:
    return AwsError("NoSuchResourceException", message)


def _only_sagemaker(params: Mapping[str, Any]) -> None:
    if params.get("ServiceCode") != SERVICE:
        raise NotOurs


def _named(params: Mapping[str, Any]) -> _Quota:
    _only_sagemaker(params)
    quota = known_quotas().get(str(params.get("QuotaCode")))
    if quota is None:
        raise _no_such("The request failed because the specified service quota does not exist.")
    return quota


def _is_of(request: Mapping[str, Any], caller: Caller) -> bool:
    return str(request["QuotaArn"]).startswith(f"arn:aws:servicequotas:{caller.region}:{caller.account}:")


def _value(platform: Platform, quota: _Quota) -> float:
    limit = platform.quotas.limit(quota.name)
    return float(UNLIMITED if limit is None else limit)


def _described(platform: Platform, caller: Caller, quota: _Quota) -> dict[str, Any]:
    return {
        "ServiceCode": SERVICE,
        "ServiceName": SERVICE_NAME,
        "QuotaArn": f"arn:aws:servicequotas:{caller.region}:{caller.account}:{SERVICE}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": _value(platform, quota),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def _default(platform: Platform, caller: Caller, quota: _Quota) -> dict[str, Any]:
    limit = DEFAULTS.get(quota.name, platform.settings.default_quota)
    return {
        **_described(platform, caller, quota),
        "QuotaArn": f"arn:aws:servicequotas:{caller.region}::{SERVICE}/{quota.code}",
        "Value": float(UNLIMITED if limit is None else limit),
    }


def _page(rows: Sequence[Any], params: Mapping[str, Any]) -> tuple[Sequence[Any], dict[str, str]]:
    """The page asked for (100 rows by default), and the token of the next one where there is one."""
    most = params.get("MaxResults", 100)
    if not isinstance(most, int) or not 1 <= most <= 100:
        raise AwsError("IllegalArgumentException", "MaxResults must be between 1 and 100.")
    try:
        page, token = cut_page(rows, params.get("NextToken"), most)
    except ValueError:
        raise AwsError("InvalidPaginationTokenException", "Invalid token was used.") from None
    return page, {} if token is None else {"NextToken": token}


#: Name of the operation -> what answers it. All others, and services other than SageMaker, are moto's.
OPERATIONS: Mapping[str, Operation] = {
    "ListServiceQuotas": list_service_quotas,
    "ListAWSDefaultServiceQuotas": list_aws_default_service_quotas,
    "GetServiceQuota": get_service_quota,
    "GetAWSDefaultServiceQuota": get_aws_default_service_quota,
    "ListServices": list_services,
    "RequestServiceQuotaIncrease": request_service_quota_increase,
    "ListRequestedServiceQuotaChangeHistory": list_requested_changes,
    "ListRequestedServiceQuotaChangeHistoryByQuota": list_requested_changes,
    "GetRequestedServiceQuotaChange": get_requested_change,
}
