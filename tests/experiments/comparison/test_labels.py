"""Names of curves beside their ends: apart, within the axes, and as near as can be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.comparison import colours
from cloudtune.experiments.comparison.labels import spread

WANTED = st.lists(st.floats(0, 100), max_size=8)


@given(WANTED, st.floats(1, 30))
def test_places_do_not_overlap(wanted: list[float], height: float) -> None:
    """They are a height apart, between both ends, and in the order of the curves; or there are too many."""
    places = spread(wanted, height, 0.0, 100.0)
    if places is None:
        assert (len(wanted) - 1) * height > 100
        return
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    for one, other in itertools.pairwise(sorted(places)):
        assert other - one >= height - 1e-6
    for a, b in itertools.combinations(range(len(wanted)), 2):
        if wanted[a] < wanted[b]:
            assert places[a] < places[b]


@given(st.lists(st.integers(0, 12).map(float), min_size=1, max_size=3), st.integers(1, 4).map(float))
def test_places_are_the_nearest(wanted: list[float], height: float) -> None:
    """Nothing on a fine lattice of all allowed places is nearer to where the curves end (in squares)."""
    places = spread(wanted, height, 0.0, 12.0)
    assert places is not None
    lattice = [index / 2 for index in range(25)]
    allowed = (
        trial
        for trial in itertools.product(lattice, repeat=len(wanted))
        if all(abs(one - other) >= height for one, other in itertools.combinations(trial, 2))
    )
    least = min(sum((a - b) ** 2 for a, b in zip(trial, wanted, strict=True)) for trial in allowed)
    assert sum((a - b) ** 2 for a, b in zip(places, wanted, strict=True)) <= least + 1e-6


def test_styles_tell_curves_apart() -> None:
    """28 curves differ in colour and dashes together; neighbours also in grey, by their dashes."""
    looks = [colours.style(number) for number in range(28)]
    assert len({(look.colour, str(look.dashes)) for look in looks}) == 28
    assert all(str(one.dashes) != str(other.dashes) for one, other in itertools.pairwise(looks))


@pytest.mark.parametrize("colour", colours.PALETTE)
def test_names_can_be_read(colour: str) -> None:
    """Text has a contrast of 4.5 with white, in a colour that is its curve's, or a darker one."""
    ink = colours.readable(colour)
    channels = [int(ink[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    assert 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05) >= 4.4
    assert all(int(ink[p : p + 2], 16) <= int(colour[p : p + 2], 16) for p in (1, 3, 5))
