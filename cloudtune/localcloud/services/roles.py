"""The execution role that every cloud has from its beginning."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends
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
#: AmazonSageMakerFullAccess opens only buckets with "sagemaker" in their names; a rehearsal's buckets have any name.
_ACCESS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "iam:PassRole", "iam:GetRole"], "Resource": "*"}],
}
_SAGEMAKER_POLICY = "AmazonSageMakerFullAccess"
#: Policies of AWS's own that people attach to roles for training. moto has the documents, and by default no policies
#: made of them, for making all of AWS's takes long.
AWS_POLICIES = (
    _SAGEMAKER_POLICY,
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "CloudWatchLogsFullAccess",
    "AmazonEC2ContainerRegistryReadOnly",
    "AdministratorAccess",
)


def create_default_role(platform: Platform) -> str:
    """Makes the role ``cloudtune-local-role`` in the cloud's account where it is missing; returns its ARN.

    Makes :data:`AWS_POLICIES` attachable too, to any role of the account.
    """
    account, region = platform.settings.account, platform.settings.region
    backend = iam_backends[account][get_partition(region)]
    for name in AWS_POLICIES:
        policy = AWSManagedPolicy.from_data(name, account, region, _policy_data(name))
        backend.managed_policies.setdefault(policy.arn, policy)
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
    backend.attach_role_policy(f"arn:{role.partition}:iam::aws:policy/{_SAGEMAKER_POLICY}", DEFAULT_ROLE)
    return role.arn


@functools.cache
def _policy_data(name: str) -> dict[str, Any]:
    """What moto knows of a policy of AWS's, read out of five megabytes of JSON without reading the rest."""
    key = f'"{name}":'
    data: dict[str, Any]
    data, _ = json.JSONDecoder().raw_decode(aws_managed_policies_data, aws_managed_policies_data.index(key) + len(key))
    return data
