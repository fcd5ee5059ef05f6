"""Requests for single trials: what the user set is in them, what is ours too, and AWS takes them."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.agent.protocol import ENV_JOB_ID, ENV_PLACE
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.job_template import JobTemplate, TrainingJob, template_of
from cloudtune.aws.trial_request import ResolvedTemplate, digest, resolve, tag_value
from cloudtune.localcloud import InProcessCloud
from tests.aws.job_fields import IMAGE, ROLE, training_job_fields

CODE, TASK = "s3://bucket/cloudtune/code/abc/", "s3://bucket/cloudtune/t/e/1/trials/0/0/task/"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text("pass\n", encoding="utf-8")
    return path


def resolved(template: JobTemplate, **changes: Any) -> ResolvedTemplate:
    """As ``resolve`` makes it, without asking AWS."""
    made = ResolvedTemplate(template, {**template.request, "RoleArn": ROLE}, IMAGE, "us-east-1")
    return dataclasses.replace(made, **changes)


def plain(script: Path, **fields: Any) -> ResolvedTemplate:
    return resolved(template_of(TrainingJob(script, **fields)))


def sent(given_template: ResolvedTemplate, name: str = "job-0-0", **fields: Any) -> dict[str, Any]:
    return given_template.request(name, **{"code_uri": CODE, "task_uri": TASK, **fields})


def channels(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {channel["ChannelName"]: channel for channel in request.get("InputDataConfig", ())}


def test_aws_takes_every_description_and_gets_all_that_the_user_set(script: Path) -> None:
    """Whatever is combined, the request passes botocore's model and SageMaker's rules, and holds each field's value."""
    number = iter(range(10_000))
    with InProcessCloud() as cloud:
        client, aws = cloud.client("sagemaker"), Aws()
        cloud.client("s3").create_bucket(Bucket="bucket")

        @settings(max_examples=60)
        @given(training_job_fields())
        def check(fields: dict[str, Any]) -> None:
            job = TrainingJob(script, image_uri=IMAGE, **fields)
            template = resolve(template_of(job), aws, bucket="bucket")
            assert pickle.loads(pickle.dumps(template)) == template
            name = f"job-{next(number)}"
            request = sent(template, name, tags={"cloudtune:trial": "7"}, environment={"CLOUDTUNE_JOB_ID": "x-7-0"})
            client.create_training_job(**request)
            _check_all_is_there(job, cloud.job(name).request, request["Tags"])

        check()


