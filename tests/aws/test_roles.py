"""The role that jobs run as: named, of the environment, of the notebook, or found."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws import get_execution_role as public_name
from cloudtune.aws import roles
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied, NotFound
from cloudtune.aws.roles import NoExecutionRole, get_execution_role, may_be_assumed
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults

ACCOUNT = "123456789012"
LOCAL = f"arn:aws:iam::{ACCOUNT}:role/cloudtune-local-role"


def trust(*services: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def create_role(cloud: LocalCloud, name: str, service: str = "sagemaker.amazonaws.com", path: str = "/") -> str:
    """The ARN of a new role that the service may assume."""
    made = cloud.client("iam").create_role(
        RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust(service))
    )
    return str(made["Role"]["Arn"])


@pytest.fixture(autouse=True)
def no_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the metadata file of a notebook would be; there is none, and we are no job."""
    monkeypatch.delenv("TRAINING_JOB_NAME", raising=False)
    path = tmp_path / "resource-metadata.json"
    monkeypatch.setattr(roles, "_METADATA", path)
    return path


class Assumed(Aws):
    """A caller who runs as a role, in a notebook or a job or after a login, as STS tells it."""

    def __init__(self, arn: str, **answers: Any) -> None:
        super().__init__("us-east-1")
        self.arn = arn
        self.answers = answers

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation == "get_caller_identity":
            return {"Arn": self.arn, "Account": ACCOUNT}
        if operation in self.answers:
            answer = self.answers[operation]
            if isinstance(answer, Exception):
                raise answer
            given: dict[str, Any] = answer
            return given
        return super().call(service, operation, **params)


def test_an_arn_is_taken_as_it_is() -> None:
    """Nobody is asked: whoever writes the whole name of a role means it, also where IAM is out of reach."""
    arn = "arn:aws-us-gov:iam::123456789012:role/team/a/Trainer@1"
    assert get_execution_role(arn) == arn
    assert public_name is get_execution_role


@pytest.mark.parametrize("name", ["trainer", "team/a/trainer", "/team/a/trainer"])
def test_a_name_is_looked_up(local_cloud: LocalCloud, name: str) -> None:
    """With its path or without: the ARN has the path that the role has."""
    arn = create_role(local_cloud, "trainer", path="/team/a/")
    assert get_execution_role(name, Aws()) == arn
    assert arn.endswith(":role/team/a/trainer")


