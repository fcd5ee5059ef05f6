"""The least IAM policies: of who launches tuners, of the role of a tuner's job, of the role of the trials' jobs.

They are made from the table of rights, so that what ``cloudtune doctor`` asks about, what ``cloudtune policy`` prints
and what ``docs/iam`` shows is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudtune.aws.rights import (
    BUCKET_KEY,
    EXTRAS,
    LOOKING,
    OF_CALLER,
    OF_EXTRAS,
    OF_LAUNCHER,
    OF_ROLE,
    OF_TUNER,
    READING,
    SAGEMAKER,
    WRITING,
    Purpose,
    Things,
)

#: Document -> what it is for.
DOCUMENTS: Mapping[str, Sequence[Purpose]] = {
    "user": (*OF_LAUNCHER, *OF_CALLER, *LOOKING, BUCKET_KEY),
    "tuner": (*OF_TUNER, READING, WRITING, *OF_ROLE, *OF_EXTRAS),
    "trials": (READING, WRITING, *OF_ROLE, *OF_EXTRAS),
}

#: Who asks IAM about itself where it is a user; a role is named by its ARN.
_SELF = "user/${aws:username}"

#: Kind of thing -> name of the statement about it.
_SIDS = {
    "job": "TrainingJobs",
    "log": "LogsOfTrainingJobs",
    "role": "PassTheRoleOfTrials",
    "tuner role": "PassTheRoleOfTuners",
    "bucket": "ListExperiments",
    "object": "Experiments",
    "repository": "PullTheImage",
    "tuning image": "FindTheImageOfTuners",
    "roles": "LookAtRoles",
    "principals": "DoctorAsksWhatIsAllowed",
    "settings of the bucket": "EncryptionOfTheBucket",
    "bucket key": "KeyOfTheBucket",
    "output key": "KeyOfTheOutput",
    "volume key": "KeyOfTheDisks",
    "network": "NetworksHaveNoResource",
    "network interface": "NetworkInterfaces",
    "subnet": "Subnets",
    "security group": "SecurityGroups",
}
#: Service -> name of the statement about what it lets nobody limit to single resources.
WITHOUT_RESOURCE = {
    "cloudwatch": "MetricsHaveNoResource",
    "ecr": "LoginHasNoResource",
    "iam": "ListOfRolesHasNoResource",
    "sagemaker": "ListsOfJobsHaveNoResource",
    "servicequotas": "QuotasHaveNoResource",
}


@dataclass(frozen=True)
class Site:
    """Whom and what the policies are about.

    Args:
        partition, region, account: Where.
        bucket: Name of the bucket of the experiments.
        tuner_role: ARN of the role of tuners' jobs.
        trial_role: ARN of the role of trials' jobs; it may be the same.
        images: ARNs of the repositories in ECR that have the images of the jobs.
        prefix: What stands before ``cloudtune/`` in the bucket.
        extras: Keys and VPC of the jobs, if they have any, see :mod:`cloudtune.aws.extras`: ARNs by kind.
    """

    partition: str
    region: str
    account: str
    bucket: str
    tuner_role: str
    trial_role: str
    images: tuple[str, ...]
    prefix: str = ""
    extras: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def things(self) -> Things:
        """For the table of rights."""
        return Things(
            self.partition,
            self.region,
            self.account,
            self.trial_role,
            self.bucket,
            tuner_role=self.tuner_role,
            prefix=self.prefix,
            extras=self.extras,
        )

    def resources(self, kind: str) -> list[str]:
        """ARNs of all things of a kind."""
        roles = list(dict.fromkeys([self.tuner_role, self.trial_role]))
        several = {
            "repository": list(self.images),
            "roles": roles,
            "principals": [*roles, f"arn:{self.partition}:iam::{self.account}:{_SELF}"],
        }
        if kind in several:
            return several[kind]
        arns = list(self.things.all(kind))
        if not arns and kind not in EXTRAS:
            raise ValueError(f"no policy can name a {kind} of {self}")
        return arns


def policy(document: str, site: Site) -> dict[str, Any]:
    """A policy that allows what one of :data:`DOCUMENTS` is for, and no more.

    Args:
        document: ``user``, ``tuner`` or ``trials``.
        site: Whom and what it is about.
    """
    return _policy(*_statements(DOCUMENTS[document], site))


def trust_policy() -> dict[str, Any]:
    """Lets SageMaker assume a role: that of tuners as well as that of trials."""
    return _policy({"Effect": "Allow", "Principal": {"Service": SAGEMAKER}, "Action": "sts:AssumeRole"})


#: File in ``docs/iam`` -> document.
FILES = {
    "launching-user.json": "user",
    "tuner-role.json": "tuner",
    "trial-role.json": "trials",
    "trust-policy.json": "trust",
}
_KEY = "arn:aws:kms:<REGION>:<ACCOUNT>:key/<KEY>"
_NETWORK = "arn:aws:ec2:<REGION>:<ACCOUNT>:"
#: File in ``docs/iam`` -> what it is about that only some jobs have: statements to add to the policies.
OPTIONAL: Mapping[str, Mapping[str, Sequence[str]]] = {
    "optional-key-of-the-bucket.json": {"bucket key": [_KEY]},
    "optional-key-of-the-output.json": {"output key": [_KEY]},
    "optional-key-of-the-disks.json": {"volume key": [_KEY]},
    "optional-vpc.json": {
        "network": ["*"],
        "network interface": [f"{_NETWORK}network-interface/*"],
        "subnet": [f"{_NETWORK}subnet/<SUBNET>"],
        "security group": [f"{_NETWORK}security-group/<SECURITY_GROUP>"],
    },
}


def examples() -> dict[str, dict[str, Any]]:
    """The policies with placeholders in place of account, region, bucket, roles and so on, by the name of the file."""
    role = "arn:aws:iam::<ACCOUNT>:role/"
    site = Site(
        "aws",
        "<REGION>",
        "<ACCOUNT>",
        "<BUCKET>",
        f"{role}<TUNER_ROLE>",
        f"{role}<TRIAL_ROLE>",
        ("arn:aws:ecr:<REGION>:<IMAGE_ACCOUNT>:repository/<IMAGE>",),
    )
    shown = {name: trust_policy() if what == "trust" else policy(what, site) for name, what in FILES.items()}
    for name, extras in OPTIONAL.items():
        shown[name] = _policy(*_statements(OF_EXTRAS, replace(site, extras=extras)))
    return shown


def write_examples(folder: Path) -> None:
    """Writes :func:`examples` into a folder: ``docs/iam``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in examples().items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _statements(purposes: Sequence[Purpose], site: Site) -> Iterator[dict[str, Any]]:
    actions: dict[tuple[str, str], dict[str, None]] = {}
    for purpose in purposes:
        for action, kind in purpose.actions.items():
            if kind == "role" and site.trial_role == site.tuner_role:
                continue  # it is named as the tuners'
            sid = WITHOUT_RESOURCE[action.partition(":")[0]] if kind == "anything" else _SIDS[kind]
            actions.setdefault((sid, kind), {})[action] = None
    for (sid, kind), names in actions.items():
        resources = site.resources(kind)
        if not resources:
            continue
        statement: dict[str, Any] = {
            "Sid": sid,
            "Effect": "Allow",
            "Action": sorted(names),
            "Resource": resources[0] if len(resources) == 1 else resources,
        }
        condition = _condition(names, site)
        yield {**statement, "Condition": condition} if condition else statement


def _condition(actions: Mapping[str, None], site: Site) -> dict[str, Any]:
    if "iam:PassRole" in actions:
        return {"StringEquals": {"iam:PassedToService": SAGEMAKER}}
    if "cloudwatch:PutMetricData" in actions:
        return {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}}
    if "s3:ListBucket" in actions:
        # A look whether the bucket exists has no prefix. Nor has a GetObject, which S3 answers with "not found" only
        # for those who may list, and with "forbidden" for others: so the condition lets pass what has none.
        return {"StringLikeIfExists": {"s3:prefix": f"{site.things.folder}*"}}
    return {}
