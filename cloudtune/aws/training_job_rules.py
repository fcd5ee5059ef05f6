"""What must hold of a TrainingJob, one sentence per mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.agent.protocol import CHANNEL_CODE, CHANNEL_TASK
from cloudtune.aws.request_limits import first_problem

if TYPE_CHECKING:
    from cloudtune.aws.job_template import TrainingJob

#: What a machine of ours is called by the SDK's local mode.
LOCAL_TYPES = ("local", "local_gpu")
MOST_KEEP_ALIVE = 21_600
MOST_RETRIES = 30
_INSTANCE_TYPE = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9]+")
#: Fields that are mappings, and how they look.
_MAPPINGS = {
    "environment": "{'DATA': '/opt/ml/input/data/train'}",
    "hyperparameters": "{'epochs': 10}",
    "tags": "{'team': 'vision'}",
    "extra": "{'ResourceConfig': {'TrainingPlanArn': '...'}}",
}
_SWITCHES = ("use_spot", "enable_network_isolation", "encrypt_inter_container_traffic", "keep_own_entry")
_OUR_CHANNELS = (CHANNEL_CODE, CHANNEL_TASK)
#: Members of CreateTrainingJob that have fields of their own.
_MEMBERS_WITH_FIELDS = {
    "CheckpointConfig": "checkpoint_s3_uri",
    "EnableInterContainerTrafficEncryption": "encrypt_inter_container_traffic",
    "EnableManagedSpotTraining": "use_spot",
    "EnableNetworkIsolation": "enable_network_isolation",
    "Environment": "environment",
    "HyperParameters": "hyperparameters",
    "InputDataConfig": "inputs",
    "RetryStrategy": "max_retries",
    "RoleArn": "role",
    "Tags": "tags",
    "VpcConfig": "subnets and security_group_ids",
}


def check(job: TrainingJob) -> None:
    """Raises ValueError for the first mistake in a description."""
    _check_kinds(job)
    _check_source(job)
    _check_numbers(job)
    _check_machines(job)
    _check_times(job)
    _check_places(job)
    _check_inputs(job)
    _check_image(job)
    _check_extra(job.extra)
    from cloudtune.aws.plain_template import request_of

    problem = first_problem(request_of(job))
    if problem is not None:
        raise ValueError(problem)


def check_instance_type(instance_type: object) -> None:
    """Raises ValueError for what cannot be the name of an instance type of SageMaker."""
    if instance_type in LOCAL_TYPES:
        raise ValueError(local_mode(f"instance_type={instance_type!r}"))
    if not isinstance(instance_type, str) or not _INSTANCE_TYPE.fullmatch(instance_type):
        better = f"ml.{instance_type}"
        hint = f"; did you mean {better!r}?" if _INSTANCE_TYPE.fullmatch(better) else ""
        raise ValueError(f"an instance type looks like 'ml.g4dn.xlarge', not like {instance_type!r}{hint}")


def local_mode(what: str) -> str:
    """Why something is no training job on SageMaker, and what to use in its place."""
    return (
        f"{what} trains on this machine without SageMaker, and cannot be a trial's job; use LocalBackend for trials on "
        "this machine, or `cloudtune localcloud run` for training jobs on a SageMaker of its own"
    )


def check_channel_name(name: str) -> None:
    """Raises ValueError for a channel that is ours."""
    if name in _OUR_CHANNELS:
        raise ValueError(f"the input channel {name!r} is one of cloudtune's own; rename it")


def _check_kinds(job: TrainingJob) -> None:
    for name, example in _MAPPINGS.items():
        value = getattr(job, name)
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"{name} must be a mapping, such as {example}, got {value!r}")
    for name in _SWITCHES:
        if not isinstance(getattr(job, name), bool):
            raise ValueError(f"{name} must be True or False, got {getattr(job, name)!r}")
    definitions = job.metric_definitions
    if isinstance(definitions, (str, Mapping)) or not all(isinstance(one, Mapping) for one in definitions):
        raise ValueError(f"metric_definitions are a list of mappings with Name and Regex, got {definitions!r}")


def _check_source(job: TrainingJob) -> None:
    for name in ("entry_point", "source_dir"):
        value = getattr(job, name)
        if not isinstance(value, (str, os.PathLike)) and not (name == "source_dir" and value is None):
            raise ValueError(f"{name} must be a path, got {value!r}")
        if str(value).startswith("s3://"):
            raise ValueError(f"{name} must be a path of this machine, got {value!r}; download it first")
    entry = Path(job.entry_point).expanduser()
    if job.source_dir is None:
        if not entry.is_file():
            raise ValueError(f"there is no file {str(entry.absolute())!r}; entry_point is the training script")
    else:
        folder = Path(job.source_dir).expanduser()
        if not folder.is_dir():
            raise ValueError(f"there is no folder {str(folder.absolute())!r}; source_dir holds the training script")
        inside = folder.resolve() in (folder / entry).resolve().parents
        if not inside or not (folder / entry).is_file():
            raise ValueError(
                f"entry_point {str(job.entry_point)!r} is no file in source_dir {str(folder.absolute())!r}; give its "
                "path relative to source_dir"
            )
    if isinstance(job.dependencies, (str, os.PathLike)):
        raise ValueError(
            f"dependencies are a list of paths, got {job.dependencies!r}; write [{str(job.dependencies)!r}]"
        )
    for path in job.dependencies:
        if not Path(path).expanduser().exists():
            raise ValueError(
                f"there is no file or folder {str(Path(path).absolute())!r}, named in dependencies; correct its path"
            )


def _check_numbers(job: TrainingJob) -> None:
    limits: dict[str, tuple[int, int | None]] = {
        "instance_count": (1, None),
        "max_run": (1, None),
        "max_wait": (1, None),
        "max_retries": (0, MOST_RETRIES),
        "keep_alive_period": (0, MOST_KEEP_ALIVE),
        "volume_size": (1, None),
    }
    for name, (least, most) in limits.items():
        value = getattr(job, name)
        if name == "max_wait" and value is None:
            continue
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or value < least
            or (most is not None and value > most)
        ):
            range_ = f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(f"{name} must be a whole number, {range_}, got {value!r}")


def _check_machines(job: TrainingJob) -> None:
    check_instance_type(job.instance_type)
    if not job.instance_groups:
        return
    if job.instance_type != "ml.g4dn.xlarge" or job.instance_count != 1:
        raise ValueError("instance_groups stand in place of instance_type and instance_count; leave those out")
    for group in job.instance_groups:
        if not isinstance(group, Mapping) or not {"InstanceGroupName", "InstanceType", "InstanceCount"} <= set(group):
            raise ValueError(
                f"an instance group is a mapping with InstanceGroupName, InstanceType and InstanceCount, got {group!r}"
            )
        check_instance_type(group["InstanceType"])


def _check_times(job: TrainingJob) -> None:
    if job.use_spot and job.keep_alive_period:
        raise ValueError(
            "AWS keeps no machine of spot capacity warm: use_spot and keep_alive_period exclude each other; drop one"
        )
    if job.max_wait is None:
        return
    if not job.use_spot:
        raise ValueError("max_wait is how long a spot job may take in all; drop it, or set use_spot=True")
    if job.max_wait < job.max_run:
        raise ValueError(
            f"max_wait ({job.max_wait} s) must be at least max_run ({job.max_run} s), for training counts as waiting"
        )


def _check_places(job: TrainingJob) -> None:
    for name in ("output_path", "checkpoint_s3_uri"):
        value = getattr(job, name)
        if value is not None and not (isinstance(value, str) and re.match(r"s3://[^/]", value)):
            raise ValueError(f"{name} must look like 's3://bucket/prefix', got {value!r}")
    local = job.checkpoint_local_path
    if local is not None and not str(local).startswith("/"):
        raise ValueError(f"checkpoint_local_path must be an absolute path in the job, got {local!r}")
    if bool(job.subnets) != bool(job.security_group_ids):
        raise ValueError("subnets and security_group_ids only work together; give both or none")
    for name in ("subnets", "security_group_ids"):
        if isinstance(getattr(job, name), str):
            raise ValueError(f"{name} are a list of ids, got {getattr(job, name)!r}; write [{getattr(job, name)!r}]")


def _check_inputs(job: TrainingJob) -> None:
    if not isinstance(job.inputs or {}, Mapping):
        raise ValueError(f"inputs map the names of channels to s3:// prefixes, got {job.inputs!r}")
    for name, source in (job.inputs or {}).items():
        check_channel_name(name)
        if isinstance(source, str):
            if not re.match(r"s3://[^/]", source):
                raise ValueError(f"the input channel {name!r} must look like 's3://bucket/prefix', got {source!r}")
        elif not isinstance(source, Mapping) or "DataSource" not in source:
            raise ValueError(
                f"the input channel {name!r} must be an s3:// prefix or a mapping with a DataSource, got {source!r}"
            )
        elif source.get("ChannelName", name) != name:
            raise ValueError(f"the input channel {name!r} calls itself {source['ChannelName']!r}; drop its ChannelName")
    most = 18  # of AWS's 20, without our two
    if len(job.inputs or {}) > most:
        raise ValueError(f"the job has {len(job.inputs or {})} input channels; {most} are left beside cloudtune's two")


def _check_image(job: TrainingJob) -> None:
    if job.image_uri is None and job.framework != "pytorch" and job.framework_version is None:
        raise ValueError(f"framework {job.framework!r} needs a framework_version, or give an image_uri")


def _check_extra(extra: Mapping[str, Any]) -> None:
    if "TrainingJobName" in extra:
        raise ValueError("each trial's job gets a name of its own; drop TrainingJobName from extra")
    for member, instead in _MEMBERS_WITH_FIELDS.items():
        if member in extra:
            raise ValueError(f"{member} in extra has a field of its own; use {instead}")
    for path in _container_commands(extra):
        raise ValueError(
            f"{path} in extra would replace how cloudtune starts the script; make it the entry_point, a .sh file"
        )


def _container_commands(extra: Mapping[str, Any]) -> Iterator[str]:
    algorithm = extra.get("AlgorithmSpecification") or {}
    yield from (name for name in ("ContainerEntrypoint", "ContainerArguments") if name in algorithm)
