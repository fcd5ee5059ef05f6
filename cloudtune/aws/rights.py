"""What cloudtune and its jobs ask of AWS: every action, as IAM's policies name it, and what is lost without it.

The list is complete: a test compares it with the calls in the source of the package. ``cloudtune doctor`` goes through
it. What is in no purpose is asked for by doctor itself, which then tells of the refusal where it happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudtune.aws.image_recipe import REPOSITORY
from cloudtune.aws.logs import TRAINING_LOGS

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

SAGEMAKER = "sagemaker.amazonaws.com"
#: Kinds of things that only some jobs have: keys of the account's own, a VPC. In a network not all actions are done on
#: something in particular; that kind is ``*``.
EXTRAS = ("bucket key", "output key", "volume key", "network", "network interface", "subnet", "security group")


@dataclass(frozen=True)
class Things:
    """On what something is to be done; what is None does not exist or is not known, and is asked about by nobody.

    Args:
        partition, region, account: Where.
        role: ARN of the role of the jobs.
        bucket: Name of the bucket of the experiments.
        repository: ARN of the repository in ECR that has the image of the jobs.
        tuner_role: ARN of the role of tuners' jobs.
        prefix: What stands before ``cloudtune/`` in the bucket.
        extras: What only some jobs have, see :mod:`cloudtune.aws.extras`: ARNs by kind.
    """

    partition: str
    region: str
    account: str
    role: str | None = None
    bucket: str | None = None
    repository: str | None = None
    tuner_role: str | None = None
    prefix: str = ""
    extras: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, aws: Aws, role: str | None = None, bucket: str | None = None, repository: str | None = None) -> Things:
        """Of the account and region that ``aws`` speaks to."""
        return cls(aws.partition, aws.region, aws.account, role, bucket, repository)

    @property
    def folder(self) -> str:
        """What keys of all experiments, and of the archives of code, begin with."""
        within = self.prefix.strip("/")
        return f"{within}/cloudtune/" if within else "cloudtune/"

    def examples(self, kind: str) -> Sequence[str]:
        """ARNs of things of the kind, for IAM to judge: of each where it is known which there are."""
        return self._arns(kind, "cloudtune-doctor", "doctor")

    def all(self, kind: str) -> Sequence[str]:
        """ARNs that name all things of the kind, for a policy."""
        return self._arns(kind, "*", "*")

    def _arns(self, kind: str, name: str, key: str) -> Sequence[str]:
        if kind in EXTRAS:
            return [arn.replace("/*", f"/{name}") for arn in self.extras.get(kind, ())]
        arn = self._arn(kind, name, key)
        return [] if arn is None else [arn]

    def _arn(self, kind: str, name: str, key: str) -> str | None:
        here = f"{self.region}:{self.account}"
        bucket = None if self.bucket is None else f"arn:{self.partition}:s3:::{self.bucket}"
        arns = {
            "anything": "*",
            "job": f"arn:{self.partition}:sagemaker:{here}:training-job/{name}",
            # A group of logs is asked for by an ARN that has a stream, too.
            "log": f"arn:{self.partition}:logs:{here}:log-group:{TRAINING_LOGS}:"
            + (name if name == "*" else f"log-stream:{name}"),
            "role": self.role,
            "bucket": bucket,
            "settings of the bucket": bucket,
            "object": None if bucket is None else f"{bucket}/{self.folder}{key}",
            "repository": self.repository,
            "tuner role": self.tuner_role,
            "tuning image": f"arn:{self.partition}:ecr:{here}:repository/{REPOSITORY}",
        }
        return arns[kind]


@dataclass(frozen=True)
class Purpose:
    """Actions that serve one thing.

    Args:
        name: As a finding and a policy are called.
        actions: With the kind of thing that each is done on.
        without: What is so without them, as a sentence's end.
        is_needed: Whether trials cannot run without them.
    """

    name: str
    actions: Mapping[str, str]
    without: str
    is_needed: bool = False

    def on(self, things: Things) -> Iterator[tuple[str, str]]:
        """Each action with the ARN of something that it is done on."""
        for action, kind in self.actions.items():
            for arn in things.examples(kind):
                yield action, arn

    def policy(self, things: Things) -> dict[str, Any]:
        """A policy that allows all of it, and no more."""
        by_arn: dict[str, list[str]] = {}
        for action, kind in self.actions.items():
            for arn in things.all(kind):
                by_arn.setdefault(arn, []).append(action)
        statements: list[dict[str, Any]] = [
            {"Effect": "Allow", "Action": actions, "Resource": arn} for arn, actions in by_arn.items()
        ]
        for statement in statements:
            if statement["Action"] == ["iam:PassRole"]:
                statement["Condition"] = {"StringEquals": {"iam:PassedToService": SAGEMAKER}}
        return {"Version": "2012-10-17", "Statement": statements}


def _all_on(kind: str, *actions: str) -> dict[str, str]:
    return dict.fromkeys(actions, kind)


_OBJECTS = _all_on("object", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
_UPLOADS = _all_on("object", "s3:AbortMultipartUpload")

_JOBS_OF_TRIALS = {
    **_all_on(
        "job",
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:StopTrainingJob",
        "sagemaker:AddTags",
    ),
    "sagemaker:ListTrainingJobs": "anything",
    "iam:PassRole": "role",
}

#: What whoever tunes does.
OF_CALLER: Sequence[Purpose] = (
    Purpose(
        "trials",
        {
            **_JOBS_OF_TRIALS,
            **_OBJECTS,
            "s3:ListBucket": "bucket",
        },
        "no trial can run",
        is_needed=True,
    ),
    Purpose(
        "logs",
        _all_on("log", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:DescribeLogStreams"),
        "what scripts print cannot be read, and jobs that do not reach S3 cannot report",
    ),
    Purpose(
        "kept instances",
        _all_on("job", "sagemaker:UpdateTrainingJob"),
        "instances that warm pools keep cannot be given back at an experiment's end, and cost until their time is over",
    ),
    Purpose(
        "ps and reap",
        {"sagemaker:Search": "anything", "sagemaker:ListTags": "job"},
        "`cloudtune ps` and `cloudtune reap` take long, and do not know all jobs",
    ),
    Purpose("uploads", _UPLOADS, "parts of uploads that were broken off stay in the bucket, and cost"),
)

#: What jobs do, with their role.
READING = Purpose("reading", {"s3:GetObject": "object", "s3:ListBucket": "bucket"}, "", is_needed=True)
WRITING = Purpose("writing", _all_on("object", "s3:PutObject", "s3:DeleteObject"), "")
BUCKET = Purpose("bucket", {**_OBJECTS, "s3:ListBucket": "bucket"}, "")
OF_ROLE: Sequence[Purpose] = (
    Purpose(
        "image",
        {
            "ecr:GetAuthorizationToken": "anything",
            **_all_on(
                "repository", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"
            ),
        },
        "jobs end before their script starts, unless the repository's own policy lets them pull the image",
    ),
    Purpose(
        "logs",
        {
            **_all_on("log", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            **_all_on("log", "logs:DescribeLogStreams"),
            "cloudwatch:PutMetricData": "anything",
        },
        "what scripts print and the curves of the console are not kept, and jobs that do not reach S3 cannot report",
    ),
    Purpose("uploads", _UPLOADS, "parts of uploads that were broken off stay in the bucket, and cost"),
)

#: What takes a key of the account's own. A key's policy may allow it as well, which a simulation does not see.
BUCKET_KEY = Purpose(
    "key of the bucket",
    _all_on("bucket key", "kms:GenerateDataKey", "kms:Decrypt"),
    "what lies in the bucket can be neither written nor read, unless the key's own policy allows it",
)
#: What jobs with keys of the account's own, or in a VPC, do with their role (AWS's guide to SageMaker, "How to use
#: SageMaker AI execution roles", CreateTrainingJob).
OF_EXTRAS: Sequence[Purpose] = (
    BUCKET_KEY,
    Purpose(
        "key of the output",
        _all_on("output key", "kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"),
        "jobs fail when SageMaker uploads what they leave, unless the key's own policy allows it",
    ),
    Purpose(
        "key of the disks",
        _all_on("volume key", "kms:CreateGrant"),
        "no job can start, unless the key's own policy allows it",
    ),
    Purpose(
        "VPC",
        {
            **_all_on(
                "network interface",
                "ec2:CreateNetworkInterface",
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
            ),
            **_all_on(
                "network",
                "ec2:DeleteNetworkInterfacePermission",
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ),
        },
        "no job can start in the VPC",
        is_needed=True,
    ),
    Purpose("subnets", _all_on("subnet", "ec2:CreateNetworkInterface"), "no job can start in them", is_needed=True),
    Purpose(
        "security groups",
        _all_on("security group", "ec2:CreateNetworkInterface"),
        "no job can start with them",
        is_needed=True,
    ),
)

_QUOTAS = _all_on("anything", "servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas")

#: What a tuner that is a job does beside what every job does, with its own role; its trials are jobs with another.
OF_TUNER: Sequence[Purpose] = (
    Purpose(
        "trials' jobs",
        _JOBS_OF_TRIALS,
        "a tuner in the cloud can run no trial as a job of its own",
        is_needed=True,
    ),
    Purpose(
        "successor",
        {"iam:PassRole": "tuner role", "sagemaker:ListTags": "job"},
        "an experiment that takes longer than its tuner's job may run ends with that job",
    ),
    Purpose(
        "trials' logs",
        _all_on("log", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:DescribeLogStreams"),
        "trials that do not reach S3 cannot report to a tuner in the cloud, and why one failed is not told",
    ),
    Purpose(
        "kept instances",
        _all_on("job", "sagemaker:UpdateTrainingJob"),
        "a tuner in the cloud cannot give back instances that warm pools keep",
    ),
    Purpose("quotas", _QUOTAS, "a tuner in the cloud does not warn of quotas that are too small"),
)
#: What whoever launches tuners does beside what whoever tunes does.
OF_LAUNCHER: Sequence[Purpose] = (
    Purpose("tuner", {"iam:PassRole": "tuner role"}, "no tuner can be launched", is_needed=True),
    Purpose(
        "tuner's image",
        {"ecr:DescribeImages": "tuning image"},
        "the image that `cloudtune image` has made is not found, and packages are installed at each start",
    ),
)
#: What looking around takes: finding a role, knowing quotas, and doctor.
LOOKING: Sequence[Purpose] = (
    Purpose("quotas", _QUOTAS, "quotas that are too small are found out when jobs are created"),
    Purpose("roles", {"iam:ListRoles": "anything", "iam:GetRole": "roles"}, "roles have to be named by their ARNs"),
    Purpose("doctor", {"iam:SimulatePrincipalPolicy": "principals"}, "what rights are missing is not told"),
    Purpose(
        "encryption",
        {"s3:GetEncryptionConfiguration": "settings of the bucket"},
        "whether the bucket has a key of its own is not told",
    ),
)

#: What is asked for by doctor itself, or only where an option or a place needs it: a refusal is told where it happens.
ASKED_DIRECTLY: Sequence[str] = (
    "sts:GetCallerIdentity",
    "iam:GetRole",
    "iam:ListRoles",
    "iam:SimulatePrincipalPolicy",
    "servicequotas:ListServiceQuotas",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "ecr:DescribeImages",  # of an image of one's own
    "s3:GetEncryptionConfiguration",
    "kms:DescribeKey",  # of a key that is named by its alias
    "pricing:GetProducts",  # --refresh-prices
    "s3:CreateBucket",  # --create-bucket
    "s3:PutBucketPublicAccessBlock",  # --create-bucket
    "s3:GetBucketLocation",  # to say where a bucket is that is elsewhere
    "sagemaker:DescribeUserProfile",  # in Studio, to find its role; so are the next two
    "sagemaker:DescribeDomain",
    "sagemaker:DescribeNotebookInstance",
)
