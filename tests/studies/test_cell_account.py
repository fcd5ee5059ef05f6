"""What a cell's tuner takes of its study's money and gives back, and when it does not wait for more."""

from __future__ import annotations

import pytest

from cloudtune.aws.errors import Unreachable
from cloudtune.stopping_criterion import StoppingCriterion, Verdict
from cloudtune.studies.cell_account import LedgerGone
from cloudtune.studies.ledger import Book, dollars
from cloudtune.studies.purse import Purse
from cloudtune.studies.shared_budget import SharedBudget
from cloudtune.trial import TrialStatus
from cloudtune.tuning_status import TuningStatus
from tests.studies.budget_cells import LONGEST_WAIT, SimulatedCell, SimulatedStudy
from tests.studies.faulty_bucket import ANSWER_LOST, FINE, UNREACHABLE


def at_work(cell: SimulatedCell, turns: int = 3) -> None:
    """The tuner takes some turns, and its account looks in between."""
    for _ in range(turns):
        cell.turn()
        cell.look()
    cell.turn()


def share_of(cell: SimulatedCell) -> float:
    """Dollars that are put aside for its trials."""
    return dollars(cell.study.book().share(cell.name).trials)


def status_of(committed: float, billed: float, one: float, running: int) -> TuningStatus:
    """What a tuner sees."""
    status = TuningStatus("loss")
    status.num_by_status[TrialStatus.in_progress] = running
    status.committed_cost, status.billed_cost, status.next_attempt_cost = committed, billed, one
    return status


def test_money_is_fetched_before_it_is_needed() -> None:
    """With two workers: for both, and for one trial more, so that the next one need not wait."""
    study = SimulatedStudy(10.0)
    cell = study.cell("a", one=1.0, n_workers=2)
    assert cell.launch()
    at_work(cell)
    assert cell.running == 2
    assert share_of(cell) == 3.0
    cell.end_trial(0.5)
    cell.turn()
    assert cell.running == 2  # paid with what was fetched before


def test_bills_that_are_lower_are_given_back() -> None:
    """What trials did not use is there for other cells."""
    study = SimulatedStudy(10.0)
    cell = study.cell("a", one=1.0, n_workers=3)
    cell.launch()
    at_work(cell)
    assert share_of(cell) == 4.0
    assert cell.tuner is not None
    cell.tuner.inner.said = Verdict.DRAIN
    for _ in range(3):
        cell.end_trial(0.1)
    at_work(cell)
    assert share_of(cell) == pytest.approx(0.3)
    assert study.book().share("a").spent == 300_000


def test_few_requests_where_nothing_happens() -> None:
    """A look at a ledger that says what it should is one request."""
    study = SimulatedStudy(10.0)
    cell = study.cell("a")
    cell.launch()
    at_work(cell)
    study.bucket.gets = study.bucket.puts = 0
    cell.look()
    assert (study.bucket.gets, study.bucket.puts) == (1, 0)


def test_what_others_wait_for_is_not_kept_in_advance() -> None:
    """One has money for a trial that it cannot start yet; the other has a free worker, and gets it."""
    study = SimulatedStudy(4.0)
    first, second = study.cell("a", job=0.0, n_workers=2), study.cell("b", job=0.0, n_workers=2)
    first.launch()
    second.launch()
    at_work(first)
    at_work(second)
    assert (share_of(first), second.running) == (3.0, 1)
    assert study.book().share("b").waits
    first.look()  # sees that somebody waits
    first.look()
    assert share_of(first) == 2.0
    second.look()
    second.turn()
    assert second.running == 2


def test_two_that_each_have_too_little() -> None:
    """Both give back what is no trial's money: one of them gets it."""
    study = SimulatedStudy(2.0)
    cells = [study.cell("a", job=0.0, n_workers=1), study.cell("b", job=0.0, n_workers=1)]
    for cell in cells:
        cell.launch()
    for _ in range(3):
        for cell in cells:
            at_work(cell, turns=1)
    assert [cell.running for cell in cells] == [1, 1]
    for cell in cells:
        cell.end_trial(0.4)
    for _ in range(3):
        for cell in cells:
            at_work(cell, turns=1)
    assert sum(cell.running for cell in cells) == 1
    study.check()


