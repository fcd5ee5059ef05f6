"""Ours and others' optimizers, one evaluation after the other: configurations in, values out."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cloudtune.config_space import Categorical, Domain, Float, Integer, decode, dimension, encode
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.trial import Config, Trial

#: Asked for configurations; each time it is sent the value of the one before.
Course = Iterator[Config]

#: From a config space, a seed and a function to the values of the first so many configurations.
Optimizer = Callable[[Mapping[str, Any], int, Callable[[Config], float], int], list[float]]


def ours(searcher: str) -> Optimizer:
    """One of our searchers, by name."""

    def run(space: Mapping[str, Any], seed: int, function: Callable[[Config], float], count: int) -> list[float]:
        scheduler = FIFOScheduler(space, searcher, metric="loss", points_to_evaluate=[], random_seed=seed)
        values: list[float] = []
        for number in range(count):
            suggestion = scheduler.suggest()
            assert suggestion is not None
            assert suggestion.config is not None
            trial = Trial(number, suggestion.config)
            scheduler.on_trial_add(trial)
            values.append(function(trial.config))
            result = {"loss": values[-1]}
            scheduler.on_trial_result(trial, result)
            scheduler.on_trial_complete(trial, result)
        return values

    return run


def optuna(sampler: str) -> Optimizer:
    """One of Optuna's samplers (https://optuna.org), as it comes."""

    def run(space: Mapping[str, Any], seed: int, function: Callable[[Config], float], count: int) -> list[float]:
        library: Any = importlib.import_module("optuna")
        library.logging.set_verbosity(library.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = library.create_study(sampler=getattr(library.samplers, sampler)(seed=seed))
            study.optimize(lambda trial: function(_asked(trial, space)), n_trials=count)
        return [trial.value for trial in study.trials]

    return run


def _asked(trial: Any, space: Mapping[str, Any]) -> Config:
    return {name: _asked_for(trial, name, domain) for name, domain in space.items()}


def _asked_for(trial: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, Categorical):
        return trial.suggest_categorical(name, list(domain.categories))
    if isinstance(domain, Integer):
        return trial.suggest_int(name, domain.lower, domain.upper, log=domain.scale == "log")
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.lower, domain.upper, log=domain.scale == "log")
    raise TypeError(f"{domain} has no counterpart here; use a number or a category")


def botorch(space: Mapping[str, Any], seed: int, function: Callable[[Config], float], count: int) -> list[float]:
    """The loop of BoTorch's readme (https://botorch.org) over the encoded space, after 5 points of a Sobol sequence."""
    torch: Any = importlib.import_module("torch")
    acquisition: Any = importlib.import_module("botorch.acquisition")
    fitting: Any = importlib.import_module("botorch.fit")
    likelihoods: Any = importlib.import_module("gpytorch.mlls")
    models: Any = importlib.import_module("botorch.models")
    optim: Any = importlib.import_module("botorch.optim")
    torch.manual_seed(seed)
    width = dimension(space)
    bounds = torch.stack([torch.zeros(width, dtype=torch.float64), torch.ones(width, dtype=torch.float64)])
    first = torch.quasirandom.SobolEngine(width, scramble=True, seed=seed).draw(5, dtype=torch.float64)
    xs: list[Any] = []
    values: list[float] = []
    for number in range(count):
        if number < len(first):
            point = first[number]
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = models.SingleTaskGP(
                    torch.tensor(np.array(xs)), -torch.tensor(values, dtype=torch.float64)[:, None]
                )
                fitting.fit_gpytorch_mll(likelihoods.ExactMarginalLogLikelihood(model.likelihood, model))
                improvement = acquisition.LogExpectedImprovement(model, best_f=-min(values))
                candidate, _ = optim.optimize_acqf(improvement, bounds=bounds, q=1, num_restarts=5, raw_samples=128)
            point = candidate[0]
        config = decode(space, point.numpy())
        xs.append(encode(space, config))
        values.append(function(config))
    return values


OPTIMIZERS: Mapping[str, Optimizer] = {
    "cloudtune": ours("bayesopt"),
    "random": ours("random"),
    "optuna-gp": optuna("GPSampler"),
    "optuna-tpe": optuna("TPESampler"),
    "botorch": botorch,
}
