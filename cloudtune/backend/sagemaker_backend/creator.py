"""Creates the training jobs: in order, within AWS's rate, waiting where a quota or the capacity is exhausted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from cloudtune.agent import protocol
from cloudtune.aws.errors import (
    PASSING,
    AccessDenied,
    AwsError,
    Conflict,
    CredentialsExpired,
    InvalidRequest,
    NoCapacity,
    NotFound,
    QuotaReached,
    ServiceFailure,
    Throttled,
)
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.errands import Errands
from cloudtune.backend.sagemaker_backend.machines import Machines
from cloudtune.backend.sagemaker_backend.outcome import never_began
from cloudtune.backend.sagemaker_backend.service import Service, now
from cloudtune.errors import Fenced
from cloudtune.trial import End, Outcome

logger = logging.getLogger(__name__)

#: Why there is no machine, and what a person may do besides waiting.
_NO_QUOTA = "the account's quota is used up: ask for more with AWS Service Quotas"
_NO_CAPACITY = "AWS has no capacity: try another region"
_NO_FALLBACKS = ", or pass further types as fallback_instance_types"


class JobRequests(Protocol):
    """Makes the requests for jobs."""

    def instance_types(self, attempt: Attempt) -> Sequence[str]:
        """Types of instance that may be used, best first."""

    def prepare(self, attempt: Attempt, instance_type: str) -> dict[str, object]:
        """Writes the attempt's task to S3; the request for CreateTrainingJob."""


