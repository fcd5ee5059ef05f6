"""The variables that AWS's training toolkit gives a script: ``SM_MODEL_DIR``, ``SM_CHANNEL_TRAIN``, ``SM_HP_LR``."""

from __future__ import annotations

import glob
import json
import os
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.machine import Machine

#: A variable may not be longer on Linux (MAX_ARG_STRLEN), its name included.
_LONGEST = 131_072 - 256
_LOG_LEVEL = 20
_MASTER_PORT = "7777"


def sm_environment(machine: Machine, config: dict[str, Any], entry_point: str, arguments: list[str]) -> dict[str, str]:
    """All of them. One that is too long for a variable is left out.

    Args:
        machine: This host.
        config: The trial's configuration; it goes over the hyperparameters of the job's template.
        entry_point: The script, relative to the source folder.
        arguments: The script's command line.
    """
    hyperparameters = {**_of_template(machine.hyperparameters), **config}
    channels = {name: os.path.join(machine.input_data, name) for name in sorted(machine.inputs)}
    groups = machine.resources.get("instance_groups") or []
    own_group = str(machine.resources.get("current_group_name") or "")
    module = os.path.splitext(os.path.basename(entry_point))[0]
    cpus, gpus = os.cpu_count() or 1, count_gpus()
    values: dict[str, Any] = {
        "hosts": machine.hosts,
        "current_host": machine.host,
        "network_interface_name": str(machine.resources.get("network_interface_name") or "eth0"),
        "current_instance_type": str(machine.resources.get("current_instance_type") or ""),
        "current_instance_group": own_group,
        "current_instance_group_hosts": _hosts_of(groups, own_group),
        "instance_groups": [group.get("instance_group_name") for group in groups],
        "instance_groups_dict": {group.get("instance_group_name"): group for group in groups},
        "distribution_instance_groups": [],
        "is_hetero": len(groups) > 1,
        "input_dir": machine.input,
        "input_config_dir": machine.input_config,
        "output_dir": machine.output,
        "output_data_dir": machine.output_data,
        "output_intermediate_dir": os.path.join(machine.output, "intermediate"),
        "model_dir": machine.model,
        "module_dir": machine.code,
        "module_name": module,
        "user_entry_point": entry_point,
        "log_level": _LOG_LEVEL,
        "num_cpus": cpus,
        "num_gpus": gpus,
        "num_neurons": 0,
        "input_data_config": machine.inputs,
        "resource_config": machine.resources,
        "framework_module": "",
        "framework_params": {},
    }
    variables = {"SM_" + name.upper(): _text(value) for name, value in values.items()}
    variables.update({"SM_CHANNEL_" + name.upper(): path for name, path in channels.items()})
    variables.update({"SM_HP_" + str(name).upper(): _text(value) for name, value in hyperparameters.items()})
    variables["SM_CHANNELS"] = json.dumps(list(channels))
    variables["SM_HPS"] = json.dumps(hyperparameters)
    variables["SM_USER_ARGS"] = json.dumps(arguments)
    variables["SM_HOST_COUNT"] = str(len(machine.hosts))
    variables["SM_CURRENT_HOST_RANK"] = str(sorted(machine.hosts).index(machine.host))
    variables["SM_MASTER_ADDR"] = min(machine.hosts)
    variables["SM_MASTER_PORT"] = _MASTER_PORT
    variables["SM_TRAINING_ENV"] = json.dumps(
        {
            **values,
            "channel_input_dirs": channels,
            "hyperparameters": hyperparameters,
            "job_name": machine.job,
            "is_master": machine.is_first,
            "master_hostname": min(machine.hosts),
            "additional_framework_parameters": {},
        }
    )
    return {name: value for name, value in variables.items() if _fits(name, value)}


def count_gpus() -> int:
    """How many NVIDIA devices the container has."""
    return len(glob.glob("/dev/nvidia[0-9]*"))


def _of_template(given: dict[str, Any]) -> dict[str, Any]:
    """Hyperparameters of the job's template, as AWS's toolkit reads them: each value is JSON, or else plain text."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        if name.startswith("sagemaker_"):  # the SDK's own
            continue
        try:
            found[name] = json.loads(text)
        except (TypeError, ValueError):
            found[name] = text
    return found


def _hosts_of(groups: list[dict[str, Any]], name: str) -> list[str]:
    for group in groups:
        if group.get("instance_group_name") == name:
            return list(group.get("hosts") or ())
    return []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _fits(name: str, value: str) -> bool:
    try:
        return "\0" not in name + value and "=" not in name and len(os.fsencode(value)) < _LONGEST
    except UnicodeEncodeError:
        return False
