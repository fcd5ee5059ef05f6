"""Templates of AWS's SDKs' objects hold what ``fit`` and ``train`` send, and their requests run on the local cloud."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.job_template import (
    NAME_TO_COME,
    OUTPUT_TO_COME,
    SOURCE_TO_COME,
    JobTemplate,
    TrainingJob,
    template_of,
)
from cloudtune.aws.own_source import upload_source
from cloudtune.aws.packaging import build_bundle
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.trial_request import ResolvedTemplate, filled, resolve
from cloudtune.localcloud import InProcessCloud, LocalCloud

pytestmark = [pytest.mark.sdk, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUCKET = "sdk-bucket"
V2 = ["everything", "little", "isolated", "groups", "warm", "script_alone", "tensorflow", "huggingface"]
V2_OWN = {
    "distributed": "it is distributed by torch_distributed",
    "algorithm": "it has no entry_point",
    "own_command": "it has a container_entry_point",
    "source_in_s3": "its source_dir is in S3",
}
V3 = ["everything", "little", "isolated", "warm", "groups"]
V3_OWN = {
    "torchrun": "it is distributed by Torchrun",
    "mpi": "it is distributed by MPI",
    "command": "its source_code has no entry_script",
    "no_source": "it has no source_code",
}

Told = dict[str, dict[str, Any]]


def run(program: str, sdk: str, folder: Path, cloud: LocalCloud, *cases: str) -> Told:
    """What a program printed with an SDK, by case. The SDK's telemetry is on, as users have it."""
    python = ROOT / ".venv" / sdk / "bin" / "python"
    assert python.exists(), f"{python} is missing; run: make test-sdk"
    done = subprocess.run(
        [python, HERE / program, BUCKET, HERE / "source", *cases],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
            **cloud.environment(),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return {told["case"]: told for told in map(json.loads, lines)}


@pytest.fixture(scope="module")
def told_by_v2(tmp_path_factory: pytest.TempPathFactory) -> Told:
    with LocalCloud() as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        return run("templates_v2.py", "sdk2", tmp_path_factory.mktemp("v2"), cloud)


@pytest.fixture(scope="module")
def told_by_v3(tmp_path_factory: pytest.TempPathFactory) -> Told:
    with LocalCloud() as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        return run("templates_v3.py", "sdk3", tmp_path_factory.mktemp("v3"), cloud)


def template(told: dict[str, Any]) -> JobTemplate:
    return JobTemplate(
        **{**told, "dependencies": tuple(told["dependencies"]), "distributed": tuple(told["distributed"])}
    )


def image_of(made: JobTemplate) -> str:
    return ResolvedTemplate(made, {}, made.images.get("*"), "us-east-1").image_for(made.instance_type)


def common_part(request: dict[str, Any]) -> dict[str, Any]:
    """Of a request that an SDK sends: what is neither its launcher's nor the single job's."""
    part = copy.deepcopy(request)
    for member in ("TrainingJobName", "RoleArn", "HyperParameters"):
        part.pop(member, None)
    for member in ("TrainingImage", "ContainerEntrypoint", "ContainerArguments"):
        part["AlgorithmSpecification"].pop(member, None)
    channels = [one for one in part.pop("InputDataConfig", []) if one["ChannelName"] not in ("code", "sm_drivers")]
    return {**part, "InputDataConfig": channels}


def own_part(request: dict[str, Any]) -> dict[str, Any]:
    """The same with the SDK's launcher."""
    part = copy.deepcopy(request)
    part.pop("TrainingJobName", None)
    part.pop("RoleArn", None)
    part["AlgorithmSpecification"].pop("TrainingImage", None)
    # The SDK v3 uploads below a name with the second in it.
    named: dict[str, Any] = json.loads(re.sub(r"trial-[0-9]{14}", "trial-now", json.dumps(part)))
    return named


def v2_own_part(own: dict[str, Any], fit: dict[str, Any]) -> dict[str, Any]:
    """Ours with what fit filled in: the job's name, and where it has uploaded the source."""
    told = fit.get("HyperParameters") or {}
    channels = [one for one in fit.get("InputDataConfig", []) if one["ChannelName"] == "code"]
    uploaded = channels[0]["DataSource"]["S3DataSource"]["S3Uri"] if channels else None
    source = uploaded or json.loads(told.get("sagemaker_submit_directory", '""'))
    result: dict[str, Any] = filled(own, {SOURCE_TO_COME: source, NAME_TO_COME: fit["TrainingJobName"]})
    return own_part(result)


@pytest.mark.parametrize("case", V2)
def test_a_template_of_sdk_v2_keeps_all_that_the_user_set(told_by_v2: Told, case: str) -> None:
    """With our agent all of fit's request is there but the SDK's own launcher, and our packing gets the source."""
    told = told_by_v2[case]
    made = template(told["by_default"])
    assert {"InputDataConfig": [], **made.request} == common_part(told["fit"])
    assert not made.keep_own_entry
    assert image_of(made) == told["fit"]["AlgorithmSpecification"]["TrainingImage"]
    assert made.role in (told["fit"]["RoleArn"], "cloudtune-local-role")
    assert made.script == "train.py"
    assert made.entry_point is not None
    assert (Path(made.source_dir or "/") / made.entry_point).is_file()


@pytest.mark.parametrize("case", [*V2, *V2_OWN])
def test_with_its_own_entry_sdk_v2s_request_is_the_same_to_the_letter(told_by_v2: Told, case: str) -> None:
    """Hyperparameters, channels and all: only the job's name and the source's address are filled in per trial."""
    told = told_by_v2[case]
    assert v2_own_part(told["own_entry"]["request"], told["fit"]) == own_part(told["fit"])


@pytest.mark.parametrize("case", V2_OWN)
def test_estimators_that_need_their_own_entry_keep_it(told_by_v2: Told, case: str) -> None:
    """Distribution, algorithms and start commands are the image's business; the template says why."""
    made = template(told_by_v2[case]["by_default"])
    assert made.keep_own_entry
    assert made.why_own_entry.startswith(V2_OWN[case])
    assert made.distributed == (("torch_distributed",) if case == "distributed" else ())
    assert made.needs_source == (case in ("distributed", "own_command"))
    assert made.form == ("text" if case == "algorithm" else "json")


def test_sdk_v2_is_understood_by_its_public_face_too(told_by_v2: Told) -> None:
    """A version whose inner functions have changed gives the same templates."""
    for case in [*V2, *V2_OWN, "homeless"]:
        assert told_by_v2[case]["by_public_face"] == told_by_v2[case]["by_default"], case


def test_no_bucket_is_looked_for_while_a_template_is_made(told_by_v2: Told) -> None:
    """To find the default bucket SDK v2 would call the STS of the real AWS; ours is filled in later."""
    made = template(told_by_v2["homeless"]["by_default"])
    assert made.request["OutputDataConfig"] == {"S3OutputPath": OUTPUT_TO_COME}
    assert template(told_by_v2["little"]["by_default"]).request["OutputDataConfig"] == {
        "S3OutputPath": f"s3://{BUCKET}/mine/"
    }


def test_hyperparameters_of_sdk_v2_are_typed_constants(told_by_v2: Told) -> None:
    """The agent passes them on as it does a configuration."""
    made = template(told_by_v2["everything"]["by_default"])
    assert made.hyperparameters == {"lr": 0.5, "name": "adam's", "layers": [1, 2]}
    assert made.role == "cloudtune-local-role"
    assert made.images.keys() == {"cpu", "gpu"}


@pytest.mark.defect("C21")
def test_local_mode_of_either_sdk_is_answered(told_by_v2: Told, told_by_v3: Told) -> None:
    """With the two things that train on this machine."""
    for answer in (told_by_v2["local"], told_by_v2["local_gpu"], told_by_v3["local"]):
        assert "use LocalBackend" in answer["error"]
        assert "cloudtune localcloud" in answer["error"]


@pytest.mark.parametrize("case", V3)
def test_a_template_of_sdk_v3_keeps_all_that_the_user_set(told_by_v3: Told, case: str) -> None:
    """With our agent all of train's request is there but the channels and the command of the SDK's launcher."""
    told = told_by_v3[case]
    made = template(told["by_default"])
    assert {"InputDataConfig": [], **made.request} == common_part(told["fit"])
    assert (made.keep_own_entry, made.script, made.source_dir) == (False, "train.py", str(HERE / "source"))
    assert image_of(made) == told["fit"]["AlgorithmSpecification"]["TrainingImage"]
    assert made.role == told["fit"]["RoleArn"]


@pytest.mark.parametrize("case", [*V3, *V3_OWN])
def test_with_its_own_entry_sdk_v3s_request_is_the_same_to_the_letter(told_by_v3: Told, case: str) -> None:
    """Source and launcher are uploaded by the SDK, once; and the same by its public face."""
    told = told_by_v3[case]
    expected = own_part(told["fit"])
    assert own_part(told["own_entry"]["request"]) == expected
    assert own_part(told["own_entry_by_public_face"]["request"]) == expected
    assert not template(told["own_entry"]).needs_source
    assert own_part(told["by_default_by_public_face"]["request"]) == own_part(told["by_default"]["request"])


@pytest.mark.parametrize("case", V3_OWN)
def test_trainers_that_need_their_own_entry_keep_it(told_by_v3: Told, case: str) -> None:
    """Torchrun, MPI and commands are the SDK's launcher's business; the template says why."""
    made = template(told_by_v3[case]["by_default"])
    assert made.keep_own_entry
    assert made.why_own_entry.startswith(V3_OWN[case])


@pytest.mark.parametrize("sdk", ["v2", "v3"])
def test_sagemaker_takes_the_requests_of_all_templates(told_by_v2: Told, told_by_v3: Told, sdk: str) -> None:
    """With the agent and without, and with a configuration of the trial's own."""
    everything = {**told_by_v2} if sdk == "v2" else {**told_by_v3}
    with InProcessCloud() as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        client, aws = cloud.client("sagemaker"), Aws()
        for case, told in everything.items():
            for way in ("by_default", "own_entry"):
                if way not in told:
                    continue
                made = template(told[way])
                name = f"{case.replace('_', '-')}-{way.replace('_', '-')}"
                ready = resolve(made, aws, bucket=BUCKET)
                code, task = f"s3://{BUCKET}/code/", f"s3://{BUCKET}/task/"
                config = {"lr": 0.25} if made.keep_own_entry else None
                request = ready.request(name, code_uri=code, task_uri=task, config=config)
                client.create_training_job(**request)
                assert "to-come" not in json.dumps(cloud.job(name).request)


def test_the_model_trainer_of_sdk_v2_is_read_too(tmp_path: Path) -> None:
    """Late versions of the SDK 2 have one, in another module and on top of another core."""
    with LocalCloud() as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        told = run("templates_v2_trainer.py", "sdk2", tmp_path, cloud)["trainer"]
    made, own = template(told["by_default"]), template(told["own_entry"])
    assert made.request["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert made.request["Tags"] == [{"Key": "team", "Value": "a"}]
    assert [channel["ChannelName"] for channel in made.request["InputDataConfig"]] == ["train"]
    assert (made.script, made.hyperparameters) == ("train.py", {"lr": 0.5})
    assert [channel["ChannelName"] for channel in own.request["InputDataConfig"]] == ["train", "code", "sm_drivers"]


def lines_of(cloud: LocalCloud, name: str) -> list[str]:
    pages = cloud.client("logs").get_paginator("filter_log_events")
    found = pages.paginate(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/")
    return [event["message"] for page in found for event in page["events"]]


def run_trials(cloud: LocalCloud, made: JobTemplate, code_uri: str | None) -> list[list[str]]:
    """Two trials with configurations of their own; their log lines."""
    ready = resolve(made, Aws(), bucket=BUCKET)
    written = []
    for number, lr in enumerate((0.5, 0.125)):
        name = f"{made.form.replace('_', '-')}-{number}"
        request = ready.request(name, code_uri=code_uri, config={"lr": lr, "epochs": 2})
        cloud.client("sagemaker").create_training_job(**request)
        described = cloud.wait_for_job(name)
        written.append(lines_of(cloud, name))
        assert described["status"] == "Completed", (described, written)
    return written


@pytest.mark.parametrize("program", ["templates_v2.py", "templates_v3.py"])
def test_trials_run_by_the_images_own_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """AWS's toolkit, and the SDK v3's launcher, start the user's script with each trial's own configuration."""
    sdk = {"templates_v2.py": "sdk2", "templates_v3.py": "sdk3"}[program]
    with LocalCloud(sandbox="namespaces", images={"*": str(ROOT / ".venv" / sdk)}) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        made = template(run(program, sdk, tmp_path, cloud, "little")["little"]["own_entry"])
        code_uri = None
        if made.needs_source:
            assert made.source_dir is not None
            bundle = build_bundle(Path(made.source_dir), "train.py")
            code_uri = upload_source(Bucket(Aws(), BUCKET), bundle)
        first, second = run_trials(cloud, made, code_uri)
    assert "begin start=0 lr=0.5 host=algo-1" in first
    assert "epoch=2 loss=0.25;" in first
    assert "begin start=0 lr=0.125 host=algo-1" in second


@pytest.mark.parametrize("isolated", [False, True])
def test_a_description_of_ours_runs_by_awss_toolkit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated: bool
) -> None:
    """``keep_own_entry=True`` needs no SDK: the toolkit finds our archive in S3, or in a channel without network."""
    with LocalCloud(sandbox="namespaces", images={"*": str(ROOT / ".venv" / "sdk2")}) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        job = TrainingJob(
            "train.py", source_dir=HERE / "source", keep_own_entry=True, enable_network_isolation=isolated
        )
        code_uri = upload_source(Bucket(Aws(), BUCKET), build_bundle(HERE / "source", "train.py"))
        first, second = run_trials(cloud, template_of(job), code_uri)
    assert "begin start=0 lr=0.5 host=algo-1" in first
    assert "begin start=0 lr=0.125 host=algo-1" in second