class Creator(Service):
    """Takes queued attempts one after another; one whose machines are all refused lets others pass.

    Args:
        desk: Of the backend.
        jobs: The account's training jobs.
        requests: Makes what is asked of SageMaker.
        errands: An attempt waits for those about its trial.
        ending: Makes end events.
        machines: Knows which machines were refused, and until when.
    """

    def __init__(
        self,
        desk: Desk,
        jobs: TrainingJobs,
        requests: JobRequests,
        errands: Errands,
        ending: Ending,
        machines: Machines,
    ) -> None:
        super().__init__(desk, "creating training jobs")
        self._jobs = jobs
        self._requests = requests
        self._errands = errands
        self._ending = ending
        self._machines = machines
        self._told_waiting: set[str] = set()
        #: Machines for want of which the last job has failed.
        self._out_of_capacity: set[str] = set()
        #: Called with each attempt whose job was created.
        self.created_listeners: list[Callable[[Attempt], None]] = []
        #: Called after those, where the job was there already: a tuner may have created it whose log is lost in part.
        self.found_listeners: list[Callable[[Attempt], None]] = []

    def machine_freed(self, instance_type: str, instance_count: int = 1) -> None:
        """A job of ours has ended: what waits for its machine is tried at once."""
        with self.desk.lock:
            self._out_of_capacity.discard(_machines(instance_count, instance_type))
            self._machines.freed()
        self.wake()

    def no_capacity(self, attempt: Attempt, instance_type: str, instance_count: int = 1) -> None:
        """An attempt's job has failed because there were no instances for it; the trial will be queued again."""
        machines = _machines(instance_count, instance_type)
        self._out_of_capacity.add(machines)
        self._refused(attempt, machines, _NO_CAPACITY)

    def turn(self) -> float | None:
        attempt, instance_type, wait = self._next()
        if attempt is None:
            return wait
        try:
            self._create(attempt, instance_type)
        except PASSING:
            attempt.failed_creations += 1  # if it fails for this one alone, others are created meanwhile
            raise
        finally:
            with self.desk.lock:
                attempt.is_being_created = False
        return 0.0

    def _next(self) -> tuple[Attempt | None, str, float | None]:
        """The first attempt that may be created now; else how long until one may."""
        soonest: float | None = None
        with self.desk.lock:
            for attempt in sorted(self.desk.where(Phase.QUEUED), key=lambda one: one.failed_creations):
                if not self._errands.are_done(attempt.trial_id):
                    continue  # their end wakes this thread
                types = self._choices(attempt)
                chosen = self._machines.choose(list(types), now())
                if chosen is not None or attempt.is_asked_to_end():
                    attempt.is_being_created = True
                    return attempt, types[chosen or next(iter(types))], 0.0
                time = self._machines.next_time(list(types))
                if time is not None:
                    soonest = time if soonest is None else min(soonest, time)
        return None, "", None if soonest is None else max(0.0, soonest - now())

    def _choices(self, attempt: Attempt) -> dict[str, str]:
        """What the attempt may run on, best first: in words -> type of instance."""
        return {_machines(attempt.instance_count, one): one for one in self._requests.instance_types(attempt)}

    def _create(self, attempt: Attempt, instance_type: str) -> None:
        if attempt.is_asked_to_end():
            self._not_wanted(attempt, instance_type)
            return
        error = self._errands.error_of(attempt.trial_id)
        if isinstance(error, (CredentialsExpired, Fenced)):
            raise error  # the trial is not to blame: the tuner ends, and the next one prepares it again
        if error is not None:
            self._give_up(attempt, End(*attempt.key, Outcome.failed, f"its checkpoint could not be prepared: {error}"))
            return
        uncertain = attempt.may_exist
        try:
            if attempt.request is None or attempt.instance_type != instance_type:
                attempt.request = self._requests.prepare(attempt, instance_type)
            attempt.may_exist = True
            self._jobs.create(attempt.request, cancel=self.desk.closing)
        except Conflict as conflict:
            self._look_whose(attempt, instance_type, conflict)
        except (QuotaReached, NoCapacity) as refusal:
            attempt.may_exist = uncertain
            logger.debug("%s", refusal)
            why = _NO_QUOTA if isinstance(refusal, QuotaReached) else _NO_CAPACITY
            self._refused(attempt, _machines(attempt.instance_count, instance_type), why)
        except Throttled as refusal:
            attempt.may_exist = uncertain
            logger.debug("%s", refusal)  # the rate budget has heard of it, and makes the next try wait
        except (InvalidRequest, AccessDenied, NotFound) as refusal:
            self._give_up(attempt, End(*attempt.key, Outcome.failed, f"its job could not be created: {refusal}"))
        else:
            self._created(attempt, instance_type)

    def _not_wanted(self, attempt: Attempt, instance_type: str) -> None:
        """The attempt was asked to end before it began; perhaps its job exists all the same."""
        if attempt.may_exist:
            try:
                self._jobs.describe(attempt.job_name)
            except NotFound:
                pass
            else:
                self._found(attempt, instance_type)
                return
        self._give_up(attempt, never_began(attempt, ""))

    def _found(self, attempt: Attempt, instance_type: str) -> None:
        """The attempt's job was there; it may have run for long, and may be over."""
        self._created(attempt, instance_type)
        for listener in self.found_listeners:
            listener(attempt)

    def _created(self, attempt: Attempt, instance_type: str) -> None:
        with self.desk.lock:
            machines = _machines(attempt.instance_count, instance_type)
            # That a job was created does not mean that there is capacity for it: only a job that has run does.
            if machines not in self._out_of_capacity:
                self._machines.granted(machines)
                self._told_waiting.discard(machines)
            attempt.phase = Phase.EXISTS
            attempt.created_at = now()
            attempt.request = None
            if attempt.is_asked_to_end():
                attempt.stop_job_at = now()
        for listener in self.created_listeners:
            listener(attempt)

    def _look_whose(self, attempt: Attempt, instance_type: str, conflict: AwsError) -> None:
        """There is a job of that name: ours, if the answer to creating it was lost; else a foreign one's."""
        try:
            state: JobState = self._jobs.describe(attempt.job_name)
        except NotFound as error:
            raise ServiceFailure(
                f"The name {attempt.job_name} is taken, and no job of that name is to be seen yet; looking again.",
                conflict.code,
                conflict.operation,
            ) from error
        ours = (attempt.request or {}).get("Environment", {})
        if all(
            state.environment.get(name) == ours.get(name) for name in (protocol.ENV_JOB_ID, protocol.ENV_JOB_DIGEST)
        ):
            self._found(attempt, state.instance_type or instance_type)
            return
        logger.warning("the name %s is another job's (%s); the trial takes its next one", attempt.job_name, conflict)
        self._give_up(attempt, never_began(attempt, f"the name {attempt.job_name} belongs to another training job"))

    def _give_up(self, attempt: Attempt, end: End) -> None:
        with self.desk.lock:
            self._ending.free(attempt)
            self.desk.deliver(self._ending.tell(attempt, end))

    def _refused(self, attempt: Attempt, machines: str, why: str) -> None:
        """Notes that there are no such machines for an attempt."""
        with self.desk.lock:
            wait = self._machines.refused(machines, now())
            queued = {a.key: list(self._choices(a)) for a in (*self.desk.where(Phase.QUEUED), attempt)}
            # Whoever may take another type that was not refused gets that.
            waiting = sum(machines in one and self._machines.choose(one, now()) is None for one in queued.values())
            if len(queued[attempt.key]) == 1:
                why += _NO_FALLBACKS
            running = len(self.desk.where(Phase.EXISTS))
            first = machines not in self._told_waiting
            self._told_waiting.add(machines)
        level = logging.WARNING if first else logging.INFO
        logger.log(
            level,
            "no further %s at the moment (%s): %d trials wait, %d run; trying again in %.0f seconds",
            machines,
            why,
            waiting,
            running,
            wait,
        )
        self.wake()


def _machines(count: int, instance_type: str) -> str:
    """What one trial needs, in words. Who wants several may be refused where one would be granted, and waits alone."""
    return instance_type if count == 1 else f"{count} x {instance_type}"