def _check_all_is_there(job: TrainingJob, request: dict[str, Any], tags: list[dict[str, str]]) -> None:
    resources, times = request["ResourceConfig"], request["StoppingCondition"]
    assert request["RoleArn"] == ROLE
    assert request["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    if job.instance_groups:
        assert resources["InstanceGroups"] == job.instance_groups
    else:
        assert (resources["InstanceType"], resources["InstanceCount"]) == (job.instance_type, job.instance_count)
    assert resources["VolumeSizeInGB"] == job.volume_size
    assert resources.get("VolumeKmsKeyId") == job.volume_kms_key
    assert resources.get("KeepAlivePeriodInSeconds", 0) == job.keep_alive_period
    assert times["MaxRuntimeInSeconds"] == job.max_run
    assert request.get("EnableManagedSpotTraining", False) == job.use_spot
    if job.use_spot:
        assert times["MaxWaitTimeInSeconds"] == (job.max_wait or job.max_run + 86_400)
    assert request["OutputDataConfig"]["S3OutputPath"] == (job.output_path or "s3://bucket/cloudtune/output")
    assert request["OutputDataConfig"].get("KmsKeyId") == job.output_kms_key
    assert (request.get("RetryStrategy") or {}).get("MaximumRetryAttempts", 0) == job.max_retries
    assert request.get("EnableNetworkIsolation", False) == job.enable_network_isolation
    assert request.get("EnableInterContainerTrafficEncryption", False) == job.encrypt_inter_container_traffic
    assert request["Environment"] == {**(job.environment or {}), "CLOUDTUNE_JOB_ID": "x-7-0"}
    assert {tag["Key"]: tag["Value"] for tag in tags} == {**(job.tags or {}), "cloudtune:trial": "7"}
    vpc = request.get("VpcConfig") or {"Subnets": [], "SecurityGroupIds": []}
    assert (vpc["Subnets"], vpc["SecurityGroupIds"]) == (list(job.subnets), list(job.security_group_ids))
    assert request["AlgorithmSpecification"].get("MetricDefinitions", []) == list(job.metric_definitions)
    found = channels(request)
    assert set(found) == {*(job.inputs or {}), "cloudtune", "cloudtune-task"}
    for name, source in (job.inputs or {}).items():
        if isinstance(source, str):
            assert found[name]["DataSource"]["S3DataSource"]["S3Uri"] == source
        else:
            assert found[name] == {"ChannelName": name, **source}
    for member, value in job.extra.items():
        assert value.items() <= request[member].items()
    assert "HyperParameters" not in request
    assert "CheckpointConfig" not in request


def test_the_agent_is_started_from_its_channel(script: Path) -> None:
    """Archive and task come as channels of files, so the job fetches nothing; the entry point names the archive."""
    request = sent(plain(script))
    assert [channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in channels(request).values()] == [CODE, TASK]
    assert {channel["InputMode"] for channel in channels(request).values()} == {"File"}
    shell, flag, command, *program = request["AlgorithmSpecification"]["ContainerEntrypoint"]
    assert (shell, flag) == ("/bin/sh", "-c")
    assert "input/data/cloudtune/bundle.zip" in command
    assert f"name = {CODE.rstrip('/').rpartition('/')[2]!r}" in program
    assert "ContainerArguments" not in request["AlgorithmSpecification"]


def test_what_is_the_trials_own_changes_nothing_for_the_next(script: Path) -> None:
    """Requests of one template share nothing: a change in one does not reach another."""
    template = plain(script, inputs={"train": "s3://b/d"}, environment={"A": "1"})
    first = sent(template, "job-0-0", environment={"B": "2"}, tags={"k": "v"}, instance_type="ml.m5.large")
    first["InputDataConfig"].clear()
    first["ResourceConfig"].clear()
    second = sent(template, "job-1-0")
    assert set(channels(second)) == {"train", "cloudtune", "cloudtune-task"}
    assert first["Environment"] == {"A": "1", "B": "2"}
    assert second["Environment"] == {"A": "1"}
    assert sent(template, environment={"A": "ours"})["Environment"] == {"A": "ours"}
    assert "Tags" not in second
    assert second["ResourceConfig"]["InstanceType"] == "ml.g4dn.xlarge"


def test_a_trial_may_run_on_another_machine(script: Path) -> None:
    """Instance type and count of a trial win over the template's; a job of instance groups says why it cannot."""
    request = sent(plain(script, volume_size=7), instance_type="ml.g5.xlarge", instance_count=3)
    assert request["ResourceConfig"] == {"InstanceType": "ml.g5.xlarge", "InstanceCount": 3, "VolumeSizeInGB": 7}
    group = {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1}
    with pytest.raises(ValueError, match="st_instance_type"):
        sent(plain(script, instance_groups=[group]), instance_type="ml.g5.xlarge")


def test_our_channels_go_to_all_groups_where_the_users_are_assigned(script: Path) -> None:
    """AWS wants each channel assigned to instance groups, or none."""
    groups = [{"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": 1} for name in ("a", "b")]
    place = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/d", "InstanceGroupNames": ["a"]}
    assigned = {"train": {"DataSource": {"S3DataSource": place}}}
    request = sent(plain(script, instance_groups=groups, inputs=assigned))
    for name in ("cloudtune", "cloudtune-task"):
        assert channels(request)[name]["DataSource"]["S3DataSource"]["InstanceGroupNames"] == ["a", "b"]
    request = sent(plain(script, instance_groups=groups, inputs={"train": "s3://b/d"}))
    assert "InstanceGroupNames" not in channels(request)["cloudtune"]["DataSource"]["S3DataSource"]


def test_checkpoints_that_sagemaker_keeps_are_the_trials_own(script: Path) -> None:
    """The user's prefix, which all trials would share, is never sent; the trial's is, with the user's folder."""
    template = plain(script, checkpoint_s3_uri="s3://b/shared", checkpoint_local_path="/ckpt")
    assert template.template.checkpoint_s3_uri == "s3://b/shared"
    assert "CheckpointConfig" not in sent(template)
    request = sent(template, checkpoint_uri="s3://b/shared/e/0")
    assert request["CheckpointConfig"] == {"S3Uri": "s3://b/shared/e/0", "LocalPath": "/ckpt"}


def test_tags_of_ours_are_made_to_fit(script: Path) -> None:
    """What AWS does not allow in a tag becomes a dash, what is too long is cut; letters of any language stay."""
    assert tag_value("größe {1}; ok?\n") == "größe -1-- ok--"
    assert len(tag_value("x" * 1000)) == 256
    request = sent(plain(script, tags={"cloudtune:trial": "mine", "team": "a"}), tags={"cloudtune:trial": "3"})
    assert request["Tags"] == [{"Key": "team", "Value": "a"}, {"Key": "cloudtune:trial", "Value": "3"}]


@pytest.mark.parametrize(
    ("job_fields", "trial_fields", "message"),
    [
        ({}, {"environment": {f"V{i}": "" for i in range(101)}}, "101 environment variables"),
        ({}, {"environment": {"PLACE": "x" * 513}}, "'PLACE' has 513 characters"),
        ({"tags": {f"k{i}": "" for i in range(48)}}, {"tags": {f"o{i}": "" for i in range(3)}}, "51 tags"),
        ({}, {"name": "x" * 64}, "job name"),
        ({}, {"name": "under_score"}, "job name"),
    ],
)
def test_limits_of_aws_are_checked_before_it_is_asked(
    script: Path, job_fields: dict[str, Any], trial_fields: dict[str, Any], message: str
) -> None:
    """AWS would answer with a constraint's name; ours says what is too long or too many."""
    with pytest.raises(InvalidRequest, match=message):
        sent(plain(script, **job_fields), **trial_fields)


def test_eighteen_channels_are_left_for_the_user(script: Path) -> None:
    """Twenty with ours are sent; one more is refused when the job is described."""
    inputs = {f"c{i}": "s3://b/d" for i in range(18)}
    assert len(sent(plain(script, inputs=inputs))["InputDataConfig"]) == 20
    with pytest.raises(ValueError, match="18 are left"):
        TrainingJob(script, inputs={**inputs, "more": "s3://b/d"})


def test_resolving_finds_role_image_and_output(script: Path, in_process_cloud: InProcessCloud) -> None:
    """A bare description becomes a request that SageMaker takes: role from IAM, image from the table."""
    in_process_cloud.client("s3").create_bucket(Bucket="bucket")
    template = resolve(template_of(TrainingJob(script)), Aws(), bucket="bucket")
    in_process_cloud.client("sagemaker").create_training_job(**sent(template))
    request = in_process_cloud.job("job-0-0").request
    assert request["RoleArn"] == ROLE
    assert "gpu" in request["AlgorithmSpecification"]["TrainingImage"]
    assert request["OutputDataConfig"]["S3OutputPath"] == "s3://bucket/cloudtune/output"
    assert "to-come" not in json.dumps(request)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "our-key"),
        ({"output_kms_key": "their-key"}, "their-key"),
        ({"output_path": "s3://theirs/output"}, None),
        ({"output_path": "s3://theirs/output", "output_kms_key": "their-key"}, "their-key"),
    ],
)
def test_the_key_of_the_experiment_encrypts_output_in_its_place(
    script: Path, in_process_cloud: InProcessCloud, members: dict[str, Any], expected: str | None
) -> None:
    """Models and output, unless the user has chosen another key or another place for them."""
    template = template_of(TrainingJob(script, image_uri="image", role=ROLE, **members))
    request = sent(resolve(template, Aws("us-east-1"), bucket="bucket", kms_key="our-key"))
    assert request["OutputDataConfig"].get("KmsKeyId") == expected
    assert "KmsKeyId" not in template.request["OutputDataConfig"] or "output_kms_key" in members


