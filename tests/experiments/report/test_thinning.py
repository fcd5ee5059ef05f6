"""Which points of a curve are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cloudtune.experiments.report.thinning import thinned

curves = npst.arrays(np.float64, st.integers(1, 200), elements=st.floats(allow_infinity=False))


@given(curves, st.integers(2, 60))
def test_a_thinned_curve_keeps_its_shape(values: np.ndarray, most: int) -> None:
    """Few enough points, in order, with both ends, and with the lowest and highest wherever there is room for them."""
    kept = thinned(values, most)
    assert len(kept) <= most
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    if most >= 4 and not np.isnan(values).all():
        assert np.nanmin(values[kept]) == np.nanmin(values)
        assert np.nanmax(values[kept]) == np.nanmax(values)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_short_curve_stays_as_it_is(count: int) -> None:
    """Nothing is left out where there is room."""
    assert thinned(np.zeros(count), 7).tolist() == list(range(count))
