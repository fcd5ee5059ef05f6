"""What ``cloudtune doctor`` answers, and the policies that it is to judge."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from cloudtune.aws.images import default_image
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud

ACCOUNT = "123456789012"
BUCKET = f"sagemaker-us-east-1-{ACCOUNT}"
LOCAL = f"arn:aws:iam::{ACCOUNT}:role/cloudtune-local-role"
IMAGE = default_image("ml.g4dn.xlarge", "us-east-1")


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


def run_printed(iam: Any, fix: str) -> None:
    """Does what the command for IAM within a fix says."""
    words = shlex.split(fix[fix.index("aws iam ") :])
    options = dict(zip(words[3::2], words[4::2], strict=True))
    operation = words[2].replace("-", "_")
    named = {"".join(map(str.capitalize, name[2:].split("-"))): value for name, value in options.items()}
    getattr(iam, operation)(**named)
