"""What was written, as numbers: one that is none counts as missing, and does not cost the others theirs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def as_number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond all floats
        return None


def column_of_numbers(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values of a column as numbers, also where they are texts or truth values; NaN where one is no finite number."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column):
        try:
            column = pd.to_numeric(column, errors="coerce")
        except OverflowError:  # an integer beyond all floats
            is_beyond = [isinstance(value, int) and as_number(int(value)) is None for value in column.tolist()]
            column = pd.to_numeric(column.mask(np.array(is_beyond)), errors="coerce")
    numbers = column.to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def holds_numbers(column: pd.Series[Any]) -> bool:
    """Whether it is a column of numbers, or of anything among which there are some."""
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column) or not np.isnan(column_of_numbers(column)).all()
