"""Numbers, times and money as a person reads them."""

from __future__ import annotations

import math
from datetime import datetime, timezone

from cloudtune.experiments.values import as_number

#: What stands where there is nothing to say.
NOTHING = "\N{EN DASH}"


def number(value: float | None) -> str:
    """A number with six digits that count."""
    return NOTHING if value is None else f"{value:.6g}"


def duration(seconds: float | None) -> str:
    """``4.2 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 d 4 h``."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if round(seconds) < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def dollars(amount: float | None) -> str:
    """``$1.23``; less than a cent with the digits that tell something."""
    if amount is None:
        return NOTHING
    return f"${amount:,.2f}" if amount >= 0.01 or amount == 0 else f"${amount:.2g}"


def moment(unix: float | None) -> str:
    """``2026-01-31 23:59 UTC``."""
    known = as_number(unix)
    try:
        return NOTHING if known is None else f"{datetime.fromtimestamp(known, tz=timezone.utc):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):  # no year that a calendar knows
        return NOTHING


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
