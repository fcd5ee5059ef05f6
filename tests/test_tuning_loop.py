"""The loop on a virtual machine: what it starts, stops and decides, and what it makes of odd trials."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cloudtune.callbacks import TunerCallback
from cloudtune.config_space import choice, uniform
from cloudtune.errors import ExperimentMismatch, StorageFull, TooManyFailures
from cloudtune.optimizer.baselines import ASHA, RandomSearch
from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.trial import Trial, TrialStatus
from cloudtune.tuner import Tuner
from cloudtune.tuning_status import TuningStatus
from tests.virtual import Killed, Machine, MemoryStore, Program, VirtualBackend

SPACE = {"x": uniform(0, 1), "max_epochs": 9}


def curve(config: Mapping[str, Any], level: int) -> float:
    """Better for smaller x, and with every level."""
    return float(config["x"]) + 1 / level


def make_tuner(machine: Machine, scheduler: TrialScheduler | None = None, **options: Any) -> Tuner:
    """A tuner on the virtual machine, random search over SPACE unless said otherwise."""
    options.setdefault("stop_criterion", StoppingCriterion(max_num_trials_started=6))
    options.setdefault("n_workers", 2)
    options.setdefault("callbacks", [])
    return Tuner(
        trial_backend=VirtualBackend(machine),
        scheduler=scheduler or RandomSearch(SPACE, metric="loss", resource_attr="epoch", random_seed=3),
        store=MemoryStore(machine),
        save_tuner=False,
        tuner_name="virtual",
        suffix_tuner_name=False,
        **options,
    )


def of_kind(machine: Machine, event: str) -> list[dict[str, Any]]:
    """The log's entries of one kind."""
    return [entry for entry in machine.log if entry["event"] == event]


def test_every_report_is_logged_once_and_counted() -> None:
    """Six trials of nine reports each: 54 reports in the log, in order, each with the scheduler's decision."""
    machine = Machine(Program(curve))
    tuner = make_tuner(machine)
    tuner.run()
    reports = of_kind(machine, entries.REPORT)
    keys = [(r["trial"], r["attempt"], r["run"], r["number"]) for r in reports]
    assert len(keys) == len(set(keys)) == 54
    for trial in range(6):
        assert [r["number"] for r in reports if r["trial"] == trial] == list(range(9))
    assert {r["decision"] for r in reports} == {"CONTINUE"}
    assert tuner.status.num_evaluations == 54
    assert tuner.status.num_trials_completed == 6


def test_never_more_trials_than_workers() -> None:
    """Three workers are kept busy, and never four trials run at once."""
    machine = Machine(Program(curve, seconds=lambda c: 0.5 + c["x"]))
    make_tuner(machine, n_workers=3, stop_criterion=StoppingCriterion(max_num_trials_started=20)).run()
    assert machine.most_at_once == 3


def test_max_num_trials_started_lets_the_running_finish() -> None:
    """With max_num_trials_started the sixth trial still completes; the limit means "no further", not "kill"."""
    machine = Machine(Program(curve))
    tuner = make_tuner(machine)
    tuner.run()
    assert tuner.status.num_trials_started == 6
    assert {r.status for r in tuner.status.records.values()} == {TrialStatus.completed}


def test_wallclock_limit_is_met_to_the_instant() -> None:
    """The tuner wakes for its wall-clock limit although no event comes, and what ran is left to be continued."""
    machine = Machine(Program(curve, seconds=lambda _c: 100.0))
    began = machine.now
    tuner = make_tuner(machine, stop_criterion=StoppingCriterion(max_wallclock_time=250))
    tuner.run()
    assert machine.now - began == pytest.approx(250)
    assert [r.status for r in tuner.status.records.values()] == [TrialStatus.interrupted] * 2
    assert of_kind(machine, entries.FINISH)[-1]["why"] == "stopping criterion reached"


def test_waiting_for_completion_when_stopping() -> None:
    """With wait_trial_completion_when_stopping nothing new starts at the limit, and what runs completes."""
    machine = Machine(Program(curve, seconds=lambda _c: 100.0))
    tuner = make_tuner(
        machine, stop_criterion=StoppingCriterion(max_wallclock_time=250), wait_trial_completion_when_stopping=True
    )
    tuner.run()
    assert [r.status for r in tuner.status.records.values()] == [TrialStatus.completed] * 2


