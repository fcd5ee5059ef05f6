"""What an experiment costs: bills, workers that are free later than their trials end, and committed money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.continuing import replay
from cloudtune.optimizer.baselines import ASHA, RandomSearch
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store import entries
from cloudtune.store.store import Entry
from cloudtune.trial import End, Outcome, TrialStatus
from cloudtune.tuner import Tuner
from cloudtune.tuning_status import TuningStatus
from tests.virtual import Killed, Machine, Program, Terms, VirtualBackend
from tests.virtual_tuner import SPACE, PausesAtTwo, curve, make_tuner, of_kind


def pace(config: Mapping[str, Any]) -> float:
    """Trials of different speed."""
    return 0.5 + float(config["x"])


#: Workers are free three seconds late, are kept for a minute, and bills come when other trials have long begun.
LATE = Terms(dollars=0.5, longest=100.0, frees_after=3.0, bills_after=20.0, keeps=60.0)


def make_scheduler(method: str, seed: int) -> TrialScheduler:
    if method == "pausing":
        return PausesAtTwo()
    if method == "random":
        return RandomSearch(SPACE, metric="loss", resource_attr="epoch", random_seed=seed)
    return ASHA(
        SPACE, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", type=method, random_seed=seed
    )


def check_costs(machine: Machine, tuner: Tuner) -> None:
    """All attempts are billed, and the experiment has cost what they have cost."""
    status = tuner.status
    assert status.unsettled == {}
    assert status.cost == pytest.approx(machine.total_cost())
    assert status.billed_cost == pytest.approx(machine.total_cost())
    for record in status.records.values():
        own = [a for a in machine.attempts.values() if a.trial_id == record.trial.trial_id and a.started]
        assert record.cost == pytest.approx(sum(machine.dollars(a, machine.given_back_at(a)) for a in own))
    assert machine.kept() == []
    final = [(e["trial"], e["attempt"]) for e in of_kind(machine, entries.BILL) if e["final"]]
    assert sorted(set(final)) == sorted(key for key, a in machine.attempts.items() if a.started)


@pytest.mark.parametrize("method", ["random", "stopping", "promotion"])
def test_the_cost_is_the_sum_of_the_bills(method: str) -> None:
    """Per trial and in total, also of stopped, paused and resumed trials, and with what kept workers cost."""
    machine = Machine(Program(curve, seconds=pace), LATE)
    tuner = make_tuner(
        machine, make_scheduler(method, 1), stop_criterion=StoppingCriterion(max_num_trials_started=12), n_workers=3
    )
    tuner.run()
    check_costs(machine, tuner)
    assert tuner.status.cost > 0


def test_the_end_waits_for_the_last_bill() -> None:
    """The log is finished when all bills are in it, and nothing that is kept goes on to cost money."""
    machine = Machine(Program(curve), Terms(dollars=1.0, frees_after=3.0, bills_after=20.0, keeps=5_000.0))
    make_tuner(machine).run()
    assert machine.log[-1]["event"] == entries.FINISH
    assert machine.log[-2]["event"] == entries.BILL
    last_end = of_kind(machine, entries.END)[-1]["time"]
    assert machine.log[-1]["time"] - last_end == pytest.approx(3.0 + 20.0)
    assert machine.kept() == []


def test_a_kept_worker_is_used_again_before_it_is_given_back() -> None:
    """While trials are still to come nothing is wound down: one worker, handed on five times and given back once."""
    machine = Machine(Program(curve), Terms(dollars=1.0, keeps=1_000.0))
    make_tuner(machine, n_workers=1).run()
    attempts = list(machine.attempts.values())
    assert [a.kept_until for a in attempts[:-1]] == [a.began for a in attempts[1:]]
    assert attempts[-1].kept_until == attempts[-1].ended


def test_a_bill_replaces_the_estimate() -> None:
    """What reports say of costs counts until the bill comes, for the attempt that it is for; a later bill corrects."""
    status = TuningStatus("loss", resource_attr="epoch")

    def report(attempt: int, number: int, dollars: float) -> None:
        metrics = {"loss": 1.0, "epoch": number, "st_worker_cost": dollars}
        entry: Entry = {"event": entries.REPORT, "trial": 0, "attempt": attempt, "run": 0, "number": number}
        status.apply({**entry, "metrics": metrics, "decision": "CONTINUE", "time": 1.0})

    def bill(attempt: int, dollars: float | None, final: bool = True) -> None:
        status.apply({"event": entries.BILL, "trial": 0, "attempt": attempt, "dollars": dollars, "final": final})

    def end(attempt: int) -> None:
        entry: Entry = {"event": entries.END, "trial": 0, "attempt": attempt, "status": "Paused", "time": 1.0}
        status.apply({**entry, "bill_follows": True})

    def begin(attempt: int) -> None:
        entry: Entry = {"event": entries.SUGGEST, "trial": 0, "attempt": attempt, "number": attempt, "time": 1.0}
        status.apply({**entry, "config": {"x": 1}})

    begin(0)
    report(0, 0, 2.0)
    assert (status.cost, status.billed_cost) == (2.0, 0.0)
    report(0, 1, 3.0)
    end(0)
    assert (status.cost, status.records[0].cost) == (3.0, 3.0)
    begin(1)
    report(1, 0, 0.25)
    assert status.cost == 3.25
    bill(0, 1.5, final=False)
    assert (status.cost, status.billed_cost) == (1.75, 1.5)
    assert list(status.unsettled) == [(0, 0)]
    bill(0, 2.5)
    assert (status.cost, status.billed_cost) == (2.75, 2.5)
    assert status.records[0].cost == 2.75
    assert status.unsettled == {}
    report(0, 2, 9.0)
    assert status.cost == 2.75
    end(1)
    bill(1, None)  # no price is known: the estimate is all there is
    assert (status.cost, status.billed_cost) == (2.75, 2.5)
    assert status.unsettled == {}


def test_estimates_that_are_wrong_do_not_last() -> None:
    """Whatever the reports claim, in the end the bills count."""
    machine = Machine(Program(curve), LATE)
    advance = machine.advance

    def exaggerate(attempt: Any) -> None:
        advance(attempt)
        for report in attempt.reports:
            report["st_worker_cost"] = 1e6

    machine.advance = exaggerate  # type: ignore[method-assign]
    tuner = make_tuner(machine)
    tuner.run()
    check_costs(machine, tuner)


def test_a_worker_may_be_free_later_than_its_trial_ends() -> None:
    """The next trial begins the moment the worker is free, not before, and not when something else happens."""
    machine = Machine(Program(curve), Terms(frees_after=7.5))
    make_tuner(machine, n_workers=1).run()
    attempts = list(machine.attempts.values())
    assert [a.began for a in attempts[1:]] == [machine.freed_at(a) for a in attempts[:-1]]


def test_workers_are_never_more_than_asked_for() -> None:
    """Three workers, each free late: at no time are four of them occupied."""
    machine = Machine(Program(curve, seconds=pace), Terms(frees_after=2.5, bills_after=1.0))
    make_tuner(machine, n_workers=3, stop_criterion=StoppingCriterion(max_num_trials_started=20)).run()
    assert machine.most_at_once == 3


def test_starting_without_delay_does_not_wait_for_the_worker() -> None:
    """With start_jobs_without_delay the next trial begins when the last one has ended."""
    machine = Machine(Program(curve), Terms(frees_after=7.5))
    make_tuner(machine, n_workers=1, start_jobs_without_delay=True).run()
    attempts = list(machine.attempts.values())
    assert [a.began for a in attempts[1:]] == [a.ended for a in attempts[:-1]]


def test_a_batch_waits_until_all_workers_are_free() -> None:
    """With asynchronous_scheduling=False no trial of the next batch begins while a worker is still occupied."""
    machine = Machine(Program(curve, seconds=pace), Terms(frees_after=4.0))
    make_tuner(machine, n_workers=3, asynchronous_scheduling=False).run()
    attempts = list(machine.attempts.values())
    free = max(machine.freed_at(a) for a in attempts[:3])
    assert [a.began for a in attempts[3:]] == [free] * 3


class Unlucky(VirtualBackend):
    """Interrupts the first attempts of every trial before they begin."""

    times = 10
    blameless = True

    def poll(self, timeout: float | None) -> list[Any]:
        for attempt in self.machine.running():
            if attempt.number < self.times:
                self.machine.now += 1
                key = (attempt.trial_id, attempt.number)
                attempt.end = End(*key, Outcome.interrupted, "no capacity", blameless=self.blameless)
        return super().poll(timeout)


def test_interruptions_without_blame_do_not_count() -> None:
    """A trial whose machine is not there ten times in a row still runs in the end; elsewhere it would have failed."""
    machine = Machine(Program(curve))
    tuner = make_tuner(machine, max_failures=99)
    tuner.trial_backend = Unlucky(machine)
    tuner.run()
    assert {r.status for r in tuner.status.records.values()} == {TrialStatus.completed}
    assert {r.trial.attempt for r in tuner.status.records.values()} == {10}


def test_blame_is_counted_across_interruptions_without_it() -> None:
    """A blameless interruption neither counts nor wipes out those that do."""

    class Mixed(Unlucky):
        def poll(self, timeout: float | None) -> list[Any]:
            self.blameless = any(a.number % 2 for a in self.machine.running())
            return super().poll(timeout)

    machine = Machine(Program(curve))
    tuner = make_tuner(
        machine, n_workers=1, max_failures=99, stop_criterion=StoppingCriterion(max_num_trials_started=1)
    )
    tuner.trial_backend = Mixed(machine)
    tuner.run()
    record = tuner.status.records[0]
    assert record.status is TrialStatus.failed
    assert "interrupted 4 times in a row" in record.reason
    assert record.trial.attempt == 6, "attempts 0, 2, 4 and 6 count"


def run_with_kills(
    terms: Terms, method: str, n_workers: int, gaps: list[int], seed: int = 7, downtime: float = 1_000.0
) -> tuple[Machine, Tuner]:
    """Runs an experiment that is killed after the given numbers of steps, then to its end."""
    machine = Machine(Program(curve, seconds=pace), terms)
    criterion = StoppingCriterion(max_num_trials_started=8)
    for gap in gaps:
        machine.fuse = machine.steps + gap
        try:
            make_tuner(machine, make_scheduler(method, seed), n_workers=n_workers, stop_criterion=criterion).run()
        except Killed:
            machine.tuner_died(downtime)
        else:
            break
    machine.fuse = None
    tuner = make_tuner(machine, make_scheduler(method, seed), n_workers=n_workers, stop_criterion=criterion)
    tuner.run()
    return machine, tuner


def check_reports(machine: Machine) -> None:
    """Every report of every attempt is in the log, once and in order."""
    for (trial, attempt), made in machine.attempts.items():
        logged = [
            e["number"] for e in of_kind(machine, entries.REPORT) if (e["trial"], e["attempt"]) == (trial, attempt)
        ]
        assert logged == list(range(len(made.reports)))


def decided(machine: Machine) -> list[tuple[Any, ...]]:
    """What the scheduler wanted and was told, apart from when."""
    told = [e for e in of_kind(machine, entries.REPORT) if not (e.get("replay") or e.get("late") or e.get("extra"))]
    wanted = [(e["number"], e["trial"], tuple(e["config"].items())) for e in of_kind(machine, entries.SUGGEST)]
    return [*wanted, *((e["trial"], e["metrics"]["epoch"], e["decision"]) for e in told)]


@pytest.mark.parametrize("method", ["random", "stopping", "promotion"])
@pytest.mark.parametrize("outlives", [False, True])
def test_killed_between_any_two_steps(method: str, outlives: bool) -> None:
    """One worker: wherever the tuner dies, every attempt is billed, and the experiment is what it would have been.

    Also where trials run on without their tuner: they are taken over, and what it had decided is done.
    """
    terms = Terms(dollars=0.5, frees_after=3.0, bills_after=6.0, keeps=2.0, outlives=outlives)
    calm, _tuner = run_with_kills(terms, method, 1, [])
    for fuse in range(1, calm.steps + 1):
        machine, tuner = run_with_kills(terms, method, 1, [fuse])
        check_costs(machine, tuner)
        check_reports(machine)
        assert decided(machine) == decided(calm), f"killed at step {fuse}"


@pytest.mark.parametrize("method", ["stopping", "pausing"])
def test_the_next_tuner_does_what_was_decided(method: str) -> None:
    """A trial that runs on is told to stop or pause if that is in the log, before it reports once more."""
    terms = Terms(dollars=0.5, bills_after=6.0, outlives=True)
    calm, _tuner = run_with_kills(terms, method, 1, [])
    for fuse in range(1, calm.steps + 1):
        machine, _tuner = run_with_kills(terms, method, 1, [fuse], downtime=0.0)
        beyond = [e for e in of_kind(machine, entries.REPORT) if e.get("extra") or e.get("late")]
        assert beyond == [], f"killed at step {fuse}"


def test_the_next_tuner_deletes_what_is_of_no_more_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the tuner dies, in the end no checkpoint is left of a trial that will not run again."""
    monkeypatch.setattr(VirtualBackend, "delete_checkpoints", True)
    calm, _tuner = run_with_kills(Terms(), "stopping", 1, [])
    for fuse in range(1, calm.steps + 1):
        machine, tuner = run_with_kills(Terms(), "stopping", 1, [fuse])
        finished = {r.trial.trial_id for r in tuner.status.records.values() if r.status.is_finished}
        assert finished
        assert not finished & machine.checkpoints.keys(), f"killed at step {fuse}"


