"""What a host is told by the platform, and what the script is told in turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudtune.agent.agent_errors import AgentError
from cloudtune.agent.machine import Machine
from cloudtune.agent.script import Script
from cloudtune.agent.sm_environment import sm_environment
from tests.agent.agent_job import task


def machine(base: Path, resources: Any = None, inputs: Any = None, hyperparameters: Any = None) -> Machine:
    config = base / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    for name, value in (
        ("resourceconfig", resources),
        ("inputdataconfig", inputs),
        ("hyperparameters", hyperparameters),
    ):
        if value is not None:
            (config / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return Machine({"SAGEMAKER_BASE_DIR": str(base), "TRAINING_JOB_NAME": "job"})


@pytest.mark.parametrize(
    ("host", "hosts", "first"),
    [
        ("algo-1", ["algo-1", "algo-2"], True),
        ("algo-2", ["algo-1", "algo-2"], False),
        ("algo-10", ["algo-2", "algo-1", "algo-10"], False),
        ("b", ["c", "b"], True),
        ("algo-1", [], True),
    ],
)
def test_one_host_is_the_first(tmp_path: Path, host: str, hosts: list[str], first: bool) -> None:
    """Exactly one of a job's hosts speaks for it."""
    assert machine(tmp_path, {"current_host": host, "hosts": hosts}).is_first is first


@pytest.mark.parametrize("content", ["", "[]", "{", None])
def test_a_platform_that_tells_nothing_is_one_host(tmp_path: Path, content: str | None) -> None:
    """Missing or broken files leave the plain values."""
    found = machine(tmp_path, content, content, content)
    assert (found.host, found.hosts, found.is_first, found.inputs) == ("algo-1", ["algo-1"], True, {})
    assert sm_environment(found, {}, "train.py", [])["SM_CHANNELS"] == "[]"


def test_without_a_variable_the_base_is_opt_ml() -> None:
    """As SageMaker has it."""
    assert Machine({}).base == "/opt/ml"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", "{base}/checkpoints"), ("/opt/ml/kept", "{base}/kept"), ("/mnt/kept", "/mnt/kept"), ("/opt/mlx", "/opt/mlx")],
)
def test_checkpoints_may_lie_elsewhere(tmp_path: Path, wanted: str, found: str) -> None:
    """The folder that the job's description names is the one the script is told, also below another base."""
    given = task(checkpoint_dir=wanted)
    assert Script(machine(tmp_path), given).checkpoints == found.format(base=tmp_path)


def test_groups_of_a_heterogeneous_cluster_are_told(tmp_path: Path) -> None:
    """As AWS's toolkit tells them."""
    groups = [
        {"instance_group_name": "data", "instance_type": "ml.m5.large", "hosts": ["algo-2"]},
        {"instance_group_name": "gpu", "instance_type": "ml.g4dn.xlarge", "hosts": ["algo-1"]},
    ]
    resources = {
        "current_host": "algo-2",
        "hosts": ["algo-1", "algo-2"],
        "current_group_name": "data",
        "current_instance_type": "ml.m5.large",
        "instance_groups": groups,
    }
    found = sm_environment(machine(tmp_path, resources), {}, "train.py", [])
    assert found["SM_CURRENT_INSTANCE_GROUP"] == "data"
    assert json.loads(found["SM_CURRENT_INSTANCE_GROUP_HOSTS"]) == ["algo-2"]
    assert json.loads(found["SM_INSTANCE_GROUPS"]) == ["data", "gpu"]
    assert found["SM_IS_HETERO"] == "true"
    assert found["SM_CURRENT_HOST_RANK"] == "1"
    assert found["SM_MASTER_ADDR"] == "algo-1"


def test_what_does_not_fit_into_a_variable_is_left_out(tmp_path: Path) -> None:
    """The operating system would refuse to start the script; the value is in the arguments or the file anyway."""
    config = {"long": "x" * 200_000, "zero": "a\0b", "a=b": 1, "broken": "\ud800", "lr": 0.1, "none": None, "l": [1]}
    found = sm_environment(machine(tmp_path), config, "train.py", [])
    assert {name: value for name, value in found.items() if name.startswith("SM_HP_")} == {
        "SM_HP_LR": "0.1",
        "SM_HP_NONE": "",
        "SM_HP_L": "[1]",
    }
    assert "SM_HPS" not in found
    assert found["SM_MODEL_DIR"] == str(tmp_path / "model")


def test_hyperparameters_of_the_template_stand_below_the_config(tmp_path: Path) -> None:
    """They are decoded as AWS's toolkit does; what the SDK adds for itself is left out."""
    given = {"lr": "1", "name": '"quoted"', "plain": "text", "sagemaker_region": '"x"'}
    found = sm_environment(machine(tmp_path, hyperparameters=given), {"lr": 0.5}, "train.py", [])
    assert json.loads(found["SM_HPS"]) == {"lr": 0.5, "name": "quoted", "plain": "text"}


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 99}'])
def test_a_task_that_cannot_be_used_is_told_of(tmp_path: Path, content: str | None) -> None:
    """Missing, broken or of another version: a sentence with a remedy."""
    folder = tmp_path / "input" / "data" / "cloudtune-task"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "task.json").write_text(content)
    with pytest.raises(AgentError, match="tuner"):
        machine(tmp_path).task()


def test_the_scripts_variables_go_over_those_of_the_container(tmp_path: Path) -> None:
    """What the user sets for the job stays; the tuner's variables reach the script; PYTHONPATH begins with ours."""
    given = task(environment={"CLOUDTUNE_PRICE_PER_SECOND": "0.001", "CLOUDTUNE_TRIAL": "7"}, checkpoint_dir="/keep")
    script = Script(machine(tmp_path), given)
    found = script.environment({"MINE": "1", "PYTHONPATH": "/mine", "SM_MODEL_DIR": "/old"})
    assert found["MINE"] == "1"
    assert found["SM_MODEL_DIR"] == str(tmp_path / "model")
    assert found["CLOUDTUNE_PRICE_PER_SECOND"] == "0.001"
    assert found["PYTHONPATH"] == f"{script.package}:{tmp_path / 'code'}:/mine"
    assert script.arguments()[-2:] == ["--st_checkpoint_dir", "/keep"]
