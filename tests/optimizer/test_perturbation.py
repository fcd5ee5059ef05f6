"""How hyperparameters are perturbed, by type of domain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import (
    Domain,
    choice,
    finrange,
    logfinrange,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    randint,
    reverseloguniform,
    uniform,
)
from cloudtune.optimizer.schedulers.perturbation import explored, perturbed

DOMAINS: list[Domain] = [
    uniform(-2, 2),
    loguniform(1e-6, 1),
    reverseloguniform(0.5, 0.999),
    randint(-3, 9),
    lograndint(1, 1000),
    choice(["a", "b", "c"]),
    choice([True, 1.5, "1", [1, 2], None]),
    ordinal([1, 2, 8]),
    logordinal([1, 10, 100]),
    finrange(0.1, 0.9, 5),
    logfinrange(1, 64, 7, cast_int=True),
]


@pytest.mark.parametrize(
    ("domain", "value", "factor", "expected"),
    [
        (uniform(0, 1), 0.5, 1.2, 0.6),
        (uniform(0, 1), 0.9, 1.2, 1.0),
        (uniform(-1, 1), -0.5, 1.2, -0.6),
        (uniform(-1, 1), 0.0, 0.8, -0.4),
        (loguniform(1e-4, 1), 1e-3, 0.8, 8e-4),
        (reverseloguniform(0, 0.999), 0.9, 1.2, 0.88),
        (reverseloguniform(0, 0.999), 0.9, 0.5, 0.95),
        (randint(1, 100), 50, 1.2, 60),
        (randint(1, 100), 2, 1.2, 3),
        (randint(1, 100), 2, 0.8, 1),
        (randint(1, 100), 1, 0.8, 1),
        (choice(["a", "b", "c"]), "b", 1.2, "c"),
        (choice(["a", "b", "c"]), "b", 0.8, "a"),
        (choice(["a", "b", "c"]), "c", 1.2, "b"),
        (choice(["a"]), "a", 1.2, "a"),
        (choice([True, "1"]), True, 1.2, "1"),
        (ordinal([1, 2, 8]), 2, 1.2, 8),
        (finrange(0, 1, 5), 0.5, 0.8, 0.25),
    ],
)
def test_each_type_of_domain(domain: Domain, value: Any, factor: float, expected: Any) -> None:
    """Numbers by the factor, integers by one at least, listed values to a neighbour, all within the domain."""
    assert perturbed(domain, value, factor) == pytest.approx(expected)


@given(st.sampled_from(DOMAINS), st.floats(0, 1, exclude_max=True), st.sampled_from([0.5, 0.8, 1.2, 2.0]))
def test_the_result_is_in_the_domain(domain: Domain, u: float, factor: float) -> None:
    """From any value, and of the domain's own type."""
    found = perturbed(domain, domain.from_uniform(u), factor)
    assert domain.contains(found)
    assert type(found) is type(domain.cast(found))


def test_each_hyperparameter_is_resampled_with_its_probability() -> None:
    """With 0 all are perturbed, with 1 all are drawn anew, in between each by itself; constants stay."""
    space = {"epochs": 9, **{f"x{i}": loguniform(1e-3, 1e3) for i in range(400)}}
    config = {name: 9 if name == "epochs" else 1.0 for name in space}
    for probability, expected in ((0.0, 0), (1.0, 400), (0.25, 100)):
        found = explored(space, config, probability, (1.2, 0.8), np.random.default_rng(0))
        assert list(found) == list(space)
        assert found["epochs"] == 9
        values = [value for name, value in found.items() if name != "epochs"]
        perturbations = [values.count(1.2), values.count(0.8)]
        assert 400 - sum(perturbations) == pytest.approx(expected, abs=30)
        if probability == 0:
            assert min(perturbations) > 150
