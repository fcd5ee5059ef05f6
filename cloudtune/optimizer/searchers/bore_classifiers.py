"""The classifiers that BORE may use, from scikit-learn: which configurations belong to the good ones?

Each learns from all trials as one class, and once more from the good ones as the other, weighted by how good they are.
Its odds are then the expected improvement, where those of good against bad would be the probability of improvement,
which is the same for all good ones (Song et al. 2022, "A General Recipe for Likelihood-free Bayesian Optimization",
ICML, section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Score of each row: the higher, the better.
Classifier = Callable[[Array], Array]

#: From encoded configurations, what each has gained (0: it is none of the good ones), and a seed.
Fit = Callable[[Array, Array, int], Classifier]

_TREES = 50
_MLP_STEPS = 200
_MLP_BATCH = 64


def svm(features: Array, gains: Array, seed: int) -> Classifier:
    """A support vector machine with a Gaussian kernel (Cortes and Vapnik 1995); its score is the signed distance."""
    from sklearn.svm import SVC

    model = SVC(random_state=seed).fit(*_two_classes(features, gains))
    return lambda rows: np.asarray(model.decision_function(rows), dtype=np.float64)


def random_forest(features: Array, gains: Array, seed: int) -> Classifier:
    """A forest of extremely randomised trees (Geurts et al. 2006), whose probabilities change in many small steps."""
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(_TREES, min_samples_leaf=2, random_state=seed)
    return _of_leaves(model.fit(*_two_classes(features, gains)))


def gradient_boosting(features: Array, gains: Array, seed: int) -> Classifier:
    """Boosted trees (Friedman 2001)."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(max_depth=3, subsample=0.8, max_features="sqrt", random_state=seed)
    return _good(model.fit(*_two_classes(features, gains)))


def mlp(features: Array, gains: Array, seed: int) -> Classifier:
    """A network with two hidden layers of 32 units, trained for a fixed number of steps, but for at least 20 epochs."""
    from sklearn.neural_network import MLPClassifier

    rows, classes, weights = _two_classes(features, gains)
    # Not every version of it takes weights: rows come as often as these say.
    times = np.rint(weights).astype(int)
    rows, classes = np.repeat(rows, times, axis=0), np.repeat(classes, times)
    batch = min(_MLP_BATCH, len(rows))
    epochs = max(20, _MLP_STEPS * batch // len(rows))
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
    return _good(model.fit(rows, classes))


def _two_classes(features: Array, gains: Array) -> tuple[Array, npt.NDArray[np.bool_], Array]:
    """Rows, whether each stands for a good one, and its weight."""
    good = gains > 0
    return (
        np.concatenate([features, features[good]]),
        np.repeat([False, True], [len(features), good.sum()]),
        np.concatenate([np.ones(len(features)), gains[good]]),
    )


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
CLASSIFIERS: dict[str, Fit] = {
    "svm": svm,
    "random_forest": random_forest,
    "gradient_boosting": gradient_boosting,
    "mlp": mlp,
}
