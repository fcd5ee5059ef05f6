"""The loop on a virtual machine: what it starts, stops and decides, and what it makes of odd trials."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from cloudtune.callbacks import TunerCallback
from cloudtune.config_space import choice, uniform
from cloudtune.errors import TooManyFailures
from cloudtune.optimizer.baselines import ASHA, MedianStopping, RandomSearch
from cloudtune.optimizer.scheduler import TrialSuggestion
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.trial import Trial, TrialStatus
from cloudtune.tuner import Tuner
from tests.virtual import Machine, Program
from tests.virtual_tuner import SPACE, PausesAtTwo, curve, make_tuner, of_kind, run_with_metrics


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


def test_metrics_in_reports_of_their_own_fail_their_trial() -> None:
    """Where each metric was reported, but no report had both: the message shows the call that is wanted."""

    def one_of_both(report: dict[str, Any]) -> None:
        if report["epoch"] % 2:
            report["latency"] = report.pop("loss")

    scheduler = RandomSearch(SPACE, metric=["loss", "latency"], resource_attr="epoch", random_seed=3)
    tuner, _machine = run_with_metrics(one_of_both, scheduler=scheduler)
    assert tuner.status.records[0].reason == (
        "it reported loss, latency, epoch, but never together; "
        "put them into one report: report(loss=..., latency=..., epoch=...)"
    )


def test_a_missing_resource_fails_its_trial() -> None:
    """resource_attr that is not in the reports: the message names it and what was reported."""
    tuner, _machine = run_with_metrics(lambda report: report.pop("epoch"))
    reason = tuner.status.records[0].reason
    assert "reported no 'epoch' (the scheduler's resource_attr), only loss; report it in the same call, or " in reason


@pytest.mark.parametrize("method", [RandomSearch, ASHA, MedianStopping])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400], ids=["nan", "inf", "-inf", "huge"])
def test_a_resource_that_is_not_finite_fails_its_trial(method: Any, value: float) -> None:
    """No rung and no comparison sees it; the message names the key. The trials that count go on."""

    def odd(report: dict[str, Any]) -> None:
        if report["epoch"] == 2:
            report["epoch"] = value

    options = {"max_resource_attr": "max_epochs", "grace_period": 3} if method is ASHA else {}
    scheduler = method(SPACE, metric="loss", resource_attr="epoch", random_seed=3, **options)
    tuner, machine = run_with_metrics(odd, scheduler=scheduler)
    for record in tuner.status.records.values():
        assert record.status is TrialStatus.failed
        assert record.reason.startswith(
            f"it reported epoch={value!r:.20} (the scheduler's resource_attr), which counts"
        )
    assert tuner.status.num_trials_failed == 6
    answers = [(entry["trial"], entry["decision"]) for entry in of_kind(machine, entries.REPORT)]
    assert sorted(answers) == [(trial, answer) for trial in range(6) for answer in ("CONTINUE", "STOP")]


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
