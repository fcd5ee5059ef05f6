"""What a suggestion of Bayesian optimisation takes, fit included, against plain BoTorch's own loop in the same run.

Both run in one process with one thread: matrices of this size are handled fastest so, by both.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarking.overhead.measurement import Row, in_turn
from cloudtune.config_space import uniform
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.trial import Trial

Array = npt.NDArray[np.float64]

SIZES = (50, 100, 200)
DIMENSIONS = (4, 10)
#: Suggestions, each with one observation more than the one before, whose mean time is one measurement.
STEPS = 3
#: Share of the time of plain BoTorch that may be taken.
LIMIT = 0.5


def objective(x: Array) -> float:
    """A smooth function with several valleys."""
    return float(((x - 0.3) ** 2).sum() + 0.3 * np.cos(9.0 * x).sum())


def points(count: int, dimension: int) -> Array:
    """The same random points for all."""
    return np.random.default_rng(0).random((count, dimension))


class Ours:
    """Our searcher, by suggest and report; it has made one suggestion by its model before it is measured."""

    def __init__(self, count: int, dimension: int) -> None:
        self._names = [f"x{i}" for i in range(dimension)]
        space = {name: uniform(0, 1) for name in self._names}
        xs = points(count, dimension)
        known = [dict(zip(self._names, x.tolist(), strict=True)) for x in xs[:-1]]
        self._scheduler = FIFOScheduler(
            space, "bayesopt", metric="loss", random_seed=0, points_to_evaluate=known, search_options={}
        )
        self._trials = 0
        for _ in known:
            self.step()
        self.step()

    def step(self) -> float:
        """Seconds of one suggestion, which is then observed."""
        begin = time.perf_counter()
        suggestion = self._scheduler.suggest()
        taken = time.perf_counter() - begin
        assert suggestion is not None
        assert suggestion.config is not None
        trial = Trial(self._trials, suggestion.config)
        self._trials += 1
        self._scheduler.on_trial_add(trial)
        loss = objective(np.array([trial.config[name] for name in self._names]))
        self._scheduler.on_trial_result(trial, {"loss": loss})
        self._scheduler.on_trial_complete(trial, {"loss": loss})
        return taken


class PlainBoTorch:
    """The loop that its readme shows: SingleTaskGP, fit_gpytorch_mll, LogExpectedImprovement, optimize_acqf."""

    def __init__(self, count: int, dimension: int) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._x = self._torch.tensor(points(count, dimension))
        self._y = self._torch.tensor([[-objective(x.numpy())] for x in self._x], dtype=self._torch.float64)
        self.step()

    def step(self) -> float:
        """Seconds of one suggestion, which is then observed."""
        acquisition: Any = importlib.import_module("botorch.acquisition")
        fitting: Any = importlib.import_module("botorch.fit")
        likelihoods: Any = importlib.import_module("gpytorch.mlls")
        models: Any = importlib.import_module("botorch.models")
        optim: Any = importlib.import_module("botorch.optim")
        transforms: Any = importlib.import_module("botorch.models.transforms")
        dimension = self._x.shape[1]
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = models.SingleTaskGP(
                self._x,
                self._y,
                input_transform=transforms.Normalize(d=dimension),
                outcome_transform=transforms.Standardize(m=1),
            )
            fitting.fit_gpytorch_mll(likelihoods.ExactMarginalLogLikelihood(model.likelihood, model))
            improvement = acquisition.LogExpectedImprovement(model, best_f=self._y.max())
            bounds = self._torch.stack(
                [self._torch.zeros(dimension, dtype=self._x.dtype), self._torch.ones(dimension, dtype=self._x.dtype)]
            )
            candidate, _ = optim.optimize_acqf(improvement, bounds=bounds, q=1, num_restarts=5, raw_samples=20)
        taken = time.perf_counter() - begin
        self._x = self._torch.cat([self._x, candidate])
        value = self._torch.tensor([[-objective(candidate[0].numpy())]], dtype=self._y.dtype)
        self._y = self._torch.cat([self._y, value])
        return taken


def seconds_of_both(size: int, dimension: int, repeats: int) -> list[float]:
    """Medians for ours and for plain BoTorch, in turn."""

    def mean(loop: Ours | PlainBoTorch) -> float:
        return float(np.mean([loop.step() for _ in range(STEPS)]))

    return in_turn(repeats, lambda: mean(Ours(size, dimension)), lambda: mean(PlainBoTorch(size, dimension)))


def measure(repeats: int) -> list[Row]:
    """A row for each number of observations and of dimensions."""
    if importlib.util.find_spec("botorch") is None:
        return []
    rows = []
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for dimension in DIMENSIONS:
        for size in SIZES:
            arguments = f"{size}, {dimension}, {repeats}"
            program = f"from benchmarking.overhead import bayesian; print(*bayesian.seconds_of_both({arguments}))"
            done = subprocess.run(
                [sys.executable, "-c", program],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, **one_thread},
            )
            value, floor = map(float, done.stdout.split())
            work = f"BO: a suggestion with {size} observations in {dimension} dimensions"
            rows.append(Row(work, value, floor, "s", LIMIT, "plain BoTorch"))
    return rows
