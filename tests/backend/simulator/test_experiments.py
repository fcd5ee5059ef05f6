"""Whole experiments in the simulator: the tuner, its store and its limits on the virtual clock."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend.simulator_backend import SimulatedDelays, SimulatorBackend
from cloudtune.blackbox import Blackbox, ConstantTime, Curve, NotInTable, TabularBlackbox, load_blackbox
from cloudtune.blackbox.curve_checks import WrongCurve
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.config_space import randint, uniform
from cloudtune.errors import TooManyFailures
from cloudtune.experiments import load_experiment
from cloudtune.optimizer.baselines import ASHA, RandomSearch
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.store.local_store import LocalStore
from cloudtune.trial import Trial, TrialEvent
from tests.backend.simulator.driving import SPACE, Ramp

EPOCHS = {"epochs": 5}
ROWS = {"row": randint(0, 29)}


def crossing_table(**changed: Any) -> TabularBlackbox:
    """30 configurations whose curves cross, 9 epochs, with times of their own."""
    rng = np.random.default_rng(3)
    loss = rng.random((30, 2, 1)) + rng.random((30, 2, 1)) / np.arange(1, 10) + 0.1 * rng.random((30, 2, 9))
    elapsed = np.cumsum(rng.random((30, 2, 9)) + 0.5, axis=2)
    arguments: dict[str, Any] = {"values": loss[..., None], "metrics": ["loss"], "elapsed": elapsed, **changed}
    return TabularBlackbox(ROWS, {"row": range(30)}, resources=range(1, 10), resource_attr="epoch", **arguments)


def make_tuner(folder: Path, backend: SimulatorBackend, scheduler: TrialScheduler, **options: Any) -> Tuner:
    """A tuner whose experiment lies in a folder."""
    return Tuner(
        backend,
        scheduler,
        tuner_name="simulated",
        suffix_tuner_name=False,
        store=LocalStore(folder),
        **{
            "stop_criterion": StoppingCriterion(max_num_trials_started=6),
            "n_workers": 2,
            "callbacks": [ProgressCallback(live=False)],
            **options,
        },
    )


def random_search(blackbox: Blackbox, **constants: Any) -> RandomSearch:
    return RandomSearch(
        {**blackbox.config_space, **constants},
        metric="loss",
        resource_attr="epoch",
        max_resource_attr="epochs" if constants else None,
        random_seed=5,
    )


def asha(how: str) -> ASHA:
    return ASHA(
        {**ROWS, "epochs": 9},
        metric="loss",
        resource_attr="epoch",
        max_resource_attr="epochs",
        type=how,
        allow_duplicates=True,
        random_seed=1,
    )


def log_of(folder: Path, *without: str) -> list[dict[str, Any]]:
    """The entries of the experiment's log, without what belongs to this machine."""
    kept = []
    for entry in LocalStore(folder).read():
        if entry["event"] not in ("epoch", "experiment", *without):
            kept.append(entry)
    return kept


def results_of(folder: Path) -> list[tuple[Any, ...]]:
    """(trial, epoch, loss, tuner time, decision) of each report that counts."""
    return [
        (e["trial"], e["metrics"]["epoch"], e["metrics"]["loss"], e["time"], e["decision"])
        for e in log_of(folder)
        if e["event"] == "report" and not e.get("replay") and not e.get("late")
    ]


@pytest.mark.parametrize("how", ["stopping", "promotion"])
def test_experiment_is_the_same_every_time(tmp_path: Path, how: str) -> None:
    """The same blackbox, seeds and settings give the same log to the last bit, real times of the scheduler aside."""
    logs = []
    for run in ("a", "b"):
        delays = SimulatedDelays(start=3, stop=0.25, report=0.125, end=0.5)
        backend = SimulatorBackend(crossing_table(), seed=1, delays=delays)
        tuner = make_tuner(
            tmp_path / run, backend, asha(how), stop_criterion=StoppingCriterion(max_num_evaluations=300), n_workers=4
        )
        tuner.run()
        logs.append(json.dumps(log_of(tmp_path / run)))
    assert logs[0] == logs[1]
    assert "STOP" in logs[0] if how == "stopping" else "PAUSE" in logs[0]


