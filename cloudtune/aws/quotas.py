"""How many training instances of a type the account may have at once, from Service Quotas.

Where Service Quotas does not tell (it is not in every region, and asking it is a right of its own), a file of the
user's can: ``$CLOUDTUNE_QUOTAS``, or ``quotas.json`` in ``~/.cloudtune``. It comes before what AWS says::

    {"instances": {"us-east-1": {"ml.g4dn.xlarge for training job usage": 8}, "*": {...}}}
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import AccessDenied, InvalidRequest, NotFound, Unreachable
from cloudtune.aws.own_files import own_file, read_regions

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

logger = logging.getLogger(__name__)

ENV_QUOTAS = "CLOUDTUNE_QUOTAS"
_OWN = "quotas.json"
_MEMBER = "instances"
_EVERY_REGION = "*"
_SERVICE = "sagemaker"
_TRAINING = re.compile(r"(ml\.\S+) for (?:(?:spot )?training job|training warm pool) usage")

#: What is in force comes first. Some quotas have a default only; there are thousands of them, on many pages.
_OPERATIONS = ("list_service_quotas", "list_aws_default_service_quotas")
#: Seconds for which a page is asked for again. Service Quotas may be out of reach where the rest of AWS is not.
_PATIENCE = 10.0


@dataclass(frozen=True)
class _Quota:
    instances: int
    code: str


_lock = threading.Lock()
#: Account, region and operation -> what Service Quotas told, by name; nothing where it does not tell.
_told: dict[tuple[str, str, str], Mapping[str, _Quota]] = {}


def quota_name(instance_type: str, *, spot: bool = False, warm_pool: bool = False) -> str:
    """AWS's name of the quota, as Service Quotas and the console show it.

    Instances that a warm pool keeps count by the warm pool's quota, and running ones by one of the other two.
    """
    if warm_pool:
        return f"{instance_type} for training warm pool usage"
    return f"{instance_type} for {'spot ' if spot else ''}training job usage"


def training_quota(aws: Aws, instance_type: str, *, spot: bool = False, warm_pool: bool = False) -> int | None:
    """Instances that the account may use at once in the region; None: unknown.

    The value in force where there is one, else AWS's default. AWS is asked once per process, account and region.

    Raises:
        BadFile: The user's own file of quotas is not in the form that it should have.
        AwsError: AWS does not answer for another reason than that it does not tell quotas, or not to this caller.
    """
    name = quota_name(instance_type, spot=spot, warm_pool=warm_pool)
    own = own_file(ENV_QUOTAS, _OWN)
    if own is not None:
        regions = read_regions(own, _MEMBER, "quotas")
        for place in (aws.region, _EVERY_REGION):
            if name in regions.get(place, {}):
                return int(regions[place][name])
    for operation in _OPERATIONS:
        told = _all(aws, operation)
        if name in told:
            return told[name].instances
    return None


def quota_code(aws: Aws, name: str) -> str | None:
    """AWS's code of a quota (``L-3F53BF0F``), with which an increase is asked for; None: unknown.

    Raises:
        AwsError: As :func:`training_quota`.
    """
    for operation in _OPERATIONS:
        told = _all(aws, operation)
        if name in told:
            return told[name].code
    return None


def how_to_raise(aws: Aws, name: str, instances: int) -> str:
    """What asks AWS for more of a quota: a command of AWS's own, or where in its console.

    Args:
        aws: Account and region.
        name: Of the quota.
        instances: That are wanted.

    Raises:
        AwsError: As :func:`training_quota`.
    """
    code = quota_code(aws, name)
    if code is None:
        return f"ask for more of {name!r} in the Service Quotas console ({aws.region}, Amazon SageMaker)"
    return (
        "aws service-quotas request-service-quota-increase --service-code sagemaker "
        f"--quota-code {code} --desired-value {instances} --region {aws.region}"
    )


def types_with_quota(aws: Aws) -> frozenset[str]:
    """All instance types for which AWS tells a quota of training, be it 0; none: it tells no quotas.

    Raises:
        AwsError: As :func:`training_quota`.
    """
    names = {name for operation in _OPERATIONS for name in _all(aws, operation)}
    return frozenset(found[1] for found in map(_TRAINING.fullmatch, names) if found is not None)


def forget_quotas() -> None:
    """Has AWS asked again at the next look-up."""
    with _lock:
        _told.clear()


def _all(aws: Aws, operation: str) -> Mapping[str, _Quota]:
    key = (aws.account, aws.region, operation)
    with _lock:
        if key not in _told:
            _told[key] = _ask(aws, operation)
        return _told[key]


def _ask(aws: Aws, operation: str) -> Mapping[str, _Quota]:
    quotas: dict[str, _Quota] = {}
    try:
        for quota in _pages(aws, operation):
            if quota.get("Value") is not None:
                quotas[str(quota.get("QuotaName"))] = _Quota(int(quota["Value"]), str(quota.get("QuotaCode")))
    except (AccessDenied, NotFound, InvalidRequest, Unreachable) as error:
        logger.info(
            "quotas of account %s in %s are not known (%s); write them into a file that %s names, or allow "
            "servicequotas:ListServiceQuotas and servicequotas:ListAWSDefaultServiceQuotas",
            aws.account,
            aws.region,
            error,
            ENV_QUOTAS,
        )
    return quotas


def _pages(aws: Aws, operation: str) -> Iterator[Mapping[str, Any]]:
    token: dict[str, Any] = {}
    while True:
        answer = aws.call(
            "service-quotas", operation, patience=_PATIENCE, ServiceCode=_SERVICE, MaxResults=100, **token
        )
        yield from answer.get("Quotas", [])
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}
