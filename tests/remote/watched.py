"""An experiment whose calls are held against the policies, and which rights each scenario has to show to be needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cloudtune.aws.policies import policy, trust_policy
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from tests.backend.sagemaker.harness import HURRY, ROLE, make_backend, training_job
from tests.remote.permissions import SITE, TUNER_ROLE, USER, used
from tests.remote.remote_experiment import SCRIPT, RemoteTuning

_S3 = {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}
_JOBS = {"sagemaker:CreateTrainingJob", "sagemaker:AddTags", "sagemaker:DescribeTrainingJob", "iam:PassRole"}
#: Scenario -> policy -> rights that it shows to be needed.
SHOWN: Mapping[str, Mapping[str, set[str]]] = {
    "commands": {
        "user": {
            *_S3,
            *_JOBS,
            "sagemaker:ListTags",
            "sagemaker:ListTrainingJobs",
            "sagemaker:Search",
            "logs:DescribeLogStreams",
            "logs:GetLogEvents",
        },
        "tuner": {
            *_S3,
            *_JOBS,
            "sagemaker:UpdateTrainingJob",
            "servicequotas:ListServiceQuotas",
        },
        "trials": _S3,
    },
    "checkpoints": {"user": set(), "tuner": {"s3:DeleteObject"}, "trials": {*_S3, "s3:DeleteObject"}},
    "successor": {"user": set(), "tuner": {"sagemaker:ListTags", "iam:PassRole"}, "trials": set()},
    "no network": {
        "user": set(),
        "tuner": {
            "logs:FilterLogEvents",
            "logs:DescribeLogStreams",
            "logs:GetLogEvents",
            "sagemaker:StopTrainingJob",
            "sagemaker:ListTrainingJobs",
        },
        "trials": set(),
    },
    "local tuner": {
        "user": {
            *_JOBS,
            "sagemaker:StopTrainingJob",
            "sagemaker:UpdateTrainingJob",
            "s3:DeleteObject",
            "logs:FilterLogEvents",
            "servicequotas:ListServiceQuotas",
        },
        "tuner": set(),
        "trials": set(),
    },
    "looking": {
        "user": {
            "iam:GetRole",
            "iam:ListRoles",
            "iam:SimulatePrincipalPolicy",
            "ecr:DescribeImages",
            "s3:GetEncryptionConfiguration",
        },
        "tuner": set(),
        "trials": set(),
    },
    "unknown machine": {
        "user": {"servicequotas:ListAWSDefaultServiceQuotas"},
        "tuner": set(),
        "trials": set(),
    },
    "copies by a remote tuner": {"user": set(), "tuner": _S3, "trials": {*_S3, "s3:AbortMultipartUpload"}},
    "copies by a local tuner": {"user": {*_S3, "s3:AbortMultipartUpload"}, "tuner": set(), "trials": _S3},
    "files of trials beside the loop": {"user": set(), "tuner": {*_S3, "s3:AbortMultipartUpload"}, "trials": set()},
    "spot and console": {"user": set(), "tuner": {*_JOBS, "sagemaker:ListTrainingJobs"}, "trials": _S3},
    "reap": {
        "user": {"sagemaker:Search", "sagemaker:StopTrainingJob", "sagemaker:UpdateTrainingJob"},
        "tuner": set(),
        "trials": set(),
    },
    "takeover": {"user": {*_S3, "sagemaker:DescribeTrainingJob"}, "tuner": _S3, "trials": _S3},
}
#: What SageMaker itself does in the name of a job, before and beside its program: no call of ours.
_OF_THE_PLATFORM = {
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "logs:DescribeLogStreams",
    "cloudwatch:PutMetricData",
}
#: Asked where the account's own list lacks a quota. The local cloud's lacks none of machines that jobs can run on, so
#: only a user can be seen to ask; a tuner does it by the same code.
_OTHER_LISTS = {"servicequotas:ListAWSDefaultServiceQuotas"}
NOT_SHOWN: Mapping[str, set[str]] = {
    "user": set(),
    "tuner": _OF_THE_PLATFORM | _OTHER_LISTS,
    "trials": _OF_THE_PLATFORM,
}


class Watched(RemoteTuning):
    """An experiment whose calls are held against the policies."""

    def __init__(self, cloud: LocalCloud, gates: Path) -> None:
        super().__init__(cloud, gates)
        self._begun = len(cloud.calls())

    def check(self, scenario: str) -> None:
        """Every call was allowed to who made it, and what the scenario is to show was shown."""
        found = used(self.cloud.calls()[self._begun :])
        refused = {of: {need for need in needs if not need.is_allowed(of)} for of, needs in found.items()}
        assert refused == {of: set() for of in found}
        for of, wanted in SHOWN[scenario].items():
            assert wanted - {need.action for need in found[of]} == set(), of

    def release_epoch(self, trial: int, epoch: int) -> None:
        """Lets the stepwise script go on."""
        (self.gates / f"{trial}-{epoch}").touch()

    def command(self, *arguments: str) -> str:
        """Runs a command that has to succeed; what it prints."""
        done = CliRunner().invoke(main, [*arguments])
        assert done.exit_code == 0, done.output
        return done.output

    def backend(self, delete_checkpoints: bool = True, **members: Any) -> Any:
        """Whose trials are jobs that run the script of these tests; ``members`` are of the job."""
        job = training_job(**{"entry_point": SCRIPT, "environment": {"GATES": str(self.gates)}, **members})
        return make_backend(job, cadence=HURRY, delete_checkpoints=delete_checkpoints)


def make_roles(cloud: LocalCloud) -> None:
    """The two roles and the caller, with just our policies."""
    iam = cloud.client("iam")
    for arn, document in ((TUNER_ROLE, "tuner"), (ROLE, "trials")):
        name = arn.rpartition("/")[2]
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust_policy()))
        iam.put_role_policy(RoleName=name, PolicyName="least", PolicyDocument=json.dumps(policy(document, SITE)))
    assert cloud.client("sts").get_caller_identity()["Arn"].endswith(f":user/{USER}")
    iam.create_user(UserName=USER)
    iam.put_user_policy(UserName=USER, PolicyName="least", PolicyDocument=json.dumps(policy("user", SITE)))