def test_the_image_follows_the_machine(script: Path) -> None:
    """A trial on CPUs gets the image for CPUs, unless the user named one."""
    template = template_of(TrainingJob(script, framework_version="2.8", role=ROLE))
    free = resolved(template, image=None)
    images = [free.image_for(one) for one in ("ml.g4dn.xlarge", "ml.p4d.24xlarge", "ml.m5.large")]
    assert ["gpu" in image for image in images] == [True, True, False]
    both = dataclasses.replace(template, images={"cpu": "for-cpu", "gpu": "for-gpu"})
    assert resolved(both, image=None).image_for("ml.g5.xlarge") == "for-gpu"
    assert resolved(both, image=None).image_for("ml.c5.xlarge") == "for-cpu"
    assert resolved(template).image_for("ml.m5.large") == IMAGE


def test_a_session_in_another_region_is_told(script: Path, in_process_cloud: InProcessCloud) -> None:
    """Images and data of an Estimator's region are of no use in the tuner's."""
    template = dataclasses.replace(template_of(TrainingJob(script)), region="eu-west-1")
    with pytest.raises(ValueError, match=r"in eu-west-1 and the tuner's in us-east-1"):
        resolve(template, Aws(), bucket="bucket")


def test_the_digest_tells_the_attempts_and_nothing_else(script: Path) -> None:
    """A new version of cloudtune or another machine does not make a job foreign; another task or name does."""
    template = plain(script)
    environment = {ENV_JOB_ID: "abc-0-0", ENV_PLACE: "s3://b/p"}
    first = digest(sent(template, environment=environment))
    same = sent(
        template, code_uri="s3://b/newer/", instance_type="ml.g5.xlarge", tags={"a": "b"}, environment=environment
    )
    assert digest(same) == first
    assert digest(json.loads(json.dumps(same))) == first
    others = [
        sent(template, "job-0-1", environment=environment),
        sent(template, task_uri="s3://b/other/", environment=environment),
        sent(template, environment={**environment, ENV_JOB_ID: "abd-0-0"}),
        sent(template, environment={**environment, ENV_PLACE: "s3://b/q"}),
    ]
    assert len({first, *map(digest, others)}) == 5