@settings(max_examples=60)
@given(
    method=st.sampled_from(["random", "stopping", "promotion"]),
    seed=st.integers(0, 1_000),
    n_workers=st.integers(1, 4),
    gaps=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    downtime=st.sampled_from([0.0, 5.0, 1_000.0]),
    frees_after=st.sampled_from([0.0, 0.3, 4.0]),
    bills_after=st.sampled_from([0.0, 0.7, 30.0]),
    keeps=st.sampled_from([0.0, 1.0, 50.0]),
    outlives=st.booleans(),
)
def test_killed_again_and_again(
    method: str, seed: int, n_workers: int, gaps: list[int], downtime: float, outlives: bool, **terms: float
) -> None:
    """Whatever is late and however often the tuner dies: all costs are known, and never is a worker too many taken."""
    machine, tuner = run_with_kills(Terms(0.5, outlives=outlives, **terms), method, n_workers, gaps, seed, downtime)
    check_costs(machine, tuner)
    check_reports(machine)
    assert machine.most_at_once <= n_workers
    again = make_tuner(machine, make_scheduler(method, seed))
    replay(machine.log, again.status, again.scheduler)
    assert again.status.cost == pytest.approx(tuner.status.cost)
    assert again.status.billed_cost == pytest.approx(tuner.status.billed_cost)


