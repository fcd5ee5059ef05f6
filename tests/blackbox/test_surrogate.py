"""Surrogates for configurations that a table does not have."""

from __future__ import annotations

import importlib.util
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import SimulatorBackend
from cloudtune.blackbox import Blackbox, Curve, TabularBlackbox, add_surrogate
from cloudtune.blackbox import surrogate as surrogate_module
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.config_space import ConfigSpaceError, encode
from cloudtune.errors import CloudtuneError
from cloudtune.optimizer.baselines import RandomSearch
from tests.backend.simulator.driving import Ramp
from tests.blackbox.small_tables import small_table, table_arguments

KINDS = [
    ("knn", {"n_neighbors": 3, "weights": "distance"}),
    ("random_forest", {"random_seed": 7, "n_estimators": 5, "max_depth": 3}),
]
OUTSIDE = {"x": 0.123, "width": 2, "kind": "a"}


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_rows_of_the_table_keep_their_curves(kind: str, options: dict[str, Any]) -> None:
    """A configuration that the table has is never guessed."""
    table = small_table()
    surrogate = add_surrogate(table, kind, **options)
    for row in range(table.num_configs):
        assert surrogate.curve(table.config_at(row), 1) == table.curve_at(row, 1)


def test_nearest_neighbour_is_near() -> None:
    """A configuration next to one of the table gets that one's curve; further keys do not matter."""
    table = small_table()
    surrogate = add_surrogate(table)
    for row in range(table.num_configs):
        config = table.config_at(row)
        beside = {**config, "x": config["x"] + 1e-6, "epochs": 27}
        assert surrogate.curve(beside, 1) == table.curve_at(row, 1)


def test_reaches_as_far_as_its_table() -> None:
    """First and last resource, and the repetitions, are the table's."""
    table = small_table(resources=[2, 4, 6, 8, 10])
    surrogate = add_surrogate(table)
    assert (surrogate.min_resource, surrogate.max_resource, surrogate.num_seeds) == (2, 10, 2)
    assert (table.min_resource, table.max_resource, table.num_seeds) == (2, 10, 2)


def test_neighbours_are_averaged() -> None:
    """Values and times of several neighbours are averaged, equally or by the inverse of their distance."""
    configs = {"x": [0.0, 0.4, 1.0], "width": [1, 1, 1], "kind": ["a", "a", "a"]}
    values = np.array([10.0, 20.0, 99.0])[:, None, None, None]
    elapsed = np.array([1.0, 3.0, 99.0])[:, None, None]
    table = small_table(configs=configs, values=values, metrics=["loss"], resources=[1], elapsed=elapsed)
    config = {"x": 0.1, "width": 1, "kind": "a"}
    assert add_surrogate(table, n_neighbors=2).curve(config) == Curve([1], {"loss": [15.0]}, [2.0])
    near = add_surrogate(table, n_neighbors=2, weights="distance").curve(config)
    assert near.metrics["loss"] == pytest.approx([12.5])
    assert near.elapsed == pytest.approx([1.5])


