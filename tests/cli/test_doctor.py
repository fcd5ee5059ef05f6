"""``cloudtune doctor``: what it finds in an account, and the fixes that it prints."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.aws.images import default_image
from cloudtune.aws.quotas import forget_quotas
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults

ACCOUNT = "123456789012"
BUCKET = f"sagemaker-us-east-1-{ACCOUNT}"
LOCAL = f"arn:aws:iam::{ACCOUNT}:role/cloudtune-local-role"
IMAGE = default_image("ml.g4dn.xlarge", "us-east-1")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a user's own files are, empty. The local cloud may be asked as often as one likes."""
    rates = ("iam:SimulatePrincipalPolicy", "service-quotas:ListServiceQuotas")
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", ",".join(f"{operation}=1000" for operation in rates))
    monkeypatch.setenv("CLOUDTUNE_SETTINGS", str(tmp_path))
    return tmp_path


@pytest.fixture
def fresh_quotas() -> Iterator[None]:
    """For tests in which quotas are others: the rest share what this process was told first, for asking takes long."""
    forget_quotas()
    yield
    forget_quotas()


@dataclass(frozen=True)
class Diagnosis:
    """What the command has answered.

    Args:
        code: Its exit code.
        findings: By what they are about.
    """

    code: int
    findings: dict[str, dict[str, str]]

    def state(self, what: str) -> str:
        return self.findings[what]["state"]

    def text(self, what: str) -> str:
        return self.findings[what]["text"]

    def fix(self, what: str) -> str:
        return self.findings[what]["fix"]

    def problems(self) -> list[str]:
        return [what for what, finding in self.findings.items() if finding["state"] == "problem"]


def doctor(*options: str) -> Diagnosis:
    """The command with ``--json``, in this process."""
    done = CliRunner().invoke(main, ["doctor", "--json", *options])
    answer = json.loads(done.stdout)
    findings = {finding["what"]: finding for finding in answer["checks"]}
    assert len(findings) == len(answer["checks"]), "each thing is told of once"
    assert answer["ok"] == (done.exit_code == 0)
    for finding in findings.values():
        assert "\n" not in finding["text"] + finding["fix"]
        assert finding["fix"] or finding["state"] == "ok", f"no fix: {finding}"
    return Diagnosis(done.exit_code, findings)


@pytest.fixture
def ready(local_cloud: LocalCloud) -> LocalCloud:
    """A cloud whose default bucket is there."""
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    return local_cloud


def put_policy(cloud: LocalCloud, role: str, *actions: str) -> str:
    """The ARN of a new role for SageMaker that may do these and nothing else."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(
        RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="some", PolicyDocument=json.dumps(allow(*actions)))
    return str(arn)


def allow(*actions: str) -> dict[str, Any]:
    """A policy that allows these on everything."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


@pytest.fixture
def caller(ready: LocalCloud) -> Any:
    """IAM's client, and in the cloud a user with the name by which it knows its callers, who may do nothing."""
    iam = ready.client("iam")
    iam.create_user(UserName="moto")
    return iam


def run_printed(iam: Any, fix: str) -> None:
    """Does what the command for IAM within a fix says."""
    words = shlex.split(fix[fix.index("aws iam ") :])
    options = dict(zip(words[3::2], words[4::2], strict=True))
    operation = words[2].replace("-", "_")
    named = {"".join(map(str.capitalize, name[2:].split("-"))): value for name, value in options.items()}
    getattr(iam, operation)(**named)


def test_all_is_well_on_a_ready_account(ready: LocalCloud) -> None:
    """Every check says ok, in order of what the later ones need; the table's old price is worth a warning."""
    found = doctor()
    assert found.code == 0
    assert list(found.findings) == [
        "region",
        "identity",
        "role",
        "bucket",
        "role's rights",
        "your rights",
        "instance type",
        "quota",
        "spot quota",
        "warm pools",
        "image",
        "Python",
        "price",
    ]
    assert {what for what, finding in found.findings.items() if finding["state"] != "ok"} <= {"price", "Python"}
    assert found.text("region") == "us-east-1"
    assert ACCOUNT in found.text("identity")
    assert LOCAL in found.text("role")
    assert BUCKET in found.text("bucket")
    assert IMAGE in found.text("image")
    assert found.state("price") == "warning"
    assert "0.7364 USD an hour, as of 2024-12-01" in found.text("price")
    assert found.fix("price") == "cloudtune doctor --refresh-prices"


