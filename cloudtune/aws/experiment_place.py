"""Where an experiment lies in a bucket: the same place for its log and for its trials."""

from __future__ import annotations

import re

from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.request_limits import LONGEST_VARIABLE

#: What a part of the path may be: no slash, no dot that leads elsewhere, nothing that a URL has to escape.
_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")


def experiment_prefix(prefix: str, tag: str | None, name: str) -> str:
    """``[prefix/]cloudtune/<tag or name>/<name>/``.

    Args:
        prefix: What stands after the bucket in an ``s3://`` path.
        tag: What the experiments of one study have in common; by default the experiment's own name.
        name: Of the experiment.

    Raises:
        InvalidRequest: Tag or name would lead out of the prefix.
    """
    for what, part in (("tag", tag or name), ("name", name)):
        if not _PART.fullmatch(part):
            raise InvalidRequest(
                f"The {what} {part!r} of an experiment cannot be part of a place in S3; use letters, digits, dots, "
                "dashes and underscores only."
            )
    within = prefix.strip("/")
    return f"{within}/cloudtune/{tag or name}/{name}/" if within else f"cloudtune/{tag or name}/{name}/"


def check_length(place: str) -> None:
    """Refuses a place that is too long for its jobs to be told of it.

    Args:
        place: ``s3://bucket/prefix`` of the experiment.

    Raises:
        InvalidRequest: It does not fit into an environment variable of a training job.
    """
    if len(place) > LONGEST_VARIABLE:
        raise InvalidRequest(
            f"The experiment would lie in {place[:60]}..., a place of {len(place)} characters, and training jobs can "
            f"be told of one with {LONGEST_VARIABLE}; give a shorter s3_path."
        )