def test_promotion_goes_on_where_it_paused(tmp_path: Path) -> None:
    """A promoted trial reports each level once, from where it was; without checkpoints it repeats what came before."""
    for checkpoints in (True, False):
        folder = tmp_path / str(checkpoints)
        backend = SimulatorBackend(crossing_table(), checkpoints=checkpoints)
        criterion = StoppingCriterion(max_num_evaluations=120)
        make_tuner(folder, backend, asha("promotion"), stop_criterion=criterion).run()
        reports = [entry for entry in log_of(folder) if entry["event"] == "report"]
        levels: dict[int, list[int]] = {}
        for entry in reports:
            levels.setdefault(entry["trial"], []).append(entry["metrics"]["epoch"])
        resumed = [trial for trial, of_trial in levels.items() if len(of_trial) > 1]
        assert resumed
        if checkpoints:
            assert all(of_trial == list(range(1, len(of_trial) + 1)) for of_trial in levels.values())
        assert any("replay" in entry for entry in reports) is not checkpoints


def test_more_workers_take_less_time(tmp_path: Path) -> None:
    """Trials of one length on n workers take the n-th part of the time, with any number of workers."""
    blackbox = crossing_table(elapsed=None, time_model=ConstantTime(10))
    for workers in (1, 2, 5, 10):
        folder = tmp_path / str(workers)
        criterion = StoppingCriterion(max_num_trials_started=10)
        tuner = make_tuner(
            folder, SimulatorBackend(blackbox), random_search(blackbox), stop_criterion=criterion, n_workers=workers
        )
        tuner.run()
        assert tuner.status.num_trials_completed == 10
        assert tuner.status.wallclock_time == pytest.approx(900 / workers)


def test_worker_is_busy_while_its_trial_stops(tmp_path: Path) -> None:
    """The next trial waits for the stop delay, unless the tuner may start jobs without delay."""
    times = {}
    for without_delay in (False, True):
        backend = SimulatorBackend(crossing_table(), delays=SimulatedDelays(stop=1000))
        folder = tmp_path / str(without_delay)
        criterion = StoppingCriterion(max_num_trials_started=12)
        make_tuner(
            folder,
            backend,
            asha("stopping"),
            stop_criterion=criterion,
            n_workers=1,
            start_jobs_without_delay=without_delay,
        ).run()
        log = log_of(folder)
        stop = next(e["time"] for e in log if e["event"] == "report" and e["decision"] == "STOP")
        times[without_delay] = next(e["time"] for e in log if e["event"] == "suggest" and e["time"] >= stop) - stop
    assert times == {False: 1000, True: 0}


LIMITS = [
    (StoppingCriterion(max_wallclock_time=23.5), lambda status: status.wallclock_time == 23.5),
    (StoppingCriterion(max_num_evaluations=7), lambda status: 7 <= status.num_evaluations <= 8),
    (StoppingCriterion(max_num_trials_started=4), lambda status: status.num_trials_started == 4),
    (StoppingCriterion(max_num_trials_completed=2), lambda status: status.num_trials_completed == 2),
    (StoppingCriterion(max_num_trials_finished=2), lambda status: status.num_trials_finished == 2),
    (StoppingCriterion(max_cost=0.2), lambda status: 0.2 <= status.cost < 0.200001),
    (StoppingCriterion(min_metric_value={"loss": 0.5}), lambda status: status.metric_min["loss"] <= 0.5),
    (StoppingCriterion(max_metric_value={"loss": 8}), lambda status: status.metric_max["loss"] >= 8),
    (
        StoppingCriterion(max_wallclock_time=1e9) & StoppingCriterion(min_metric_value={"loss": 0.5})
        | StoppingCriterion(max_wallclock_time=17.25),
        lambda status: status.wallclock_time == 17.25,
    ),
]


@pytest.mark.defect("C12")
@pytest.mark.parametrize(("criterion", "reached"), LIMITS)
def test_every_limit_ends_a_simulation(tmp_path: Path, criterion: Any, reached: Any) -> None:
    """Each limit works on the virtual clock, values of metrics and times without an event included."""
    backend = SimulatorBackend(Ramp(), dollars_per_hour=36.0)
    tuner = make_tuner(tmp_path, backend, random_search(Ramp()), stop_criterion=criterion)
    tuner.run()
    assert reached(tuner.status)
    assert tuner.status.finished_why == "stopping criterion reached"


