"""Fits the Gaussian processes to what trials have shown, and makes the acquisition of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from cloudtune.optimizer.searchers.bayesian.acquisition import Acquisition, Constraint, Cost
from cloudtune.optimizer.searchers.bayesian.encoder import Array
from cloudtune.optimizer.searchers.bayesian.fit import Fit, fit
from cloudtune.optimizer.searchers.bayesian.initial_design import sobol_normals
from cloudtune.optimizer.searchers.bayesian.kernel import Kernel
from cloudtune.optimizer.searchers.bayesian.maximum import values_at
from cloudtune.optimizer.searchers.bayesian.posterior import Posterior
from cloudtune.optimizer.searchers.bayesian.snapshot import ModelOptions, Snapshot
from cloudtune.optimizer.searchers.bayesian.subset import Indices, chosen
from cloudtune.optimizer.searchers.bayesian.targets import imputed, objective_targets, signed_logarithms, standardised

#: Fantasies of what pending trials will show.
_NUM_FANTASIES = 16

#: A level is what improvement counts at if so many trials have finite values there (as in BOHB).
_ENOUGH = 3

#: Best configurations that candidates are made around.
_NUM_INCUMBENTS = 5

#: A model of at least so many observations is fitted again once there are so many times more: parameters hardly change
#: by a few of them, and fits are what takes time.
_FEW = 100
_MORE = 1.1

#: Trials below the level at which improvement counts that are expected there, at most: those that promise most.
_MAX_EXPECTED = 64


class Models:
    """The models of one suggestion.

    Args:
        snapshot: What is known; at least one observation is finite.
        options: How they are made.
    """

    def __init__(self, snapshot: Snapshot, options: ModelOptions) -> None:
        self._snapshot = snapshot
        self._options = options
        levels = snapshot.levels
        top = math.log(levels[-1]) if levels and levels[-1] > 1 else 1.0
        self._places = [math.log(level) / top for level in levels]
        warped = snapshot.encoder.ordered if options.input_warping else []
        self._kernel = _kernel(snapshot.encoder.owners, bool(levels), tuple(warped), snapshot.encoder.categories)
        shown = snapshot.observations
        self._rows = np.stack([one.row for one in shown])
        self._levels = np.array([one.level for one in shown])
        self._objective = np.array([one.shown.objective for one in shown])
        self._pending = self._inputs(
            np.array([row for row, _ in snapshot.pending]).reshape(-1, self._rows.shape[1]),
            [level for _, level in snapshot.pending],
        )
        #: Logarithms of the parameters that were found, by name of the model.
        self.parameters: dict[str, list[float]] = {}
        #: How many observations each was fitted to.
        self.fitted: dict[str, int] = {}
        #: How many fits have failed.
        self.failed_fits = 0

    def acquisition(self) -> tuple[Acquisition, Array]:
        """The acquisition, and the rows of the best configurations so far, best first."""
        trials = np.array([one.trial for one in self._snapshot.observations])
        values = objective_targets(self._objective, self._levels, trials)
        normals = torch.zeros((0, 1), dtype=torch.float64)
        if len(self._pending):
            normals = sobol_normals(len(self._pending), _NUM_FANTASIES, self._snapshot.rng(1))
        posterior = self._posterior("objective", np.arange(len(values), dtype=np.int64), values, normals)
        level = self._target_level()
        constraint = self._constraint() if self._options.constraint else None
        below = self._below(level)
        best, incumbents = self._best(posterior, level, below, constraint)
        place = self._places[level] if self._places else None
        acquisition = Acquisition(posterior, best, place, constraint, self._cost())
        if len(below):
            foremost = below[np.argsort(-values_at(acquisition, below), kind="stable")[:_MAX_EXPECTED]]
            there = torch.from_numpy(self._inputs(foremost, [level] * len(foremost)))
            acquisition = replace(acquisition, posterior=posterior.expecting(there))
        return acquisition, incumbents

    def _best(
        self, posterior: Posterior, level: int, below: Array, constraint: Constraint | None
    ) -> tuple[torch.Tensor, Array]:
        """The least mean at a level for each fantasy, and the rows of the best configurations, best first."""
        here = (self._levels == level) & np.isfinite(self._objective)
        if constraint is not None:
            here &= np.array([_is_feasible(one.shown.constraint) for one in self._snapshot.observations])
        rows = self._rows[here] if here.any() else self._rows
        if constraint is None:
            rows = np.concatenate([rows, below])
        with torch.no_grad():
            means = posterior.moments(torch.from_numpy(self._inputs(rows, [level] * len(rows))))[0]
            best = means.min(0).values
            if constraint is None and len(self._pending):
                # A pending trial may turn out to be the best one.
                pending = self._inputs(self._pending[:, : rows.shape[1]], [level] * len(self._pending))
                best = torch.minimum(best, posterior.moments(torch.from_numpy(pending))[0].min(0).values)
        order = np.argsort(means.mean(1).numpy(), kind="stable")
        return best, rows[order[:_NUM_INCUMBENTS]]

    def _below(self, level: int) -> Array:
        """Configurations of trials that have shown nothing at this level, and do not show it next.

        One that was stopped or waits below leaves the model as uncertain of the level as it was. If that counted, the
        same place would promise the same improvement again, and be proposed again and again, each time to end below.
        """
        shown = {one.row.tobytes(): one.row for one in self._snapshot.observations}
        there = {one.row.tobytes() for one in self._snapshot.observations if one.level == level}
        for row, at in self._snapshot.pending:
            shown[row.tobytes()] = row
            if at == level:
                there.add(row.tobytes())
        rows = [row for key, row in shown.items() if key not in there] if self._places else []
        return np.array(rows).reshape(-1, self._rows.shape[1])

    def _inputs(self, rows: Array, levels: Sequence[int]) -> Array:
        """Rows with the column of the resource, if there is one."""
        if not self._places:
            return rows
        return np.column_stack([rows, [self._places[level] for level in levels]])

    def _posterior(self, name: str, which: Indices, values: Array, normals: torch.Tensor) -> Posterior:
        """Fits a model to observations ``which`` with these values."""
        subset = chosen(self._rows[which], values, self._levels[which], self._options.max_size_data_for_model)
        where = which[subset]
        rows = torch.from_numpy(self._inputs(self._rows[where], self._levels[where].tolist()))
        values_there = torch.from_numpy(values[subset])
        found = self._fit(name, len(which), rows, values_there)
        return Posterior(self._kernel, found, rows, values_there, torch.from_numpy(self._pending), normals)

    def _fit(self, name: str, count: int, rows: torch.Tensor, values: torch.Tensor) -> Fit:
        """Fits to ``count`` observations, or these of them; later again only once there are enough more."""
        warm = self._snapshot.warm.get(name)
        # A log of another version may hold parameters of another kernel.
        known = np.array(warm) if warm is not None and len(warm) == self._kernel.num_parameters else None
        fitted = self._snapshot.fitted.get(name, 0)
        if known is not None and _FEW <= fitted <= count < fitted * _MORE:
            found = Fit(known)
        else:
            found, fitted = fit(self._kernel, rows, values, known), count
            self.failed_fits += found.failed
        self.fitted[name] = 0 if found.failed else fitted
        self.parameters[name] = [float(f"{parameter:.6g}") for parameter in found.parameters]
        return found

    def _target_level(self) -> int:
        """The highest level that enough trials have reached, else the lowest that any has."""
        finite = self._levels[np.isfinite(self._objective)]
        counts = np.bincount(finite, minlength=1)
        enough = np.flatnonzero(counts >= _ENOUGH)
        return int(enough[-1]) if len(enough) else int(finite.min())

    def _constraint(self) -> Constraint:
        shown = [one.shown.constraint for one in self._snapshot.observations]
        which = np.array([number for number, value in enumerate(shown) if value is not None], dtype=np.int64)
        if not len(which):
            raise ValueError(
                "no trial has reported the value of constraint_attr; report it together with the metric, or leave "
                "constraint_attr out"
            )
        raw = np.array([value for value in shown if value is not None])
        if not np.isfinite(raw).any():
            raw = np.ones(len(raw))
        values, scale = standardised(signed_logarithms(imputed(raw, self._levels[which])))
        posterior = self._posterior("constraint", which, values, self._means_of_pending())
        return Constraint(posterior, float(scale(np.zeros(1))[0]), any(map(_is_feasible, shown)))

    def _cost(self) -> Cost | None:
        if self._options.cost_exponent is None:
            return None
        shown = [one.shown.cost for one in self._snapshot.observations]
        which = np.array([number for number, value in enumerate(shown) if value is not None], dtype=np.int64)
        if not len(which):
            raise ValueError(
                "no trial has reported a positive value of cost_attr; report it together with the metric, or leave "
                "cost_attr out"
            )
        values, scale = standardised(np.log([value for value in shown if value is not None]))
        posterior = self._posterior("cost", which, values, self._means_of_pending())
        return Cost(posterior, scale.deviation, self._options.cost_exponent)

    def _means_of_pending(self) -> torch.Tensor:
        """One fantasy: what is expected."""
        return torch.zeros((len(self._pending), 1), dtype=torch.float64)


@lru_cache(maxsize=16)
def _kernel(owners: tuple[int, ...], resource: bool, warped: tuple[int, ...], categories: tuple[int, ...]) -> Kernel:
    return Kernel(owners, resource, warped, categories)


def _is_feasible(constraint: float | None) -> bool:
    return constraint is not None and constraint <= 0
