"""Small tables of learning curves for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.config_space import choice, randint, uniform

SPACE = {"x": uniform(0, 1), "width": randint(1, 4), "kind": choice(["a", "b"])}


def table_arguments(n_configs: int = 6, n_seeds: int = 2, n_resources: int = 5) -> dict[str, Any]:
    """Arguments of a table over SPACE with the metrics ``loss``, which falls to ``x``, and ``accuracy``.

    Each resource takes 10 seconds, and one more for each unit of ``width``.
    """
    rng = np.random.default_rng(7)
    x = [float(value) for value in rng.random(n_configs)]
    width = [1 + row % 4 for row in range(n_configs)]
    resources = np.arange(1, n_resources + 1)
    noise = 0.01 * rng.random((n_configs, n_seeds, n_resources))
    loss = np.array(x)[:, None, None] + 1 / resources + noise
    elapsed = (10.0 + np.array(width))[:, None, None] * resources * np.ones((1, n_seeds, 1))
    return {
        "config_space": SPACE,
        "configs": {"x": x, "width": width, "kind": ["a" if row % 2 else "b" for row in range(n_configs)]},
        "values": np.stack([loss, 1 - loss], axis=-1),
        "metrics": ["loss", "accuracy"],
        "resources": resources,
        "resource_attr": "epoch",
        "elapsed": elapsed,
    }


def small_table(**changed: Any) -> TabularBlackbox:
    """Such a table, with some of its arguments changed."""
    return TabularBlackbox(**{**table_arguments(), **changed})
