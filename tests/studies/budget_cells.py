"""Cells of a study that share a budget, without any cloud: their tuners' turns, their accounts' looks, their deaths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from cloudtune.stopping_criterion import Criterion, Verdict
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.budget import StudyBudget, open_budget
from cloudtune.studies.cell_account import CellAccount
from cloudtune.studies.launch_claim import NONCE
from cloudtune.studies.ledger import Book, Ledger, dollars, micros
from cloudtune.studies.ledger_entries import LastWord, NotOurs, withdrawn
from cloudtune.studies.purse import Purse
from cloudtune.studies.shared_budget import SharedBudget
from cloudtune.trial import TrialStatus
from cloudtune.tuning_status import TuningStatus
from tests.studies.faulty_bucket import FaultyBucket

LONGEST_WAIT = 100.0


class Endless(Criterion):
    """Goes on until it is told otherwise."""

    def __init__(self) -> None:
        self.said = Verdict.GO

    def verdict(self, status: TuningStatus) -> Verdict:
        return self.said


class WatchedPurse(Purse):
    """One that lets the tuner act at the worst moment: right before something is taken out."""

    def begin(self, n_workers: int) -> None:
        super().begin(n_workers)
        self.before_lower: Callable[[], object] = lambda: None

    def lower(self, to: int) -> int:
        before, self.before_lower = self.before_lower, lambda: None
        before()
        return super().lower(to)


@dataclass
class Tuner:
    """One tuner of a cell, alive or dead."""

    criterion: SharedBudget
    inner: Endless
    purse: WatchedPurse
    account: CellAccount


@dataclass
class SimulatedCell:
    """What is true of a cell, whoever drives it. Amounts in dollars.

    Args:
        study: That it belongs to.
        name: Of the cell.
        one: What a trial may cost at most.
        job: What one job of its tuner may cost at most.
        n_workers: Trials at the same time.
    """

    study: SimulatedStudy
    name: str
    one: float
    job: float
    n_workers: int
    running: int = 0
    billed: float = 0.0
    jobs_cost: float = 0.0
    launches: int = 0
    #: The launcher that has put money aside last.
    nonce: str = ""
    tuner: Tuner | None = None
    #: Those that were killed, or taken over from: their threads may still be about to do something.
    dead: list[Tuner] = field(default_factory=list)
    verdict: Verdict = Verdict.GO
    started: int = 0
    #: Its own criterion has never said otherwise.
    wants_to_start: bool = True

    @property
    def committed(self) -> float:
        """What its trials have cost and may still cost."""
        return self.billed + self.running * self.one

    def launch(self) -> bool:
        """A launcher's doing: puts aside, then creates the tuner's job. False: there is not enough money."""
        launches = self.launches
        if not self.put_aside():
            return False
        if self.tuner is not None or self.launches != launches:
            return True  # it runs, or another launcher was quicker: only one of them creates a job
        self.launches += 1
        self.jobs_cost += self.job
        purse, inner = WatchedPurse(), Endless()
        purse.begin(self.n_workers)
        account = CellAccount(purse, self.name, lambda: None, LONGEST_WAIT, clock=lambda: self.study.now)
        self.tuner = Tuner(SharedBudget(inner, purse), inner, purse, account)
        return True

    def put_aside(self) -> bool:
        """What a launcher does first, perhaps only that. False: there is not enough money."""
        tuner = self.jobs_cost if self.tuner is not None else self.jobs_cost + self.job
        # Each launcher is a program of its own.
        budget = StudyBudget(self.study.place)
        lacks = budget.put_aside(self.name, micros(tuner), micros(self.one)) is not None
        self.nonce = self.study.book().share(self.name).claim.get(NONCE, "")
        return not lacks

    def withdraw(self) -> None:
        """What the launcher that was the last to put money aside gives back, or is found to have left."""
        jobs, runs = micros(self.jobs_cost), self.tuner is not None

        def withdraw(book: Book | None) -> Book | None:
            return None if book is None else withdrawn(book, self.name, self.nonce, jobs, runs)

        self.study.ledger.change(withdraw)

    def kill(self) -> None:
        """The tuner dies; its trials go on."""
        if self.tuner is not None:
            self.dead.append(self.tuner)
            self.tuner = None

    def status(self) -> TuningStatus:
        """As the tuner sees it."""
        status = TuningStatus("loss")
        status.running = {number: cast("Any", None) for number in range(self.running)}
        status.num_by_status[TrialStatus.in_progress] = self.running
        status.billed_cost = self.billed
        status.committed_cost, status.next_attempt_cost = self.committed, self.one
        return status

    def turn(self, between: Callable[[], object] = lambda: None) -> None:
        """One turn of the tuning loop: fills the free workers, as the loop does.

        Args:
            between: Called between the question whether a trial can be paid and its start.
        """
        if self.tuner is None:
            return
        can_start = self.can_start()
        while can_start:
            between()
            self.start()
            can_start = self.can_start()

    def can_start(self) -> bool:
        """Asks as the loop does before it starts a trial."""
        if self.tuner is None:
            return False
        criterion = self.tuner.criterion
        self.verdict = criterion.verdict(self.status())
        is_paid = criterion.affords(self.status())
        return self.verdict is Verdict.GO and self.running < self.n_workers and is_paid

    def start(self) -> None:
        """Starts a trial."""
        self.running += 1
        self.started += 1

    def end_trial(self, part: float) -> None:
        """A trial ends, and costs this part of what it may."""
        if self.running:
            self.running -= 1
            self.billed += self.one * part

    def look(self, tuner: Tuner | None = None) -> None:
        """One look of the account; of the living tuner, or of a dead one. Raises AwsError where S3 fails."""
        tuner = tuner or self.tuner
        if tuner is None:
            return
        try:
            if not tuner.account.is_open:
                if tuner is not self.tuner:
                    return  # a dead one's jobs are not asked for any more
                tuner.account.open(self.study.ledger, micros(self.jobs_cost))
            tuner.account.look(self.study.ledger)
        except NotOurs:
            assert tuner is not self.tuner

    def end(self, for_good: bool, job_part: float) -> None:
        """The tuner ends in order: nothing runs any more. Its last job has cost this part of what it may."""
        tuner, self.tuner = self.tuner, None
        if tuner is None:
            return
        self.dead.append(tuner)
        self.running = 0
        self.jobs_cost -= self.job * (1.0 - job_part)
        spent = micros(self.billed)
        if tuner.account.is_open:
            tuner.account.close(self.study.ledger, LastWord(spent, spent, for_good), micros(self.jobs_cost))


class SimulatedStudy:
    """Some cells and their ledger.

    Args:
        max_cost: In dollars.
    """

    def __init__(self, max_cost: float) -> None:
        self.bucket = FaultyBucket()
        self.place = StudyPlace(self.bucket, "", "tag")
        budget = open_budget(self.place, max_cost)
        assert budget is not None
        self.budget: StudyBudget = budget
        self.ledger = Ledger(self.bucket, self.place.budget)
        self.cells: list[SimulatedCell] = []
        self.now = 0.0

    def cell(self, name: str, one: float = 1.0, job: float = 0.5, n_workers: int = 2) -> SimulatedCell:
        """Adds a cell."""
        self.cells.append(SimulatedCell(self, name, one, job, n_workers))
        return self.cells[-1]

    def book(self) -> Book:
        """What the ledger says, whatever fails."""
        return Book.from_json(self.bucket.objects[self.place.budget], "the ledger")

    def check(self) -> None:
        """The ledger is never overdrawn, and no cell has committed more than it says."""
        book = self.book()
        assert book.committed <= book.limit
        truth = sum(cell.committed + cell.jobs_cost for cell in self.cells)
        assert truth <= dollars(book.limit) + 1e-6
        for cell in self.cells:
            share = book.share(cell.name)
            assert micros(cell.committed) <= share.trials
            assert micros(cell.jobs_cost) <= share.tuner
            if cell.tuner is not None and cell.launches == 1 and not cell.started and cell.wants_to_start:
                # It was launched with the money for a trial, which nobody else has.
                assert share.trials >= micros(cell.one)
