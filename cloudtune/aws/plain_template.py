"""The job template for a TrainingJob of ours."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.aws.job_template import (
    NAME_TO_COME,
    OUTPUT_TO_COME,
    REGION_TO_COME,
    SOURCE_TO_COME,
    JobTemplate,
    TrainingJob,
)
from cloudtune.aws.own_entry import encoded

_log = logging.getLogger(__name__)
#: Seconds that a spot job may wait for machines, besides its own time, unless the user says otherwise.
DEFAULT_WAIT = 86_400


def template_of_description(given: TrainingJob, inputs: Any, keep_own_entry: bool | None) -> JobTemplate:
    """See :func:`cloudtune.aws.job_template.template_of`."""
    if inputs is not None:
        added = {"training": inputs} if isinstance(inputs, str) else inputs
        if not isinstance(added, Mapping):
            raise ValueError(f"inputs map the names of channels to s3:// prefixes, got {inputs!r}")
        given = replace(given, inputs={**(given.inputs or {}), **added})
    own_entry = given.keep_own_entry if keep_own_entry is None else keep_own_entry
    folder = None if given.source_dir is None else Path(given.source_dir).expanduser().absolute()
    entry = Path(given.entry_point).expanduser()
    script = entry.name if folder is None else relative_posix(folder, entry)
    request = request_of(given)
    if own_entry:
        constants = encoded(given.hyperparameters or {}, "json")
        request["HyperParameters"] = {**constants, **toolkit_hyperparameters(request, script)}
        _log.info("Trials are started by the image's own entry: keep_own_entry is set. %s", WHAT_IS_LOST)
    return JobTemplate(
        origin="TrainingJob",
        request=request,
        entry_point=str(entry.absolute()) if folder is None else script,
        source_dir=None if folder is None else str(folder),
        dependencies=tuple(str(Path(path).expanduser().absolute()) for path in given.dependencies),
        hyperparameters=dict(given.hyperparameters or {}),
        keep_own_entry=own_entry,
        why_own_entry="keep_own_entry is set" if own_entry else "",
        role=given.role,
        images={} if given.image_uri is None else {"*": given.image_uri},
        framework=given.framework,
        framework_version=given.framework_version,
        py_version=given.py_version,
    )


#: Of every job that cloudtune's agent does not start.
WHAT_IS_LOST = (
    "Without cloudtune's agent reports come from the job's log and checkpoints by SageMaker's own copying, a stop "
    "takes up to minutes, hyperparameters obey AWS's limits, and only max_run ends a job whose tuner is gone."
)


def relative_posix(folder: Path, entry: Path) -> str:
    """Path of the entry point in its folder, with slashes, whether it was given relative to it or absolute."""
    return (folder / entry).resolve().relative_to(folder.resolve()).as_posix()


def request_of(job: TrainingJob) -> dict[str, Any]:
    """The members of CreateTrainingJob that a description determines."""
    resources: dict[str, Any] = {"VolumeSizeInGB": job.volume_size}
    if job.instance_groups:
        resources["InstanceGroups"] = [dict(group) for group in job.instance_groups]
    else:
        resources.update(InstanceType=job.instance_type, InstanceCount=job.instance_count)
    if job.keep_alive_period:
        resources["KeepAlivePeriodInSeconds"] = job.keep_alive_period
    if job.volume_kms_key:
        resources["VolumeKmsKeyId"] = job.volume_kms_key
    request: dict[str, Any] = {
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "ResourceConfig": resources,
        "OutputDataConfig": {"S3OutputPath": job.output_path or OUTPUT_TO_COME},
        "StoppingCondition": {"MaxRuntimeInSeconds": job.max_run},
    }
    if job.output_kms_key:
        request["OutputDataConfig"]["KmsKeyId"] = job.output_kms_key
    if job.use_spot:
        request["EnableManagedSpotTraining"] = True
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = job.max_wait or job.max_run + DEFAULT_WAIT
    if job.metric_definitions:
        request["AlgorithmSpecification"]["MetricDefinitions"] = [dict(one) for one in job.metric_definitions]
    optional: dict[str, Any] = {
        "InputDataConfig": [channel(name, source) for name, source in (job.inputs or {}).items()],
        "Environment": dict(job.environment or {}),
        "Tags": [{"Key": key, "Value": value} for key, value in (job.tags or {}).items()],
        "VpcConfig": {"Subnets": list(job.subnets), "SecurityGroupIds": list(job.security_group_ids)}
        if job.subnets
        else None,
        "EnableNetworkIsolation": job.enable_network_isolation,
        "EnableInterContainerTrafficEncryption": job.encrypt_inter_container_traffic,
        "RetryStrategy": {"MaximumRetryAttempts": job.max_retries} if job.max_retries else None,
        "CheckpointConfig": _checkpoint_config(job),
    }
    request.update({member: value for member, value in optional.items() if value})
    _merge(request, job.extra, "extra")
    return request


def channel(name: str, source: str | Mapping[str, Any]) -> dict[str, Any]:
    """An input channel: of an S3 prefix that every machine gets whole, or as described."""
    if isinstance(source, str):
        place = {"S3DataType": "S3Prefix", "S3Uri": source, "S3DataDistributionType": "FullyReplicated"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": place}}
    return {**copy.deepcopy(dict(source)), "ChannelName": name}


def toolkit_hyperparameters(request: dict[str, Any], script: str) -> dict[str, str]:
    """What tells AWS's training toolkit where the source is; without network it comes by a channel."""
    source = SOURCE_TO_COME
    if request.get("EnableNetworkIsolation"):
        request.setdefault("InputDataConfig", []).append(channel("code", SOURCE_TO_COME))
        source = "/opt/ml/input/data/code/sourcedir.tar.gz"
    told = {
        "sagemaker_submit_directory": source,
        "sagemaker_program": script,
        "sagemaker_container_log_level": 20,
        "sagemaker_job_name": NAME_TO_COME,
        "sagemaker_region": REGION_TO_COME,
    }
    return {name: json.dumps(value) for name, value in told.items()}


def _checkpoint_config(job: TrainingJob) -> dict[str, str] | None:
    config = {"S3Uri": job.checkpoint_s3_uri, "LocalPath": job.checkpoint_local_path}
    return {name: str(value) for name, value in config.items() if value is not None} or None


def _merge(into: dict[str, Any], added: Mapping[str, Any], path: str) -> None:
    for member, value in added.items():
        if isinstance(value, Mapping) and isinstance(into.get(member), dict):
            _merge(into[member], value, f"{path}[{member!r}]")
        elif member in into and member != "TrainingInputMode":
            raise ValueError(f"{path} sets {member}, as another field of TrainingJob does; set it there")
        else:
            into[member] = copy.deepcopy(value)
