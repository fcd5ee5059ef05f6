"""The execution role that every cloud has from its beginning."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

DEFAULT_ROLE = "cloudtune-local-role"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
#: What AmazonSageMakerFullAccess is for, in short, and S3 without a limit to buckets with "sagemaker" in their names.
_ACCESS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "sagemaker:*",
                "s3:*",
                "logs:*",
                "cloudwatch:*",
                "ecr:*",
                "ec2:Describe*",
                "ec2:*NetworkInterface*",
                "iam:GetRole",
                "iam:ListRoles",
                "iam:PassRole",
                "iam:SimulatePrincipalPolicy",
                "kms:DescribeKey",
                "kms:ListAliases",
                "pricing:*",
                "servicequotas:*",
                "sts:GetCallerIdentity",
            ],
            "Resource": "*",
        },
    ],
}


def create_default_role(platform: Platform) -> str:
    """Makes the role ``cloudtune-local-role`` in the cloud's account where it is missing; returns its ARN."""
    backend = iam_backends[platform.settings.account][get_partition(platform.settings.region)]
    for role in backend.roles.values():
        if role.name == DEFAULT_ROLE:
            return role.arn
    role = backend.create_role(
        role_name=DEFAULT_ROLE,
        assume_role_policy_document=json.dumps(_TRUST),
        path="/",
        permissions_boundary=None,
        description="Execution role for training jobs of the local cloud.",
        tags=[],
        max_session_duration="3600",
    )
    backend.put_role_policy(DEFAULT_ROLE, "cloudtune-local-access", json.dumps(_ACCESS))
    return role.arn
