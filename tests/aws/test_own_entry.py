"""Configurations as hyperparameters, for images that start the script in their own way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.job_template import HyperparameterForm, TrainingJob, template_of
from cloudtune.aws.own_entry import encoded
from cloudtune.aws.trial_request import ResolvedTemplate

CONFIG = {"lr": 1e-05, "n": 3, "flag": True, "name": "1e-3", "layers": [1, 2], "none": None}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("json", {"lr": "1e-05", "n": "3", "flag": "true", "name": '"1e-3"', "layers": "[1, 2]"}),
        ("json_but_strings", {"lr": "1e-05", "n": "3", "flag": "true", "name": "1e-3", "layers": "[1, 2]"}),
        ("text", {"lr": "1e-05", "n": "3", "flag": "True", "name": "1e-3", "layers": "[1, 2]"}),
    ],
)
def test_values_are_written_as_the_launcher_reads_them(form: HyperparameterForm, expected: dict[str, str]) -> None:
    """As the SDK v2 does for scripts, the SDK v3, and the SDK v2 for algorithms; what is None is left out."""
    assert encoded(CONFIG, form) == expected


@pytest.mark.parametrize("name", ["opt.lr", "a b", "1a", "ü"])
def test_names_that_break_the_shell_of_sdk_v3_are_refused(name: str) -> None:
    """Its launcher makes a shell variable of each name; AWS's toolkit does not mind."""
    with pytest.raises(InvalidRequest, match=re.escape(repr(name))):
        encoded({name: 1}, "json_but_strings")
    assert encoded({name: 1}, "json") == {name: "1"}


@pytest.mark.parametrize("value", ["adam's", {"a": "it's"}, ["'"]])
def test_values_that_break_the_shell_of_sdk_v3_are_refused(value: object) -> None:
    """Its launcher puts each value into single quotes."""
    with pytest.raises(InvalidRequest, match="'optimizer' holds a single quote"):
        encoded({"optimizer": value}, "json_but_strings")
    assert encoded({"learning-rate": 'say "x"'}, "json_but_strings") == {"learning-rate": 'say "x"'}


def test_what_launchers_read_for_themselves_is_not_the_trials_to_set() -> None:
    """A configuration cannot replace the source directory."""
    with pytest.raises(InvalidRequest, match="'sagemaker_program' begins with"):
        encoded({"sagemaker_program": "x"}, "json")


@pytest.fixture
def own(tmp_path: Path) -> ResolvedTemplate:
    script = tmp_path / "train.py"
    script.write_text("pass\n", encoding="utf-8")
    job = TrainingJob(script, keep_own_entry=True, hyperparameters={"epochs": 9, "lr": 1.0})
    template = template_of(job)
    return ResolvedTemplate(template, template.request, "image", "us-east-1")


def test_the_configuration_wins_over_constants_and_the_launcher_keeps_its_own(own: ResolvedTemplate) -> None:
    """The job's name and the source's address are filled in where the launcher looks for them."""
    request = own.request("job-0-0", code_uri="s3://b/k/sourcedir.tar.gz", config={"lr": 0.5, "opt": "adam's"})
    told = {name: json.loads(value) for name, value in request["HyperParameters"].items()}
    assert {name: told[name] for name in ("epochs", "lr", "opt")} == {"epochs": 9, "lr": 0.5, "opt": "adam's"}
    assert told["sagemaker_job_name"] == "job-0-0"
    assert told["sagemaker_submit_directory"] == "s3://b/k/sourcedir.tar.gz"
    assert "ContainerEntrypoint" not in request["AlgorithmSpecification"]
    assert "InputDataConfig" not in request


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"text": "x" * 2499}, "the value of the hyperparameter 'text' has 2501 characters"),
        ({f"k{number}": 1 for number in range(94)}, "101 hyperparameters and AWS allows 100"),
        ({"n" * 257: 1}, "has 257 characters and AWS allows 256"),
        ({"a\nb": 1}, r"'a\\nb' holds a line end"),
    ],
)
def test_limits_of_hyperparameters_name_the_key(own: ResolvedTemplate, config: dict[str, object], message: str) -> None:
    """One sentence with the remedy, which is the agent: with it the configuration travels in a file."""
    with pytest.raises(InvalidRequest, match=message) as caught:
        own.request("job", code_uri="s3://b/k", config=config)
    assert caught.value.code == "ValidationException"


def test_at_the_limits_a_configuration_is_sent(own: ResolvedTemplate) -> None:
    """2,500 characters and 100 names, the launcher's five and the constants included."""
    config: dict[str, object] = {f"k{number}": 1 for number in range(92)}
    config["text"] = "x" * 2498
    assert len(own.request("job", code_uri="s3://b/k", config=config)["HyperParameters"]) == 100


def test_the_launchers_instance_type_is_the_trials(own: ResolvedTemplate) -> None:
    """Distributed launchers of the SDK v2 read the machine's type from a hyperparameter."""
    own.members["HyperParameters"]["sagemaker_instance_type"] = '"ml.g5.xlarge"'
    request = own.request("job", code_uri="s3://b/k", instance_type="ml.p4d.24xlarge")
    assert request["HyperParameters"]["sagemaker_instance_type"] == '"ml.p4d.24xlarge"'
