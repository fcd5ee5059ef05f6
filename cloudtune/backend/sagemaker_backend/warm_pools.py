"""Gives back the machines that SageMaker keeps after jobs, when no trial is to come that could use them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cloudtune.aws.errors import PASSING, AwsError, Cancelled, CredentialsExpired
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.backend.sagemaker_backend.attempt import Attempt, first_names
from cloudtune.backend.sagemaker_backend.bills import Bills
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.errands import Errands
from cloudtune.backend.sagemaker_backend.service import now

logger = logging.getLogger(__name__)

#: So long a tuner that ends by an error tries to give machines back, in seconds.
_LONGEST = 60.0
#: Between two looks whether it has, in seconds.
_BETWEEN_LOOKS = 0.5


class WarmPools:
    """Of the jobs of one run. Called by the tuner's thread.

    Args:
        desk: Of the backend.
        jobs: The account's training jobs.
        bills: Knows whose machines are kept.
        errands: Does the work beside the tuner.
        given_back: Called with each attempt whose machines were given back; the desk's lock is held.
        experiment: Its name, for messages.
    """

    def __init__(
        self,
        desk: Desk,
        jobs: TrainingJobs,
        bills: Bills,
        errands: Errands,
        given_back: Callable[[Attempt], None],
        experiment: str,
    ) -> None:
        self._desk = desk
        self._jobs = jobs
        self._bills = bills
        self._errands = errands
        self._given_back = given_back
        self._experiment = experiment
        #: Trials whose machines are being given back, or were.
        self._trials: set[int] = set()
        self._gone: set[tuple[int, int]] = set()
        self._refused: set[tuple[int, int]] = set()

    def give_back(self) -> None:
        """Begins to give back what is kept; it is told of by bills, sooner or later."""
        for attempt in self._bills.with_pool():
            if not attempt.pool_ended:
                attempt.pool_ended, attempt.pool_asked = True, 0
                self._trials.add(attempt.trial_id)
                self._errands.run(
                    f"giving the machine of {attempt.job_name} back",
                    lambda attempt=attempt: self._end(attempt),  # type: ignore[misc]
                    trials=(attempt.trial_id,),
                    may_be_left=False,  # it costs money until then
                )

    def give_back_now(self) -> None:
        """Gives back what is kept, as far as that succeeds within a minute."""
        self.give_back()
        deadline = now() + _LONGEST
        while now() < deadline and not all(self._errands.are_done(trial) for trial in self._trials):
            self._desk.bell.wait(min(_BETWEEN_LOOKS, max(0.0, deadline - now())))

    def is_refused(self, attempt: Attempt) -> bool:
        """Whether AWS does not let this tuner give an attempt's machines back; the desk's lock is held."""
        return attempt.key in self._refused

    def warn_of_kept(self) -> None:
        """Says whose machines are kept on. After this run nobody gives them back."""
        kept = [attempt for attempt in self._bills.with_pool() if attempt.key not in self._gone]
        if kept:
            logger.warning(
                "SageMaker keeps the machines of %d ended jobs in warm pools, which cost money (%s): the next tuner "
                "of the experiment uses them or gives them back, or `cloudtune reap %s` gives them back now",
                len(kept),
                first_names(kept),
                self._experiment,
            )

    def _end(self, attempt: Attempt) -> None:
        try:
            self._jobs.end_warm_pool(attempt.job_name)
        except Cancelled:
            return  # the tuner has ended meanwhile, and says whose machines are kept on
        except (*PASSING, CredentialsExpired):
            raise  # the errand is done again, or the tuner ends
        except AwsError:
            with self._desk.lock:
                self._refused.add(attempt.key)
            raise
        with self._desk.lock:
            self._gone.add(attempt.key)
            self._given_back(attempt)