def test_max_cost_counts_while_workers_start(tmp_path: Path) -> None:
    """Workers that have reported nothing yet cost money: the limit ends the experiment then, but for what a stop takes.

    With more money it goes on until that is spent, as far as it is spent by the log.
    """
    spent = []
    for limit in (100, 500):
        delays = SimulatedDelays(start=120, stop=2)
        backend = SimulatorBackend(Ramp(), delays=delays, dollars_per_hour=3600.0)
        criterion = StoppingCriterion(max_cost=limit) | StoppingCriterion(max_wallclock_time=1e6)
        tuner = make_tuner(tmp_path / "x", backend, random_search(Ramp()), stop_criterion=criterion, n_workers=4)
        tuner.run()
        spent.append(tuner.status.cost)
    assert spent == pytest.approx([100 + 4 * 2, 500 + 4 * 2])
    assert tuner.status.wallclock_time == pytest.approx(508 / 4, abs=1e-4)
    assert not any(e["event"] == "report" and e["time"] < 120 for e in log_of(tmp_path / "x"))


def test_an_experiment_goes_on_after_a_limit_of_cost(tmp_path: Path) -> None:
    """Where the limit alone does not end it all is as if there were none, but for a bill of each that runs then."""
    plain, limited = (StoppingCriterion(max_num_evaluations=40), StoppingCriterion(max_cost=30))
    logs = []
    for name, criterion in (("a", plain), ("b", plain & limited)):
        delays = SimulatedDelays(start=3, stop=0.25)
        backend = SimulatorBackend(crossing_table(), delays=delays, dollars_per_hour=3600.0)
        make_tuner(tmp_path / name, backend, asha("stopping"), stop_criterion=criterion).run()
        # Suggestions tell how many entries the log had.
        logs.append([{**entry, "computed_at": 0} for entry in log_of(tmp_path / name)])
    early = [entry for entry in logs[1] if entry["event"] == "bill" and not entry["final"]]
    assert len(early) == 2
    assert [entry for entry in logs[1] if entry not in early] == logs[0]


def test_every_limit_has_its_case() -> None:
    """A limit that is added to StoppingCriterion gets a case above."""
    shown = " ".join(repr(criterion) for criterion, _ in LIMITS[:-1])
    limits = [name for name in StoppingCriterion.__dataclass_fields__ if name != "count_committed"]
    assert all(any(getattr(criterion, name) is not None for criterion, _ in LIMITS[:-1]) for name in limits), shown


def test_continued_experiment_goes_on_where_its_log_ends(tmp_path: Path) -> None:
    """With a higher limit the experiment goes on from its checkpoints and its time; no level counts twice."""
    blackbox = crossing_table()

    def run(limit: float) -> Tuner:
        criterion = StoppingCriterion(max_wallclock_time=limit)
        tuner = make_tuner(
            tmp_path / "x", SimulatorBackend(blackbox), random_search(blackbox, epochs=9), stop_criterion=criterion
        )
        tuner.run()
        return tuner

    first = run(12.0)
    before = results_of(tmp_path / "x")
    assert first.status.interrupted
    second = run(40.0)
    after = results_of(tmp_path / "x")
    assert after[: len(before)] == before
    assert all(time >= 12 for _, _, _, time, _ in after[len(before) :])
    assert len({row[:2] for row in after}) == len(after)
    assert {trial for trial, epoch, *_ in after if epoch == 9} >= set(first.status.interrupted)
    assert not any("replay" in entry for entry in log_of(tmp_path / "x"))
    assert second.status.wallclock_time == 40


