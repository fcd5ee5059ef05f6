"""Surrogates: a guess at the curves of configurations that a table does not have."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.blackbox.blackbox import Blackbox, Curve
from cloudtune.blackbox.surrogate_options import check_forest_options, check_names, checked_number, checked_seed
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.config_domains import is_json_value, plain_value
from cloudtune.config_space import encode
from cloudtune.errors import CloudtuneError

Array = npt.NDArray[np.float64]

_WEIGHTS = ("uniform", "distance")


class SurrogateBlackbox(Blackbox):
    """A table, and for configurations that it does not have what their neighbours suggest.

    A configuration of the table keeps its own curve. For another one, distances are those of encoded configurations
    (every parameter in [0, 1] on its own scale, categories as one-hot vectors); of two neighbours as near, the earlier
    row counts as nearer. Where the nearest neighbour's value is not finite, neither is the guess: it has that very
    value, since regions where training diverges are real. Other guesses are made from finite values alone.

    Args:
        table: The table.
        n_neighbors: How many neighbours are averaged, values and times. 1: the nearest one's curve as it is.
        weights: ``"uniform"``, or ``"distance"``: by the inverse of the distance.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, table: TabularBlackbox, n_neighbors: int = 1, weights: str = "uniform") -> None:
        if weights not in _WEIGHTS:
            raise ValueError(f"weights must be {' or '.join(map(repr, _WEIGHTS))}, got {weights!r}")
        self.table = table
        self.n_neighbors = checked_number(
            "n_neighbors", n_neighbors, 1, table.num_configs, "the number of configurations"
        )
        self.weights = weights
        self.config_space = table.config_space
        self.metrics = table.metrics
        self.resource_attr = table.resource_attr
        self.min_resource = table.min_resource
        self.max_resource = table.max_resource
        self.num_seeds = table.num_seeds

    def identity(self) -> dict[str, Any]:
        """See :meth:`Blackbox.identity`: also that of the table, and the options."""
        return {**self.table.identity(), "kind": type(self).__name__, "options": self._options()}

    def _options(self) -> dict[str, Any]:
        return {"n_neighbors": self.n_neighbors, "weights": self.weights}

    @cached_property
    def _features(self) -> Array:
        """The encoded configurations of the table, one per row. A search over a full grid never needs them."""
        return np.array([encode(self.config_space, self.table.config_at(row)) for row in range(self.table.num_configs)])

    def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
        """See :meth:`Blackbox.curve`.

        Raises:
            NotInTable: The configuration lacks a parameter.
            ConfigSpaceError: A value is not in its domain.
        """
        seed %= self.num_seeds
        row = self.table.row_of(config)
        if row is not None:
            return self.table.curve_at(row, seed)
        features = encode(self.config_space, config)
        distances = np.sqrt(np.sum((self._features - features) ** 2, axis=1))
        rows = np.argsort(distances, kind="stable")[: self.n_neighbors]
        nearest = self.table.values[rows[0], seed].astype(np.float64)
        guess, elapsed = self._guess(features, rows, distances[rows], seed)
        values = np.where(np.isfinite(nearest), guess, nearest)
        metrics = dict(zip(self.metrics, values.T.tolist(), strict=True))
        return Curve(self.table.resources.tolist(), metrics, elapsed.tolist())

    def _guess(self, features: Array, rows: npt.NDArray[np.intp], distances: Array, seed: int) -> tuple[Array, Array]:
        """Values of shape (n_resources, n_metrics), which need be right only where the nearest is finite; and times.

        Args:
            features: The encoded configuration.
            rows: Of its neighbours, the nearest first.
            distances: To them.
            seed: Which repetition.
        """
        weights = np.ones(len(rows)) if self.weights == "uniform" else 1 / np.maximum(distances, 1e-12)
        values = self.table.values[rows, seed].astype(np.float64)
        # A value near the largest float would overflow in a sum of weighted values: shares do not.
        finite = np.isfinite(values)
        parts = np.where(finite, weights[:, None, None], 0.0)
        parts /= np.maximum(parts.sum(axis=0), np.finfo(np.float64).tiny)
        guess = np.sum(np.where(finite, values, 0.0) * parts, axis=0)
        elapsed = np.tensordot(weights / weights.sum(), self.table.elapsed[rows, seed], axes=1)
        return guess, elapsed


