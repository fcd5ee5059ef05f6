"""The folder that a container sees as ``/opt/ml``, and the configuration in it.

As AWS describes it: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.localcloud.jobs.failure_reasons import JobFailed
from cloudtune.localcloud.jobs.training_job import TrainingJob

OPT_ML = "/opt/ml"
_FOLDERS = ("code", "input/config", "input/data", "model", "output/data", "output/intermediate")
_DEFAULT_GROUP = "homogeneousCluster"


class MlFolder:
    """The folder of one host of one run.

    Args:
        path: Where it is to be made.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def make(self) -> None:
        """Makes the empty tree."""
        for name in _FOLDERS:
            os.makedirs(os.path.join(self.path, name))

    def channel(self, name: str) -> str:
        """Makes the folder of an input channel; returns its path."""
        path = os.path.join(self.path, "input/data", name)
        os.makedirs(path, exist_ok=True)
        return path

    def write_config(self, job: TrainingJob, host: str, hosts: Sequence[str]) -> None:
        """Writes what the container is told about its job, as files of JSON in ``input/config``."""
        self._write("hyperparameters", job.request.get("HyperParameters") or {})
        self._write("resourceconfig", _resource_config(job, host, hosts))
        group, _ = host_groups(job)[host]
        self._write("inputdataconfig", _input_data_config(job.request, group))

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        with open(os.path.join(self.path, "input/config", name + ".json"), "w", encoding="utf-8") as file:
            json.dump(content, file)


def checkpoint_path(request: Mapping[str, Any]) -> str | None:
    """Where checkpoints lie, below ``/opt/ml``; None without a CheckpointConfig. Raises JobFailed for other places."""
    config = request.get("CheckpointConfig")
    if not config:
        return None
    wanted = config.get("LocalPath") or f"{OPT_ML}/checkpoints"
    path = posixpath.normpath(wanted)
    if not path.startswith(OPT_ML + "/") or "\0" in path:
        raise JobFailed(
            f"ClientError: CheckpointConfig.LocalPath is {wanted!r}; this local cloud keeps checkpoints below {OPT_ML} "
            "only."
        )
    return path.removeprefix(OPT_ML + "/")


def host_groups(job: TrainingJob) -> dict[str, tuple[str, str]]:
    """Names of the hosts of a job, ``algo-1`` and on, each with the name and the instance type of its group."""
    groups = (job.request.get("ResourceConfig") or {}).get("InstanceGroups") or ()
    rows = [
        (group.get("InstanceGroupName", _DEFAULT_GROUP), group.get("InstanceType", job.instance_type))
        for group in groups
        for _ in range(group.get("InstanceCount", 1))
    ] or [(_DEFAULT_GROUP, job.instance_type)] * max(1, job.instance_count)
    return {f"algo-{number}": row for number, row in enumerate(rows, 1)}


def belongs_to_group(channel: Mapping[str, Any], group: str) -> bool:
    """Whether the hosts of an instance group get an input channel: those of all groups do, unless it names some."""
    names = ((channel.get("DataSource") or {}).get("S3DataSource") or {}).get("InstanceGroupNames")
    return not names or group in names


def _resource_config(job: TrainingJob, host: str, hosts: Sequence[str]) -> dict[str, Any]:
    groups: dict[str, dict[str, Any]] = {}
    belongs = host_groups(job)
    for name, (group, instance_type) in belongs.items():
        row = groups.setdefault(group, {"instance_group_name": group, "instance_type": instance_type, "hosts": []})
        row["hosts"].append(name)
    group, instance_type = belongs[host]
    return {
        "current_host": host,
        "current_instance_type": instance_type,
        "current_group_name": group,
        "hosts": list(hosts),
        "instance_groups": list(groups.values()),
        "network_interface_name": "lo",
    }


def _input_data_config(request: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Of the channels that belong to an instance group. FastFile is told as File: that is how it is served here."""
    channels: dict[str, Any] = {}
    for channel in request.get("InputDataConfig") or ():
        if not belongs_to_group(channel, group):
            continue
        source = (channel.get("DataSource") or {}).get("S3DataSource") or {}
        row = {
            "TrainingInputMode": "File",
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if channel.get("ContentType"):
            row["ContentType"] = channel["ContentType"]
        channels[channel["ChannelName"]] = row
    return channels
