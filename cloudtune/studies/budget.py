"""A limit of money for a whole study, shared by its cells: what launchers do with it. ::

    budget = open_budget(place, max_cost=100)  # before anything is launched; None: nobody has set a limit
    launcher = cell_tuners.launcher(cell)
    with budget.admitted(cell.name, launcher):  # raises BudgetUsedUp
        launcher.run(wait=False)

What counts is committed money: what was billed, and what everything that runs could still cost if it ran for as long as
it may. The cells' shares lie in the study's ledger; a cell's tuner starts trials within its share only, and asks for
more, or gives back, in the background (:class:`~cloudtune.studies.purse_filler.PurseFiller`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudtune.aws.clients import aws_for
from cloudtune.aws.prices import ENV_PRICES, cost, own_prices
from cloudtune.errors import CloudtuneError
from cloudtune.remote.launches import newest_launch
from cloudtune.remote.launching import LaunchedElsewhere, check_none_under_way
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies import ledger_entries
from cloudtune.studies.launch_claim import NONCE, begin_launch, end_launch, is_left, make_claim, new_nonce
from cloudtune.studies.ledger import Book, Ledger, Share, dollars, micros
from cloudtune.studies.purse import Purse
from cloudtune.studies.purse_filler import Pace, PurseFiller
from cloudtune.studies.shared_budget import SharedBudget
from cloudtune.studies.trial_costs import most_of_a_trial, unpriced_types
from cloudtune.studies.tuner_costs import earlier_jobs, hourly_price, most_seconds, next_jobs

if TYPE_CHECKING:
    from cloudtune.remote.relaunching import NextJob
    from cloudtune.remote.remote_launcher import RemoteLauncher
    from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

#: Of so many cells a message names those that have the most money.
_NAMED = 3


class BudgetUsedUp(CloudtuneError):
    """What is left of a study's money is not enough for one more cell; the message has the figures."""


class BudgetRefused(CloudtuneError):
    """A study cannot have this limit of money; the message says why."""


