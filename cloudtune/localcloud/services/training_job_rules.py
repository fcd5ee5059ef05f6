"""What SageMaker demands of a training job beyond what its API model says.

Texts marked "AWS" are known from AWS's documentation or from reports of its users; the others are ours.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cloudtune.localcloud.aws_error import AwsError, validation_error
from cloudtune.localcloud.java_regex import compile_java
from cloudtune.localcloud.services.validation import broken, constraint_errors

#: Seconds; what AWS allows without an extension.
MAX_KEEP_ALIVE = 3600
#: Seconds; AWS's default.
DEFAULT_MAX_RUNTIME = 86_400
#: Names that the local cloud itself gives to the processes it starts.
RESERVED_ENVIRONMENT = "CLOUDTUNE_LOCALCLOUD_"
_BUCKET = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9](/|\Z)")


def check_rules(request: Mapping[str, Any]) -> None:
    """Raises AwsError for the first rule that the request breaks; the model's constraints must hold already."""
    _check_support(request)
    _check_algorithm(request)
    _check_instances(request)
    _check_times(request)
    _check_channels(request.get("InputDataConfig", ()))
    _check_groups_of_channels(request)
    for path, uri in _s3_uris(request):
        _check_s3_uri(path, uri)
    _check_local_path(request.get("CheckpointConfig", {}).get("LocalPath"))
    _check_environment(request)
    check_tag_keys([tag["Key"] for tag in request.get("Tags", ())])


def check_keep_alive(seconds: int) -> None:
    """Raises AwsError for a warm pool that would live longer than AWS allows by default."""
    if seconds > MAX_KEEP_ALIVE:
        raise validation_error(
            f"Invalid KeepAlivePeriodInSeconds {seconds}. It must be between 0 and {MAX_KEEP_ALIVE} seconds."
        )


def check_tag_keys(keys: Sequence[str]) -> None:
    """Raises AwsError for a key that occurs twice, or that only AWS may give."""
    twice = _first_double(keys)
    if twice is not None:
        raise validation_error(f"Duplicate tag keys found. The tag key '{twice}' is given more than once.")
    for key in keys:
        if key.lower().startswith("aws:"):
            # AWS, of several services.
            raise validation_error(f"aws: prefixed tag key names are not allowed for external use ('{key}').")


def _check_support(request: Mapping[str, Any]) -> None:
    for name, holder in (("ServerlessJobConfig", request), ("InstancePreferences", request.get("ResourceConfig", {}))):
        if name in holder:
            raise validation_error(f"{name} is not supported by the local cloud: leave it out.")


def _check_algorithm(request: Mapping[str, Any]) -> None:
    algorithm = request.get("AlgorithmSpecification")
    if algorithm is None:
        raise _missing("algorithmSpecification")
    if bool(algorithm.get("TrainingImage")) == bool(algorithm.get("AlgorithmName")):
        raise validation_error(
            "AlgorithmSpecification must have either a TrainingImage or an AlgorithmName, and not both."
        )
    for metric in algorithm.get("MetricDefinitions", ()):
        try:
            compile_java(metric["Regex"])
        except ValueError as error:
            raise validation_error(f"Invalid regular expression of metric '{metric['Name']}': {error}") from error
    for name in ("ContainerEntrypoint", "ContainerArguments"):
        if any("\0" in part for part in algorithm.get(name, ())):
            raise validation_error(f"AlgorithmSpecification.{name} must not contain null characters.")


def _check_instances(request: Mapping[str, Any]) -> None:
    resources = request.get("ResourceConfig")
    if resources is None:
        raise _missing("resourceConfig")
    groups = resources.get("InstanceGroups", ())
    if groups:
        if "InstanceType" in resources or "InstanceCount" in resources:
            raise validation_error("InstanceType or InstanceCount cannot be specified with InstanceGroups")  # AWS
        twice = _first_double(group["InstanceGroupName"] for group in groups)
        if twice is not None:
            raise validation_error(f"Instance group names must be unique; '{twice}' is given more than once.")
    else:
        for member, path in (("InstanceType", "instanceType"), ("InstanceCount", "instanceCount")):
            if member not in resources:
                raise _missing(f"resourceConfig.{path}")
    for number, group in enumerate(groups or [resources], start=1):
        if group["InstanceCount"] < 1:
            path = f"resourceConfig.instanceGroups.{number}.member" if groups else "resourceConfig"
            raise constraint_errors(
                [broken(0, f"{path}.instanceCount", "Member must have value greater than or equal to 1")]
            )


def _check_times(request: Mapping[str, Any]) -> None:
    stopping = request.get("StoppingCondition", {})
    spot = request.get("EnableManagedSpotTraining", False)
    wait = stopping.get("MaxWaitTimeInSeconds")
    if wait is not None and not spot:
        raise validation_error(  # AWS
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
        )
    if spot and (wait is None or wait < stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)):
        raise validation_error(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    keep_alive = request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds", 0)
    check_keep_alive(keep_alive)
    if keep_alive and spot:
        raise validation_error(
            "KeepAlivePeriodInSeconds is not supported when EnableManagedSpotTraining is set to true"
        )


def _check_channels(channels: Sequence[Mapping[str, Any]]) -> None:
    twice = _first_double(channel["ChannelName"] for channel in channels)
    if twice is not None:
        raise validation_error(f"Channel names must be unique; '{twice}' is given more than once.")
    for channel in channels:
        if len(channel["DataSource"]) != 1:
            raise validation_error(f"The data source of channel '{channel['ChannelName']}' must be exactly one.")


def _check_groups_of_channels(request: Mapping[str, Any]) -> None:
    groups = {group["InstanceGroupName"] for group in request["ResourceConfig"].get("InstanceGroups", ())}
    for channel in request.get("InputDataConfig", ()):
        for name in channel["DataSource"].get("S3DataSource", {}).get("InstanceGroupNames", ()):
            if name not in groups:
                raise validation_error(
                    f"Invalid InstanceGroupNames of channel '{channel['ChannelName']}': ResourceConfig has no instance "
                    f"group '{name}'."
                )


def _s3_uris(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for number, channel in enumerate(request.get("InputDataConfig", ()), start=1):
        source = channel["DataSource"].get("S3DataSource")
        if source:
            yield f"inputDataConfig.{number}.member.dataSource.s3DataSource.s3Uri", source["S3Uri"]
    yield "outputDataConfig.s3OutputPath", request["OutputDataConfig"]["S3OutputPath"]
    if "CheckpointConfig" in request:
        yield "checkpointConfig.s3Uri", request["CheckpointConfig"]["S3Uri"]


def _check_s3_uri(path: str, uri: str) -> None:
    if not _BUCKET.match(uri) or "\0" in uri:
        raise validation_error(f"Invalid S3 URI '{uri}' at '{path}'. It must be of the form s3://bucket/key.")


def _check_local_path(path: str | None) -> None:
    if path is not None and (not path.startswith("/") or ".." in path.split("/") or "\0" in path):
        raise validation_error(f"Invalid LocalPath '{path}' of CheckpointConfig. It must be an absolute path.")


def _check_environment(request: Mapping[str, Any]) -> None:
    for name, value in request.get("Environment", {}).items():
        if not name or "\0" in value:
            raise validation_error(f"The environment variable '{name}' has an empty name or a null character.")
        if name.startswith(RESERVED_ENVIRONMENT):
            raise validation_error(f"The environment variable '{name}' is reserved: choose another prefix.")


def _missing(path: str) -> AwsError:
    return constraint_errors([broken(None, path, "Member must not be null")])


def _first_double(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