def test_results_are_those_of_any_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiment is loaded like any other; times are virtual, the name and its creation are not."""
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path))
    blackbox = crossing_table()
    tuner = Tuner(
        SimulatorBackend(blackbox, dollars_per_hour=1.0),
        random_search(blackbox),
        StoppingCriterion(max_num_trials_started=3),
        n_workers=1,
        callbacks=[ProgressCallback(live=False)],
    )
    tuner.run()
    experiment = load_experiment(tuner.name)
    assert experiment is not None
    frame = experiment.results
    assert len(frame) == 27
    assert {"loss", "epoch", "st_worker_time", "st_worker_cost", "config_row"} <= set(frame.columns)
    of_tuner, of_worker = frame["st_tuner_time"].diff().iloc[1:9], frame["st_worker_time"].diff().iloc[1:9]
    np.testing.assert_allclose(of_tuner, of_worker, atol=2e-6)
    assert tuner.name.startswith("simulation-20")
    metadata = experiment.metadata
    assert metadata["backend"] == "SimulatorBackend"
    assert (
        0 < metadata["st_scheduler_seconds"] < metadata["st_tuner_end_timestamp"] - metadata["st_tuner_start_timestamp"]
    )
    assert metadata["st_cost"] == pytest.approx(tuner.status.wallclock_time / 3600, rel=1e-4)


class Thinking(RandomSearch):
    """Burns a little real time before each suggestion."""

    def _suggest(self) -> Any:
        sum(range(20_000))
        return super()._suggest()


def test_time_of_the_scheduler_moves_the_clock_only_if_asked(tmp_path: Path) -> None:
    """Real time of the scheduler is measured, and added to the virtual clock where that was asked for."""
    blackbox = crossing_table(elapsed=None, time_model=ConstantTime(1))
    times = []
    for counted in (False, True):
        scheduler = Thinking(ROWS, metric="loss", resource_attr="epoch", random_seed=5)
        backend = SimulatorBackend(blackbox, count_scheduler_time=counted)
        tuner = make_tuner(tmp_path / str(counted), backend, scheduler, n_workers=1)
        tuner.run()
        times.append((tuner.status.wallclock_time, tuner._scheduler_seconds))
    (exact, measured), (counting, _) = times
    assert exact == 54
    assert measured > 0
    assert counting > 54


def test_failing_trials_fail(tmp_path: Path) -> None:
    """Trials whose curve ends in a failure fail, and too many of them end the experiment; all of them do, too."""
    blackbox = Ramp(failing=tuple(range(1, 10)))
    tuner = make_tuner(tmp_path, SimulatorBackend(blackbox), random_search(blackbox), max_failures=2)
    with pytest.raises(TooManyFailures, match="it blew up"):
        tuner.run()
    assert tuner.status.num_trials_failed >= 3


def test_not_finite_losses_rank_worst(tmp_path: Path) -> None:
    """A table with NaN and infinite losses runs to its end, and none of them is the best."""
    values = np.array(crossing_table().values)
    values[:12, :, 2:] = np.nan
    values[12:20, :, 1:] = np.inf
    values[20:25] = -np.inf
    for how in ("stopping", "promotion"):
        tuner = make_tuner(
            tmp_path / how,
            SimulatorBackend(crossing_table(values=values)),
            asha(how),
            stop_criterion=StoppingCriterion(max_num_evaluations=200),
        )
        tuner.run()
        assert tuner.status.incumbent is not None
        assert np.isfinite(tuner.status.incumbent[0])


def test_finite_space_that_is_used_up_ends_cleanly(tmp_path: Path) -> None:
    """When every row of the table was tried the experiment is complete."""
    blackbox = crossing_table()
    tuner = make_tuner(
        tmp_path,
        SimulatorBackend(blackbox),
        random_search(blackbox),
        stop_criterion=StoppingCriterion(max_wallclock_time=1e6),
    )
    tuner.run()
    assert tuner.status.num_trials_completed == 30
    assert tuner.status.finished_why == "nothing left to suggest"


def test_configuration_outside_the_table_ends_the_experiment(tmp_path: Path) -> None:
    """What the table cannot tell is an error that says so, not a failed trial that nobody notices."""
    blackbox = TabularBlackbox(
        {"x": uniform(0, 1)}, {"x": [0.5]}, [[[[1.0]]]], ["loss"], [1], "epoch", time_model=ConstantTime(1)
    )
    with pytest.raises(NotInTable, match="add_surrogate"):
        make_tuner(tmp_path, SimulatorBackend(blackbox), random_search(blackbox)).run()


def test_curve_without_a_time_ends_the_experiment(tmp_path: Path) -> None:
    """The clock never comes to a time that is NaN: the experiment says so at once, instead of going on for ever."""

    class Timeless(Ramp):
        def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
            return Curve([1, 2], {"loss": [1.0, 2.0]}, [10.0, math.nan])

    class Bounded(SimulatorBackend):
        polls = 0

        def poll(self, timeout: float | None) -> list[TrialEvent]:
            self.polls += 1
            assert self.polls < 100, "it goes on and on"
            return super().poll(timeout)

    with pytest.raises(WrongCurve, match=r"Timeless for the configuration \{'width': .* time nan at report 1"):
        make_tuner(tmp_path, Bounded(Timeless()), random_search(Timeless())).run()


def test_many_reports_at_one_time(tmp_path: Path) -> None:
    """Trials in step on many workers report in the order of their start, and all is well with their decisions."""
    blackbox = crossing_table(elapsed=None, time_model=ConstantTime(1))
    tuner = make_tuner(
        tmp_path,
        SimulatorBackend(blackbox),
        asha("stopping"),
        stop_criterion=StoppingCriterion(max_num_evaluations=100),
        n_workers=8,
    )
    tuner.run()
    first = [trial for trial, epoch, _, time, _ in results_of(tmp_path) if time == 1.0]
    assert first == list(range(8))


class OneTrial(TrialScheduler):
    """Suggests the same trial again and again."""

    def _suggest(self) -> Any:
        from cloudtune.optimizer.scheduler import TrialSuggestion

        return TrialSuggestion.start_suggestion({"width": 3})

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        return "CONTINUE"

    def metric_names(self) -> list[str]:
        return ["loss"]


def test_same_configuration_again(tmp_path: Path) -> None:
    """Duplicate configurations are trials of their own, with the same curve."""
    tuner = make_tuner(tmp_path, SimulatorBackend(Ramp()), OneTrial(SPACE))
    tuner.run()
    losses = {record.last_result["loss"] for record in tuner.status.records.values()}
    assert (len(tuner.status.records), losses) == (6, {3 / 5})


def test_trials_are_logged_for_debugging_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of simulated trials do not bury what else the log says; whoever wants to see them can."""
    blackbox = crossing_table()
    for level, shown in ((logging.INFO, 0), (logging.DEBUG, 4)):
        caplog.clear()
        with caplog.at_level(level, "cloudtune"):
            limit = StoppingCriterion(max_num_trials_completed=4)
            folder = tmp_path / str(level)
            make_tuner(
                folder,
                SimulatorBackend(blackbox),
                random_search(blackbox),
                stop_criterion=limit,
                callbacks=[ProgressCallback(live=False)],
            ).run()
        assert caplog.text.count(" completed.") == shown
        assert "Tuning ended" in caplog.text