class StudyBudget:
    """The limit of a study that has one. Thread-safe.

    Args:
        place: Of the study.
        pace: How often tuners look at the ledger.
    """

    def __init__(self, place: StudyPlace, pace: Pace | None = None) -> None:
        self.place = place
        self.pace = pace
        self.ledger = Ledger(place.bucket, place.budget)
        self._nonce = new_nonce()
        # Several launches of one process need not compete for the ledger.
        self._changing = threading.Lock()

    def book(self) -> Book:
        """What the ledger says now.

        Raises:
            BudgetRefused: There is none any more.
            AwsError: S3 does not answer.
        """
        return self._existing(self.ledger.read())

    @contextmanager
    def admitted(self, name: str, launcher: RemoteLauncher) -> Iterator[None]:
        """A cell is launched within: see :meth:`admit`. Where that fails, what was put aside for it is given back.

        Args:
            name: Of the cell.
            launcher: That is run within.

        Raises:
            CloudtuneError: As :meth:`admit`, and what is raised within.
        """
        with self._launching(name):
            self.admit(name, launcher)
            yield

    @contextmanager
    def admitted_again(self, name: str, job: NextJob) -> Iterator[None]:
        """A cell is continued within by a job like its last one, whose tuner asks the budget already.

        Puts aside what the job may cost at most. For its first trial the tuner asks itself.

        Args:
            name: Of the cell.
            job: That is created within.

        Raises:
            BudgetUsedUp: There is not enough.
            BudgetRefused: A price is not known, or its tuner was launched when there was no limit.
            CloudtuneError: What is raised within.
        """
        with self._launching(name):
            self._admit_again(name, job)
            yield

    def _admit_again(self, name: str, job: NextJob) -> None:
        self.check_limited(name)
        region = self.place.bucket.aws.region
        price = hourly_price(region, job.instance_type, job.instance_count)
        dollars_of_job = cost(price, most_seconds(job.needed, job.max_run))
        earlier, _ = earlier_jobs(self._tuners(name))
        if dollars_of_job is None or earlier is None:
            raise _unpriced(name, [job.instance_type], region)
        jobs = earlier + micros(dollars_of_job)
        book = self.put_aside(name, jobs, 0)
        if book is not None:
            raise BudgetUsedUp(
                f"'{name}' is not continued: of the study's ${dollars(book.limit):.2f}, ${dollars(book.committed):.2f} "
                f"are committed, and its tuner's job may cost ${dollars_of_job:.2f}; wait until other experiments have "
                "given back what they did not need, or raise the limit with `cloudtune launch --max_cost`"
            )

    def check_limited(self, name: str) -> None:
        """Returns if a cell's tuner asks the budget, when it is continued as it was launched.

        Raises:
            BudgetRefused: It does not.
            AwsError: S3 does not answer.
        """
        if not self.book().share(name).limited:
            raise BudgetRefused(
                f"'{name}' was launched when its study had no max_cost, and would go on without one: continue it with "
                "`cloudtune launch` and the flags that began it"
            )

    @contextmanager
    def _launching(self, name: str) -> Iterator[None]:
        """Gives back what was put aside for a cell where launching it fails."""
        try:
            yield
        except BudgetUsedUp:
            raise  # nothing was put aside
        except CloudtuneError:
            self._try_to_withdraw(name)
            raise
        finally:
            end_launch(self._nonce, name)

    def _try_to_withdraw(self, name: str) -> None:
        """Gives back what was put aside. That it cannot does not hide why the cell was not launched."""
        try:
            self.withdraw(name)
        except CloudtuneError as error:
            logger.info("what was put aside for %s stays so until the next launch: %s", name, error)

    def admit(self, name: str, launcher: RemoteLauncher) -> None:
        """To be called right before a cell is launched, or launched again: its tuner then asks the study's budget.

        Puts aside what the tuner's job and one trial may cost at most, where there is enough for both.

        Args:
            name: Of the cell.
            launcher: That is about to be run.

        Raises:
            BudgetUsedUp: There is not enough; other cells may give something back later.
            BudgetRefused: A price is not known.
            AwsError: S3 or SageMaker does not answer.
        """
        region = aws_for(launcher.region, launcher.profile).region
        job = next_jobs(launcher, region)
        if job is None:
            raise _unpriced(name, [launcher.job.instance_type], region)
        earlier, runs = earlier_jobs(self._tuners(name))
        if earlier is None:
            raise _unpriced(name, ["an earlier tuner's machine"], region)
        # Where a tuner runs, launching does nothing.
        self._admit(name, launcher.tuner, earlier if runs else earlier + job, region)

    def admit_here(self, name: str, tuner: Tuner) -> None:
        """The same for a tuner that is about to run in this program: only its trials have jobs.

        Args:
            name: Of the cell.
            tuner: Of the cell.

        Raises:
            BudgetUsedUp: There is not enough.
            BudgetRefused: A price is not known.
            AwsError: S3 or SageMaker does not answer.
        """
        region = self.place.bucket.aws.region
        earlier, _ = earlier_jobs(self._tuners(name))
        if earlier is None:
            raise _unpriced(name, ["an earlier tuner's machine"], region)
        self._admit(name, tuner, earlier, region)

    def _admit(self, name: str, tuner: Tuner, jobs: int, region: str) -> None:
        one_trial = most_of_a_trial(tuner, region)
        if one_trial is None:
            raise _unpriced(name, unpriced_types(tuner, region), region)
        book = self.put_aside(name, jobs, micros(one_trial))
        if book is not None:
            raise BudgetUsedUp(
                f"'{name}' is not launched: of the study's ${dollars(book.limit):.2f}, ${dollars(book.committed):.2f} "
                f"are committed, and its tuner's job and one trial may cost ${dollars(jobs) + one_trial:.2f}; wait "
                "until other experiments have given back what they did not need, or raise --max_cost"
            )
        share_budget(tuner, self.place, name, self.pace)

    def put_aside(self, name: str, tuner: int, one_trial: int) -> Book | None:
        """Puts money aside for a cell's tuner and one trial, where there is enough; all in micro-dollars.

        Args:
            name: Of the cell.
            tuner: What all its tuner's jobs cost at most.
            one_trial: What one trial may cost at most.

        Returns:
            None, or what the ledger says where there is not enough.

        Raises:
            BudgetRefused: The ledger is gone.
            AwsError: S3 does not answer.
        """
        lacks = False
        claim = make_claim(self._nonce)
        begin_launch(self._nonce, name)

        def launch(book: Book | None) -> Book:
            nonlocal lacks
            before = self._existing(book)
            after = ledger_entries.launched(before, name, tuner, one_trial, claim)
            lacks = after is None
            return after or before

        with self._changing:
            book = self._existing(self.ledger.change(launch))
        return book if lacks else None

    def withdraw(self, name: str) -> None:
        """Called where launching failed: only tuners' jobs that exist, or that somebody else creates, keep money.

        Raises:
            BudgetRefused: The ledger is gone.
            AwsError: S3 or SageMaker does not answer.
        """
        place = self._tuners(name)
        attempts = place.attempts()
        newest = newest_launch(place, attempts=attempts)
        if attempts and (newest is None or newest[0] != attempts[-1]):
            return  # another launcher is about to create a job, or nobody knows whether this one has
        self._withdraw(place, name, self._nonce)

    def give_back_left(self, driven: Collection[str]) -> list[str]:
        """Gives back what launchers have put aside that died before there was a job; for which cells.

        Args:
            driven: Cells that somebody drives.

        Raises:
            BudgetRefused: The ledger is gone.
            AwsError: S3 or SageMaker does not answer.
        """
        shares = self.book().shares
        left = {name: share.claim for name, share in shares.items() if share.claim and name not in driven}
        return [
            name for name, claim in left.items() if is_left(claim, name) and self._give_back_left(name, claim[NONCE])
        ]

    def _give_back_left(self, name: str, nonce: str) -> bool:
        place = self._tuners(name)
        attempts = place.attempts()
        newest = newest_launch(place, attempts=attempts)
        try:
            check_none_under_way(place, attempts, None if newest is None else newest[0])
        except LaunchedElsewhere:
            return False
        return self._withdraw(place, name, nonce)

    def _withdraw(self, place: TunerPlace, name: str, nonce: str) -> bool:
        """Gives back what the launcher of this nonce has put aside; whether there is no job that needs it."""
        tuner, runs = earlier_jobs(place)
        if tuner is None:
            return False

        def withdraw(book: Book | None) -> Book | None:
            return None if book is None else ledger_entries.withdrawn(book, name, nonce, tuner, runs)

        with self._changing:
            self._existing(self.ledger.change(withdraw))
        return not runs

    def _tuners(self, name: str) -> TunerPlace:
        return TunerPlace(self.place.bucket, self.place.experiment(name))

    def _existing(self, book: Book | None) -> Book:
        if book is None:
            raise BudgetRefused(f"{self.ledger.uri} is gone; launch the study again with its max_cost")
        return book


