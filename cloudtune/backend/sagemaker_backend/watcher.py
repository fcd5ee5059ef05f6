"""What only SageMaker knows: which jobs have ended, why, and what they cost. Asked as rarely as possible.

One listing of the jobs in progress, at a slow beat, finds the jobs that ended without a word (failed, stopped in the
console, never begun). A job whose agent has said that its script ended is asked for at most five times, and one of an
earlier tuner once at the beginning, for its machines.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from cloudtune.agent import protocol
from cloudtune.aws.errors import InvalidRequest, NotFound
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.bills import Bills
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.creator import Creator
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.last_words import LastWords
from cloudtune.backend.sagemaker_backend.outcome import (
    end_by_state,
    is_capacity_failure,
    never_began,
    source_was_missing,
)
from cloudtune.backend.sagemaker_backend.service import Service, now
from cloudtune.backend.sagemaker_backend.settle_times import SettleTimes, StopTimes
from cloudtune.backend.sagemaker_backend.source_archive import SourceArchive
from cloudtune.trial import End

logger = logging.getLogger(__name__)

#: A job younger than this may be missing from a listing (seconds).
_LISTED_AFTER = 20.0

#: Jobs without an agent tell nobody that they have ended: then the listing comes this often at least (seconds).
_BEAT_WITHOUT_AGENT = 30.0

#: Calls for stops, and for states, before it is the other's turn.
_IN_TURN = 4

#: A job that was asked to end may upload its output for so long (seconds); SageMaker has been seen to hang there.
_LONGEST_UPLOAD = 900.0

#: A stopping job that has not ended after so long is told of (seconds): AWS kills scripts after two minutes.
_LONG_STOP = 900.0

#: Between two tries to stop a job that was created and is not to be seen yet (seconds).
_NOT_SEEN_YET = 3.0
#: The same where SageMaker refuses to stop a job that it says is in progress (seconds).
_REFUSED = 20.0

#: Secondary statuses of jobs whose container runs, so that its agent should be heard of; "" where a list does not say.
_CONTAINER_RUNS = ("", "Training", "Uploading")


class Watcher(Service):
    """Stops jobs that do not end by themselves, and finds out which have ended.

    Args:
        desk: Of the backend.
        jobs: The account's training jobs.
        job_prefix: What the names of the experiment's jobs begin with.
        creator: Told when a machine was given back.
        ending: Makes end events.
        last_words: What a job's last head and log tell, once it is over.
        bills: Makes bills.
        cadence: How often.
        confirm: Raises Fenced if another tuner drives the experiment now.
        archive: Of the source, if jobs need one.
    """

    def __init__(
        self,
        desk: Desk,
        jobs: TrainingJobs,
        job_prefix: str,
        creator: Creator,
        ending: Ending,
        last_words: LastWords,
        bills: Bills,
        cadence: Cadence,
        confirm: Callable[[], None],
        archive: SourceArchive | None = None,
    ) -> None:
        super().__init__(desk, "asking SageMaker for the state of jobs")
        self._jobs = jobs
        self._prefix = job_prefix
        self._creator = creator
        self._confirm = confirm
        self._archive = archive
        self._ending = ending
        self._last_words = last_words
        self._bills = bills
        self._cadence = cadence
        self._settle = SettleTimes(cadence.settle)
        self._stops = StopTimes()
        self._next_list = now() + cadence.status
        self._hastened_at: float | None = None
        self._is_deserted = False
        self._strays_ended: set[str] = set()
        self._strays_may_wait = False
        #: Names of jobs that were seen to have ended: a list that is behind may still have them.
        self._ended: set[str] = set()
        ending.mark_listeners.append(self._has_mark)

    def turn(self) -> float | None:
        # A few of each in turn: a hundred stops at AWS's rate must not keep freed workers waiting.
        for attempt in self._due_to_stop()[:_IN_TURN]:
            self._stop(attempt)
        for attempt in self._due_to_describe()[:_IN_TURN]:
            self._describe(attempt)
        if self._may_list() and now() >= self._next_list:
            self._list()
        return self._until_next()

    # ------------------------------------------------------------------ what is due

    def _due_to_stop(self) -> list[Attempt]:
        with self.desk.lock:
            due = [
                a
                for a in self.desk.where(Phase.EXISTS)
                if not a.stop_sent and a.stop_job_at is not None and self._stop_time(a, a.stop_job_at) <= now()
            ]
            return sorted(due, key=_urgency)

    def _stop_time(self, attempt: Attempt, at: float) -> float:
        """When to stop a job that was to be stopped ``at``: later if its script has ended, and it only uploads yet."""
        if self._hastened_at is not None and not attempt.is_ending:
            at = min(at, self._hastened_at + self._cadence.answers_within)
        if attempt.mark is None or attempt.mark_at is None or attempt.mark["outcome"] == protocol.TERMINATED:
            return at  # after SIGTERM nothing is waited for: a spot job may be waiting for its next machine
        return max(at, attempt.mark_at + _LONGEST_UPLOAD)

    def _due_to_describe(self) -> list[Attempt]:
        with self.desk.lock:
            return [a for a in self.desk.attempts.values() if a.describe_at is not None and a.describe_at <= now()]

    def _may_list(self) -> bool:
        return bool(self.desk.where(Phase.EXISTS))

    def _until_next(self) -> float | None:
        with self.desk.lock:
            attempts = self.desk.attempts.values()
            times = [a.describe_at for a in attempts if a.describe_at is not None]
            times += [
                self._stop_time(a, a.stop_job_at)
                for a in attempts
                if a.stop_job_at is not None and not a.stop_sent and a.phase is Phase.EXISTS
            ]
            if self._may_list():
                times.append(self._next_list)
        return max(0.0, min(times) - now()) if times else None

    def list_now(self) -> None:
        """Finds out by one listing which attempts of an earlier tuner have a job that is in progress.

        A job that no trial waits for may be one that the log, damaged, has forgotten, and that is about to be found
        when its trial begins again: it is ended by the listing after this one.
        """
        self._strays_may_wait = True
        self._next_list = now()
        self.wake()

    def hasten(self) -> None:
        """The tuner's time is limited: jobs that do not answer the wish to end are stopped soon."""
        self._hastened_at = now()
        self.wake()

    def desert(self) -> None:
        """The tuner takes no events any more: only whether jobs have ended matters.

        What they have told is for the next tuner. To read it here would keep this one from its end while S3 is down.
        """
        self._is_deserted = True
        self.wake()

    def ask(self, attempt: Attempt) -> None:
        """Asks for the state of an attempt's job now; its desk's lock is held."""
        attempt.describe_at = now()
        self.wake()

    # ------------------------------------------------------------------ one job

    def _stop(self, attempt: Attempt) -> None:
        try:
            running = self._jobs.stop(attempt.job_name)
        except NotFound:
            with self.desk.lock:
                attempt.stop_job_at = now() + _NOT_SEEN_YET
            self._not_there(attempt)
            return
        except InvalidRequest as error:
            # What SageMaker says of a job may be behind. A tuner that ended for it would leave all others running.
            with self.desk.lock:
                attempt.stop_job_at = now() + _REFUSED
            logger.warning("a job is not stopped yet, trying again in %.0f seconds: %s", _REFUSED, error)
            return
        with self.desk.lock:
            attempt.stop_sent = True
            attempt.describes = 0
            attempt.describe_at = now()
            if running:
                attempt.stopping_since = now()
                attempt.describe_at = self._ask_again(attempt)

    def _has_mark(self, attempt: Attempt) -> None:
        """An end mark has come: the job is about to end. The desk's lock is held."""
        attempt.describe_at = self._ask_again(attempt)
        self.wake()

    def _describe(self, attempt: Attempt) -> None:
        if attempt.last_state is not None and attempt.phase is not Phase.OVER:
            self._is_over(attempt, attempt.last_state)  # only its last words were waited for
            return
        try:
            state = self._jobs.describe(attempt.job_name, patience=0)
        except NotFound:
            self._not_there(attempt)
            return
        with self.desk.lock:
            self._bills.machines_known(attempt, state)
        if state.is_terminal:
            self._is_over(attempt, state)
            return
        with self.desk.lock:
            attempt.asked_at = now()
            attempt.describes += 1
            attempt.describe_at = self._ask_again(attempt)

    def _ask_again(self, attempt: Attempt) -> float | None:
        """When to ask for the state of a job next: after what has happened last, its stop or its end mark."""
        times, since = self._times(attempt)
        delay = times.delay(attempt.describes) if since is not None else None
        return None if since is None or delay is None else max(now(), since + delay)

    def _times(self, attempt: Attempt) -> tuple[SettleTimes | StopTimes, float | None]:
        """How long jobs take to end, and since when it counts for this one."""
        mark_at, stopping_since = attempt.mark_at, attempt.stopping_since
        if stopping_since is not None and (mark_at is None or mark_at <= stopping_since):
            return self._stops, stopping_since
        return self._settle, mark_at

    def _learn(self, attempt: Attempt) -> None:
        """A job is over: how long it took may help with the next one."""
        times, since = self._times(attempt)
        if since is not None:
            times.learn(max(0.0, (attempt.asked_at or 0.0) - since), now() - since)

    def _not_there(self, attempt: Attempt) -> None:
        """No job has the name: an earlier tuner was killed before it had created it."""
        with self.desk.lock:
            attempt.describe_at = None
            if attempt.created_at is not None or attempt.phase is not Phase.EXISTS:
                return  # created by us, and not to be seen yet: the listing asks again
            attempt.had_no_job = True
            self._ending.free(attempt)
            end = never_began(attempt, "the tuner ended before its job was created")
            self.desk.deliver(self._ending.tell(attempt, end))
            self._bills.nothing(attempt)

    def _is_over(self, attempt: Attempt, state: JobState) -> None:
        """The job is terminal: its last reports, its end, its bill, and its machine for another trial."""
        if self._is_deserted:
            with self.desk.lock:
                self._ending.free(attempt)
                self._bills.bill(attempt, state)  # so that a machine that is kept is known, and given back
                attempt.describe_at = None
            return
        first = attempt.phase is not Phase.OVER
        if first and attempt.last_state is None:
            with self.desk.lock:
                self._learn(attempt)
        if first and not self._last_words.have_come(attempt, state):
            with self.desk.lock:
                attempt.last_state = state
                attempt.describe_at = now() + self._last_words.interval
            return
        end = None if attempt.end_delivered else self._end(attempt, state)
        with self.desk.lock:
            self._ended.add(attempt.job_name)
            if end is not None:
                self.desk.deliver(self._ending.tell(attempt, end))
            self._ending.free(attempt)
            self.desk.deliver(self._bills.bill(attempt, state))
            wait = self._bills.ask_again_in(attempt)
            attempt.describe_at = None if wait is None else now() + wait
            # Before the tuner, told of the end, has the trial's next attempt created: of the next type in the list.
            if first and is_capacity_failure(state):
                self._creator.no_capacity(attempt, state.instance_type, state.instance_count)
        if first and not is_capacity_failure(state):
            self._creator.machine_freed(state.instance_type, state.instance_count)

    def _end(self, attempt: Attempt, state: JobState) -> End:
        if self._archive is not None and self._archive.was_missing(attempt, state):
            return source_was_missing(attempt)
        return end_by_state(attempt, state, self._last_words.output(attempt, state))

    # ------------------------------------------------------------------ all jobs

    def _list(self) -> None:
        begun = now()
        with self.desk.lock:
            any_stopping = any(a.stop_sent for a in self.desk.where(Phase.EXISTS))
            without_agent = any(not a.has_agent for a in self.desk.where(Phase.EXISTS))
        live = {job.name: job.secondary for job in self._jobs.list(self._prefix, "InProgress")}
        if any_stopping:
            live.update((job.name, job.secondary) for job in self._jobs.list(self._prefix, "Stopping"))
        beat = min(self._cadence.status, _BEAT_WITHOUT_AGENT) if without_agent else self._cadence.status
        self._next_list = begun + beat * self._random.uniform(0.9, 1.1)
        with self.desk.lock:
            for attempt in self.desk.where(Phase.EXISTS):
                if attempt.job_name in live:
                    if attempt.stop_sent:
                        attempt.asked_at = begun
                        self._tell_if_it_hangs(attempt)
                    if live[attempt.job_name] in _CONTAINER_RUNS:
                        self._in_progress(attempt)
                elif attempt.last_state is None and (
                    attempt.created_at is None or attempt.created_at < begun - min(_LISTED_AFTER, beat)
                ):
                    attempt.describe_at = now()  # also where a question is to come later
            known = {a.job_name for a in self.desk.attempts.values() if a.phase is not Phase.OVER}
        strays = live.keys() - known - self._ended - self._strays_ended
        if self._strays_may_wait:
            self._strays_may_wait = False
            return
        self._end_strays(sorted(name for name in strays if re.search(r"-\d+-\d+$", name)))

    def _in_progress(self, attempt: Attempt) -> None:
        """The attempt's container runs: something should be heard of it."""
        if attempt.end_delivered:
            return
        if not attempt.use_s3:
            self._last_words.read_log_of(attempt)  # an earlier tuner's, whose log nobody may read yet
        elif not attempt.has_head:
            attempt.lists_without_head += 1
            if attempt.lists_without_head == 2:
                self._last_words.read_log_of(attempt)
        elif (
            attempt.heard_at is not None
            and not attempt.told_silent
            and now() - attempt.heard_at > self._cadence.silence
            and (attempt.mark is None or attempt.mark["outcome"] == protocol.TERMINATED)
        ):
            attempt.told_silent = True
            self._last_words.read_log_of(attempt)  # SageMaker may have started it again, without rights on S3
            logger.warning(
                "nothing was heard of trial %d for %.0f seconds although its job %s is in progress",
                attempt.trial_id,
                now() - attempt.heard_at,
                attempt.job_name,
            )

    def _tell_if_it_hangs(self, attempt: Attempt) -> None:
        """A job that was stopped is still listed: nobody can do more, and people should know what is waited for."""
        since = attempt.stopping_since
        if since is None or attempt.told_hanging or now() - since < _LONG_STOP:
            return
        attempt.told_hanging = True
        logger.warning(
            "SageMaker has been stopping %s, the job of trial %d, for %.0f minutes; its machine counts as busy until "
            "that is done: wait, ask AWS Support if it lasts, or press Ctrl-C twice and continue later with the same "
            "command",
            attempt.job_name,
            attempt.trial_id,
            (now() - since) / 60,
        )

    def _end_strays(self, names: list[str]) -> None:
        """Jobs of the experiment that no trial waits for: created by a tuner that was killed that very moment."""
        if names:
            # Unless another tuner has created them: its sign of life came before its first job.
            self._confirm()
        for name in names:
            job_id = self._jobs.describe(name).environment.get(protocol.ENV_JOB_ID)
            if job_id and name.endswith(job_id):  # else a foreign job has taken the name
                logger.warning("stopping %s, a job of this experiment that no trial waits for", name)
                self._jobs.stop(name)
            self._strays_ended.add(name)


def _urgency(attempt: Attempt) -> tuple[bool, float]:
    """Which jobs are stopped first: the dearest; last those whose agent is to begin yet, with a look at wishes."""
    begins = attempt.has_agent and attempt.use_s3 and not attempt.has_head
    return begins, -(attempt.hourly_price or 0.0)