def test_an_exhausted_space_ends_the_experiment() -> None:
    """Three configurations in all: three trials run, then the experiment ends by itself."""
    machine = Machine(Program(lambda c, _level: len(c["x"]), levels=2))
    scheduler = RandomSearch({"x": choice(["a", "bb", "ccc"])}, metric="loss", random_seed=0)
    tuner = make_tuner(machine, scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=99))
    tuner.run()
    assert sorted(r.trial.config["x"] for r in tuner.status.records.values()) == ["a", "bb", "ccc"]
    assert of_kind(machine, entries.FINISH)[-1]["why"] == "nothing left to suggest"


def test_synchronous_scheduling_starts_batches() -> None:
    """With asynchronous_scheduling=False a batch starts only when the last one has ended entirely."""
    machine = Machine(Program(curve, levels=2, seconds=lambda c: 1 + 5 * c["x"]))
    space = {"x": uniform(0, 1)}
    scheduler = RandomSearch(space, metric="loss", random_seed=0)
    make_tuner(machine, scheduler, n_workers=3, asynchronous_scheduling=False).run()
    running = 0
    for entry in machine.log:
        if entry["event"] == entries.SUGGEST:
            assert entry["trial"] % 3 == running, "a trial was started while an older batch still ran"
            running += 1
        elif entry["event"] == entries.END:
            running -= 1


@pytest.mark.parametrize("how", ["stopping", "promotion"])
def test_asha_ends_most_trials_early(how: str) -> None:
    """Both kinds of ASHA spend most trials' time on the lowest rung and still take some to the end."""
    machine = Machine(Program(curve))
    scheduler = ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type=how, random_seed=1
    )
    tuner = make_tuner(machine, scheduler, n_workers=3, stop_criterion=StoppingCriterion(max_num_trials_started=30))
    tuner.run()
    levels = [r.last_metrics["epoch"] for r in tuner.status.records.values()]
    assert levels.count(9) >= 1
    assert sum(level <= 3 for level in levels) >= 20


def test_a_paused_trial_is_resumed_as_the_next_attempt() -> None:
    """Promotion pauses and resumes the same trial: attempts count up, and levels never repeat with checkpoints."""
    machine = Machine(Program(curve))
    scheduler = ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type="promotion", random_seed=1
    )
    make_tuner(machine, scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=20)).run()
    resumed = [e for e in of_kind(machine, entries.SUGGEST) if e["attempt"] > 0]
    assert resumed
    for trial in {e["trial"] for e in resumed}:
        levels = [r["metrics"]["epoch"] for r in of_kind(machine, entries.REPORT) if r["trial"] == trial]
        assert levels == sorted(set(levels))


def test_replays_of_a_trial_without_checkpoints_are_kept_but_not_counted() -> None:
    """A promoted trial that starts from scratch repeats levels: in the log, not in the results nor at the scheduler."""
    seen: list[tuple[int, int]] = []

    class Watched(ASHA):
        def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
            seen.append((trial.trial_id, result["epoch"]))
            return super().on_trial_result(trial, result)

    machine = Machine(Program(curve, keeps_checkpoints=False))
    scheduler = Watched(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type="promotion", random_seed=1
    )
    tuner = make_tuner(machine, scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=20))
    tuner.run()
    replays = [r for r in of_kind(machine, entries.REPORT) if r.get("replay")]
    assert replays
    assert len(seen) == len(set(seen)) == tuner.status.num_evaluations


def test_too_many_failures_end_the_experiment_with_the_first_reason() -> None:
    """With max_failures=1 the second failed trial ends the experiment; the error says why the first failed."""
    machine = Machine(Program(curve, fails_at=lambda _c: 4))
    tuner = make_tuner(machine)
    with pytest.raises(TooManyFailures, match=r"2 trials failed, more than max_failures=1.*trial 0: exit code 1"):
        tuner.run()
    assert len(of_kind(machine, entries.REPORT)) == 6, "three reports of each of the two trials are kept"


def test_a_few_failures_are_survived() -> None:
    """Failures up to max_failures are counted and the rest goes on."""
    machine = Machine(Program(curve, fails_at=lambda c: 2 if c["x"] < 0.3 else 0))
    tuner = make_tuner(machine, max_failures=99, stop_criterion=StoppingCriterion(max_num_trials_started=20))
    tuner.run()
    failed = [r for r in tuner.status.records.values() if r.trial.config["x"] < 0.3]
    assert failed
    assert all(r.status is TrialStatus.failed for r in failed)
    assert tuner.status.num_trials_completed == 20 - len(failed)


