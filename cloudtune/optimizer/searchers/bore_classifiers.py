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

    return _good(ExtraTreesClassifier(_TREES, min_samples_leaf=2, random_state=seed).fit(features, good))


def gradient_boosting(features: Array, good: npt.NDArray[np.bool_], seed: int) -> Classifier:
    """Boosted trees (Friedman 2001)."""
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(max_depth=3, subsample=0.8, max_features="sqrt", random_state=seed)
    return _good(model.fit(features, good))


def mlp(features: Array, good: npt.NDArray[np.bool_], seed: int) -> Classifier:
    """A network with two hidden layers of 32 units, trained for a fixed number of steps, but for at least 20 epochs."""
    from sklearn.neural_network import MLPClassifier

    batch = min(_MLP_BATCH, len(good))
    model = MLPClassifier((32, 32), alpha=1e-3, learning_rate_init=1e-2, batch_size=batch, random_state=seed)
    # Epoch by epoch: fit() would warn wherever it ends before it has converged.
    for _ in range(max(20, _MLP_STEPS * batch // len(good))):
        model.partial_fit(features, good, classes=[False, True])
    return _good(model)


def _good(model: Any) -> Classifier:
    return lambda features: np.asarray(model.predict_proba(features)[:, 1], dtype=np.float64)


#: By the names that users give.
CLASSIFIERS: dict[str, Callable[[Array, npt.NDArray[np.bool_], int], Classifier]] = {
    "random_forest": random_forest,
    "gradient_boosting": gradient_boosting,
    "mlp": mlp,
}