@pytest.mark.parametrize("method", [RandomSearch, ASHA])
def test_a_table_needs_no_surrogate_where_methods_choose_among_its_own(tmp_path: Path, method: Any) -> None:
    """On the table that we ship: every trial is another of its rows, and shows that row's curve."""
    table = load_blackbox("digits_mlp")
    assert isinstance(table, TabularBlackbox)
    scheduler = method(
        {**table.config_space, "epochs": 27},
        metric="validation_error",
        resource_attr=table.resource_attr,
        max_resource_attr="epochs",
        random_seed=2,
        restrict_configurations=table.configurations(),
    )
    criterion = StoppingCriterion(max_num_trials_started=40)
    tuner = make_tuner(tmp_path, SimulatorBackend(table), scheduler, n_workers=4, stop_criterion=criterion)
    tuner.run()
    results = load_experiment(str(tmp_path)).results
    configs = [
        {name: row[f"config_{name}"] for name in table.config_space}
        for row in results.drop_duplicates("trial_id").to_dict("records")
    ]
    rows = [table.row_of(config) for config in configs]
    assert None not in rows
    assert len(set(rows)) == len(rows) == 40
    for row, trial in zip(rows, results["trial_id"].drop_duplicates(), strict=True):
        shown = results[results["trial_id"] == trial]["validation_error"].tolist()
        assert shown == table.values[row, 0, : len(shown), 0].astype(float).tolist()