@pytest.mark.defect("C22")
def test_a_trial_that_completes_without_a_report_counts_as_one_failure() -> None:
    """It does not end the experiment by itself; the reason names the remedy."""
    machine = Machine(Program(curve, levels=9))
    space = {"x": uniform(0, 1), "max_epochs": choice([0, 3])}
    tuner = make_tuner(machine, RandomSearch(space, metric="loss", random_seed=5), max_failures=20)
    tuner.run()
    silent = [r for r in tuner.status.records.values() if r.trial.config["max_epochs"] == 0]
    assert silent
    assert all(r.status is TrialStatus.failed and "ended without a report" in r.reason for r in silent)
    assert tuner.status.num_trials_completed == 6 - len(silent) > 0


def run_with_metrics(change: Callable[[dict[str, Any]], None], **options: Any) -> tuple[Tuner, Machine]:
    """Runs random search over trials whose reports were changed."""
    machine = Machine(Program(curve, levels=3))
    tuner = make_tuner(machine, max_failures=99, **options)
    advance = machine.advance

    def changed(attempt: Any) -> None:
        before = len(attempt.reports)
        advance(attempt)
        for report in attempt.reports[before:]:
            change(report)

    machine.advance = changed  # type: ignore[method-assign]
    tuner.run()
    return tuner, machine


def test_a_metric_never_reported_is_named_with_what_was_reported() -> None:
    """The reason of the failed trial says which keys came instead."""

    def rename(report: dict[str, Any]) -> None:
        report["los"] = report.pop("loss")

    tuner, machine = run_with_metrics(rename)
    reason = tuner.status.records[0].reason
    assert "never reported loss" in reason
    assert "los, epoch" in reason or "epoch, los" in reason
    assert len(of_kind(machine, entries.REPORT)) == 6 * 9, "what came is kept all the same"


@pytest.mark.parametrize("value", ["0.5", True, [0.5]])
def test_a_metric_that_is_no_number_fails_its_trial(value: Any) -> None:
    """A string, a boolean or a list as the metric: the trial is stopped as failed, the message shows the value."""
    tuner, _machine = run_with_metrics(lambda report: report.update(loss=value))
    record = tuner.status.records[0]
    assert record.status is TrialStatus.failed
    assert f"loss={value!r}, which is not a number" in record.reason


def test_a_missing_resource_fails_its_trial() -> None:
    """resource_attr that is not in the reports: the message names it and what was reported."""
    tuner, _machine = run_with_metrics(lambda report: report.pop("epoch"))
    assert "reported no 'epoch' (the scheduler's resource_attr), only loss" in tuner.status.records[0].reason


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_kept_and_never_best(value: float) -> None:
    """NaN and infinity are legal: no failure, in the log, and not the incumbent."""

    def odd(report: dict[str, Any]) -> None:
        if report["epoch"] == 3:
            report["loss"] = value

    tuner, _machine = run_with_metrics(odd)
    assert tuner.status.num_trials_failed == 0
    assert tuner.status.incumbent is not None
    assert tuner.status.incumbent[2] != 3


def test_a_report_may_lack_the_metric(caplog: pytest.LogCaptureFixture) -> None:
    """Reports without the metric are kept, warned about once, and not shown to the scheduler."""

    def drop(report: dict[str, Any]) -> None:
        if report["epoch"] == 2:
            del report["loss"]

    with caplog.at_level(logging.WARNING):
        tuner, machine = run_with_metrics(drop)
    assert tuner.status.num_trials_failed == 0
    assert sum("reported no 'loss'" in message for message in caplog.messages) == 1
    assert tuner.status.num_evaluations == len(of_kind(machine, entries.REPORT))


