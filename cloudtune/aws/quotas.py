"""How many training instances of a type the account may have at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws


def quota_name(instance_type: str, *, spot: bool = False, warm_pool: bool = False) -> str:
    """AWS's name of the quota, as Service Quotas and the console show it."""
    raise NotImplementedError


def training_quota(aws: Aws, instance_type: str, *, spot: bool = False, warm_pool: bool = False) -> int | None:
    """Instances that the account may use at once in the region; None: unknown."""
    raise NotImplementedError
