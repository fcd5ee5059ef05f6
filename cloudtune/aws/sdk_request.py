"""What the requests of both of AWS's SDKs go through on their way into a template."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from cloudtune.aws.job_template import OUTPUT_TO_COME
from cloudtune.aws.plain_template import DEFAULT_WAIT, WHAT_IS_LOST
from cloudtune.aws.training_job_rules import check_channel_name

_log = logging.getLogger(__name__)


def own_entry_wanted(reasons: Iterable[str], asked: bool | None, origin: str) -> str:
    """Why the image's own entry starts the script; empty where cloudtune's agent does.

    Args:
        reasons: Why there is no other way, if so.
        asked: What the user asked for; None: nothing.
        origin: What the template is made of.

    Raises:
        ValueError: The user asked for the agent, and it cannot be.
    """
    found = list(reasons)
    if found and asked is False:
        raise ValueError(
            f"{origin} needs its image's own entry, for {found[0]}; leave keep_own_entry out, or change that"
        )
    why = found[0] if found else "keep_own_entry is set" if asked else ""
    if why:
        _log.info("Trials of %s are started by the image's own entry: %s. %s", origin, why, WHAT_IS_LOST)
    return why


def finished(request: dict[str, Any], keep_own_entry: bool, origin: str) -> dict[str, Any]:
    """The request of an SDK without what is each trial's own, and with what AWS asks for besides."""
    for member in ("TrainingJobName", "RoleArn"):
        request.pop(member, None)
    algorithm = request["AlgorithmSpecification"]
    algorithm.pop("TrainingImage", None)
    if not keep_own_entry:
        if "AlgorithmName" in algorithm:
            raise ValueError(
                f"{origin} runs an algorithm of AWS's marketplace, which cannot start a script of yours; give an image"
            )
        for member in ("ContainerEntrypoint", "ContainerArguments"):
            algorithm.pop(member, None)
    request.setdefault("OutputDataConfig", {}).setdefault("S3OutputPath", OUTPUT_TO_COME)
    for channel in request.get("InputDataConfig") or ():
        check_channel_name(channel["ChannelName"])
    times = request["StoppingCondition"]
    if request.get("EnableManagedSpotTraining") and not times.get("MaxWaitTimeInSeconds"):
        times["MaxWaitTimeInSeconds"] = times["MaxRuntimeInSeconds"] + DEFAULT_WAIT
    return {member: value for member, value in request.items() if value is not None}


def region_of(session: Any) -> str | None:
    """The region of an SDK's session."""
    return getattr(getattr(session, "boto_session", None), "region_name", None)


def profile_of(session: Any) -> str | None:
    """The profile that the user chose for an SDK's session; None: none."""
    profile = getattr(getattr(session, "boto_session", None), "profile_name", None)
    return None if profile == "default" else profile