def test_it_changes_nothing_unless_asked_to(ready: LocalCloud, settings: Path) -> None:
    """Looking at an account makes no call that writes, and leaves no file."""
    doctor()
    harmless = ("Get", "List", "Describe", "Head", "Simulate")
    called = [name for name, _ in ready.call_counts().items() if name != "s3:CreateBucket"]
    assert all(name.partition(":")[2].startswith(harmless) for name in called), called
    assert list(settings.iterdir()) == []


def test_it_prints_a_line_for_each_thing_and_one_for_the_whole(ready: LocalCloud) -> None:
    """For people: state, thing, how it is; the fix below what needs one."""
    done = CliRunner().invoke(main, ["doctor", "--bucket", "not-there"])
    lines = done.stdout.splitlines()
    assert done.exit_code == 1
    assert lines[0].split() == ["ok", "region", "us-east-1"]
    (line,) = (number for number, text in enumerate(lines) if text.startswith("problem"))
    assert lines[line].split()[:3] == ["problem", "bucket", "not-there"]
    assert lines[line + 1].strip() == "fix: cloudtune doctor --create-bucket --bucket not-there"
    assert lines[-1] == "1 problem: see the fix below each"
    assert CliRunner().invoke(main, ["doctor"]).stdout.splitlines()[-1] == "no problem was found"