def test_the_digest_tells_configurations_of_jobs_without_an_agent(script: Path) -> None:
    """There the configuration is in the request, and no task is."""
    template = plain(script, keep_own_entry=True)
    digests = {digest(template.request("job", code_uri="s3://b/s.tar.gz", config={"lr": lr})) for lr in (0.1, 0.2)}
    assert len(digests) == 2
    again = template.request("job", code_uri="s3://b/newer.tar.gz", config={"lr": 0.1})
    assert digest(again) in digests


@given(st.text(max_size=40))
def test_any_text_becomes_a_tag_that_aws_takes(text: str) -> None:
    """Names of experiments may hold what tags may not."""
    from cloudtune.aws.request_limits import first_problem

    assert first_problem({"Tags": [{"Key": "cloudtune:experiment", "Value": tag_value(text)}]}) is None


def test_a_job_without_its_places_is_a_mistake_of_ours(script: Path) -> None:
    """The agent needs both channels."""
    with pytest.raises(ValueError, match="code_uri and task_uri"):
        plain(script).request("job", code_uri=CODE)
    with pytest.raises(ValueError, match="needs code_uri"):
        plain(script, keep_own_entry=True).request("job")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"RemoteDebugConfg": {}}, "no 'RemoteDebugConfg' in CreateTrainingJob; did you mean 'RemoteDebugConfig'"),
        (
            {"ResourceConfig": {"TrainingPlan": "x"}},
            "no 'TrainingPlan' in ResourceConfig; did you mean 'TrainingPlanArn'",
        ),
        ({"InfraCheckConfig": {"Zzz": "x"}}, "no 'Zzz' in InfraCheckConfig; it knows EnableInfraCheck"),
        ({"StoppingCondition": {"MaxPendingTimeInSeconds": "soon"}}, "MaxPendingTimeInSeconds"),
    ],
)
def test_members_that_boto3_does_not_know_are_told_before_any_trial(
    script: Path, in_process_cloud: InProcessCloud, extra: dict[str, Any], message: str
) -> None:
    """Further members go to AWS verbatim, so a misspelt one would fail each trial."""
    template = template_of(TrainingJob(script, image_uri=IMAGE, role=ROLE, extra=extra))
    with pytest.raises(InvalidRequest, match=message) as caught:
        resolve(template, Aws(), bucket="bucket")
    assert "\n" not in str(caught.value)


def test_a_request_that_no_trial_could_send_is_told_at_once(script: Path, in_process_cloud: InProcessCloud) -> None:
    """What the user set and what cloudtune adds do not fit together."""
    common: dict[str, Any] = {"image_uri": IMAGE, "role": ROLE}
    crowded = template_of(TrainingJob(script, tags={f"k{number}": "" for number in range(47)}, **common))
    with pytest.raises(InvalidRequest, match="51 tags, cloudtune's included"):
        resolve(crowded, Aws(), bucket="bucket")
    crowded = template_of(TrainingJob(script, environment={f"V{number}": "" for number in range(94)}, **common))
    with pytest.raises(InvalidRequest, match="101 environment variables, cloudtune's included"):
        resolve(crowded, Aws(), bucket="bucket")
