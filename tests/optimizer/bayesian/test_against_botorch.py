"""The closed forms are BoTorch's numbers: likelihood and priors, posterior, expected improvement, all its variants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from botorch.acquisition.analytic import LogConstrainedExpectedImprovement, LogExpectedImprovement
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms.input import Warp
from botorch.models.utils.gpytorch_modules import (
    get_covar_module_with_dim_scaled_prior,
    get_gaussian_likelihood_with_lognormal_prior,
)
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior

from cloudtune.optimizer.searchers.bayesian.acquisition import Acquisition, Constraint, log_expected_improvement
from cloudtune.optimizer.searchers.bayesian.fit import Fit, fit, negative_log_posterior
from cloudtune.optimizer.searchers.bayesian.kernel import Kernel
from cloudtune.optimizer.searchers.bayesian.posterior import Posterior

DIMENSION = 3
PARAMETERS = np.log([0.4, 0.9, 0.2, 0.013])
NOTHING = torch.zeros((0, DIMENSION), dtype=torch.float64)
NO_NORMALS = torch.zeros((0, 1), dtype=torch.float64)


def data(count: int = 12, seed: int = 0) -> tuple[Any, Any]:
    """Rows and standardised values."""
    rng = np.random.default_rng(seed)
    rows = rng.random((count, DIMENSION))
    values = np.sin(5 * rows).sum(1) + 0.05 * rng.standard_normal(count)
    return torch.tensor(rows), torch.tensor((values - values.mean()) / values.std())


def theirs(rows: Any, values: Any, parameters: Any, mean: float | None = None) -> Any:
    """BoTorch's model of values to be maximised (ours with the sign turned), with our parameters."""
    model = SingleTaskGP(
        rows,
        -values[:, None],
        covar_module=get_covar_module_with_dim_scaled_prior(ard_num_dims=DIMENSION, use_rbf_kernel=False),
        likelihood=get_gaussian_likelihood_with_lognormal_prior(),
        outcome_transform=None,
    ).double()
    model.covar_module.lengthscale = torch.exp(torch.tensor(parameters[:DIMENSION]))
    model.likelihood.noise = math.exp(parameters[DIMENSION])
    if mean is not None:
        model.mean_module.constant.data.fill_(-mean)
    return model


def ours(
    rows: Any, values: Any, parameters: Any = PARAMETERS, pending: Any = NOTHING, normals: Any = NO_NORMALS
) -> Any:
    """Our posterior."""
    return Posterior(Kernel(range(DIMENSION)), Fit(parameters), rows, values, pending, normals)


def test_likelihood_and_priors_are_those_of_botorch() -> None:
    """Between any two vectors of parameters, our objective differs as gpytorch's likelihood with priors."""
    rows, values = data()
    kernel = Kernel(range(DIMENSION))
    differences = []
    for shift in (0.0, 0.3, -0.5):
        parameters = PARAMETERS + shift
        mean = ours(rows, values, parameters).mean
        model = theirs(rows, values, parameters, mean)
        mll = ExactMarginalLogLikelihood(model.likelihood, model)
        model.train()
        total = float(mll(model(rows), model.train_targets).detach()) * len(rows)
        differences.append(negative_log_posterior(kernel, parameters, rows, values)[0] + total)
    assert differences == pytest.approx([differences[0]] * 3, abs=1e-6)


@pytest.mark.parametrize(
    "kernel", [Kernel(range(3)), Kernel([0, 0, 1]), Kernel([0, 1], resource=True), Kernel(range(3), warped=[0, 2])]
)
def test_the_gradient_is_that_of_the_value(kernel: Kernel) -> None:
    """Of every kind of kernel, at parameters that are nothing special, it is what differences give."""
    rows, values = data()
    rng = np.random.default_rng(1)
    parameters = rng.uniform(-1.5, 0.5, kernel.num_parameters)
    _, gradient = negative_log_posterior(kernel, parameters, rows, values)
    for number, step in enumerate(1e-5 * np.eye(kernel.num_parameters)):
        up, down = (negative_log_posterior(kernel, parameters + sign * step, rows, values)[0] for sign in (1, -1))
        assert gradient[number] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-6)


