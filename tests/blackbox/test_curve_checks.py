"""What is no curve of any training is refused, and what is one becomes plain numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.blackbox import Curve
from cloudtune.blackbox.curve_checks import WrongCurve, checked_curve
from tests.backend.simulator.driving import Ramp

CONFIG = {"width": 7, "epochs": 3}


def checked(**changed: Any) -> Curve:
    """A sound curve of three reports, with some of its arguments changed."""
    sound = {"resources": [1, 2, 3], "metrics": {"loss": [3.0, 2.0, 1.0]}, "elapsed": [10.0, 20.0, 30.0]}
    return checked_curve(Ramp(), CONFIG, Curve(**{**sound, **changed}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"elapsed": [10.0, math.nan, 30.0]}, "the time nan at report 1 is not finite; give increasing seconds"),
        ({"elapsed": [10.0, 20.0, math.inf]}, "the time inf at report 2 is not finite"),
        ({"elapsed": [10.0, None, 30.0]}, "the time None at report 1 is not finite"),
        ({"elapsed": [-1.0, 20.0, 30.0]}, "the time -1.0 at report 0 is negative"),
        ({"elapsed": [10.0, 30.0, 20.0]}, "the time 20.0 at report 2 is not later than the one before"),
        ({"elapsed": [10.0, 20.0, 20.0]}, "the time 20.0 at report 2 is not later"),
        ({"elapsed": [10.0]}, "3 resources but 1 values of 'elapsed'"),
        ({"metrics": {"loss": [1.0]}}, "3 resources but 1 values of 'loss'; give one for each report, None where"),
        ({"metrics": {"loss": [1.0] * 3, "more": [1.0] * 4}}, "but 4 values of 'more'"),
        ({"resources": [1, 3, 2]}, "resources must increase, but 2 at report 2 follows 3"),
        ({"resources": [1, 1, 2]}, "resources must increase, but 1 at report 1 follows 1"),
        ({"resources": [0, 1, 2]}, "it begins at resource 0, and must at 1 or more"),
        ({"resources": [0.5, 1, 2]}, "resource 0.5 is no whole number; count reports"),
        ({"resources": [1, math.nan, 2]}, "resource nan is no whole number"),
        ({"resources": [True, 2, 3]}, "resource True is no whole number"),
        ({"resources": [], "metrics": {"loss": []}, "elapsed": []}, r"no report; .* \(Curve.failure\)"),
    ],
)
def test_what_is_no_curve_is_refused(changed: dict[str, Any], message: str) -> None:
    """The error has the blackbox, the hyperparameters, what is wrong, and where."""
    with pytest.raises(WrongCurve, match=r"curve of Ramp for the configuration \{'width': 7\} is wrong: .*" + message):
        checked(**changed)


def test_what_is_no_object_of_the_class_is_refused() -> None:
    """As a function that forgot its return gives."""
    with pytest.raises(WrongCurve, match="it must be a Curve, got None"):
        checked_curve(Ramp(), CONFIG, None)  # type: ignore[arg-type]


def test_a_sound_curve_stays_as_it_is() -> None:
    """What a table gives is not copied; diverged values, gaps, and a failure before the first report are real."""
    sound = Curve([2, 5], {"loss": [math.nan, None], "other": [-math.inf, 3]}, [0.0, 1])
    assert checked_curve(Ramp(), CONFIG, sound) is sound
    failing = Curve([], {"loss": []}, [], "no memory")
    assert checked_curve(Ramp(), CONFIG, failing) is failing


def test_what_is_vouched_for_is_not_checked() -> None:
    """Whoever has checked many curves at once need not have each checked again."""
    vouched = Curve([1], {"loss": [1.0]}, [math.nan], is_sound=True)
    assert checked_curve(Ramp(), CONFIG, vouched) is vouched


def test_numbers_of_numpy_become_plain() -> None:
    """Arrays, lists of numpy's numbers, tuples and whole floats: reports must be what JSON carries."""
    curve = checked(
        resources=np.array([1.0, 2.0, 3.0]),
        metrics={"loss": np.array([3, 2, 1], dtype=np.float32), "more": (np.float64(1), None, np.int64(2))},
        elapsed=[np.float64(10), 20, 30],
    )
    assert curve == Curve([1, 2, 3], {"loss": [3.0, 2.0, 1.0], "more": [1.0, None, 2]}, [10.0, 20, 30])
    json.dumps([curve.resources, dict(curve.metrics), curve.elapsed])
    assert {type(resource) for resource in curve.resources} == {int}


_TIMES = st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.5, math.nan, math.inf, -math.inf]), min_size=1, max_size=5)


@given(_TIMES, st.lists(st.integers(-1, 6), min_size=1, max_size=5))
def test_exactly_increasing_columns_pass(elapsed: list[float], resources: list[int]) -> None:
    """Whatever comes in, what passes is sorted, finite, of one length, and from 1 on; nothing else fails."""
    sound = (
        len(elapsed) == len(resources)
        and all(math.isfinite(seconds) and seconds >= 0 for seconds in elapsed)
        and sorted(set(elapsed)) == elapsed
        and sorted(set(resources)) == resources
        and resources[0] >= 1
    )
    try:
        checked(resources=resources, elapsed=elapsed, metrics={"loss": [0.0] * len(resources)})
    except WrongCurve:
        assert not sound
    else:
        assert sound