class PausesAtTwo(TrialScheduler):
    """Pauses every trial at level 2 and resumes it once with another configuration."""

    resource_attr = "epoch"

    def __init__(self) -> None:
        super().__init__(SPACE, random_seed=0)
        self.paused: list[int] = []

    def _suggest(self) -> TrialSuggestion:
        if self.paused:
            return TrialSuggestion.resume_suggestion(self.paused.pop(), {"x": 0.5, "max_epochs": 3})
        return TrialSuggestion.start_suggestion({"x": 0.1, "max_epochs": 9})

    def _restore(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is not None:
            self.paused.remove(suggestion.trial_id)

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        return "PAUSE" if result["epoch"] == 2 and trial.attempt == 0 else "CONTINUE"

    def on_trial_remove(self, trial: Trial) -> None:
        self.paused.append(trial.trial_id)

    def metric_names(self) -> list[str]:
        return ["loss"]


def test_a_resumed_trial_with_another_configuration_repeats_nothing() -> None:
    """Levels seen under the old configuration are no replays under the new one."""
    machine = Machine(Program(curve, keeps_checkpoints=False))
    tuner = make_tuner(machine, PausesAtTwo(), stop_criterion=StoppingCriterion(max_num_trials_started=4))
    tuner.run()
    second = [r for r in of_kind(machine, entries.REPORT) if r["trial"] == 0 and r["attempt"] == 1]
    assert [r["metrics"]["epoch"] for r in second] == [1, 2, 3]
    assert not any(r.get("replay") for r in second)


def test_a_scheduler_that_resumes_what_is_not_paused_is_told_so() -> None:
    """The error names the scheduler and the trial."""

    class Confused(PausesAtTwo):
        def _suggest(self) -> TrialSuggestion:
            return TrialSuggestion.resume_suggestion(7)

    with pytest.raises(ValueError, match="Confused wants to resume trial 7, which is not paused"):
        make_tuner(Machine(Program(curve)), Confused()).run()


def test_a_scheduler_with_a_wrong_answer_is_told_so() -> None:
    """An unknown decision is an error that lists the allowed ones."""

    class Odd(PausesAtTwo):
        def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
            return "HALT"

    with pytest.raises(ValueError, match=r"Odd.on_trial_result answered 'HALT'.*CONTINUE, STOP or PAUSE"):
        make_tuner(Machine(Program(curve)), Odd()).run()


def test_callbacks_hear_of_everything_in_order() -> None:
    """Start, results, completion and end of each trial, and the two ends of the experiment."""
    heard: list[str] = []

    class Ear(TunerCallback):
        def on_tuning_start(self, tuner: Tuner) -> None:
            heard.append("begin")

        def on_start_trial(self, trial: Trial) -> None:
            heard.append(f"start {trial.trial_id}")

        def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
            heard.append(f"result {trial.trial_id} {result['epoch']}")

        def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
            heard.append(f"complete {trial.trial_id} {result['epoch']}")

        def on_tuning_end(self) -> None:
            heard.append("end")

    machine = Machine(Program(curve, levels=2))
    scheduler = RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=0)
    make_tuner(
        machine, scheduler, n_workers=1, callbacks=[Ear()], stop_criterion=StoppingCriterion(max_num_trials_started=2)
    ).run()
    one = ["start {0}", "result {0} 1", "result {0} 2", "complete {0} 2"]
    assert heard == ["begin", *[line.format(0) for line in one], *[line.format(1) for line in one], "end"]


@pytest.mark.defect("R2")
@pytest.mark.parametrize(
    "methods",
    [
        ["on_trial_result"],
        ["on_tuning_start"],
        ["on_tuning_end"],
        ["on_trial_end"],
        ["on_trial_result", "on_tuning_end"],
    ],
)
def test_a_callback_that_raises_leaves_nothing_running(methods: list[str]) -> None:
    """Trials are stopped first, what was received is in the log, then the callback's own error is raised."""

    def boom(*_args: Any) -> None:
        raise RuntimeError("callback broke")

    broken = type("Broken", (TunerCallback,), dict.fromkeys(methods, boom))()
    machine = Machine(Program(curve))
    tuner = make_tuner(machine, callbacks=[broken])
    ended: list[str] = []
    close = tuner.trial_backend.close

    def closing(stop_running: bool) -> None:
        ended.append("closed")
        close(stop_running)

    tuner.trial_backend.close = closing  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="callback broke"):
        tuner.run()
    assert ended == ["closed"]
    assert not machine.running()
    received = sum(a.delivered for a in machine.attempts.values())
    assert len(of_kind(machine, entries.REPORT)) == received
    assert machine.owner is None


def test_criteria_combine() -> None:
    """``|`` ends with the first of two criteria, ``&`` with the last; a function works too, alone and combined."""
    status = TuningStatus("loss")
    status.wallclock_time, status.num_evaluations = 10.0, 5
    time_up = StoppingCriterion(max_wallclock_time=10)
    enough = StoppingCriterion(max_num_evaluations=6)
    assert time_up(status)
    assert not enough(status)
    assert (time_up | enough)(status)
    assert not (time_up & enough)(status)
    assert (enough | (lambda s: s.num_evaluations == 5))(status)
    assert (time_up | enough).wake_times() == [10]


