"""Numbers, switches and names that users give: what counts as one, and what is said of others."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cloudtune.config_space import randint, uniform
from cloudtune.optimizer.argument_checks import is_comparable, switch
from cloudtune.optimizer.baselines import BORE, BayesianOptimization, GridSearch, MedianStopping, RandomSearch
from cloudtune.optimizer.schedulers import FIFOScheduler, MedianStoppingRule
from cloudtune.optimizer.searchers import RandomSearcher

SPACE: dict[str, Any] = {"x": uniform(0, 1), "n": randint(1, 4)}


@pytest.mark.parametrize("value", [0, -1, 0.5, math.inf, Fraction(1, 3), np.int64(3), np.float32(0.5)])
def test_numbers_are_comparable(value: Any) -> None:
    """Python's and numpy's, infinities included."""
    assert is_comparable(value)


@pytest.mark.parametrize("value", [math.nan, np.float32("nan"), True, np.True_, "1", None, 1j, Decimal(1), [1]])
def test_what_has_no_order_among_numbers_is_not(value: Any) -> None:
    """NaN is a number, but neither above nor below any, so that a bound would not refuse it; a truth value is none."""
    assert not is_comparable(value)


@pytest.mark.parametrize("value", [True, np.True_])
def test_truth_values_are_switches(value: Any) -> None:
    """Python's and numpy's."""
    assert switch("shuffle", value) is True


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (RandomSearch, "allow_duplicates"),
        (BORE, "allow_duplicates"),
        (BayesianOptimization, "allow_duplicates"),
        (BayesianOptimization, "input_warping"),
        (GridSearch, "shuffle"),
        (MedianStopping, "running_average"),
    ],
)
@pytest.mark.parametrize("value", ["no", 0, None])
def test_what_is_neither_on_nor_off_is_refused(method: Any, name: str, value: Any) -> None:
    """A text such as "no" would count as True."""
    with pytest.raises(ValueError, match=f"{name} must be True or False, got {value!r}"):
        method(SPACE, metric="loss", **{name: value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": 3}, "metric must be the name of what the script reports, .* got 3"),
        ({"metric": ["loss", 3]}, "metric must be the name of what the script reports"),
        ({"mode": 3}, "mode must be 'min' or 'max', got 3"),
        ({"resource_attr": ""}, "resource_attr must be the name of what the script reports, got ''"),
        ({"resource_attr": 3}, "resource_attr must be the name of what the script reports, got 3"),
        ({"points_to_evaluate": {"x": 1.0}}, "points_to_evaluate is {'x': 1.0}; use a list of dictionaries"),
        ({"points_to_evaluate": 3}, "points_to_evaluate is 3; use a list of dictionaries"),
        ({"points_to_evaluate": [3]}, "points_to_evaluate: point 0 is 3; use a list of dictionaries"),
        (
            {"points_to_evaluate": 3, "search_options": {"restrict_configurations": [{"x": 0.5, "n": 1}]}},
            "points_to_evaluate is 3; use a list of dictionaries",
        ),
    ],
)
def test_what_is_of_another_kind_is_named(arguments: dict[str, Any], message: str) -> None:
    """Not in Python's words about what it cannot iterate over."""
    with pytest.raises(ValueError, match=message):
        FIFOScheduler(SPACE, **{"metric": "loss", **arguments})


@pytest.mark.parametrize("options", [3, ["allow_duplicates"]])
def test_search_options_are_a_mapping(options: Any) -> None:
    """Names without values are refused."""
    with pytest.raises(TypeError, match="search_options must be a dictionary of names to values"):
        FIFOScheduler(SPACE, metric="loss", search_options=options)


def test_a_searcher_belongs_to_one_scheduler() -> None:
    """Two would count its suggestions and tell it of each other's trials."""
    searcher = RandomSearcher(SPACE)
    FIFOScheduler(SPACE, searcher, metric="loss")
    with pytest.raises(ValueError, match="this RandomSearcher is the searcher of another scheduler already"):
        FIFOScheduler(SPACE, searcher, metric="loss")


def test_the_median_rule_wraps_an_object() -> None:
    """A class, which one easily writes in place of one, is answered with what to do."""
    with pytest.raises(TypeError, match=r"scheduler must be an object such as ASHA.*call a class with its arguments"):
        MedianStoppingRule(RandomSearch, "epoch")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="resource_attr must be the name of what the script reports, got None"):
        MedianStoppingRule(RandomSearch(SPACE, metric="loss"), None)  # type: ignore[arg-type]
