"""The classifiers that BORE may use, from scikit-learn: which configurations belong to the good ones?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Probability of the good class for each row.
Classifier = Callable[[Array], Array]

_TREES = 50
_MLP_STEPS = 200
_MLP_BATCH = 64


def random_forest(features: Array, good: npt.NDArray[np.bool_], seed: int) -> Classifier:
    """A forest of extremely randomised trees (Geurts et al. 2006), whose probabilities change in many small steps."""
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(_TREES, min_samples_leaf=2, random_state=seed)
    return _of_leaves(model.fit(features, good))


def gradient_boosting(features: Array, good: npt.NDArray[np.bool_], seed: int) -> Classifier:
    """Boosted trees (Friedman 2001)."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(max_depth=3, subsample=0.8, max_features="sqrt", random_state=seed)
    return _good(model.fit(features, good))


def mlp(features: Array, good: npt.NDArray[np.bool_], seed: int) -> Classifier:
    """A network with two hidden layers of 32 units, trained for a fixed number of steps, but for at least 20 epochs."""
    from sklearn.neural_network import MLPClassifier

    batch = min(_MLP_BATCH, len(good))
    epochs = max(20, _MLP_STEPS * batch // len(good))
    # No epoch counts as an improvement: training stops after so many, without a warning that it has not converged.
    model = MLPClassifier(
        (32, 32),
        alpha=1e-3,
        learning_rate_init=1e-2,
        batch_size=batch,
        max_iter=epochs + 1,
        n_iter_no_change=epochs - 2,
        tol=1e9,
        random_state=seed,
    )
    return _good(model.fit(features, good))


def _good(model: Any) -> Classifier:
    return lambda features: np.asarray(model.predict_proba(features)[:, 1], dtype=np.float64)


def _of_leaves(forest: Any) -> Classifier:
    """What ``predict_proba`` says, several times as fast for few rows: without checking them anew for every tree."""
    trees = [(tree.tree_, _shares(tree.tree_.value)) for tree in forest.estimators_]

    def probability(features: Array) -> Array:
        rows = np.ascontiguousarray(features, dtype=np.float32)
        found: Array = np.mean([shares[tree.apply(rows)] for tree, shares in trees], axis=0)
        return found

    return probability


def _shares(value: Array) -> Array:
    """Share of the good class in each node, from what a tree keeps of them, shape (nodes, 1, 2)."""
    return np.asarray(value[:, 0, 1] / value[:, 0, :].sum(1), dtype=np.float64)


#: By the names that users give.
CLASSIFIERS: dict[str, Callable[[Array, npt.NDArray[np.bool_], int], Classifier]] = {
    "random_forest": random_forest,
    "gradient_boosting": gradient_boosting,
    "mlp": mlp,
}