@pytest.mark.parametrize(
    ("options", "attribute", "below", "at"),
    [
        ({"max_wallclock_time": 5.0}, "wallclock_time", 4.9, 5.0),
        ({"max_num_evaluations": 5}, "num_evaluations", 4, 5),
        ({"max_cost": 2.5}, "cost", 2.4, 2.5),
        ({"min_metric_value": {"loss": 0.1}}, "metric_min", {"loss": 0.11}, {"loss": 0.1}),
        ({"max_metric_value": {"acc": 0.9}}, "metric_max", {"acc": 0.89}, {"acc": 0.9}),
    ],
)
def test_a_limit_is_reached_when_it_is_equalled(options: Any, attribute: str, below: Any, at: Any) -> None:
    """Reached means ``>=`` (``<=`` for the lowest metric value), not "exceeded"."""
    status = TuningStatus("loss")
    criterion = StoppingCriterion(**options)
    setattr(status, attribute, below)
    assert not criterion(status)
    setattr(status, attribute, at)
    assert criterion(status)


def test_a_criterion_needs_a_limit() -> None:
    """StoppingCriterion() would never end; limits must be positive; anything else is refused with an example."""
    with pytest.raises(ValueError, match="has no limit"):
        StoppingCriterion()
    with pytest.raises(ValueError, match="max_num_trials_started must be above 0, got 0"):
        StoppingCriterion(max_num_trials_started=0)
    with pytest.raises(TypeError, match="for instance StoppingCriterion"):
        make_tuner(Machine(Program(curve)), stop_criterion=600)


def test_n_workers_must_be_positive() -> None:
    """n_workers=0 is refused at once, with what it means."""
    with pytest.raises(ValueError, match="n_workers must be at least 1, got 0"):
        make_tuner(Machine(Program(curve)), n_workers=0)


def test_the_scheduler_completes_a_trial_with_a_report_it_can_use() -> None:
    """A last report without the metric is not what on_trial_complete gets: that is the last one with it."""
    completed: list[dict[str, Any]] = []

    class Ear(RandomSearch):
        def on_trial_complete(self, trial: Trial, result: dict[str, Any]) -> None:
            completed.append(result)

    machine = Machine(Program(curve, levels=3))
    scheduler = Ear({"x": uniform(0, 1)}, metric="loss", random_seed=0)
    tuner = make_tuner(machine, scheduler, n_workers=1, stop_criterion=StoppingCriterion(max_num_trials_started=2))
    advance = machine.advance

    def note_at_the_end(attempt: Any) -> None:
        advance(attempt)
        if attempt.level == 3:
            attempt.reports[-1] = {"note": "done"}

    machine.advance = note_at_the_end  # type: ignore[method-assign]
    tuner.run()
    assert [result["epoch"] for result in completed] == [2, 2]
    assert tuner.status.records[0].last_metrics["note"] == "done"
    assert "loss" in tuner.status.records[0].last_metrics, "the table shows the last value of every key"


@pytest.mark.parametrize(
    ("program", "state"),
    [(Program(curve), entries.FINISHED), (Program(curve, fails_at=lambda _c: 1), entries.FAILED)],
)
def test_the_log_says_how_an_experiment_ended(program: Program, state: str) -> None:
    """Finished, or failed because too many trials did; an interruption is tested with a real signal."""
    machine = Machine(program)
    tuner = make_tuner(machine)
    try:
        tuner.run()
    except TooManyFailures:
        assert state == entries.FAILED
    assert machine.log[-1]["state"] == state
    assert tuner.status.finished_state == state


