"""What attempts cost, and what they may still cost."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cloudtune.aws.prices import cost, price_per_hour
from cloudtune.aws.training_jobs import STOP_GRACE, JobState
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Machines, Phase
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.trial import Bill

logger = logging.getLogger(__name__)

#: Seconds after the end of a warm pool's time at which its state is certain.
_POOL_MARGIN = 60.0
#: Between two questions whether a machine that was given back is gone, in seconds: doubling up to the longest.
_FIRST_POOL_WAIT, _LONGEST_POOL_WAIT = 3.0, 60.0


class Bills:
    """Makes bills from the state of jobs that are terminal.

    Args:
        desk: Of the backend; its lock is held by callers.
        region: Whose prices count.
        keep_alive: Seconds for which a warm pool keeps a job's instances; 0: there are none.
    """

    def __init__(self, desk: Desk, region: str, keep_alive: float) -> None:
        self._desk = desk
        self._region = region
        self._keep_alive = keep_alive
        self._unknown: set[str] = set()
        #: Jobs that could use kept instances, and that did.
        self.jobs_ended = 0
        self.pools_reused = 0

    def price(self, instance_type: str) -> float | None:
        """Dollars per hour of one instance; None: unknown, which is said once."""
        price = price_per_hour(instance_type, self._region)
        if price is None and instance_type not in self._unknown:
            self._unknown.add(instance_type)
            logger.warning(
                "no price is known for %s in %s: costs are incomplete; `cloudtune doctor --refresh-prices` asks AWS",
                instance_type,
                self._region,
            )
        return price

    def hourly_price(self, machines: Iterable[tuple[str, int]]) -> float | None:
        """Dollars per hour of so many instances of these types; None: a price is unknown."""
        parts = [(self.price(instance_type), count) for instance_type, count in machines]
        known = [price * count for price, count in parts if price is not None]
        return sum(known) if len(known) == len(parts) else None

    def machines_known(self, attempt: Attempt, state: JobState | None = None) -> None:
        """It is certain now which machines the attempt has: those of its job's state, or those it was created with."""
        if not attempt.may_get:
            return
        if state is not None:
            attempt.instance_type, attempt.instance_count = state.instance_type, state.instance_count
            attempt.hourly_price = self.hourly_price(_machines(state))
            if state.max_run is not None:
                attempt.max_seconds = float(state.max_run + STOP_GRACE)
            if attempt.hourly_price is None:
                return  # what other tuners have chosen: it counts as the dearest that this one knows
        attempt.may_get = ()
        self._desk.bell.ring()  # less is put aside for it: perhaps another trial may begin

    def bill(self, attempt: Attempt, state: JobState) -> list[Bill]:
        """The bill of a terminal job, if it is another than the last one."""
        pool = state.warm_pool
        keeps = pool is not None and pool.status in ("Available", "InUse")
        retained = float(pool.retained_seconds or 0) if pool is not None else 0.0
        seconds = float(state.billable_seconds if state.billable_seconds is not None else state.training_seconds or 0)
        dollars = cost(self.hourly_price(_machines(state)), seconds, retained_seconds=retained)
        bill = Bill(*attempt.key, dollars, seconds, retained, state.instance_type, not keeps)
        if attempt.last_bill is None:
            self.jobs_ended += 1
        if pool is not None and pool.status == "Reused" and (attempt.last_bill is None or not attempt.last_bill.final):
            self.pools_reused += 1
        if bill == attempt.last_bill:
            return []
        attempt.last_bill = bill
        return [bill]

    def ask_again_in(self, attempt: Attempt) -> float | None:
        """Seconds until the job of an attempt that was just billed is asked for again; None: the bill is final."""
        if attempt.last_bill is None or attempt.last_bill.final:
            return None
        attempt.pool_asked += 1
        if attempt.pool_ended:
            return min(_LONGEST_POOL_WAIT, _FIRST_POOL_WAIT * 2.0 ** min(attempt.pool_asked - 1, 10))
        return _POOL_MARGIN if attempt.pool_asked > 1 else self._keep_alive + _POOL_MARGIN

    def nothing(self, attempt: Attempt) -> None:
        """The attempt had no job: it cost nothing."""
        attempt.last_bill = Bill(*attempt.key, 0.0, 0.0, 0.0, attempt.instance_type, final=True)
        self._desk.deliver([attempt.last_bill])

    def with_pool(self) -> list[Attempt]:
        """Attempts whose instances a warm pool may still keep."""
        with self._desk.lock:
            return [a for a in self._desk.where(Phase.OVER) if a.last_bill is not None and not a.last_bill.final]

    def committed(self) -> float:
        """Dollars that attempts without a final bill may cost at most, beyond what was billed."""
        with self._desk.lock:
            # What the tuner has not taken yet it does not count as spent.
            total = self._desk.dollars_on_their_way()
            for attempt in self._desk.attempts.values():
                hourly = self._most_per_hour(attempt)
                if hourly is None or attempt.is_settled:
                    continue
                kept = self._keep_alive
                seconds = attempt.max_seconds if attempt.last_bill is None else 0.0
                already = 0.0 if attempt.last_bill is None else attempt.last_bill.retained_seconds
                total += hourly * (seconds + max(0.0, kept - already)) / 3600
        return total

    def _most_per_hour(self, attempt: Attempt) -> float | None:
        """Dollars per hour of the attempt's machines; of the dearest that it may get while they are not known."""
        if not attempt.may_get:
            return attempt.hourly_price
        prices = (self.hourly_price(machines) for machines in attempt.may_get)
        return max((price for price in prices if price is not None), default=None)


def _machines(state: JobState) -> Machines:
    """The machines of a job."""
    return state.machines or ((state.instance_type, state.instance_count),)