class ForestBlackbox(SurrogateBlackbox):
    """A table, and for configurations that it does not have what a random forest (Breiman 2001) predicts.

    One forest for each seed, fitted when it is first needed, maps encoded configurations to whole curves: values on the
    scale of ``sign(y) log(1 + |y|)``, so that a loss of 1e18 does not drown all others, and the times between reports.
    It is fitted to the configurations whose curves are finite from end to end.

    Args:
        table: The table.
        random_seed: Of the forest. The same seed and version of scikit-learn give the same curves.
        n_estimators: Number of trees.
        forest_options: Further arguments for scikit-learn's ``RandomForestRegressor``, picklable.

    Raises:
        CloudtuneError: scikit-learn is not installed.
        TypeError: scikit-learn's forest has no such option.
        ValueError: An argument is out of range, or no configuration has a finite curve.
    """

    def __init__(
        self, table: TabularBlackbox, random_seed: int = 0, n_estimators: int = 50, **forest_options: Any
    ) -> None:
        super().__init__(table)
        if importlib.util.find_spec("sklearn") is None:
            raise CloudtuneError(
                "a random forest as surrogate needs scikit-learn, which is not installed: "
                "pip install 'cloudtune[benchmarks]'"
            )
        check_forest_options(forest_options)
        self.random_seed = checked_seed(random_seed)
        self.n_estimators = checked_number("n_estimators", n_estimators, 1, None, "the number of trees")
        self.forest_options = forest_options
        self._finite = np.isfinite(table.values).all(axis=(2, 3))
        if not self._finite.any(axis=0).all():
            raise ValueError(
                "no configuration of the table has a finite curve, so that a forest has nothing to learn from; "
                'use add_surrogate(blackbox, "knn")'
            )
        self._forests: dict[int, Any] = {}

    def _options(self) -> dict[str, Any]:
        own = {"random_seed": self.random_seed, "n_estimators": self.n_estimators}
        more = {name: plain_value(value) for name, value in self.forest_options.items()}
        return {
            **own,
            **{name: value if is_json_value(value) else type(value).__name__ for name, value in more.items()},
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_forests": {}}  # fitted again when needed, to the same

    def _guess(self, features: Array, rows: npt.NDArray[np.intp], distances: Array, seed: int) -> tuple[Array, Array]:
        if seed not in self._forests:
            self._forests[seed] = self._fit(seed)
        predicted = self._forests[seed].predict(features[None])[0]
        shape = self.table.values.shape[2:]
        values = _from_log(predicted[shape[0] :].reshape(shape))
        elapsed: Array = np.cumsum(predicted[: shape[0]])
        return values, elapsed

    def _fit(self, seed: int) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        learnt = self._finite[:, seed]
        steps = np.diff(self.table.elapsed[learnt, seed], axis=1, prepend=0.0)
        values = _to_log(self.table.values[learnt, seed].astype(np.float64)).reshape(len(steps), -1)
        forest = RandomForestRegressor(self.n_estimators, random_state=self.random_seed, **self.forest_options)
        try:
            return forest.fit(self._features[learnt], np.hstack([steps, values]))
        except ValueError as error:
            given = ", ".join(f"{name}={value!r}" for name, value in self.forest_options.items()) or "none"
            raise ValueError(
                f"scikit-learn cannot fit the forest of this surrogate ({error}); correct its options, which are "
                f"{given}"
            ) from error


def _to_log(values: Array) -> Array:
    moved: Array = np.sign(values) * np.log1p(np.abs(values))
    return moved


def _from_log(values: Array) -> Array:
    back: Array = np.sign(values) * np.expm1(np.abs(values))
    return back


_KINDS: dict[str, type[SurrogateBlackbox]] = {"knn": SurrogateBlackbox, "random_forest": ForestBlackbox}


def add_surrogate(blackbox: Blackbox, kind: str = "knn", **options: Any) -> SurrogateBlackbox:
    """A blackbox that also has curves for configurations that are not in the table.

    Args:
        blackbox: A table.
        kind: ``"knn"`` (see :class:`SurrogateBlackbox`) or ``"random_forest"`` (see :class:`ForestBlackbox`).
        options: Further arguments of that class.

    Raises:
        TypeError: The blackbox is no table, or there is no such option.
        ValueError: There is no such kind, or an option is out of range.
    """
    if not isinstance(blackbox, TabularBlackbox):
        raise TypeError(f"a surrogate stands in for a table's missing rows; {type(blackbox).__name__} is no table")
    if kind not in _KINDS:
        raise ValueError(f"there is no surrogate {kind!r}; use {' or '.join(map(repr, _KINDS))}")
    check_names(kind, _KINDS[kind], options)
    return _KINDS[kind](blackbox, **options)
