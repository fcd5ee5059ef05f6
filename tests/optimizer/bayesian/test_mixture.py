"""The covariance of configurations with categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cloudtune.config_space import choice, randint, uniform
from cloudtune.optimizer.searchers.bayesian.encoder import Encoder
from cloudtune.optimizer.searchers.bayesian.fit import fit, negative_log_posterior
from cloudtune.optimizer.searchers.bayesian.kernel import Kernel
from cloudtune.optimizer.searchers.bayesian.matern import matern
from cloudtune.optimizer.searchers.bayesian.posterior import Posterior

SPACE: dict[str, Any] = {"kind": choice(["a", "b", "c"]), "n": randint(1, 40), "x": uniform(0, 1)}
NOTHING, NO_NORMALS = torch.zeros((0, 5), dtype=torch.float64), torch.zeros((0, 1), dtype=torch.float64)


def rows_of(kinds: str, rng: np.random.Generator) -> Any:
    encoder = Encoder(SPACE)
    rows = encoder.from_unit(rng.random((len(kinds), 3)))
    rows[:, :3] = np.eye(3)[["abc".index(kind) for kind in kinds]]
    return rows


def test_without_categories_or_without_anything_else_it_is_plain_matern() -> None:
    """To the last bit, and with no further parameter."""
    for owners, categories in (([0, 1, 2], list[int]()), ([0, 0, 0], [0])):
        kernel = Kernel(owners, categories=categories)
        rows = torch.tensor(np.random.default_rng(0).random((6, 3)))
        parameters = torch.tensor(kernel.initial())
        assert kernel.num_parameters == max(owners) + 2
        scaled = kernel.scaled(parameters, rows)
        assert torch.equal(kernel.matrix(parameters, scaled, scaled), matern(scaled[0], scaled[0]))


@pytest.mark.parametrize(
    ("owners", "categories"),
    [([0, 0, 0, 1, 2], [0]), ([0, 0, 1, 1, 1, 2], [0, 1]), ([0, 0, 1, 1, 1], [0, 1]), ([0, 1, 2], [1])],
)
def test_covariances_are_those_of_something_of_unit_variance(owners: list[int], categories: list[int]) -> None:
    """Whatever the weights, the variance is 1, no eigenvalue is negative, and the gradient is that of the value."""
    rng = np.random.default_rng(0)
    rows, values = torch.tensor(rng.random((9, len(owners)))), torch.tensor(rng.standard_normal(9))
    kernel = Kernel(owners, categories=categories)
    assert kernel.num_parameters == max(owners) + 2 + 1 + (len(set(owners)) > len(categories))
    for _ in range(5):
        parameters = rng.uniform(-2, 2, kernel.num_parameters)
        scaled = kernel.scaled(torch.tensor(parameters), rows)
        matrix = kernel.matrix(torch.tensor(parameters), scaled, scaled)
        assert matrix.diagonal().tolist() == pytest.approx([1.0] * 9)
        assert float(torch.linalg.eigvalsh(matrix)[0]) > -1e-9
        _, gradient = negative_log_posterior(kernel, parameters, rows, values)
        for number, step in enumerate(1e-5 * np.eye(kernel.num_parameters)):
            up, down = (negative_log_posterior(kernel, parameters + sign * step, rows, values)[0] for sign in (1, -1))
            assert gradient[number] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-5)


def test_what_is_learned_with_one_category_holds_for_another() -> None:
    """A valley that was seen with one category only is expected with another, which has shown to be better by 1.

    A product of covariances expects -0.25 there.
    """
    rows = rows_of("a" * 20 + "b" * 4, np.random.default_rng(0))
    rows[20:, 3:] = [[0.05, 0.9], [0.1, 0.6], [0.3, 0.95], [0.2, 0.8]]

    def truth(points: Any) -> Any:
        return (points[:, 3] - 0.8) ** 2 + (points[:, 4] - 0.2) ** 2 - 1.0 * points[:, 1]

    values = truth(rows)
    mean, deviation = values.mean(), values.std()
    kernel = Kernel([0, 0, 0, 1, 2], categories=[0])
    data = torch.tensor(rows), torch.tensor((values - mean) / deviation)
    found = fit(kernel, *data, None)
    posterior = Posterior(kernel, found, *data, NOTHING, NO_NORMALS)
    valley = np.array([[0.0, 1.0, 0.0, 0.8, 0.2]])
    expected = float(posterior.moments(torch.tensor(valley))[0]) * deviation + mean
    assert values.min() == pytest.approx(-0.35)
    assert expected < -0.5
