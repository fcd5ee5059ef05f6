"""What the faults of API calls look like to the client."""

from __future__ import annotations

from collections.abc import Mapping

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.gate.api_request import ApiRequest


def throttled(protocol: str) -> AwsError:
    """The call came too soon after others."""
    if protocol == "s3":
        return AwsError("SlowDown", "Please reduce your request rate.", 503)
    return AwsError("ThrottlingException", "Rate exceeded")


def refuse(faults: Mapping[str, Fault], service: str, call: ApiRequest, caller: Caller) -> None:
    """Raises the AwsError of the first fault, if any, that keeps the service from doing anything."""
    if "expired_token" in faults:  # AWS looks at the credentials before it asks what they allow
        raise _expired(call.protocol)
    if "access_denied" in faults:
        resource = call.resource or call.job or "*"
        raise AwsError(
            "AccessDeniedException",
            "Access Denied"
            if call.protocol == "s3"
            else f"User: arn:aws:iam::{caller.account}:user/{caller.who} is not authorized to perform: "
            f"{service}:{call.operation} on resource: {resource}",
            403 if call.protocol == "s3" else 400,
        )
    if "throttle" in faults or "slow_down" in faults:
        raise throttled(call.protocol)
    if "internal_error" in faults:
        raise internal_error(call.protocol)
    if "resource_limit" in faults:
        raise _resource_limit(call)


def _expired(protocol: str) -> AwsError:
    text = (
        "The provided token has expired."
        if protocol == "s3"
        else "The security token included in the request is expired"
    )
    return AwsError("ExpiredTokenException", text, 403 if protocol == "query" else 400)


def internal_error(protocol: str) -> AwsError:
    """The service has failed."""
    if protocol == "s3":
        return AwsError("InternalError", "We encountered an internal error. Please try again.", 500)
    return AwsError("InternalServerError", "The service has encountered an internal error. Please try again.", 500)


def _resource_limit(call: ApiRequest) -> AwsError:
    resources = call.params.get("ResourceConfig")
    resources = resources if isinstance(resources, dict) else {}
    count = resources.get("InstanceCount", 1)
    use = "spot training job usage" if call.params.get("EnableManagedSpotTraining") else "training job usage"
    return AwsError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{resources.get('InstanceType', 'ml.m5.large')} for {use}' is 0 Instances, "
        f"with current utilization of 0 Instances and a request delta of {count} Instances. Please use AWS Service "
        "Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to "
        "request an increase for this quota.",
    )