def test_the_command_runs_as_users_run_it(local_cloud: LocalCloud) -> None:
    """In a process of its own: output as JSON, and exit code 1 for a problem."""
    command = [sys.executable, "-m", "cloudtune.cli", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["ok"] is False


def test_its_help_shows_an_example_and_loads_nothing_heavy() -> None:
    """Like every command; boto3 is loaded when AWS is asked."""
    program = (
        "import sys; from cloudtune.cli import main; main(['doctor', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'rich', 'boto3', 'botocore', 'dill'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cloudtune doctor" in done.stdout.partition("Example:")[2]


def test_without_a_region_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing to do first, and no stack of errors that follow from it."""
    found = doctor()
    assert list(found.findings) == ["region"]
    assert found.state("region") == "problem"
    assert "AWS_REGION" in found.fix("region")


def test_without_credentials_nothing_else_is_asked(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Region and identity are all that can be told."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = doctor()
    assert list(found.findings) == ["region", "identity"]
    assert found.state("identity") == "problem"
    assert "aws sso login" in found.fix("identity")


def test_a_profile_that_does_not_exist_is_a_problem(local_cloud: LocalCloud) -> None:
    """It is named, and nothing else is asked."""
    found = doctor("--profile", "nobody")
    assert list(found.findings) == ["region", "identity"]
    assert "nobody" in found.text("identity")
    assert found.code == 1


def test_the_missing_bucket_is_made_by_the_fix(local_cloud: LocalCloud) -> None:
    """The fix that is printed is the command that works, and then all is well."""
    found = doctor()
    assert found.problems() == ["bucket"]
    assert BUCKET in found.text("bucket")
    assert "role's rights" not in found.findings, "nothing can be told of a bucket that is not there"
    fix = found.fix("bucket").split()
    assert fix[:2] == ["cloudtune", "doctor"]
    assert doctor(*fix[2:]).text("bucket") == f"{BUCKET}: created just now, closed to the public"
    assert doctor().problems() == []


def test_a_named_bucket_is_made_by_the_fix(local_cloud: LocalCloud) -> None:
    """Also as a path."""
    fix = doctor("--bucket", "s3://mine-1/team").fix("bucket").split()
    assert fix == ["cloudtune", "doctor", "--create-bucket", "--bucket", "s3://mine-1/team"]
    assert doctor(*fix[2:]).problems() == []


def test_a_bucket_elsewhere_is_a_problem(local_cloud: LocalCloud) -> None:
    """The region of the bucket is named; a region can be chosen for the look, too."""
    local_cloud.client("s3").create_bucket(
        Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    found = doctor("--bucket", "far-away")
    assert found.problems() == ["bucket"]
    assert "eu-west-1" in found.text("bucket")
    found = doctor("--bucket", "far-away", "--region", "eu-west-1")
    assert found.problems() == []
    assert "eu-west-1" in found.text("price")


def test_a_closed_bucket_is_a_problem(ready: LocalCloud, faults: CloudFaults) -> None:
    """With the right that is missing."""
    faults.add("access_denied", operation="s3:HeadBucket")
    found = doctor()
    assert "bucket" in found.problems()
    assert "s3:ListBucket" in found.text("bucket")


def test_a_role_that_does_not_exist_is_a_problem(ready: LocalCloud) -> None:
    """By name or by ARN, or with a path that is not its own; the fix then is the right ARN."""
    assert "gone" in doctor("--role", "gone").text("role")
    assert "does not exist" in doctor("--role", f"arn:aws:iam::{ACCOUNT}:role/gone").text("role")
    wrong = doctor("--role", f"arn:aws:iam::{ACCOUNT}:role/path/cloudtune-local-role")
    assert wrong.problems() == ["role"]
    assert wrong.fix("role") == f"--role {LOCAL}"
    other = doctor("--role", "arn:aws:iam::999999999999:role/theirs")
    assert other.problems() == ["role"]
    assert "another account" in other.text("role")


def test_a_role_that_may_not_be_looked_at_is_a_warning(ready: LocalCloud, faults: CloudFaults) -> None:
    """Who may pass a role often may not read it: jobs may start all the same, and its rights are asked for."""
    faults.add("access_denied", operation="iam:GetRole")
    found = doctor("--role", LOCAL)
    assert found.code == 0
    assert found.state("role") == "warning"
    assert found.fix("role") == f"allow the caller iam:GetRole on {LOCAL}"
    assert found.state("role's rights") == "ok"


def test_a_role_that_sagemaker_may_not_assume_is_mended_by_the_fix(ready: LocalCloud) -> None:
    """The printed policy is one that IAM takes, and after it the role is well."""
    put_policy(ready, "lambdas", "s3:*")
    iam = ready.client("iam")
    principal = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    lambdas = {"Version": "2012-10-17", "Statement": [principal]}
    iam.update_assume_role_policy(RoleName="lambdas", PolicyDocument=json.dumps(lambdas))
    found = doctor("--role", "lambdas")
    assert found.problems() == ["role"]
    begin, _, policy = found.fix("role").partition("--policy-document ")
    assert begin == "aws iam update-assume-role-policy --role-name lambdas "
    iam.update_assume_role_policy(RoleName="lambdas", PolicyDocument=policy.strip("'"))
    assert doctor("--role", "lambdas").state("role") == "ok"


@pytest.mark.parametrize(
    ("actions", "state", "words"),
    [
        (("s3:*",), "ok", ["may read and write"]),
        (("s3:Get*", "s3:List*"), "warning", ["may not write", "s3:PutObject", "s3:DeleteObject"]),
        (("s3:PutObject", "s3:GetObject"), "problem", ["may not read", "s3:ListBucket"]),
        (("logs:*",), "problem", ["may not read", "s3:GetObject"]),
    ],
)
def test_the_rights_of_a_role_are_told(
    ready: LocalCloud, actions: tuple[str, ...], state: str, words: list[str]
) -> None:
    """Without reading no job starts; without writing reports take the slow way. The printed policy mends both."""
    put_policy(ready, "some", *actions)
    found = doctor("--role", "some")
    assert found.state("role's rights") == state
    assert all(word in found.text("role's rights") for word in words)
    assert found.code == (state == "problem")
    if state == "ok":
        return
    begin, _, policy = found.fix("role's rights").partition("--policy-document ")
    assert begin == f"aws iam put-role-policy --role-name some --policy-name cloudtune-{BUCKET} "
    ready.client("iam").put_role_policy(RoleName="some", PolicyName="more", PolicyDocument=policy.strip("'"))
    assert doctor("--role", "some").state("role's rights") == "ok"


def test_rights_that_may_not_be_asked_for_are_a_warning(ready: LocalCloud, faults: CloudFaults) -> None:
    """Who may not ask IAM may still be able to train: nothing is claimed, and the right is named."""
    faults.add("access_denied", operation="iam:SimulatePrincipalPolicy")
    found = doctor()
    assert found.code == 0
    for what in ("role's rights", "your rights"):
        assert found.state(what) == "warning"
        assert "is not known" in found.text(what)
        assert "iam:SimulatePrincipalPolicy" in found.fix(what)


def test_a_caller_without_rights_is_told_which(caller: Any) -> None:
    """A user who may only look: what is missing to start jobs is listed, and the command that an administrator runs."""
    caller.put_user_policy(
        UserName="moto", PolicyName="some", PolicyDocument=json.dumps(allow("sagemaker:*", "s3:*", "logs:*"))
    )
    found = doctor()
    assert found.problems() == ["your rights"]
    assert found.text("your rights") == "the caller may not iam:PassRole: no trial can run"
    fix = found.fix("your rights")
    assert fix.startswith("have an administrator run: aws iam put-user-policy --user-name moto ")
    assert LOCAL in fix
    run_printed(caller, fix)
    assert doctor().problems() == []


def test_all_rights_of_a_caller_come_from_the_printed_commands(caller: Any) -> None:
    """A user who may do nothing is told every purpose that suffers, and what is printed for each gives all of them."""
    found = doctor()
    lacking = [what for what in found.findings if what.startswith("you: ")]
    assert found.problems() == ["your rights"]
    assert lacking == ["you: logs", "you: kept instances", "you: ps and reap", "you: uploads"]
    assert all(found.state(what) == "warning" for what in lacking)
    assert "logs:FilterLogEvents, logs:GetLogEvents, logs:DescribeLogStreams" in found.text("you: logs")
    assert "sagemaker:UpdateTrainingJob" in found.text("you: kept instances")
    for what in ("your rights", *lacking):
        run_printed(caller, found.fix(what))
    found = doctor()
    assert found.state("your rights") == "ok"
    assert not [what for what in found.findings if what.startswith("you: ")]


def test_all_rights_of_a_role_come_from_the_printed_commands(ready: LocalCloud) -> None:
    """Bucket, image and log: what the commands print for each is enough, and each is told alone."""
    put_policy(ready, "some", "s3:*")
    found = doctor("--role", "some")
    assert found.state("role's rights") == "ok"
    assert [what for what in found.findings if what.startswith("role: ")] == ["role: image", "role: logs"]
    assert "ecr:BatchGetImage" in found.text("role: image")
    assert "logs:PutLogEvents" in found.text("role: logs")
    assert ":763104351884:repository/pytorch-training" in found.fix("role: image")
    put_policy(ready, "none", "sts:GetCallerIdentity")
    iam = ready.client("iam")
    for what in ("role's rights", "role: image", "role: logs", "role: uploads"):
        run_printed(iam, doctor("--role", "none").fix(what))
    found = doctor("--role", "none")
    assert found.state("role's rights") == "ok"
    assert not [what for what in found.findings if what.startswith("role: ")]


def test_an_instance_type_that_nobody_knows_is_a_problem(ready: LocalCloud) -> None:
    """With those that are spelt most like it; nothing is said of its quotas, image and price."""
    found = doctor("--instance-type", "ml.g4dn.xlrge")
    assert found.problems() == ["instance type"]
    assert found.fix("instance type").startswith("--instance-type with one that exists, such as ml.g4dn.xlarge, ")
    assert not {"quota", "spot quota", "warm pools", "image", "price"} & set(found.findings)
    assert "ml.g4dn.xlarge" in doctor("--instance-type", "g4dn.xlarge").fix("instance type")
    assert doctor("--instance-type", "ml.nosuch.large").problems() == ["instance type"]


def test_an_instance_type_that_is_new_is_a_warning_where_aws_does_not_tell(
    ready: LocalCloud, faults: CloudFaults, fresh_quotas: None, settings: Path
) -> None:
    """boto3 learns of types late; a price or quota of the user's own makes one known, an odd form is wrong."""
    faults.add("access_denied", operation="servicequotas:*")
    found = doctor("--instance-type", "ml.g99.xlarge")
    assert found.code == 0
    assert found.state("instance type") == "warning"
    assert "such as ml." in found.fix("instance type")
    assert doctor("--instance-type", "g4dn.xlarge").problems() == ["instance type"]
    name = "ml.g99.xlarge for training job usage"
    (settings / "quotas.json").write_text(json.dumps({"instances": {"*": {name: 3}}}))
    assert doctor("--instance-type", "ml.g99.xlarge").state("instance type") == "ok"
    (settings / "quotas.json").unlink()
    (settings / "prices.json").write_text(json.dumps({"usd_per_hour": {"*": {"ml.g99.xlarge": 60.0}}}))
    assert doctor("--instance-type", "ml.g99.xlarge").state("instance type") == "ok"


def test_a_type_without_a_quota_in_the_region_is_told_so(ready: LocalCloud, settings: Path) -> None:
    """A type may be known and yet not be in the region: no right is missing then, and none is asked for."""
    (settings / "prices.json").write_text(json.dumps({"usd_per_hour": {"*": {"ml.g99.xlarge": 60.0}}}))
    found = doctor("--instance-type", "ml.g99.xlarge")
    assert found.state("quota") == "warning"
    assert "have none of that name" in found.text("quota")
    assert "servicequotas:" not in found.fix("quota")


def test_quotas_of_nothing_are_told_with_the_call_that_asks_for_more(ready: LocalCloud, fresh_quotas: None) -> None:
    """On demand it is a problem; without spot and warm pools one can train all the same. The printed call works."""
    for use in ("training job usage", "spot training job usage", "training warm pool usage"):
        ready.set_quota(f"ml.g5.xlarge for {use}", 0)
    ready.set_quota("ml.g4dn.xlarge for training job usage", 7)
    assert doctor().text("quota") == "ml.g4dn.xlarge for training job usage: 7"
    forget_quotas()
    found = doctor("--instance-type", "ml.g5.xlarge")
    assert found.problems() == ["quota"]
    assert found.state("spot quota") == found.state("warm pools") == "warning"
    words = found.fix("quota").split()
    assert words[:3] == ["aws", "service-quotas", "request-service-quota-increase"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    asked = ready.client("service-quotas", region_name=options["--region"]).request_service_quota_increase(
        ServiceCode=options["--service-code"],
        QuotaCode=options["--quota-code"],
        DesiredValue=float(options["--desired-value"]),
    )
    assert asked["RequestedQuota"]["QuotaName"] == "ml.g5.xlarge for training job usage"


def test_quotas_that_may_not_be_asked_for_can_be_written_down(
    ready: LocalCloud, faults: CloudFaults, settings: Path, fresh_quotas: None
) -> None:
    """The text of the fix has the file's contents."""
    faults.add("access_denied", operation="servicequotas:*")
    found = doctor()
    assert found.code == 0
    assert found.state("quota") == "warning"
    fix = found.fix("quota")
    (settings / "quotas.json").write_text(fix[fix.index("{") : fix.rindex("}") + 1])
    assert doctor().text("quota") == "ml.g4dn.xlarge for training job usage: 4"


def test_an_image_of_ones_own_is_looked_up(ready: LocalCloud) -> None:
    """In the account's own registry it can be told whether it is there."""
    ecr = ready.client("ecr")
    ecr.create_repository(repositoryName="mine")
    uri = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/mine:1"
    missing = doctor("--image", uri)
    assert missing.problems() == ["image"]
    assert missing.fix("image").startswith(f"docker push {uri}")
    manifest = "application/vnd.docker.distribution.manifest.v2+json"
    ecr.put_image(
        repositoryName="mine",
        imageTag="1",
        imageManifest=json.dumps({"schemaVersion": 2, "mediaType": manifest, "config": {}, "layers": []}),
    )
    found = doctor("--image", uri)
    assert found.state("image") == "ok"
    assert "does not tell" in found.text("Python")
    assert doctor("--image", uri.replace("/mine", "/other")).problems() == ["image"]


def test_an_own_image_that_may_not_be_looked_at_is_a_warning(ready: LocalCloud, faults: CloudFaults) -> None:
    """Jobs pull with their role's rights, not with ours."""
    faults.add("access_denied", operation="ecr:*")
    found = doctor("--image", f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/mine:1")
    assert found.code == 0
    assert found.state("image") == "warning"


@pytest.mark.parametrize(
    ("image", "state", "word"),
    [
        ("999999999999.dkr.ecr.us-east-1.amazonaws.com/theirs:1", "warning", "not yours"),
        ("999999999999.dkr.ecr.eu-west-1.amazonaws.com/theirs:1", "problem", "eu-west-1"),
        ("pytorch/pytorch:latest", "problem", "no registry of ECR"),
    ],
)
def test_images_of_others_cannot_be_looked_up(ready: LocalCloud, image: str, state: str, word: str) -> None:
    """What is sure to fail is a problem, what may do is a warning."""
    found = doctor("--image", image)
    assert found.state("image") == state
    assert word in found.text("image")


def test_another_python_in_the_image_is_a_warning(ready: LocalCloud) -> None:
    """What was tried here may fail there; both versions are named."""
    found = doctor("--image", "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.12.1-gpu-py38")
    assert found.code == 0
    assert found.state("Python") == "warning"
    assert "3.8 in the image" in found.text("Python")


def test_an_instance_type_without_an_image_is_a_problem(ready: LocalCloud) -> None:
    """AWS's own accelerators need images of their own."""
    found = doctor("--instance-type", "ml.trn1.2xlarge")
    assert "image" in found.problems()
    assert "--image" in found.fix("image")


def test_prices_are_refreshed_on_request(ready: LocalCloud, settings: Path) -> None:
    """Then the price is of today, and kept for later; where it is unknown, costs are said to be unknown."""
    region = ("--region", "ap-northeast-1", "--bucket", "tokyo", "--create-bucket")
    unknown = doctor(*region)
    assert unknown.state("price") == "warning"
    assert "costs are not either" in unknown.text("price")
    found = doctor(*region, "--refresh-prices")
    assert found.state("price list") == "ok"
    assert "31 prices of ap-northeast-1" in found.text("price list")
    assert found.state("price") == "ok"
    assert doctor(*region).text("price") == found.text("price")


def test_a_refresh_that_fails_is_a_problem_and_no_more(ready: LocalCloud, faults: CloudFaults) -> None:
    """It was asked for and did not happen; the rest is told all the same."""
    faults.add("access_denied", operation="pricing:*")
    found = doctor("--refresh-prices")
    assert found.problems() == ["price list"]
    assert found.state("price") == "warning"


def test_a_bad_file_of_prices_is_a_problem(ready: LocalCloud, settings: Path) -> None:
    """It would stop an experiment later: named here with its path."""
    (settings / "prices.json").write_text("{")
    found = doctor()
    assert found.problems() == ["price"]
    assert str(settings / "prices.json") in found.text("price")


def test_one_check_that_fails_keeps_no_other_from_being_made(ready: LocalCloud, faults: CloudFaults) -> None:
    """Where AWS refuses something unforeseen the error is the finding, in its own words."""
    faults.add("access_denied", operation="iam:*")
    found = doctor()
    assert "role" in found.problems()
    assert found.state("quota") == "ok"
    assert found.state("image") == "ok"


def test_throttling_is_waited_for(ready: LocalCloud, faults: CloudFaults, fresh_quotas: None) -> None:
    """A busy account is not a sick one."""
    for operation in ("sts:GetCallerIdentity", "iam:ListRoles", "servicequotas:*"):
        faults.add("throttle", operation=operation, count=1)
    assert doctor().problems() == []


def test_a_traceback_is_shown_on_request_only(monkeypatch: pytest.MonkeyPatch, local_cloud: LocalCloud) -> None:
    """What is no finding ends the command in one line, and with --debug in its traceback."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr("cloudtune.aws.checks.check_region", broken)
    done = CliRunner().invoke(main, ["doctor"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "boom" in done.stderr
    assert isinstance(CliRunner().invoke(main, ["doctor", "--debug"]).exception, RuntimeError)
