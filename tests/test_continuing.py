"""Killing the tuner at any step and running it again: nothing lost, nothing doubled, the scheduler where it was."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.config_space import choice, uniform
from cloudtune.continuing import replay
from cloudtune.errors import ExperimentLocked, ExperimentMismatch, Fenced
from cloudtune.optimizer.baselines import ASHA, PASHA, GridSearch, PopulationBasedTraining, RandomSearch, SyncHyperband
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.trial import TrialStatus
from cloudtune.tuner import Tuner
from tests.virtual import Killed, Machine, MemoryStore, Program, VirtualBackend

SPACE = {"x": uniform(0, 1), "max_epochs": 9}


def curve(config: Mapping[str, Any], level: int) -> float:
    """A loss that ranks trials differently at different levels."""
    x = float(config["x"])
    return abs(x - 0.3) + (1 - x) / level


def make_scheduler(method: str, seed: int | None) -> TrialScheduler:
    """One of the three methods of the chaos tests, or another that pauses trials, or copies their checkpoints."""
    if method == "random":
        return RandomSearch(SPACE, metric="loss", resource_attr="epoch", random_seed=seed)
    if method == "population":
        return PopulationBasedTraining(
            SPACE,
            metric="loss",
            max_resource_attr="max_epochs",
            population_size=3,
            perturbation_interval=2,
            random_seed=seed,
        )
    if method == "pasha":
        return PASHA(SPACE, metric="loss", max_resource_attr="max_epochs", max_num_checkpoints=2, random_seed=seed)
    if method == "synchronous":
        return SyncHyperband(SPACE, metric="loss", max_resource_attr="max_epochs", random_seed=seed)
    return ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type=method, random_seed=seed
    )


def make_tuner(machine: Machine, scheduler: TrialScheduler, n_workers: int = 1, trials: int = 12) -> Tuner:
    """What "the same command" makes."""
    return Tuner(
        trial_backend=VirtualBackend(machine),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=trials),
        n_workers=n_workers,
        max_failures=99,
        callbacks=[],
        store=MemoryStore(machine),
        save_tuner=False,
        tuner_name="virtual",
        suffix_tuner_name=False,
    )


def outcome(machine: Machine) -> list[tuple[Any, ...]]:
    """What the log says in the end, apart from attempts, times and repetitions: configurations, reports, decisions."""
    said: list[tuple[Any, ...]] = []
    for entry in machine.log:
        if entry["event"] == entries.SUGGEST:
            said.append(("suggest", entry["number"], entry["trial"], tuple(entry["config"].items())))
        elif entry["event"] == entries.REPORT and not entry.get("replay") and not entry.get("late"):
            said.append(
                ("report", entry["trial"], entry["metrics"]["epoch"], entry["metrics"]["loss"], entry["decision"])
            )
    return said


def check_log(machine: Machine) -> None:
    """What must hold of every log, however often the tuner was killed."""
    reports = [e for e in machine.log if e["event"] == entries.REPORT]
    keys = [(e["trial"], e["attempt"], e["run"], e["number"]) for e in reports]
    assert len(keys) == len(set(keys)), "a report was logged twice"
    for (trial, attempt), made in machine.attempts.items():
        logged = [e["number"] for e in reports if (e["trial"], e["attempt"]) == (trial, attempt)]
        assert logged == list(range(len(made.reports))), "a report was lost or came out of order"
    suggested = [e for e in machine.log if e["event"] == entries.SUGGEST]
    assert [e["number"] for e in suggested] == list(range(len(suggested)))
    fresh = [e["trial"] for e in suggested if e["attempt"] == 0]
    assert fresh == list(range(len(fresh))), "trial ids are not unique and without gaps"
    times = [e["time"] for e in machine.log if "time" in e]
    assert times == sorted(times), "active time ran backwards"


def run_with_kills(method: str, seed: int, n_workers: int, gaps: list[int], keeps: bool = True) -> Machine:
    """Runs an experiment that is killed after the given numbers of steps, then to its end."""
    machine = Machine(Program(curve, seconds=lambda c: 0.5 + c["x"], keeps_checkpoints=keeps))
    for gap in gaps:
        machine.fuse = machine.steps + gap
        try:
            make_tuner(machine, make_scheduler(method, seed), n_workers).run()
        except Killed:
            machine.tuner_died()
            machine.now += 1_000  # downtime, which must not count
        else:
            break
    machine.fuse = None
    make_tuner(machine, make_scheduler(method, seed), n_workers).run()
    return machine


@pytest.mark.defect("R3")
@pytest.mark.parametrize("method", ["random", "stopping", "promotion", "population"])
@pytest.mark.parametrize("keeps", [True, False])
def test_killed_between_any_two_steps(method: str, keeps: bool) -> None:
    """One worker: a kill at step 1, 2, 3, ... each gives exactly the log of the uninterrupted experiment."""
    calm = run_with_kills(method, 7, 1, [], keeps)
    for fuse in range(1, calm.steps + 1):
        machine = run_with_kills(method, 7, 1, [fuse], keeps)
        check_log(machine)
        assert outcome(machine) == outcome(calm), f"killed at step {fuse}"


@settings(max_examples=60)
@given(
    method=st.sampled_from(["random", "stopping", "promotion", "pasha", "synchronous", "population"]),
    seed=st.integers(0, 1_000),
    n_workers=st.integers(1, 4),
    gaps=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    keeps=st.booleans(),
)
def test_killed_again_and_again(method: str, seed: int, n_workers: int, gaps: list[int], keeps: bool) -> None:
    """Any number of kills with several workers: the log stays whole, and it alone rebuilds status and scheduler."""
    machine = run_with_kills(method, seed, n_workers, gaps, keeps)
    check_log(machine)
    if n_workers == 1:
        assert outcome(machine) == outcome(run_with_kills(method, seed, 1, [], keeps))
    final = make_tuner(machine, make_scheduler(method, seed), n_workers)
    replay(machine.log, final.status, final.scheduler)
    again = make_tuner(machine, make_scheduler(method, seed), n_workers)
    replay(machine.log, again.status, again.scheduler)
    assert pickle.dumps(final.scheduler.suggest()) == pickle.dumps(again.scheduler.suggest())


def test_status_after_continuing_is_the_status_without_interruption() -> None:
    """Counters, incumbent and active time are those of the uninterrupted run; downtime does not count."""
    calm = Machine(Program(curve))
    first = make_tuner(calm, make_scheduler("random", 5))
    first.run()
    machine = Machine(Program(curve))
    machine.fuse = 80
    with pytest.raises(Killed):
        make_tuner(machine, make_scheduler("random", 5)).run()
    machine.tuner_died()
    machine.now += 5_000
    second = make_tuner(machine, make_scheduler("random", 5))
    second.run()
    assert second.status.num_by_status == first.status.num_by_status
    assert second.status.num_evaluations == first.status.num_evaluations
    assert second.status.incumbent == first.status.incumbent
    # Each kill costs at most what the interrupted trial had done since its last report.
    assert 0 <= second.status.wallclock_time - first.status.wallclock_time <= 2.0


def test_a_drawn_seed_is_taken_over_from_the_log() -> None:
    """Without a seed of one's own, the second run goes on with the seed the first one drew."""
    machine = Machine(Program(curve))
    machine.fuse = 60
    with pytest.raises(Killed):
        make_tuner(machine, make_scheduler("random", None)).run()
    machine.tuner_died()
    tuner = make_tuner(machine, make_scheduler("random", None))
    tuner.run()
    header = next(e for e in machine.log if e["event"] == entries.EXPERIMENT)
    assert tuner.scheduler.random_seed == header["scheduler"]["random_seed"]
    calm = Machine(Program(curve))
    make_tuner(calm, make_scheduler("random", tuner.scheduler.random_seed)).run()
    assert outcome(machine) == outcome(calm)


