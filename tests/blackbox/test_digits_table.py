"""The table that is shipped: the digits benchmark, recorded."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarking.definitions.digits_mlp import digits_mlp
from benchmarking.record_digits_table import configurations, train
from cloudtune.blackbox import TabularBlackbox, load_blackbox
from cloudtune.blackbox.registry import SHIPPED
from cloudtune.config_space import search_space


@pytest.fixture(scope="module")
def shipped() -> TabularBlackbox:
    """The table, found by its name."""
    blackbox = load_blackbox("digits_mlp")
    assert isinstance(blackbox, TabularBlackbox)
    return blackbox


def test_it_is_the_benchmark(shipped: TabularBlackbox) -> None:
    """Space, metric and resource are those of the benchmark; the configurations those that the script draws."""
    benchmark = digits_mlp()
    assert shipped.config_space == search_space(benchmark.config_space)
    assert benchmark.metric in shipped.metrics
    assert shipped.resource_attr == benchmark.resource_attr
    assert shipped.max_resource == benchmark.config_space["max_epochs"] == 27
    assert shipped.num_configs >= 300
    assert [shipped.config_at(row) for row in range(5)] == configurations(5)
    assert (SHIPPED / "digits_mlp.npz").stat().st_size < 500_000


def test_it_is_worth_searching(shipped: TabularBlackbox) -> None:
    """Errors are shares; some configurations learn, some do not; training times differ as widths and batches do."""
    errors = shipped.values[..., shipped.metrics.index("validation_error")]
    assert np.isfinite(errors).all()
    assert errors.min() < 0.02
    assert errors.max() > 0.5
    whole = shipped.elapsed[:, 0, -1]
    assert whole.max() > 10 * whole.min()


def test_it_can_be_recorded_again(shipped: TabularBlackbox) -> None:
    """Training a configuration again gives the curve in the table, up to the arithmetic of another machine."""
    config = shipped.config_at(0)
    again = train(config, 0)["reports"]
    curve = shipped.curve(config, seed=0)
    for epoch in (0, 1, 2):
        assert again[epoch]["train_loss"] == pytest.approx(curve.metrics["train_loss"][epoch], rel=0.05)
        assert again[epoch]["validation_error"] == pytest.approx(curve.metrics["validation_error"][epoch], abs=0.02)
