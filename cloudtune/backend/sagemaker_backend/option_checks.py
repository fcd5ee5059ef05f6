"""What must hold of a backend's options, one sentence per mistake."""

from __future__ import annotations

from collections.abc import Collection

from cloudtune.aws.buckets import BucketUnusable, parse_bucket

#: Seconds that a script may have to end; SageMaker gives a job 120 in all.
_LONGEST_GRACE = 100


def check_texts(**given: object) -> None:
    """Raises ValueError for what is neither a text nor left out."""
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} must be a text, got {value!r}")


def check_switches(**given: object) -> None:
    """Raises ValueError for what is neither on nor off: ``"no"`` would count as on."""
    for name, value in given.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")


def check_lists(**given: object) -> None:
    """Raises ValueError for what is no list of texts; a single text would be taken for a list of its letters."""
    for name, values in given.items():
        if isinstance(values, str):
            raise ValueError(f"{name} are a list, got {values!r}; write [{values!r}]")
        if not isinstance(values, Collection):
            raise ValueError(f"{name} are a list of texts, got {values!r}")
        for value in values:
            if not isinstance(value, str) or not value:
                raise ValueError(f"{name} are a list of texts, got {value!r} in it; leave it out")


def check_s3_path(s3_path: str | None) -> None:
    """Raises ValueError for what names no bucket."""
    if s3_path:
        try:
            parse_bucket(s3_path)
        except BucketUnusable as error:
            raise ValueError(f"s3_path: {error}") from None


def check_stop_grace(seconds: object) -> None:
    """Raises ValueError for what a script cannot have."""
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= _LONGEST_GRACE:  # type: ignore[operator]
        raise ValueError(
            f"stop_grace must be 0 to {_LONGEST_GRACE} seconds, got {seconds!r}: SageMaker itself kills a job that is "
            "being stopped after 120"
        )


def check_source_limit(limit: object) -> None:
    """Raises ValueError for what is no size in bytes."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ValueError(f"source_limit must be a whole number of bytes, at least 1, got {limit!r}")
