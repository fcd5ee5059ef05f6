"""Where an experiment lies in a bucket: the same place for its log and for its trials."""

from __future__ import annotations

import re

from cloudtune.aws.errors import InvalidRequest

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
