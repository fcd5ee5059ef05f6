"""Which rights a call of AWS takes, and who made it: the record of the local cloud in the words of IAM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cloudtune.aws.log_tail import TRAINING_LOGS
from cloudtune.aws.policies import Site, policy
from cloudtune.localcloud.gate.call_log import Call
from cloudtune.localcloud.services.policy_evaluation import ALLOWED, Policy, evaluate
from tests.backend.sagemaker.harness import BUCKET, ROLE
from tests.remote.remote_experiment import JOB, NAME

ACCOUNT, REGION = "123456789012", "us-east-1"
TUNER_ROLE = str(JOB["role"])
#: Whom the local cloud takes clients for.
USER = "moto"
SITE = Site(
    "aws",
    REGION,
    ACCOUNT,
    BUCKET,
    TUNER_ROLE,
    ROLE,
    (
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/train",
        f"arn:aws:ecr:{REGION}:763104351884:repository/pytorch-training",  # AWS's own
    ),
)
#: Operations of S3 that take another right than the one of their name (Service Authorization Reference).
_OBJECT_RIGHTS = {
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}
_PASSING = {"iam:PassedToService": "sagemaker.amazonaws.com"}


@dataclass(frozen=True)
class Need:
    """A right that a call takes.

    Args:
        action: As policies name it.
        arn: On what.
        context: What conditions ask about, as pairs.
    """

    action: str
    arn: str
    context: tuple[tuple[str, str], ...] = ()

    def is_allowed(self, document: str) -> bool:
        """Whether one of our policies allows it."""
        parsed = Policy.parse(document, policy(document, SITE))
        return (
            evaluate([parsed], self.action, self.arn, {"aws:username": USER, **dict(self.context)}).verdict == ALLOWED
        )


def who(call: Call) -> str:
    """Under which of the policies a call was made."""
    if not call.who.startswith("job:"):
        return "user"
    return "tuner" if call.who.startswith(f"job:{NAME}-tuning-") else "trials"


def needs(call: Call) -> Iterator[Need]:
    """The rights that a call takes; an operation that is not known here is a need that no policy grants."""
    action = f"{call.service}:{call.operation}"
    if call.service == "s3":
        yield from _of_s3(call)
    elif call.service == "logs":
        group, _, stream = call.resource.partition(TRAINING_LOGS)
        assert not group
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{TRAINING_LOGS}"
        yield Need(action, f"{arn}:log-stream:{stream.removeprefix('/')}")
    elif call.service == "sagemaker" and call.job and call.operation not in ("ListTrainingJobs", "Search"):
        job = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{call.job}"
        yield Need(action, job)
        if call.operation == "CreateTrainingJob":
            yield Need("sagemaker:AddTags", job)
            yield Need("iam:PassRole", call.about, tuple(_PASSING.items()))
    elif action in ("iam:GetRole", "iam:SimulatePrincipalPolicy"):
        yield Need(action, call.about if call.about.startswith("arn:") else f"arn:aws:iam::{ACCOUNT}:role/{call.about}")
    elif call.service == "ecr":
        yield Need(action, f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{call.about}")
    elif action != "sts:GetCallerIdentity":  # which everybody may
        yield Need(action, "*")


def _of_s3(call: Call) -> Iterator[Need]:
    bucket = f"arn:aws:s3:::{call.resource.partition('/')[0]}"
    arn = f"arn:aws:s3:::{call.resource}"
    if call.operation == "HeadBucket":
        yield Need("s3:ListBucket", bucket)
    elif call.operation in ("ListObjectsV2", "ListObjects"):
        yield Need("s3:ListBucket", bucket, (("s3:prefix", call.about),))
    elif call.operation == "GetBucketEncryption":
        yield Need("s3:GetEncryptionConfiguration", bucket)
    elif call.operation == "DeleteObjects":
        yield Need("s3:DeleteObject", f"arn:aws:s3:::{call.about}")
    else:
        yield Need(f"s3:{_OBJECT_RIGHTS.get(call.operation, call.operation)}", arn)
        if call.operation in ("CopyObject", "UploadPartCopy"):
            yield Need("s3:GetObject", f"arn:aws:s3:::{call.about}")
        elif call.status == 404:  # else S3 would have answered 403
            yield Need("s3:ListBucket", bucket)


def used(calls: Iterable[Call]) -> dict[str, set[Need]]:
    """The rights that were needed, by the policy that has to grant them."""
    found: dict[str, set[Need]] = {"user": set(), "tuner": set(), "trials": set()}
    for call in calls:
        found[who(call)].update(needs(call))
    return found


def actions_of(document: str) -> set[str]:
    """All actions that one of our policies allows."""
    return {action for statement in policy(document, SITE)["Statement"] for action in statement["Action"]}
