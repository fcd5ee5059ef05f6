"""The list of rights that cloudtune asks for, against the calls in its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

import cloudtune
from cloudtune.aws import build_role
from cloudtune.aws.rights import (
    ASKED_DIRECTLY,
    BUCKET,
    EXTRAS,
    OF_CALLER,
    OF_EXTRAS,
    OF_ROLE,
    READING,
    WRITING,
    Purpose,
    Things,
)
from tests.aws.all_extras import ALL_EXTRAS

PACKAGE = Path(cloudtune.__file__).parent
#: Services whose operations are looked for. IAM has a name of its own for some.
SERVICES = {
    "codebuild": "codebuild",
    "ecr": "ecr",
    "iam": "iam",
    "kms": "kms",
    "logs": "logs",
    "pricing": "pricing",
    "s3": "s3",
    "sagemaker": "sagemaker",
    "service-quotas": "servicequotas",
    "sts": "sts",
}
#: Where an operation needs another right than the one of its name (Service Authorization Reference, S3).
ACTIONS = {
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:UploadPartCopy": "s3:PutObject",
}
#: The agent uploads and downloads by s3transfer, which makes its calls itself.
TRANSFERS = {"s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"}


def operations() -> dict[str, list[str]]:
    """boto3's name of each operation -> as actions, such as ``s3:GetObject``."""
    found: dict[str, list[str]] = {}
    for service, prefix in SERVICES.items():
        for name in botocore.session.get_session().get_service_model(service).operation_names:
            action = f"{prefix}:{name}"
            found.setdefault(xform_name(name), []).append(ACTIONS.get(action, action))
    return found


def names(folder: Path) -> Iterator[str]:
    """What is called in a folder's modules as an operation: its name as text, or as a method of a client."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = node.func.value
                if (of.id if isinstance(of, ast.Name) else getattr(of, "attr", "")) in ("client", "_client"):
                    yield node.func.attr


def called(*folders: str) -> set[str]:
    known = operations()
    return {known[name][0] for folder in folders for name in names(PACKAGE / folder) if name in known}


def test_every_call_of_the_package_is_listed() -> None:
    """Neither is a right forgotten nor one asked for that nothing needs."""
    rights = {action for purpose in OF_CALLER for action in purpose.actions} | set(ASKED_DIRECTLY)
    in_requests = {"iam:PassRole", "sagemaker:AddTags"}  # needed by CreateTrainingJob, for its role and its tags
    assert called("aws", "backend", "cli") | in_requests == rights | build_role.CALLED


def test_every_call_of_an_agent_is_listed() -> None:
    """What jobs do in the bucket; image and log are SageMaker's doing in their name."""
    rights = {action for purpose in (READING, WRITING, *OF_ROLE) for action in purpose.actions}
    assert called("agent") | TRANSFERS == {action for action in rights if action.startswith("s3:")}
    assert set(BUCKET.actions) == set(READING.actions) | set(WRITING.actions)


#: Where there are keys and a VPC.
@pytest.mark.parametrize("purpose", [*OF_CALLER, *OF_ROLE, BUCKET, *OF_EXTRAS], ids=lambda purpose: str(purpose.name))
def test_policies_allow_what_is_asked_about_and_no_more(purpose: Purpose) -> None:
    """Each action on the kind of thing that it is judged on; an administrator who reads it finds no star too many."""
    things = Things(
        "aws",
        "eu-west-1",
        "123456789012",
        "arn:aws:iam::123456789012:role/r",
        "data",
        "arn:aws:ecr:x",
        extras=ALL_EXTRAS,
    )
    policy = purpose.policy(things)
    allowed = {action: one["Resource"] for one in policy["Statement"] for action in one["Action"]}
    asked = dict(purpose.on(things))
    assert allowed.keys() == asked.keys()
    for action, resource in allowed.items():
        assert resource == asked[action] or (resource.endswith("*") and asked[action].startswith(resource[:-1]))
        assert resource != "*" or asked[action] == "*"


def test_what_is_not_there_is_not_asked_about() -> None:
    """Without role and bucket nothing is asked that is done on them, nor anything of keys and networks."""
    assert ALL_EXTRAS.keys() == set(EXTRAS)
    pairs = [
        pair for purpose in (*OF_CALLER, *OF_EXTRAS) for pair in purpose.on(Things("aws", "eu-west-1", "123456789012"))
    ]
    assert not {action for action, _ in pairs} & {"iam:PassRole", "s3:GetObject", "s3:ListBucket"}
    assert not {action for action, _ in pairs if action.startswith(("kms:", "ec2:"))}
    assert all("None" not in arn for _, arn in pairs)
