"""Numbers that users give: what counts as one, and what is said of others."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cloudtune.optimizer.argument_checks import is_comparable


@pytest.mark.parametrize("value", [0, -1, 0.5, math.inf, Fraction(1, 3), np.int64(3), np.float32(0.5)])
def test_numbers_are_comparable(value: Any) -> None:
    """Python's and numpy's, infinities included."""
    assert is_comparable(value)


@pytest.mark.parametrize("value", [math.nan, np.float32("nan"), True, np.True_, "1", None, 1j, Decimal(1), [1]])
def test_what_has_no_order_among_numbers_is_not(value: Any) -> None:
    """NaN is a number, but neither above nor below any, so that a bound would not refuse it; a truth value is none."""
    assert not is_comparable(value)