def test_a_bill_that_the_log_has_lost_is_told_again() -> None:
    """A tuner that dies between an end and its bill leaves the bill to the next one."""
    machine = Machine(Program(curve), Terms(dollars=1.0, bills_after=50.0, outlives=True))
    tuner = make_tuner(machine, n_workers=1)

    class Dies(VirtualBackend):
        def poll(self, timeout: float | None) -> list[Any]:
            events = super().poll(timeout)
            if any(isinstance(event, End) for event in events):
                self.machine.fuse = self.machine.steps + 3  # the end is in the log then
            return events

    tuner.trial_backend = Dies(machine)
    with pytest.raises(Killed):
        tuner.run()
    assert of_kind(machine, entries.END)[-1]["bill_follows"]
    assert of_kind(machine, entries.BILL) == []
    machine.tuner_died(1_000.0)
    second = make_tuner(machine, n_workers=1)
    second.run()
    check_costs(machine, second)


class Accountant(VirtualBackend):
    """Checks with every start that the limit holds, whatever those that run may still cost."""

    limit = 0.0

    def _launch(self, trial: Any, level: int) -> None:
        super()._launch(trial, level)
        assert self.machine.worst_cost() <= self.limit + 1e-9, "more than the limit is committed"


def run_within(limit: float, machine: Machine, n_workers: int, gaps: list[int], downtime: float = 0.0) -> Tuner:
    """Runs as many trials as the money certainly allows, and kills the tuner now and then."""
    criterion = StoppingCriterion(max_cost=limit, count_committed=True)
    for gap in [*gaps, None]:
        machine.fuse = None if gap is None else machine.steps + gap
        tuner = make_tuner(machine, make_scheduler("stopping", 1), n_workers=n_workers, stop_criterion=criterion)
        backend = tuner.trial_backend = Accountant(machine)
        backend.limit = limit
        try:
            tuner.run()
        except Killed:
            machine.tuner_died(downtime)
        else:
            break
    return tuner


