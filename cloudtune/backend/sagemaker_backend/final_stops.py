"""Ending all jobs of a tuner that ends itself, in bounded time.

One wish in S3 reaches every agent, those that begin later included. StopTrainingJob, of which AWS takes about one a
second, is for those that no wish reaches, and then for as many of the others as there is time for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cloudtune.agent import protocol
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase, first_names
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.life import LifeWriter
from cloudtune.backend.sagemaker_backend.service import now
from cloudtune.backend.sagemaker_backend.watcher import Watcher

logger = logging.getLogger(__name__)

#: After the script's grace and the margin, StopTrainingJob takes at most this long (seconds); then SageMaker has killed
#: the container, and nobody waits any longer.
_STOP_TAKES = 150.0

#: Threads whose calls of AWS are answered as ever end within so many seconds. What is left of the time when a process
#: is to be ended by force is for the event log.
_SHORTEST_CLOSING = 1.0


class FinalStops:
    """Of one run. Called by the tuner's thread.

    Args:
        desk: Of the backend.
        life: Writes wishes.
        watcher: Calls StopTrainingJob.
        ask_to_end: Asks one trial.
        s3_works: Whether wishes and answers get through.
        stop_grace: Seconds that a script has.
        max_run: Seconds after which SageMaker ends a job in any case.
        cadence: Of the backend.
        experiment: Its name, for messages.
    """

    def __init__(
        self,
        desk: Desk,
        life: LifeWriter,
        watcher: Watcher,
        ask_to_end: Callable[[int, str], None],
        s3_works: Callable[[], bool],
        stop_grace: float,
        max_run: float,
        cadence: Cadence,
        experiment: str,
    ) -> None:
        self._desk = desk
        self._life = life
        self._watcher = watcher
        self._ask_to_end = ask_to_end
        self._s3_works = s3_works
        self._stop_grace = stop_grace
        self._max_run = max_run
        self._cadence = cadence
        self._experiment = experiment
        self._over_at: float | None = None

    # ------------------------------------------------------------------ where the time is limited

    @property
    def are_hastened(self) -> bool:
        """Whether the tuner's process will be ended by force."""
        return self._over_at is not None

    @property
    def to_be_closed_by(self) -> float | None:
        """When all is to be closed, by the clock of :func:`now`; None: nobody waits for the end."""
        return None if self._over_at is None else max(self._over_at, now() + _SHORTEST_CLOSING)

    def hasten(self, seconds: float) -> None:
        """The trials were told to end, and the process ends in so many seconds."""
        self._over_at = now() + seconds
        self._life.stop_all(protocol.WISH_PAUSE)
        self._watcher.hasten()
        logger.info("ending %d training jobs within %.0f seconds", len(self._left()), seconds)

    def tell_of_left(self) -> None:
        """Says how the jobs end that have not ended in time."""
        with self._desk.lock:
            left = [a for a in self._left() if not a.stop_sent and a.mark is None]
            hearing = [a for a in left if a.has_agent and a.use_s3]
            others = [a for a in left if not (a.has_agent and a.use_s3)]
        if hearing:
            logger.warning(
                "%d training jobs are left to end by themselves (%s): the wish to end stands in S3, and an agent "
                "that begins reads it before it starts the script; without that they end %.0f seconds after the last "
                "sign of life of the tuner",
                len(hearing),
                first_names(hearing),
                self._cadence.life_timeout,
            )
        if others:
            logger.warning(
                "there was no time to stop %d training jobs, which no wish reaches (%s): `cloudtune reap %s` stops "
                "them, else they may run for max_run=%.0f seconds",
                len(others),
                first_names(others),
                self._experiment,
                self._max_run,
            )

    # ------------------------------------------------------------------ an end by an error

    def stop_all(self) -> None:
        """Ends what runs, and waits for it: the loop itself, which ends only when all workers are free, has failed."""
        with self._desk.lock:
            left = self._left()
            for attempt in left:
                if not attempt.end_delivered:
                    self._ask_to_end(attempt.trial_id, protocol.WISH_PAUSE)
        if not left:
            return
        self._watcher.desert()
        if self._s3_works():
            self._life.stop_all(protocol.WISH_PAUSE)
        else:  # S3 is out of reach, and with it the agents: SageMaker's own stop is what is left
            with self._desk.lock:
                for attempt in left:
                    attempt.stop_job_at = now()
            self._watcher.wake()
        logger.info("stopping %d training jobs", len(left))
        deadline = now() + self._stop_grace + self._cadence.stop_margin + _STOP_TAKES
        if self._over_at is not None:
            deadline = min(deadline, self._over_at)
        answered_by = min(deadline, now() + self._cadence.answers_within)
        # Without the watcher's thread nothing would be heard of their ends, but of the agents' answers.
        while now() < (deadline if self._watcher.is_alive() else answered_by if self._s3_works() else 0.0):
            if not self._still_going():
                return
            self._desk.bell.wait(min(1.0, max(0.0, deadline - now())))
        left = self._still_going()
        if left:
            logger.warning(
                "%d training jobs may still run (%s): they end by themselves %.0f seconds after the last sign "
                "of life of the tuner; `cloudtune ps` shows them, `cloudtune reap %s` stops them, and the same command "
                "continues the experiment",
                len(left),
                first_names(left),
                self._cadence.life_timeout,
                self._experiment,
            )

    def _still_going(self) -> list[Attempt]:
        """What is left; where nobody can ask SageMaker any more, without those whose agents have heard the wish."""
        left = self._left()
        return left if self._watcher.is_alive() else [a for a in left if not a.is_ending]

    def _left(self) -> list[Attempt]:
        with self._desk.lock:
            return [a for a in self._desk.attempts.values() if a.phase is not Phase.OVER]