def test_the_last_one_ends() -> None:
    """There is nothing left, nothing of it runs, and nobody can give anything back: no waiting."""
    study = SimulatedStudy(1.5)
    cell = study.cell("a", one=1.0, job=0.2, n_workers=1)
    cell.launch()
    at_work(cell)
    cell.end_trial(1.0)
    at_work(cell)
    assert cell.verdict is Verdict.DRAIN
    assert cell.started == 1


def one_that_waits() -> tuple[SimulatedStudy, SimulatedCell]:
    """A cell whose first trial has cost half of what it might; the other half is not enough for one more."""
    study = SimulatedStudy(2.0)
    first, second = study.cell("a", job=0.0, n_workers=1), study.cell("b", job=0.0, n_workers=1)
    first.launch()
    second.launch()
    at_work(first)
    at_work(second)
    second.end_trial(0.5)
    at_work(second)
    assert (first.running, second.running) == (1, 0)
    return study, second


def test_no_two_are_launched_with_the_same_money() -> None:
    """Each has the money for its first trial before it is launched: another one waits, and does not pay a tuner."""
    study = SimulatedStudy(2.6)
    cells = [study.cell(name, one=1.0, job=0.3, n_workers=2) for name in "abcd"]
    assert [cell.launch() for cell in cells] == [True, True, False, False]
    for cell in cells:
        at_work(cell)
    assert [cell.running for cell in cells] == [1, 1, 0, 0]
    cells[0].end_trial(0.0)
    cells[0].end(for_good=True, job_part=0.0)
    assert cells[2].launch()
    at_work(cells[2])
    assert cells[2].running == 1
    study.check()


def test_it_waits_for_others_as_long_as_they_may_give_something_back() -> None:
    """Then, for some time at most: a cell whose tuner is gone would never."""
    study, second = one_that_waits()
    assert second.tuner is not None
    verdicts, whys = [second.verdict], [second.tuner.criterion.cut_short()]
    study.now += LONGEST_WAIT
    at_work(second)
    verdicts.append(second.verdict)
    whys.append(second.tuner.criterion.cut_short())
    assert verdicts == [Verdict.GO, Verdict.DRAIN]
    assert whys == ["", "the study's money is used up"]


def test_money_comes_back_in_time() -> None:
    """A cell that waits goes on once another one has ended, or the limit was raised."""
    study, second = one_that_waits()
    first = study.cells[0]
    first.end_trial(0.0)
    first.end(for_good=True, job_part=0.0)
    at_work(second)
    assert second.running == 1


def test_a_killed_tuner_leaves_its_share_to_the_next() -> None:
    """The next one begins with what is put aside, and pays the trials with it that go on."""
    study = SimulatedStudy(3.0)
    cell = study.cell("a", one=1.0, job=0.1, n_workers=2)
    cell.launch()
    at_work(cell)
    before = share_of(cell)
    cell.kill()
    cell.end_trial(0.5)
    assert share_of(cell) == before
    cell.launch()
    cell.look()
    assert cell.tuner is not None
    assert cell.tuner.purse.need() is None  # it has not looked yet, and has the share all the same
    assert share_of(cell) == before
    at_work(cell)
    assert cell.running == 2
    study.check()


def test_the_dead_cannot_give_away_what_the_living_use() -> None:
    """A thread of an earlier tuner that comes to itself late changes nothing."""
    study = SimulatedStudy(5.0)
    cell = study.cell("a", job=0.1, n_workers=2)
    cell.launch()
    at_work(cell)
    cell.kill()
    [dead] = cell.dead
    cell.launch()
    at_work(cell)
    before = study.book()
    dead.inner.said = Verdict.STOP
    dead.criterion.verdict(status_of(0.0, 0.0, 1.0, 0))
    cell.look(dead)
    assert study.book() == before


@pytest.mark.parametrize("faults", [[UNREACHABLE], [FINE, UNREACHABLE], [FINE, ANSWER_LOST]])
def test_s3_is_out_of_reach_for_a_while(faults: list[str]) -> None:
    """The tuner goes on within what it has; afterwards the account does as well, whatever has become of the call."""
    study = SimulatedStudy(5.0)
    cell = study.cell("a", one=1.0, job=0.1, n_workers=2)
    cell.launch()
    cell.turn()
    study.bucket.faults = list(faults)
    with pytest.raises(Unreachable):
        cell.look()
    cell.turn()
    assert cell.running == 0
    study.check()
    at_work(cell)
    assert cell.running == 2
    study.check()