@settings(max_examples=60)
@given(
    limit=st.floats(12.0, 60.0),
    n_workers=st.integers(1, 4),
    gaps=st.lists(st.integers(1, 40), max_size=5),
    downtime=st.sampled_from([0.0, 100.0]),
    keeps=st.sampled_from([0.0, 3.0]),
    bills_after=st.sampled_from([0.0, 5.0]),
    outlives=st.booleans(),
)
def test_never_more_is_committed_than_the_limit(
    limit: float, n_workers: int, gaps: list[int], downtime: float, outlives: bool, **terms: float
) -> None:
    """No start takes what was spent, and what could still be, over the limit; and what is left is spent."""
    machine = Machine(Program(curve, seconds=pace), Terms(0.5, 20.0, outlives=outlives, **terms))
    tuner = run_within(limit, machine, n_workers, gaps, downtime)
    check_costs(machine, tuner)
    dearest = machine.terms.dearest if machine.terms else 0.0
    assert limit - dearest < tuner.status.cost <= limit, "one more trial would have been allowed"


def test_bills_free_committed_money() -> None:
    """Money for two trials at their dearest pays for many short ones, one after the other."""
    machine = Machine(Program(curve, levels=2), Terms(1.0, 100.0))
    tuner = run_within(200.0, machine, 4, [])
    assert machine.most_at_once == 2
    assert tuner.status.num_trials_started > 10