def test_a_longer_limit_continues_and_finishes_what_was_cut() -> None:
    """An experiment that ended at its limit goes on under a new one: the cut trial first, from its checkpoint."""
    machine = Machine(Program(curve))
    make_tuner(machine, make_scheduler("random", 2)).run()
    before = len(machine.log)
    tuner = make_tuner(machine, make_scheduler("random", 2), trials=15)
    tuner.run()
    assert len(machine.log) > before
    assert tuner.status.num_trials_completed == 15
    calm = Machine(Program(curve))
    make_tuner(calm, make_scheduler("random", 2), trials=15).run()
    assert outcome(machine) == outcome(calm)


def test_trials_cut_by_the_limit_are_interrupted_not_stopped() -> None:
    """What ran at the wall-clock limit goes on when the limit is raised; nothing is counted twice."""
    machine = Machine(Program(curve))
    first = make_tuner(machine, make_scheduler("random", 2))
    first.stop_criterion = StoppingCriterion(max_wallclock_time=12.5)
    first.run()
    assert first.status.num_by_status[TrialStatus.interrupted] == 1
    make_tuner(machine, make_scheduler("random", 2)).run()
    calm = Machine(Program(curve))
    make_tuner(calm, make_scheduler("random", 2)).run()
    assert outcome(machine) == outcome(calm)