def test_best_config_of_each_metric() -> None:
    """With two metrics best_config takes a name or a position; without a finite value it says why."""
    machine = Machine(Program(curve, levels=2))
    advance = machine.advance

    def second_metric(attempt: Any) -> None:
        advance(attempt)
        for report in attempt.reports:
            report["size"] = -attempt.config["x"]

    machine.advance = second_metric  # type: ignore[method-assign]
    scheduler = FIFOScheduler({"x": uniform(0, 1)}, metric=["loss", "size"], mode=["min", "min"], random_seed=0)
    tuner = make_tuner(machine, scheduler)
    with pytest.raises(ValueError, match="has no result yet"):
        tuner.best_config()
    tuner.run()
    values = {r.trial.trial_id: r.trial.config["x"] for r in tuner.status.records.values()}
    assert tuner.best_config()[0] == min(values, key=values.__getitem__)
    assert tuner.best_config("size")[0] == tuner.best_config(1)[0] == max(values, key=values.__getitem__)
    with pytest.raises(ValueError, match="use one of loss, size"):
        tuner.best_config("accuracy")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"n_workers": 2.5}, ValueError, "n_workers must be at least 1"),
        ({"n_workers": "2"}, ValueError, "n_workers must be at least 1"),
        ({"callbacks": [object()]}, TypeError, "derived from TunerCallback"),
        ({"print_update_interval": 0}, ValueError, "print_update_interval must be above 0"),
        ({"results_update_interval": -1}, ValueError, "results_update_interval must be above 0"),
        ({"max_failures": -1}, ValueError, "max_failures must be 0 or more"),
        ({"metadata": {"metric_names": "x"}}, ValueError, "'metric_names' is one that cloudtune writes itself"),
        ({"metadata": {"st_mine": 1}}, ValueError, "'st_mine' is one that cloudtune writes itself"),
    ],
)
def test_wrong_arguments_are_refused_at_once(options: Any, error: type[Exception], said: str) -> None:
    """Each wrong argument of the tuner is named when the tuner is made, not in the middle of the night."""
    with pytest.raises(error, match=said):
        make_tuner(Machine(Program(curve)), **options)


def test_a_scheduler_that_forgot_its_base_is_told_so() -> None:
    """A scheduler whose constructor does not call its base's is refused with the line to add."""

    class Forgetful(PausesAtTwo):
        def __init__(self) -> None:
            self.paused = []

    with pytest.raises(TypeError, match=r"call super\(\).__init__\(config_space\)"):
        make_tuner(Machine(Program(curve)), Forgetful())


def test_a_limit_that_is_no_number_is_refused() -> None:
    """A limit given as a string is refused when the criterion is made."""
    with pytest.raises(TypeError, match="max_wallclock_time must be a number, got '600'"):
        StoppingCriterion(max_wallclock_time="600")  # type: ignore[arg-type]


def test_a_full_disk_loses_nothing_of_what_was_taken_in() -> None:
    """An append that fails ends the run; the log has everything up to then, and a fresh tuner continues it."""
    machine = Machine(Program(curve))

    class FullDisk(MemoryStore):
        appends = 0

        def append(self, entries: Any) -> None:
            FullDisk.appends += 1
            if FullDisk.appends in (8, 9):
                raise StorageFull("no room")
            super().append(entries)

    tuner = make_tuner(machine)
    tuner._store = FullDisk(machine)
    with pytest.raises(StorageFull):
        tuner.run()
    with pytest.raises(ExperimentMismatch, match="ended before its log could be written"):
        tuner.run()
    again = make_tuner(machine)
    again.run()
    assert again.status.num_trials_completed == 6
    assert len(of_kind(machine, entries.SUGGEST)) == 6


def test_an_append_that_fails_once_is_made_up_for() -> None:
    """If there is room again when the tuner ends, what it had taken in is in the log, and the same object continues."""
    machine = Machine(Program(curve))

    class FullOnce(MemoryStore):
        appends = 0

        def append(self, entries: Any) -> None:
            FullOnce.appends += 1
            if FullOnce.appends == 8:
                raise StorageFull("no room")
            super().append(entries)

    tuner = make_tuner(machine)
    tuner._store = FullOnce(machine)
    with pytest.raises(StorageFull):
        tuner.run()
    tuner.run()
    assert tuner.status.num_trials_completed == 6
    keys = [(r["trial"], r["attempt"], r["number"]) for r in of_kind(machine, entries.REPORT)]
    assert len(keys) == len(set(keys))
    assert [e["trial"] for e in of_kind(machine, entries.SUGGEST)] == list(range(6))


class Deleting(VirtualBackend):
    """Notes which checkpoints are deleted, and how the trials stood in the log then."""

    delete_checkpoints = True

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.deleted: list[int] = []

    def delete_checkpoint(self, trial_id: int) -> None:
        ends = [e for e in of_kind(self.machine, entries.END) if e["trial"] == trial_id]
        assert ends[-1]["status"] in ("Completed", "Stopped", "Failed"), "it may run again"
        self.deleted.append(trial_id)
        super().delete_checkpoint(trial_id)