@pytest.mark.parametrize(("kind", "options"), [*KINDS, ("knn", {"n_neighbors": 1})])
def test_not_finite_values_come_from_the_nearest(kind: str, options: dict[str, Any]) -> None:
    """Where the nearest configuration diverges so does the guess; values of others that diverge poison nothing."""
    arguments = table_arguments(n_configs=12)
    values = arguments["values"]
    values[3, 0, 2:, 0] = math.nan
    values[3, 0, 4, 0] = math.inf
    values[7, 0, 3, 0] = -math.inf
    values[8, 0, 3, 0] = 1e300
    table = TabularBlackbox(**arguments)
    surrogate = add_surrogate(table, kind, **options)
    for row in range(12):
        config = table.config_at(row)
        losses = np.array(surrogate.curve({**config, "x": config["x"] + 1e-7}).metrics["loss"], dtype=np.float64)
        nearest = values[row, 0, :, 0]
        np.testing.assert_array_equal(np.isfinite(losses), np.isfinite(nearest))
        np.testing.assert_array_equal(losses[~np.isfinite(nearest)], nearest[~np.isfinite(nearest)])


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_configurations_are_encoded_when_one_is_missing(
    kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search over a full grid never waits until a large table is encoded; another does so once."""
    encoded: list[Any] = []

    def counting(space: Any, config: Any) -> Any:
        encoded.append(config)
        return encode(space, config)

    monkeypatch.setattr(surrogate_module, "encode", counting)
    table = small_table()
    surrogate = add_surrogate(table, kind, **options)
    surrogate.curve(table.config_at(3))
    assert not encoded
    surrogate.curve(OUTSIDE)
    assert len(encoded) == table.num_configs + 1
    surrogate.curve(OUTSIDE, 1)
    assert len(encoded) == table.num_configs + 2


def test_forest_follows_the_table() -> None:
    """A forest guesses losses that go with the parameter that they depend on, and times that increase."""
    table = TabularBlackbox(**table_arguments(n_configs=200))
    surrogate = add_surrogate(table, "random_forest")
    low, high = (surrogate.curve({**OUTSIDE, "x": x}) for x in (0.1, 0.9))
    assert [high - low for high, low in zip(_losses(high), _losses(low), strict=True)] == pytest.approx(
        [0.8] * 5, abs=0.15
    )
    for curve in (low, high):
        assert np.all(np.diff(curve.elapsed) > 0)
        assert curve.elapsed == pytest.approx([12.0 * level for level in range(1, 6)], rel=0.15)


def _losses(curve: Curve) -> list[float]:
    return [float(value) for value in curve.metrics["loss"] if value is not None]


@pytest.mark.defect("C13")
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_pickled_with_all_arguments(kind: str, options: dict[str, Any]) -> None:
    """A surrogate that went through a pickle, by itself or in a backend, has its options and gives the same curves."""
    table = TabularBlackbox(**table_arguments(n_configs=20))
    surrogate = add_surrogate(table, kind, **options)
    fitted = surrogate.curve(OUTSIDE, 1)
    plain = add_surrogate(table, kind).curve(OUTSIDE, 1)
    assert fitted != plain
    backend = SimulatorBackend(surrogate)
    for again in (pickle.loads(pickle.dumps(surrogate)), pickle.loads(pickle.dumps(backend)).blackbox):
        assert again.curve(OUTSIDE, 1) == fitted
        kept = {**vars(again), **vars(again).get("forest_options", {})}
        assert {name: kept[name] for name in options} == options


@pytest.mark.defect("C13")
def test_loaded_tuner_has_the_surrogate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tuner of an experiment, loaded from its snapshot, simulates the same curves."""
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path))
    surrogate = add_surrogate(small_table(), n_neighbors=2)
    tuner = Tuner(
        SimulatorBackend(surrogate),
        RandomSearch(surrogate.config_space, metric="loss", random_seed=0),
        StoppingCriterion(max_num_trials_started=2),
        n_workers=1,
        callbacks=[ProgressCallback(live=False)],
    )
    tuner.run()
    loaded = Tuner.load(tuner.tuner_path).trial_backend
    assert isinstance(loaded, SimulatorBackend)
    assert loaded.blackbox.curve(OUTSIDE) == surrogate.curve(OUTSIDE)


def test_bad_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options out of range, unknown kinds, what is no table, values outside the space, and a missing library."""
    table = small_table()
    for n_neighbors in (0, 7, True, 1.5):
        with pytest.raises(ValueError, match="n_neighbors must be an integer from 1 to 6"):
            add_surrogate(table, n_neighbors=n_neighbors)
    assert add_surrogate(table, n_neighbors=np.int64(3)).curve(OUTSIDE) == add_surrogate(table, n_neighbors=3).curve(
        OUTSIDE
    )
    with pytest.raises(ValueError, match="weights must be"):
        add_surrogate(table, weights="far")
    with pytest.raises(ValueError, match="there is no surrogate 'gp'; use 'knn' or 'random_forest'"):
        add_surrogate(table, "gp")
    with pytest.raises(TypeError, match="Ramp is no table"):
        add_surrogate(Ramp())
    with pytest.raises(ConfigSpaceError, match="parameter 'x'"):
        add_surrogate(table).curve({**OUTSIDE, "x": 5.0})
    with pytest.raises(TypeError, match="the surrogate 'knn' has no option 'neighbors'; it has n_neighbors, weights"):
        add_surrogate(table, neighbors=3)
    empty = small_table(values=np.full((6, 2, 5, 2), np.nan))
    with pytest.raises(ValueError, match="no configuration of the table has a finite curve"):
        add_surrogate(empty, "random_forest")
    assert isinstance(add_surrogate(empty), Blackbox)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CloudtuneError, match=r"pip install 'cloudtune\[benchmarks\]'"):
        add_surrogate(table, "random_forest")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_estimators": 0}, ValueError, "n_estimators must be an integer of at least 1, the number of trees, got 0"),
        ({"n_estimators": 2.5}, ValueError, "n_estimators must be an integer .*, got 2.5"),
        ({"random_seed": "a"}, ValueError, "random_seed must be an integer from 0 to 4294967295, .*, got 'a'"),
        ({"random_seed": -1}, ValueError, "random_seed must be an integer from 0 .*, got -1"),
        ({"random_state": 3}, TypeError, "has no option 'random_state'; use random_seed"),
        ({"max_deepth": 3}, TypeError, "has no option 'max_deepth'; it has random_seed, n_estimators, .*max_depth"),
        ({"n_neighbors": 3}, TypeError, "the surrogate 'random_forest' has no option 'n_neighbors'"),
    ],
)
def test_options_of_a_forest_are_checked_at_once(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Not in scikit-learn's words, when the first configuration is missing in the table."""
    with pytest.raises(error, match=message):
        add_surrogate(small_table(), "random_forest", **options)


def test_a_forest_that_cannot_be_fitted_names_its_options() -> None:
    """What only scikit-learn knows about the value of an option comes with the option."""
    surrogate = add_surrogate(small_table(), "random_forest", max_depth=-3)
    with pytest.raises(ValueError, match=r"cannot fit the forest of this surrogate .*which are max_depth=-3"):
        surrogate.curve(OUTSIDE)
