"""Finds where an acquisition is greatest: many candidates, and gradient steps from the best few of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cloudtune.optimizer.searchers.bayesian.acquisition import Acquisition
from cloudtune.optimizer.searchers.bayesian.encoder import Array, Encoder
from cloudtune.optimizer.searchers.bayesian.quasi_newton import minimise

_NUM_STARTS = 4
_MAX_STEPS = 40
#: Rounds of steps in continuous columns and then in listed domains.
_ROUNDS = 3


def values_at(acquisition: Acquisition, rows: Array) -> Array:
    """The acquisition at rows, shape ``(n,)``; least where it is not a number."""
    with torch.no_grad():
        values: Array = acquisition(torch.from_numpy(rows)).numpy()
    return np.nan_to_num(values, nan=-np.inf, posinf=-np.inf)


def best_first(
    acquisition: Acquisition, encoder: Encoder, rows: Array, rng: np.random.Generator, kept: int | None = None
) -> Iterator[Array]:
    """Rows in order of the acquisition, greatest first: improved candidates, and the candidates themselves.

    Args:
        acquisition: What to maximise.
        encoder: Of the rows.
        rows: Candidates, shape ``(n, width)``, which stand for configurations.
        rng: Draws the candidates to start from.
        kept: Number of a domain whose values are not changed; None: all may be.
    """
    values = values_at(acquisition, rows)
    starts = rows[_chosen(values, rng)]
    listed = [number for number in encoder.listed if number != kept]
    improved = _climb(acquisition, encoder, listed, starts)
    rows = np.concatenate([improved, rows])
    values = np.concatenate([values_at(acquisition, improved), values])
    yield from rows[np.argsort(-values, kind="stable")]


def _chosen(values: Array, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The best candidate, and others in proportion to their improvement, without repetition."""
    order = np.argsort(-values, kind="stable")
    # The Gumbel trick: sampling without replacement, by logarithms.
    spread = values + rng.gumbel(size=len(values))
    others = [index for index in np.argsort(-spread, kind="stable") if index != order[0]]
    return np.array([order[0], *others[: _NUM_STARTS - 1]])


def _climb(acquisition: Acquisition, encoder: Encoder, listed: Sequence[int], rows: Array) -> Array:
    if not listed and not encoder.continuous:
        return rows
    if not listed:
        return _gradient_steps(acquisition, encoder, rows)
    for _ in range(_ROUNDS):
        before = rows
        if encoder.continuous:
            rows = _gradient_steps(acquisition, encoder, rows)
        rows = _listed_steps(acquisition, encoder, listed, rows)
        if np.array_equal(rows, before):
            break
    return rows


def _gradient_steps(acquisition: Acquisition, encoder: Encoder, rows: Array) -> Array:
    """Ascent in the continuous columns; a row that does not become better stays."""
    columns = encoder.continuous
    everywhere = len(columns) == encoder.width
    index = torch.tensor(columns)

    def objective(points: Array, which: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        free = torch.tensor(points, requires_grad=True)
        whole: Any = free if everywhere else torch.from_numpy(rows[which]).index_copy(1, index, free)
        values = -acquisition(whole)
        (gradients,) = torch.autograd.grad(values.sum(), free)
        return _usable(values.detach().numpy(), np.inf), _usable(gradients.numpy(), 0.0)

    bounds = np.zeros(len(columns)), np.ones(len(columns))
    moved: Array = rows.copy()
    moved[:, columns], _ = minimise(objective, rows[:, columns], *bounds, first_step=0.02, max_steps=_MAX_STEPS)
    return moved


def _usable(numbers: Array, instead: float) -> Array:
    usable: Array = np.where(np.isfinite(numbers), numbers, instead)
    return usable


def _listed_steps(acquisition: Acquisition, encoder: Encoder, listed: Sequence[int], rows: Array) -> Array:
    """For each row, the best change of the value of one listed domain after the other, as long as that helps."""
    rows = rows.copy()
    values = values_at(acquisition, rows)
    active = np.arange(len(rows))
    for _ in range(2 * len(listed)):
        others = [np.concatenate([encoder.alternatives(rows[i], number) for number in listed]) for i in active]
        bounds = np.cumsum([0, *map(len, others)])
        there = values_at(acquisition, np.concatenate(others))
        better = []
        for i, options, begin, end in zip(active, others, bounds[:-1], bounds[1:], strict=True):
            best = begin + int(there[begin:end].argmax()) if end > begin else -1
            if best >= 0 and there[best] > values[i]:
                rows[i], values[i] = options[best - begin], there[best]
                better.append(i)
        if not better:
            break
        active = np.array(better)
    return rows