@pytest.mark.parametrize("how", ["stopping", "promotion"])
def test_checkpoints_of_trials_that_go_on_are_kept(how: str) -> None:
    """delete_checkpoints deletes when a trial has completed, was stopped or failed; not when it is paused."""
    machine = Machine(Program(curve))
    scheduler = ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type=how, random_seed=1
    )
    tuner = make_tuner(machine, scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=20))
    backend = tuner.trial_backend = Deleting(machine)
    tuner.run()
    assert sorted(backend.deleted) == [r.trial.trial_id for r in tuner.status.records.values() if r.status.is_finished]
    assert backend.deleted


def test_checkpoints_survive_the_end_of_the_tuner() -> None:
    """Trials cut by the wall-clock limit keep their checkpoints and go on where they were."""
    machine = Machine(Program(curve, seconds=lambda _c: 100.0))
    tuner = make_tuner(machine, stop_criterion=StoppingCriterion(max_wallclock_time=250))
    tuner.trial_backend = Deleting(machine)
    tuner.run()
    tuner.stop_criterion = StoppingCriterion(max_num_trials_completed=2)
    tuner.run()
    for trial in (0, 1):
        levels = [r["metrics"]["epoch"] for r in of_kind(machine, entries.REPORT) if r["trial"] == trial]
        assert levels == list(range(1, 10))


def test_an_integer_beyond_all_floats_is_kept_and_ranks_last() -> None:
    """10**400 as the metric is legal JSON: no crash, now or when the experiment is continued."""
    tuner, machine = run_with_metrics(lambda report: report.update(loss=10**400) if report["epoch"] == 3 else None)
    assert tuner.status.num_trials_failed == 0
    again = make_tuner(machine, stop_criterion=StoppingCriterion(max_num_trials_started=7))
    again.run()
    assert again.status.incumbent is not None
    assert again.status.incumbent[2] != 3


def test_a_copied_checkpoint_is_copied_again_if_the_tuner_died_before() -> None:
    """A trial that begins from another's checkpoint does so too when it was logged but never started."""

    class FromTheFirst(PausesAtTwo):
        def _suggest(self) -> TrialSuggestion:
            source = 0 if self.num_suggestions == 1 else None
            return TrialSuggestion.start_suggestion({"x": 0.1, "max_epochs": 9}, checkpoint_trial_id=source)

        def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
            return "CONTINUE"

    machine = Machine(Program(curve))

    class Dies(VirtualBackend):
        def start_trial(self, trial: Trial, checkpoint_trial_id: int | None = None) -> None:
            if checkpoint_trial_id is not None:
                raise Killed
            super().start_trial(trial, checkpoint_trial_id)

    tuner = make_tuner(machine, FromTheFirst(), n_workers=1, stop_criterion=StoppingCriterion(max_num_trials_started=2))
    tuner.trial_backend = Dies(machine)
    with pytest.raises(Killed):
        tuner.run()
    machine.tuner_died()
    machine.checkpoints[0] = 4
    make_tuner(machine, FromTheFirst(), n_workers=1, stop_criterion=StoppingCriterion(max_num_trials_started=2)).run()
    second = [r["metrics"]["epoch"] for r in of_kind(machine, entries.REPORT) if r["trial"] == 1]
    assert second == [5, 6, 7, 8, 9]


def test_reports_without_the_metric_are_replays_too() -> None:
    """A trial that starts over repeats levels, also those it reported without the metric: they count once."""
    machine = Machine(Program(curve, keeps_checkpoints=False, seconds=lambda _c: 100.0))
    advance = machine.advance

    def every_third(attempt: Any) -> None:
        advance(attempt)
        for report in attempt.reports:
            if report["epoch"] % 3:
                report.pop("loss", None)

    machine.advance = every_third  # type: ignore[method-assign]
    tuner = make_tuner(machine, n_workers=1, stop_criterion=StoppingCriterion(max_wallclock_time=550))
    tuner.run()
    tuner.stop_criterion = StoppingCriterion(max_num_trials_completed=1)
    tuner.run()
    counted = [
        r["metrics"]["epoch"]
        for r in of_kind(machine, entries.REPORT)
        if r["trial"] == 0 and not r.get("replay") and not r.get("late")
    ]
    assert counted == list(range(1, 10))