def test_interrupted_trials_are_not_retried_beyond_the_limit() -> None:
    """Of three trials that a power cut has interrupted only those go on that the money is there for."""
    machine = Machine(Program(curve), Terms(1.0, 10.0))
    criterion = StoppingCriterion(max_cost=32.0, count_committed=True)
    machine.fuse = 22
    with pytest.raises(Killed):
        make_tuner(machine, n_workers=3, stop_criterion=criterion).run()
    assert len(machine.running()) == 3
    machine.tuner_died(5.0)
    second = make_tuner(machine, n_workers=3, stop_criterion=criterion)
    backend = second.trial_backend = Accountant(machine)
    backend.limit = 32.0
    second.run()
    check_costs(machine, second)


def test_without_a_price_committed_money_cannot_be_counted() -> None:
    """count_committed where no price is known is refused, with what to do."""

    class Priceless(VirtualBackend):
        def trial_cost_limit(self) -> float | None:
            return None

    machine = Machine(Program(curve))
    tuner = make_tuner(machine, stop_criterion=StoppingCriterion(max_cost=1.0, count_committed=True))
    tuner.trial_backend = Priceless(machine)
    with pytest.raises(ValueError, match=r"no price is known.*prices file"):
        tuner.run()
    assert machine.starts == []


def test_trials_may_be_left_running_for_the_next_tuner() -> None:
    """Interrupted by a signal, a tuner whose backend says so leaves its trials alone; the next one takes them over."""

    class Stays(VirtualBackend):
        leave_running_when_interrupted = True

        def poll(self, timeout: float | None) -> list[Any]:
            events = super().poll(timeout)
            if len(self.machine.log) > 12 and tuner._loop is not None:
                tuner._loop.interrupted_by = "interrupted by SIGTERM"
            return events

    machine = Machine(Program(curve), Terms(dollars=1.0, frees_after=1.0, bills_after=2.0, outlives=True))
    tuner = make_tuner(machine)
    tuner.trial_backend = Stays(machine)
    tuner.run()
    assert machine.log[-1]["state"] == entries.INTERRUPTED
    assert len(machine.running()) == 2
    assert of_kind(machine, entries.END) == []
    second = make_tuner(machine)
    second.run()
    assert machine.starts == [(trial, 0) for trial in range(6)], "nothing was started again"
    assert second.status.num_trials_completed == 6
    check_reports(machine)
    check_costs(machine, second)
