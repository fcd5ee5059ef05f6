"""What time it is by AWS's own clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any


def aws_time(answer: Mapping[str, Any]) -> dt.datetime | None:
    """When AWS gave an answer, by its own clock."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(date) if date else None
    except ValueError:
        return None


def age_of(written: dt.datetime | None, now: dt.datetime | None) -> float | None:
    """Seconds between two times of AWS's clock; None where one is not known."""
    return None if written is None or now is None else max(0.0, (now - written).total_seconds())