def test_a_fit_is_as_likely_as_that_of_botorch() -> None:
    """Our minimum is no higher than the one found by BoTorch's own fit, in its own measure."""
    from botorch.fit import fit_gpytorch_mll

    rows, values = data(30)
    kernel = Kernel(range(DIMENSION))
    found = fit(kernel, rows, values, None)
    model = theirs(rows, values, PARAMETERS)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    best = np.log([*model.covar_module.lengthscale.detach().numpy().ravel(), float(model.likelihood.noise.detach())])
    assert not found.failed
    at_ours, at_theirs = (negative_log_posterior(kernel, one, rows, values)[0] for one in (found.parameters, best))
    assert at_ours <= at_theirs + 1e-2


def test_the_warping_is_that_of_botorch() -> None:
    """Warped inputs are what BoTorch's ``Warp`` makes of them, and so is the density of the exponents' prior."""
    rows, _ = data()
    kernel = Kernel(range(DIMENSION), warped=range(DIMENSION))
    parameters = torch.tensor([*([0.0] * DIMENSION), -3.0, 0.3, -0.2, 0.1, 0.4, -0.5, 0.2], dtype=torch.float64)
    exponents = parameters[DIMENSION + 1 :].exp().chunk(2)
    cube = torch.tensor([[0.0] * DIMENSION, [1.0] * DIMENSION], dtype=torch.float64)
    warp = Warp(d=DIMENSION, indices=list(range(DIMENSION)), eps=1e-6, bounds=cube).double()
    # Theirs is 1 - (1 - x^a)^b with a and b called concentrations.
    warp.concentration1.data, warp.concentration0.data = exponents[0][None], exponents[1][None]
    expected = warp.transform(rows).detach()
    assert torch.allclose(kernel.scaled(parameters, rows)[0], expected, atol=1e-6)
    prior = LogNormalPrior(0.0, 0.75**0.5)
    without = Kernel(range(DIMENSION)).log_prior(parameters[: DIMENSION + 1])
    ratio = [
        kernel.log_prior(torch.cat([parameters[: DIMENSION + 1], torch.log(one)])) - without - prior.log_prob(one).sum()
        for one in (torch.cat(exponents), torch.ones(6, dtype=torch.float64))
    ]
    assert float(ratio[0]) == pytest.approx(float(ratio[1]), abs=1e-6)


def test_posterior_and_improvement_are_those_of_botorch() -> None:
    """Means, deviations, and the logarithm of the expected improvement agree, also far from any improvement."""
    rows, values = data()
    posterior = ours(rows, values)
    model = theirs(rows, values, PARAMETERS, posterior.mean)
    where = torch.tensor(np.random.default_rng(2).random((20, DIMENSION)))
    mean, deviation = posterior.moments(where)
    expected = model.posterior(where)
    assert torch.allclose(mean, -expected.mean.detach(), atol=1e-8)
    assert torch.allclose(deviation**2, expected.variance.detach(), atol=1e-8)
    for best in (0.0, -1.5, -30.0):
        theirs_now = LogExpectedImprovement(model, best_f=-best)(where[:, None]).detach()
        value = Acquisition(posterior, torch.tensor([best], dtype=torch.float64))(where)
        assert torch.allclose(value, theirs_now, rtol=1e-6, atol=1e-6)


