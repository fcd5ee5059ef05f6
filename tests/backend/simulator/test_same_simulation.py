"""An experiment is continued in the simulation that it began in: what makes another one is refused by name."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend.simulator_backend import SimulatedDelays, SimulatorBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.blackbox import Blackbox, ConstantTime, TabularBlackbox, add_surrogate
from cloudtune.config_space import randint
from cloudtune.continuing import check_same_backend
from cloudtune.errors import ExperimentMismatch
from cloudtune.optimizer.baselines import RandomSearch
from tests.backend.simulator.driving import SPACE, Ramp
from tests.backend.simulator.test_experiments import crossing_table, make_tuner, random_search
from tests.virtual import Machine, Program, VirtualBackend
from tests.virtual_tuner import curve


def run(folder: Path, trials: int, blackbox: Blackbox | None = None, **settings: Any) -> Tuner:
    """Begins an experiment, or continues it, in a simulation with these settings."""
    backend = SimulatorBackend(blackbox or crossing_table(), **settings)
    scheduler = random_search(crossing_table(), epochs=9)
    criterion = StoppingCriterion(max_num_trials_started=trials)
    tuner = make_tuner(folder, backend, scheduler, stop_criterion=criterion, save_tuner=False)
    tuner.run()
    return tuner


def other_values() -> TabularBlackbox:
    """The same table but for one value."""
    values = np.array(crossing_table().values)
    values[17, 1, 4, 0] += 1e-9
    return crossing_table(values=values)


OTHER: list[tuple[str, dict[str, Any]]] = [
    ("seed = 0, now it is 1", {"seed": 1}),
    (r"delays\['start'\] = 0.0, now it is 100", {"delays": SimulatedDelays(start=100)}),
    ("checkpoints = true, now it is false", {"checkpoints": False}),
    ("delete_checkpoints = false, now it is true", {"delete_checkpoints": True}),
    ("count_scheduler_time = false, now it is true", {"count_scheduler_time": True}),
    ('max_resource_attr = null, now it is "epochs"', {"max_resource_attr": "epochs"}),
    (r"blackbox\['curves'\] = ", {"blackbox": other_values()}),
    (r"blackbox\['curves'\] = ", {"blackbox": crossing_table(elapsed=None, time_model=ConstantTime(1))}),
    (r"blackbox\['metrics'\] = \[\"loss\"\], now it is \[\"error\"\]", {"blackbox": crossing_table(metrics=["error"])}),
    (r"blackbox\['kind'\] = \"TabularBlackbox\", now", {"blackbox": add_surrogate(crossing_table())}),
]


@pytest.mark.parametrize(("named", "other"), OTHER)
def test_another_simulation_is_refused_by_name(tmp_path: Path, named: str, other: dict[str, Any]) -> None:
    """Each setting that changes what happens: the message has its name, both values and the remedy; nothing is run."""
    run(tmp_path, 3)
    with pytest.raises(ExperimentMismatch, match=rf"began with the backend's {named}.*restore the old value"):
        run(tmp_path, 6, **other)
    assert run(tmp_path, 3).status.num_trials_started == 3


def test_the_same_simulation_goes_on_at_another_price(tmp_path: Path) -> None:
    """A blackbox that was made again is the same; the price may change, as the limits may."""
    run(tmp_path, 3, delays=SimulatedDelays(stop=2))
    tuner = run(tmp_path, 6, delays=SimulatedDelays(stop=2), dollars_per_hour=3.0)
    assert tuner.status.num_trials_completed == 6


def test_metadata_have_what_must_not_change(tmp_path: Path) -> None:
    """Whoever compares experiments finds there in which simulation they were made."""
    run(tmp_path, 1, seed=1)
    settings = json.loads((tmp_path / "metadata.json").read_text())["st_backend_settings"]
    assert set(settings) == {
        *("blackbox", "seed", "delays", "checkpoints"),
        *("delete_checkpoints", "count_scheduler_time", "max_resource_attr"),
    }
    assert settings["seed"] == 1
    assert settings["blackbox"]["kind"] == "TabularBlackbox"


@pytest.mark.parametrize("lost", ["all", "seed", "curves"])
def test_what_was_not_noted_is_not_compared(tmp_path: Path, lost: str) -> None:
    """An experiment of before, or of a cloudtune that noted less, goes on; the rest is compared."""
    run(tmp_path, 3)
    (log,) = [path for path in tmp_path.rglob("*") if path.is_file() and b'"backend_settings"' in path.read_bytes()]
    lines = []
    for line in log.read_text().splitlines(keepends=True):
        entry = json.loads(line) if '"backend_settings"' in line else {}
        if lost == "all" and entry:
            del entry["backend_settings"]
        elif entry:
            (entry["backend_settings"] if lost == "seed" else entry["backend_settings"]["blackbox"]).pop(lost)
        lines.append(json.dumps(entry) + "\n" if entry else line)
    log.write_text("".join(lines))
    if lost != "all":
        with pytest.raises(ExperimentMismatch, match="checkpoints"):
            run(tmp_path, 6, checkpoints=False)
    other: dict[str, Any] = {"blackbox": other_values()} if lost == "curves" else {"seed": 1}
    assert run(tmp_path, 6, **other).status.num_trials_completed == 6


def test_other_backends_note_nothing_and_take_over_no_simulation(tmp_path: Path) -> None:
    """A backend that says nothing has nothing in its log, goes on anywhere, and is no simulator."""
    backend: TrialBackend = VirtualBackend(Machine(Program(curve)))
    assert backend.fixed_settings() == {}
    check_same_backend(backend, {}, "older")
    settings = json.loads(json.dumps(SimulatorBackend(Ramp()).fixed_settings()))
    with pytest.raises(ExperimentMismatch, match=r"the backend's blackbox = \{.*, now it is null"):
        check_same_backend(backend, {"backend_settings": settings}, "simulated")


def test_a_blackbox_of_ones_own_can_say_more(tmp_path: Path) -> None:
    """By default its class, space, metrics and resource count; with what it adds, that does."""

    class Steep(Ramp):
        def identity(self) -> dict[str, Any]:
            return {**super().identity(), "startup": self.startup}

    def go(blackbox: Blackbox, trials: int) -> None:
        make_tuner(
            tmp_path / type(blackbox).__name__,
            SimulatorBackend(blackbox),
            RandomSearch(SPACE, metric="loss", resource_attr="epoch", random_seed=1),
            stop_criterion=StoppingCriterion(max_num_trials_started=trials),
            save_tuner=False,
        ).run()

    for kind in (Ramp, Steep):
        go(kind(startup=1), 2)
    go(Ramp(startup=2), 3)
    with pytest.raises(ExperimentMismatch, match=r"blackbox\['startup'\] = 1, now it is 2"):
        go(Steep(startup=2), 3)


def test_identity_of_a_table_is_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of a table read from its file, of a pickle and of a copy, and is reckoned once for all copies."""
    table = crossing_table()
    table.save(tmp_path / "crossing.npz")
    loaded = TabularBlackbox.load(tmp_path / "crossing.npz")
    first = copy.copy(loaded)
    assert first.identity() == table.identity() == pickle.loads(pickle.dumps(table)).identity()
    rows = {"row": [*range(1, 30), 0]}
    reordered = TabularBlackbox(
        {"row": randint(0, 29)}, rows, table.values, ["loss"], range(1, 10), "epoch", elapsed=table.elapsed
    )
    others = [crossing_table(elapsed=table.elapsed * 2), other_values(), reordered]
    assert len({one.identity()["curves"] for one in [table, *others]}) == 4

    def never(_table: TabularBlackbox) -> str:
        raise AssertionError("it is known already")

    monkeypatch.setattr(TabularBlackbox, "_digest", never)
    assert loaded.identity() == copy.copy(loaded).identity() == table.identity()


def test_identity_of_a_surrogate_has_its_options() -> None:
    """Its neighbours, weights, seed and trees change its curves; options that are no JSON go by their kind."""
    table = crossing_table()
    surrogates: list[tuple[str, dict[str, Any]]] = [
        ("knn", {}),
        ("knn", {"n_neighbors": 2}),
        ("knn", {"n_neighbors": 2, "weights": "distance"}),
        ("random_forest", {}),
        ("random_forest", {"random_seed": 1}),
        ("random_forest", {"max_features": np.float64(0.5)}),
        ("random_forest", {"random_seed": 1, "monotonic_cst": np.array([1])}),
    ]
    made = [add_surrogate(table, kind, **options).identity() for kind, options in surrogates]
    texts = [json.dumps(one, sort_keys=True) for one in made]
    assert len(set(texts)) == len(texts)
    assert all(one["curves"] == table.identity()["curves"] for one in made)