def open_budget(
    place: StudyPlace,
    max_cost: float | None,
    earlier: Mapping[str, Share | None] | None = None,
    pace: Pace | None = None,
) -> StudyBudget | None:
    """The budget of a study: begun with this limit, raised or lowered to it, or as it is. None: it has none.

    Args:
        place: Of the study.
        max_cost: US dollars for all its cells together. None: what an earlier launch has set.
        earlier: What cells have cost which were launched before there was a limit, and what jobs of theirs may still
            cost; None for one that runs, or whose cost is not known. Cells that the budget knows are not looked at.
        pace: How often tuners look at the ledger.

    Raises:
        BudgetRefused: The limit is below what is committed, or a cell runs without a limit.
        AwsError: S3 does not answer.
    """
    if max_cost is not None and not max_cost > 0:
        raise BudgetRefused(f"max_cost is {max_cost}, and must be above 0")

    def begin(book: Book | None) -> Book | None:
        if book is None and max_cost is None:
            return None
        old = book or Book(0)
        limit = old.limit if max_cost is None else micros(max_cost)
        new = {name: share for name, share in (earlier or {}).items() if name not in old.shares}
        after = Book(limit, {**old.shares, **_all_known(new)})
        if after.committed > limit and (book is None or limit < old.limit):
            raise _too_low(after)
        return after

    ledger = Ledger(place.bucket, place.budget)
    return None if ledger.change(begin) is None else StudyBudget(place, pace)


def check_unlimited(place: StudyPlace, name: str) -> None:
    """Returns if a study has no limit, of which a launch has seen none.

    Args:
        place: Of the study.
        name: Of the cell that is launched.

    Raises:
        BudgetRefused: Somebody has set one since.
        AwsError: S3 does not answer.
    """
    if place.bucket.exists(place.budget):
        raise BudgetRefused(
            f"{name} is not launched: a max_cost was set for the study while this launch was made; launch again, and "
            "it heeds that"
        )


def share_budget(tuner: Tuner, place: StudyPlace, name: str, pace: Pace | None = None) -> None:
    """Has a tuner start no trial beyond what its study's ledger allows. Once more changes nothing.

    :meth:`StudyBudget.admit` does it as well.

    Args:
        tuner: That does not run yet.
        place: Of the study.
        name: Of the cell.
        pace: How often it looks at the ledger.
    """
    if isinstance(tuner.stop_criterion, SharedBudget):
        return
    purse = Purse()
    tuner.stop_criterion = SharedBudget(tuner.stop_criterion, purse)
    tuner.callbacks.append(PurseFiller(purse, place, name, pace, own_prices(place.bucket.aws.region)))


def _all_known(shares: Mapping[str, Share | None]) -> dict[str, Share]:
    """Shares of cells that were launched before there was a limit. Raises BudgetRefused."""
    open_ended = sorted(name for name, share in shares.items() if share is None)
    if open_ended:
        raise BudgetRefused(
            f"max_cost cannot be kept: {_listed(open_ended)} {'runs' if len(open_ended) == 1 else 'run'} without a "
            "limit, or what it has cost is not known; wait for the end, stop it with `cloudtune stop`, or launch the "
            "others under another tag"
        )
    return {name: share for name, share in shares.items() if share is not None}


def _too_low(book: Book) -> BudgetRefused:
    most = sorted(book.shares, key=lambda name: -book.shares[name].reserved)[:_NAMED]
    shares = ", ".join(f"{name} ${dollars(book.shares[name].reserved):.2f}" for name in most)
    return BudgetRefused(
        f"max_cost cannot be ${dollars(book.limit):.2f}: ${dollars(book.committed):.2f} are spent or committed, "
        f"the most of it by {shares}; give at least that, or stop experiments first"
    )


def _unpriced(name: str, types: list[str], region: str) -> BudgetRefused:
    return BudgetRefused(
        f"'{name}' is not launched: max_cost cannot be kept, for no price is known for {_listed(types)} in {region}; "
        f"`cloudtune doctor --refresh-prices` asks AWS, or name it in a file that {ENV_PRICES} points to"
    )


def _listed(names: list[str]) -> str:
    shown = names[:_NAMED]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
