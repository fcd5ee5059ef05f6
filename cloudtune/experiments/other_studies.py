"""Tells studies apart whose tags begin alike: what ``digits`` stands for is no experiment of the study ``digits-2``."""

from __future__ import annotations

import re
from typing import Any

#: Names of a study's experiments begin with its tag, in which this becomes a dash; the end of a long one is cut off.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_BEGINNING = 30


def is_of_other_study(wanted: str, name: str, tag: Any) -> bool:
    """Whether an experiment is called after the longer tag of another study than the one that was named.

    Args:
        wanted: A tag, or what names of experiments begin with.
        name: Of an experiment; it begins with that.
        tag: What its metadata have as the tag, if they have one.
    """
    if not isinstance(tag, str) or name == wanted or tag in {wanted, name}:
        return False
    called = _as_in_names(tag)
    return called.startswith(f"{_as_in_names(wanted)}-") and name.startswith(called[:_LONGEST_BEGINNING].rstrip("-"))


def _as_in_names(tag: str) -> str:
    return _NOT_IN_NAMES.sub("-", tag).strip("-")
