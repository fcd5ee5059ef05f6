"""What is written down of a launch: its plan, and with which other flags it was launched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudtune.aws.buckets import default_bucket_name
from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.plan import Plan

if TYPE_CHECKING:
    from cloudtune.store.study_place import StudyPlace

#: Of what is written down, beside the members of the plan: the other flags by name.
LAUNCH = "launch"
#: Flags of an account that are no secret of one machine's configuration, and are not known from its place.
_OF_ACCOUNT = ("role", "image_uri", "tuner_image_uri", "tuner_instance_type")


def launched_plan(plan: Plan, flags: Mapping[str, Any]) -> bytes:
    """A plan and the flags it was launched with, as JSON; :meth:`Plan.from_json` reads the plan.

    Args:
        plan: Which.
        flags: See :func:`launch_flags`.
    """
    return json.dumps({**json.loads(plan.to_json()), LAUNCH: flags}, indent=2).encode()


def launch_flags(
    account: Account, place: StudyPlace, max_cost: float | None, max_parallel_experiments: int | None
) -> dict[str, Any]:
    """Flags, by name, that launch a plan at the same place with the same limits from any machine.

    Args:
        account: As it was given.
        place: Of the study.
        max_cost: Limit of the study in US dollars, whichever launch has set it.
        max_parallel_experiments: Of this launch.

    Raises:
        AwsError: AWS does not tell the account.
    """
    given = {name: getattr(account, name) for name in _OF_ACCOUNT}
    flags = {
        "max_cost": max_cost,
        "max_parallel_experiments": max_parallel_experiments,
        **place_flags(place),
        **{name: value for name, value in given.items() if value != getattr(Account, name)},
    }
    return {name: value for name, value in flags.items() if value is not None}


def place_flags(place: StudyPlace) -> dict[str, str]:
    """Flags, by name, that say where a study lies; the account's own bucket needs no word."""
    aws = place.bucket.aws
    is_usual = place.bucket.name == default_bucket_name(aws) and not place.prefix
    s3_path = f"s3://{place.bucket.name}/{place.prefix}".rstrip("/")
    return {**({} if is_usual else {"s3_path": s3_path}), "region": aws.region}