def test_the_same_object_can_run_on() -> None:
    """tuner.run() again with a new criterion continues in place: nothing is told to the scheduler twice."""
    machine = Machine(Program(curve))
    tuner = make_tuner(machine, make_scheduler("stopping", 2))
    tuner.run()
    tuner.stop_criterion = StoppingCriterion(max_num_trials_started=18)
    tuner.run()
    calm = Machine(Program(curve))
    make_tuner(calm, make_scheduler("stopping", 2), trials=18).run()
    assert outcome(machine) == outcome(calm)
    check_log(machine)


def test_a_trial_interrupted_for_ever_fails_in_the_end() -> None:
    """Interruptions without a report in between are not repeated endlessly."""

    class Hopeless(VirtualBackend):
        def poll(self, timeout: float | None) -> list[Any]:
            for attempt in self.machine.running():
                self.machine.now += 1
                attempt.end = VirtualEnd(attempt.trial_id, attempt.number)
            return super().poll(timeout)

    from cloudtune.trial import End, Outcome

    def VirtualEnd(trial_id: int, attempt: int) -> End:  # noqa: N802 - reads like the class it makes
        return End(trial_id, attempt, Outcome.interrupted, "the machine went away")

    machine = Machine(Program(curve))
    tuner = make_tuner(machine, make_scheduler("random", 2), trials=1)
    tuner.trial_backend = Hopeless(machine)
    tuner.run()
    record = tuner.status.records[0]
    assert record.status is TrialStatus.failed
    assert "interrupted 4 times in a row" in record.reason


def started(space: dict[str, Any], **options: Any) -> Machine:
    """An experiment that has begun with the given space."""
    machine = Machine(Program(lambda _c, level: 1 / level, levels=2))
    make_tuner(machine, RandomSearch(space, metric="loss", random_seed=1, **options), trials=2).run()
    return machine


