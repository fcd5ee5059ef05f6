"""Whether a quota lets a tuner's job hand over: its successor begins while the job still has its machine."""

from __future__ import annotations

import logging

from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError
from cloudtune.aws.quotas import quota_name, training_quota

logger = logging.getLogger(__name__)


def what_is_short(aws: Aws, instance_type: str, use_spot: bool, experiment: str) -> str | None:
    """A sentence for whoever launches an experiment that takes longer than its job; None: nothing is known to be short.

    Args:
        aws: Account and region.
        instance_type: Of the tuner's job.
        use_spot: Whether it is on spot capacity.
        experiment: Its name.
    """
    try:
        quota = training_quota(aws, instance_type, spot=use_spot)
    except AwsError as error:
        logger.info("whether a successor of the tuner's job may begin is not known: %s", error)
        return None
    if quota is None or quota >= 2:
        return None
    return (
        f"the account may use {quota} {instance_type} at once, which the tuner's job has until its end: no successor "
        f"can begin, and the experiment will stand still until `cloudtune resume {experiment}` continues it; ask for "
        f"2 of '{quota_name(instance_type, spot=use_spot)}' with AWS Service Quotas, or launch with "
        "another instance_type"
    )