def test_constrained_improvement_is_that_of_botorch() -> None:
    """With a model of a constraint, the acquisition is LogConstrainedExpectedImprovement; with none, unconstrained."""
    rows, values = data()
    other = data(seed=5)[1]
    objective, constraint = ours(rows, values), ours(rows, other)
    model = ModelListGP(
        theirs(rows, values, PARAMETERS, objective.mean), theirs(rows, other, PARAMETERS, constraint.mean)
    )
    where = torch.tensor(np.random.default_rng(2).random((20, DIMENSION)))
    expected = LogConstrainedExpectedImprovement(model, best_f=0.5, objective_index=0, constraints={1: (-0.2, None)})
    value = Acquisition(
        objective, torch.tensor([-0.5], dtype=torch.float64), constraint=Constraint(constraint, 0.2, True)
    )
    assert torch.allclose(value(where), expected(where[:, None]).detach(), rtol=1e-6, atol=1e-6)
    nowhere = Acquisition(
        objective, torch.tensor([-0.5], dtype=torch.float64), constraint=Constraint(constraint, 0.2, False)
    )
    assert torch.allclose(nowhere(where), Constraint(constraint, 0.2, False).log_probability(where))


def test_a_fantasy_is_an_observation() -> None:
    """With fantasies of a pending trial, the posterior is BoTorch's with these as further observations."""
    rows, values = data()
    pending = torch.tensor(np.random.default_rng(3).random((2, DIMENSION)))
    normals = torch.tensor([[0.7, -1.1], [0.2, 0.4]], dtype=torch.float64)
    posterior = ours(rows, values, pending=pending, normals=normals)
    before = theirs(rows, values, PARAMETERS, posterior.mean)
    drawn = before.posterior(pending, observation_noise=True)
    spread = torch.linalg.cholesky(drawn.mvn.covariance_matrix)
    where = torch.tensor(np.random.default_rng(2).random((9, DIMENSION)))
    mean, deviation = posterior.moments(where)
    for number in range(2):
        fantasy = -(drawn.mean[:, 0] - spread @ normals[:, number])
        after = theirs(torch.cat([rows, pending]), torch.cat([values, fantasy.detach()]), PARAMETERS, posterior.mean)
        expected = after.posterior(where)
        assert torch.allclose(mean[:, number], -expected.mean[:, 0].detach(), atol=1e-7)
        assert torch.allclose(deviation[:, 0] ** 2, expected.variance[:, 0].detach(), atol=1e-7)


def test_what_is_expected_leaves_means_as_they_are() -> None:
    """Variances are BoTorch's with further observations; each fantasy's means are those without them."""
    rows, values = data()
    draw = np.random.default_rng(3)
    pending, further = torch.tensor(draw.random((2, DIMENSION))), torch.tensor(draw.random((4, DIMENSION)))
    normals = torch.tensor([[0.7, -1.1], [0.2, 0.4]], dtype=torch.float64)
    before = ours(rows, values, pending=pending, normals=normals)
    after = before.expecting(further)
    where = torch.tensor(draw.random((9, DIMENSION)))
    mean, deviation = after.moments(where)
    assert torch.allclose(mean, before.moments(where)[0], atol=1e-9)
    everywhere = torch.cat([rows, pending, further])
    expected = theirs(everywhere, torch.zeros(len(everywhere), dtype=torch.float64), PARAMETERS).posterior(where)
    assert torch.allclose(deviation[:, 0] ** 2, expected.variance[:, 0].detach(), atol=1e-7)
    assert (deviation < before.moments(where)[1]).all()


def test_improvement_is_accurate_far_out() -> None:
    """Where an improvement is less likely than floats can tell, its logarithm and its slope are right."""
    z = torch.tensor([-1e6, -1e3, -40.0, -5.0, -1.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    value = log_expected_improvement(-z, torch.ones_like(z), 0.0)
    (slope,) = torch.autograd.grad(value.sum(), z)
    far = -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - 2 * torch.log(-z)
    assert value[:2].tolist() == pytest.approx(far[:2].tolist(), rel=1e-6)
    assert slope[:3].tolist() == pytest.approx((-z)[:3].tolist(), rel=2e-3)
    assert float(value[5].detach()) == pytest.approx(-0.5 * math.log(2 * math.pi))
    assert float(slope[5]) == pytest.approx(0.5 * math.sqrt(2 * math.pi))