@pytest.mark.parametrize("variable", ["CLOUDTUNE_ROLE", "AWS_ROLE", "SAGEMAKER_ROLE"])
def test_the_environment_names_a_role(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """In each of three variables, by name or ARN; the caller's own account is not searched."""
    arn = create_role(local_cloud, "trainer", path="/team/")
    monkeypatch.setenv(variable, "trainer")
    assert get_execution_role() == arn
    monkeypatch.setenv(variable, LOCAL)
    assert get_execution_role() == LOCAL
    assert "iam:ListRoles" not in local_cloud.call_counts()


def test_what_is_given_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And CLOUDTUNE_ROLE beats AWS_ROLE, which beats SAGEMAKER_ROLE."""
    for number, variable in enumerate(reversed(roles.ENV_ROLES)):
        arn = f"arn:aws:iam::{ACCOUNT}:role/role-{number}"
        monkeypatch.setenv(variable, arn)
        assert get_execution_role() == arn
    assert get_execution_role(LOCAL) == LOCAL


@pytest.mark.parametrize("given", ["arn:aws:iam::123:role/x", "arn:aws:iam::123456789012:user/x", "arn:aws:s3:::b"])
def test_an_arn_of_something_else_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message shows what was given, and where if that was a variable, and how an ARN of a role looks."""
    with pytest.raises(NoExecutionRole, match=r"arn:aws:iam::123456789012:role/name"):
        get_execution_role(given)
    monkeypatch.setenv("AWS_ROLE", given)
    with pytest.raises(NoExecutionRole, match=f"AWS_ROLE names '{given}'"):
        get_execution_role()


def test_a_name_that_no_role_can_have_is_refused() -> None:
    """Before AWS is asked."""
    with pytest.raises(NoExecutionRole, match="'my role', which no role can be called"):
        get_execution_role("my role", Aws("us-east-1"))


def test_a_role_that_does_not_exist_is_named(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the account that was asked, and the variable that it stood in."""
    monkeypatch.setenv("CLOUDTUNE_ROLE", "gone")
    with pytest.raises(NoExecutionRole, match=f"CLOUDTUNE_ROLE names the role 'gone', which account {ACCOUNT}"):
        get_execution_role()


def test_a_name_that_may_not_be_looked_up_is_completed(
    local_cloud: LocalCloud, faults: CloudFaults, caplog: pytest.LogCaptureFixture
) -> None:
    """Many who may pass a role may not look at it: the path that was given is believed, with a warning."""
    faults.add("access_denied", operation="iam:GetRole")
    with caplog.at_level(logging.WARNING, logger=roles.__name__):
        assert get_execution_role("team/trainer", Aws()) == f"arn:aws:iam::{ACCOUNT}:role/team/trainer"
    assert "arn:aws:iam::123456789012:role/team/trainer" in caplog.text


def test_the_only_role_for_sagemaker_is_found(local_cloud: LocalCloud) -> None:
    """Roles that only other services may assume, and those of AWS's own services, do not count."""
    create_role(local_cloud, "AmazonSageMaker-lambda", "lambda.amazonaws.com")
    create_role(local_cloud, "AWSServiceRoleForSageMaker", path="/aws-service-role/sagemaker.amazonaws.com/")
    assert get_execution_role() == LOCAL


def test_of_several_roles_sagemakers_own_and_the_newest_is_taken(
    local_cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """What SageMaker's console has made comes first, then what has its name in it; the log says which it was."""
    create_role(local_cloud, "zzz-for-everything")
    named = create_role(local_cloud, "my-sagemaker-role")
    assert get_execution_role() == named
    create_role(local_cloud, "AmazonSageMaker-ExecutionRole-20250101T000000", path="/service-role/")
    newest = create_role(local_cloud, "AmazonSageMaker-ExecutionRole-20240101T000000", path="/service-role/")
    create_role(local_cloud, "yet-another")
    with caplog.at_level(logging.INFO, logger=roles.__name__):
        assert get_execution_role() == newest, "the newest by its date of creation, not by its name"
    assert f"of 6 roles that SageMaker may assume, training jobs run as {newest}" in caplog.text
    assert "CLOUDTUNE_ROLE" in caplog.text


def test_all_pages_of_roles_are_searched(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account may have a thousand roles, and the right one stands on the last page."""
    monkeypatch.setattr(roles, "_PAGE", 2)
    for number in range(5):
        create_role(local_cloud, f"a-{number}", "ec2.amazonaws.com")
    wanted = create_role(local_cloud, "z-sagemaker")
    assert get_execution_role() == wanted
    assert local_cloud.call_counts()["iam:ListRoles"] == 4


def test_an_account_without_a_role_is_told_how_to_get_one(local_cloud: LocalCloud) -> None:
    """One sentence with both ways: create one, or name one."""
    iam = local_cloud.client("iam")
    for policy in iam.list_role_policies(RoleName="cloudtune-local-role")["PolicyNames"]:
        iam.delete_role_policy(RoleName="cloudtune-local-role", PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName="cloudtune-local-role")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="cloudtune-local-role", PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName="cloudtune-local-role")
    with pytest.raises(NoExecutionRole, match=r"no role that SageMaker may assume: create one.*CLOUDTUNE_ROLE"):
        get_execution_role()


def test_who_may_not_search_is_told_how_to_name_one(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """The right that is missing, and the way around it."""
    faults.add("access_denied", operation="iam:ListRoles")
    with pytest.raises(NoExecutionRole, match=r"iam:ListRoles.*CLOUDTUNE_ROLE"):
        get_execution_role()


def test_throttling_is_waited_for(local_cloud: LocalCloud, faults: CloudFaults) -> None:
    """IAM throttles early; the search goes on."""
    faults.add("throttle", operation="iam:ListRoles", count=2)
    assert get_execution_role() == LOCAL


def test_a_job_or_notebook_uses_its_own_role(local_cloud: LocalCloud) -> None:
    """STS tells the name without the path; IAM knows the path."""
    arn = create_role(local_cloud, "AmazonSageMaker-ExecutionRole-1", path="/service-role/")
    create_role(local_cloud, "AmazonSageMaker-ExecutionRole-2", path="/service-role/")
    aws = Assumed(f"arn:aws:sts::{ACCOUNT}:assumed-role/AmazonSageMaker-ExecutionRole-1/SageMaker")
    assert get_execution_role(aws=aws) == arn
    assert "iam:ListRoles" not in local_cloud.call_counts()


def test_a_role_that_may_not_look_at_itself_is_completed_by_custom(local_cloud: LocalCloud) -> None:
    """SageMaker's console puts its roles below service-role/."""
    name = "AmazonSageMaker-ExecutionRole-1"
    aws = Assumed(f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/SageMaker", get_role=AccessDenied("no"))
    assert get_execution_role(aws=aws) == f"arn:aws:iam::{ACCOUNT}:role/service-role/{name}"


def test_a_job_asks_for_its_own_role(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tuner that was shipped gives its trials the role that it has itself, whatever it is called."""
    arn = create_role(local_cloud, "trainer", path="/team/")
    found = create_role(local_cloud, "sagemaker-of-others")
    local_cloud.client("s3").create_bucket(Bucket="data")
    local_cloud.client("sagemaker").create_training_job(
        TrainingJobName="the-tuner",
        RoleArn=arn,
        AlgorithmSpecification={
            "TrainingImage": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/tuner:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["true"],
        },
        OutputDataConfig={"S3OutputPath": "s3://data/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    monkeypatch.setenv("TRAINING_JOB_NAME", "the-tuner")
    assert get_execution_role() == arn
    monkeypatch.setenv("TRAINING_JOB_NAME", "forgotten")
    assert get_execution_role() == found, "a job that is not there tells nothing, and the search goes on"


@pytest.mark.parametrize(("job", "role"), [("the-tuner", "trainer"), ("", "cloudtune-local-role")])
def test_a_job_that_may_ask_for_nothing_knows_its_role_by_name(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, job: str, role: str
) -> None:
    """STS tells it to everyone. Outside of a job the same caller may be a person, whose role is not for jobs."""
    monkeypatch.setenv("TRAINING_JOB_NAME", job)
    denied = AccessDenied("no")
    aws = Assumed(f"arn:aws:sts::{ACCOUNT}:assumed-role/trainer/x", get_role=denied, describe_training_job=denied)
    assert get_execution_role(aws=aws) == f"arn:aws:iam::{ACCOUNT}:role/{role}"


def test_a_shared_space_has_the_role_that_it_runs_as(local_cloud: LocalCloud, no_notebook: Path) -> None:
    """Not that of the domain's users: the space may have been given another."""
    arn = create_role(local_cloud, "AmazonSageMaker-ExecutionRole-space", path="/service-role/")
    no_notebook.write_text(json.dumps({"DomainId": "d-1", "SpaceName": "team", "ResourceName": "default"}))
    users = {"DefaultUserSettings": {"ExecutionRole": LOCAL}}
    aws = Assumed(f"arn:aws:sts::{ACCOUNT}:assumed-role/AmazonSageMaker-ExecutionRole-space/x", describe_domain=users)
    assert get_execution_role(aws=aws) == arn


@pytest.mark.parametrize("problem", [None, AccessDenied("no"), NotFound("no")])
def test_the_role_of_a_person_is_not_for_jobs(local_cloud: LocalCloud, problem: Exception | None) -> None:
    """After a login by single sign-on the caller is a role that SageMaker may not assume: one is searched for."""
    create_role(local_cloud, "Admin", "ec2.amazonaws.com")
    answers = {} if problem is None else {"get_role": problem}
    aws = Assumed(f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/me@example.com", **answers)
    assert get_execution_role(aws=aws) == LOCAL


@pytest.mark.parametrize(
    ("metadata", "answers"),
    [
        ({"ExecutionRoleArn": LOCAL}, {}),
        ({"ResourceName": "book"}, {"describe_notebook_instance": {"RoleArn": LOCAL}}),
        (
            {"DomainId": "d-1", "UserProfileName": "me", "ResourceName": "default"},
            {"describe_user_profile": {"UserSettings": {"ExecutionRole": LOCAL}}},
        ),
        (
            {"DomainId": "d-1", "UserProfileName": "me", "ResourceName": "default"},
            {
                "describe_user_profile": {"UserSettings": {}},
                "describe_domain": {"DefaultUserSettings": {"ExecutionRole": LOCAL}},
            },
        ),
        (
            {"DomainId": "d-1", "ResourceName": "default"},
            {"describe_domain": {"DefaultUserSettings": {"ExecutionRole": LOCAL}}},
        ),
    ],
)
def test_a_notebook_tells_its_role(no_notebook: Path, metadata: dict[str, str], answers: dict[str, Any]) -> None:
    """Notebook instances, users of Studio and domains of Studio each say it in their own way."""
    no_notebook.write_text(json.dumps(metadata))
    assert get_execution_role(aws=Assumed("arn:aws:sts::1:assumed-role/other/x", **answers)) == LOCAL


@pytest.mark.parametrize("text", ["", "{}", '{"ResourceName": "book"}'])
def test_metadata_that_tells_nothing_is_no_failure(local_cloud: LocalCloud, no_notebook: Path, text: str) -> None:
    """A damaged file, another form of it, or a lack of rights: the search goes on."""
    no_notebook.write_text(text)
    aws = Assumed(f"arn:aws:iam::{ACCOUNT}:user/me", describe_notebook_instance=AccessDenied("no"))
    assert get_execution_role(aws=aws) == LOCAL


@pytest.mark.parametrize(
    ("statement", "may"),
    [
        ({"Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}, True),
        ({"Principal": {"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]}, "Action": "sts:Tag"}, False),
        ({"Principal": {"Service": ["sagemaker.amazonaws.com"]}, "Action": ["sts:TagSession", "sts:AssumeRole"]}, True),
        ({"Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:*"}, True),
        ({"Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole", "Effect": "Deny"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}, False),
        ({"Principal": "*", "Action": "sts:AssumeRole"}, True),
        ({"Action": "sts:AssumeRole"}, False),
    ],
)  # fmt: skip
def test_trust_is_read_from_the_policy(statement: dict[str, Any], may: bool) -> None:
    """IAM lets one write a thing or a list of things everywhere, and boto3 hands the policy out read or as text."""
    policy = {"Statement": {"Effect": "Allow", **statement}}
    assert may_be_assumed({"AssumeRolePolicyDocument": policy}) is may
    assert may_be_assumed({"AssumeRolePolicyDocument": {"Statement": [policy["Statement"]]}}) is may
    assert may_be_assumed({"AssumeRolePolicyDocument": json.dumps(policy).replace("{", "%7B")}) is may
    assert not may_be_assumed({})