@pytest.mark.parametrize(
    ("scheduler", "named"),
    [
        (lambda: RandomSearch({"x": uniform(0, 2)}, metric="loss", random_seed=1), r"config_space\['x'\]"),
        (lambda: RandomSearch({"x": uniform(0, 1), "y": 3}, metric="loss", random_seed=1), r"config_space\['y'\]"),
        (lambda: RandomSearch({"x": choice([0.5])}, metric="loss", random_seed=1), r"config_space\['x'\]"),
        (lambda: RandomSearch({"x": uniform(0, 1)}, metric="acc", random_seed=1), "metric_names"),
        (lambda: RandomSearch({"x": uniform(0, 1)}, metric="loss", mode="max", random_seed=1), "metric_mode"),
        (lambda: RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=2), "random_seed"),
        (lambda: GridSearch({"x": uniform(0, 1)}, metric="loss", random_seed=1), "scheduler_name"),
        (
            lambda: RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=1, points_to_evaluate=[]),
            "points_to_evaluate",
        ),
        (
            lambda: RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=1, allow_duplicates=True),
            r"searcher_settings\['allow_duplicates'\]",
        ),
        (
            lambda: RandomSearch({"x": uniform(0, 1)}, metric="loss", resource_attr="epoch", random_seed=1),
            "resource_attr",
        ),
    ],
)
def test_what_must_not_change_is_refused_by_name(scheduler: Any, named: str) -> None:
    """Another space, metric, mode, seed or resource: refused, naming the key, the two values and the remedy."""
    machine = started({"x": uniform(0, 1)})
    before = list(machine.log)
    with pytest.raises(ExperimentMismatch, match=rf"began with {named} = .*, now it is .*choose another tuner_name"):
        make_tuner(machine, scheduler()).run()
    assert [e for e in machine.log if e["event"] != entries.EPOCH] == [e for e in before if e["event"] != entries.EPOCH]
    assert machine.owner is None, "the lease was given back"


def test_a_used_scheduler_cannot_begin_or_continue_an_experiment() -> None:
    """A scheduler that has made suggestions belongs to one experiment."""
    scheduler = make_scheduler("random", 1)
    make_tuner(Machine(Program(curve)), scheduler, trials=1).run()
    with pytest.raises(ExperimentMismatch, match="has made suggestions already"):
        make_tuner(Machine(Program(curve)), scheduler).run()


def test_a_second_tuner_is_refused() -> None:
    """While one tuner drives the experiment another one gets ExperimentLocked and changes nothing."""
    machine = Machine(Program(curve))
    machine.owner = object()
    with pytest.raises(ExperimentLocked):
        make_tuner(machine, make_scheduler("random", 1)).run()
    assert machine.log == []


def test_a_fenced_tuner_touches_nothing() -> None:
    """When another tuner has taken over, the first stops at its next append: no trial is stopped or started by it."""
    machine = Machine(Program(curve))
    tuner = make_tuner(machine, make_scheduler("random", 1))
    starts_before: list[int] = []

    class TakenOver(VirtualBackend):
        def poll(self, timeout: float | None) -> list[Any]:
            if len(self.machine.log) > 20 and not starts_before:
                machine.owner = object()
                starts_before.append(len(machine.starts))
            return super().poll(timeout)

        def close(self, stop_running: bool) -> None:
            assert not stop_running

    tuner.trial_backend = TakenOver(machine)
    with pytest.raises(Fenced):
        tuner.run()
    assert len(machine.starts) == starts_before[0]
    assert len(machine.running()) == 1, "the trial is the new owner's"


def test_a_changed_setting_of_the_method_is_refused_by_name() -> None:
    """ASHA with another grace period would decide differently: refused, naming what differs."""
    machine = Machine(Program(curve))
    make_tuner(machine, make_scheduler("stopping", 1), trials=1).run()
    other = ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", grace_period=3, random_seed=1
    )
    with pytest.raises(ExperimentMismatch, match=r"began with grace_period = 1, now it is 3"):
        make_tuner(machine, other).run()


def test_results_are_not_written_again_before_the_first_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a long log take a second: a new experiment has its (empty) results at once, a continued one later."""
    done: list[str] = []
    for owner, name in ((MemoryStore, "update_results"), (RandomSearch, "suggest")):
        method = getattr(owner, name)

        def noting(self: Any, *, method: Any = method, name: str = name) -> Any:
            done.append(name)
            return method(self)

        monkeypatch.setattr(owner, name, noting)
    machine = Machine(Program(curve, levels=3))
    make_tuner(machine, make_scheduler("random", 1), trials=2).run()
    assert done[0] == "update_results"
    done.clear()
    make_tuner(machine, make_scheduler("random", 1), trials=3).run()
    assert done[0] == "suggest"
    assert done[-1] == "update_results"
