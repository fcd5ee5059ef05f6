"""Finds the IAM role that training jobs run as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws


class NoExecutionRole(CloudtuneError):
    """There is no role for training jobs, or the one named does not exist; the message says how to get one."""


def get_execution_role(role: str | None = None, aws: Aws | None = None) -> str:
    """ARN of the role that training jobs run as.

    Args:
        role: ARN or name of a role; by default it is looked for.
        aws: The account to look in; by default that of the environment.

    Raises:
        NoExecutionRole: There is none.
    """
    raise NotImplementedError