def test_a_ledger_that_somebody_has_deleted() -> None:
    """No money comes from there any more; what is at hand stays."""
    study = SimulatedStudy(5.0)
    cell = study.cell("a", n_workers=2)
    cell.launch()
    at_work(cell)
    study.bucket.objects.clear()
    with pytest.raises(LedgerGone, match=r"is gone; launch the study again"):
        cell.look()


def test_more_committed_than_could_be_foreseen(caplog: pytest.LogCaptureFixture) -> None:
    """A tuner was launched past its budget: that is said, and no trial starts but for what was put aside before."""
    study = SimulatedStudy(1.0)
    cell = study.cell("a", one=0.5, job=0.2, n_workers=1)
    cell.launch()
    cell.jobs_cost = 1.2
    at_work(cell, turns=1)
    assert "committed $1.70, more than its max_cost of $1.00" in caplog.text
    assert cell.running == 1
    cell.end_trial(1.0)
    at_work(cell)
    assert cell.running == 0


def test_a_trial_found_payable_is_paid() -> None:
    """Between the tuner's question and its start of a trial nothing is taken out that it needs for it."""
    purse = Purse()
    purse.begin(n_workers=2)
    purse.note(status_of(2.0, 0.0, 1.0, running=2), starts_new=True)
    purse.fill(2_600_000)
    purse.note(status_of(2.0, 0.0, 1.0, running=1), starts_new=True)
    need = purse.need()
    assert need is not None
    assert need.lacks
    # A bill comes right now, and the tuner looks again.
    status = status_of(1.5, 0.5, 1.0, running=1)
    assert purse.note(status, starts_new=True)
    assert purse.take(status)
    assert purse.lower(need.keep) == 2_500_000


def test_nothing_is_kept_for_trials_that_no_worker_could_start() -> None:
    """While all workers are busy a further trial is not affordable: its money may be given back."""
    purse = Purse()
    purse.begin(n_workers=2)
    purse.fill(10_000_000)
    status = status_of(2.0, 0.0, 1.0, running=2)
    assert purse.note(status, starts_new=True)
    assert not purse.take(status)
    assert purse.lower(0) == 2_000_000


def test_a_criterion_of_other_limits_keeps_the_purse() -> None:
    """`cloudtune resume --max-wallclock-time` changes the cell's limits, not the study's."""
    purse = Purse()
    shared = SharedBudget(StoppingCriterion(max_wallclock_time=10), purse)
    wider = shared.with_limits(StoppingCriterion(max_wallclock_time=20))
    assert isinstance(wider, SharedBudget)
    assert wider.purse is purse
    assert (shared.longest(), wider.longest()) == (10, 20)
    assert wider.wake_times() == [20]
    assert SharedBudget(StoppingCriterion(max_cost=5), purse).cost_limits() == [5]
    assert [name for name, _, _ in wider.describe()] == ["seconds"]


def test_interrupted_trials_wait_for_money_when_no_new_ones_start() -> None:
    """A successor that has only to finish what was begun does not end before its purse is filled."""
    purse = Purse()
    purse.begin(n_workers=1)
    shared = SharedBudget(StoppingCriterion(max_num_trials_started=1), purse)
    status = status_of(0.5, 0.5, 1.0, running=0)
    status.records = {0: None}  # type: ignore[dict-item]
    status.interrupted = {0: None}  # type: ignore[dict-item]
    assert shared.verdict(status) is Verdict.GO
    purse.fill(5_000_000)
    assert not shared.affords(status)  # in this turn a new trial might be started with it
    assert shared.verdict(status) is Verdict.DRAIN
    assert shared.affords(status)


def test_shares_that_add_up() -> None:
    """A book's sums."""
    study = SimulatedStudy(2.0)
    book = study.book()
    assert (book.committed, book.free) == (0, 2_000_000)
    assert book == Book(2_000_000)
