"""How long training takes where a table has curves but no times: an assumption that is stated."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ConstantTime:
    """Every unit of the resource takes the same time, whatever the configuration, after a start-up.

    Args:
        seconds_per_resource: Seconds for one unit (epoch), over 0.
        startup_seconds: Seconds from the start of training (loading data, say) to the first unit, 0 or more.

    Raises:
        ValueError: A number of seconds is none, negative or not finite, or a unit takes no time.
    """

    seconds_per_resource: float
    startup_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not (_is_finite(self.seconds_per_resource) and self.seconds_per_resource > 0):
            raise ValueError(
                f"seconds_per_resource must be a number of seconds over 0, got {self.seconds_per_resource!r}"
            )
        if not (_is_finite(self.startup_seconds) and self.startup_seconds >= 0):
            raise ValueError(f"startup_seconds must be a number of seconds, 0 or more, got {self.startup_seconds!r}")

    def elapsed(self, resources: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Seconds from the start of training until each of the resources is used, in their shape."""
        return self.startup_seconds + self.seconds_per_resource * resources.astype(np.float64)


def _is_finite(value: Any) -> bool:
    # A Python integer may be larger than every float.
    return isinstance(value, Real) and not isinstance(value, bool) and bool(abs(value) <= sys.float_info.max)  # type: ignore[operator]
