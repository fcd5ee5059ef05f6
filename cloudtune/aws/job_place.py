"""Where in S3 jobs lie, as ``--s3-path`` names places: ``s3://bucket[/prefix]``."""

from __future__ import annotations

import re

from cloudtune.aws.our_jobs import OurJob
from cloudtune.aws.request_limits import LONGEST_TAG
from cloudtune.aws.trial_request import tag_value

_PLACE = re.compile(r"(?P<s3_path>s3://[^/]+(?:/.*)?)/cloudtune/[^/]+/[^/]+/[^/]+/?")


def s3_path_of(job: OurJob) -> str:
    """``s3://bucket[/prefix]`` of a job's experiment; "" where the job does not say, or not all of it."""
    found = _PLACE.fullmatch(job.place)
    return found["s3_path"] if found else ""


def is_at(job: OurJob, s3_path: str) -> bool:
    """Whether a job's experiment lies at a place, as far as the job says.

    Args:
        job: Which.
        s3_path: Without a slash at its end.
    """
    return lies_below(job, f"{s3_path}/cloudtune/")


def lies_below(job: OurJob, uri: str) -> bool:
    """Whether a job's experiment lies in a folder, as far as the job says.

    Args:
        job: Which.
        uri: ``s3://bucket/...`` of the folder, with a slash at its end.
    """
    if not job.place_may_differ:
        return job.place.startswith(uri)
    # Only a tag tells, in which characters are replaced, and the end may be cut off.
    return bool(job.place) and tag_value(job.place).startswith(tag_value(uri)) and len(uri) < LONGEST_TAG
