"""Has a tuner say how its experiment stands, in one small object beside those of its study.

So a look at a hundred experiments is a listing and some small objects, and not a hundred logs. It is for looking only:
nothing is decided by it that the log, the lease or the training job would tell otherwise.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import AwsError, Conflict
from cloudtune.aws.s3 import Bucket
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.interruption import SignalWatch
from cloudtune.remote.overview_form import RUNNING, UNFINISHED, Overview, overview_of
from cloudtune.remote.tuner_job import TIME_TO_END
from cloudtune.store.entries import FAILED, FINISHED, INTERRUPTED
from cloudtune.store.study_place import StudyPlace
from cloudtune.trial import Trial

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner
    from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)

#: So often it is tried to write over what changes each time between the look and the write.
_TRIES = 10


@dataclass(frozen=True)
class Pace:
    """Seconds.

    Args:
        changed: Between two objects while something changes.
        unchanged: Between two while nothing does: the newer one is a sign of life.
        end: That the last one may take.
    """

    changed: float = 20.0
    unchanged: float = 60.0
    end: float = 5.0


class TellsOverview(TunerCallback):
    """Writes how the experiment stands: at once when the tuner begins, with its first trial and report, and at its end.

    The tuner's thread takes stock, which is quick; a thread of its own writes. What it cannot write it leaves for the
    next time.

    Args:
        tuner: Whose experiment.
        bucket: Where the experiment lies.
        root: Its prefix, with a slash at its end.
        job: Training job of the tuner; "" if it has none.
        signals: That the job receives.
        pace: How often.
    """

    def __init__(
        self,
        tuner: Tuner,
        bucket: Bucket,
        root: str,
        job: str,
        signals: SignalWatch | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._tuner = tuner
        self._bucket = bucket
        self._key = StudyPlace.of_experiment(bucket, root).status_of(tuner.name)
        self._job = job
        self._signals = signals
        self._pace = pace or Pace()
        self._writer: _Writer | None = None
        self._last: Overview | None = None
        self._next: float | None = None
        self._awaited: set[str] = set()

    # ------------------------------------------------------------------ what the tuner tells

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._awaited = {"trial", "report"}
        self._writer = _Writer(self._bucket, self._key, self._pace)
        self._take(RUNNING, "", soon=True)
        self._writer.start()
        self._next = tuner.trial_backend.wall_time() + self._pace.changed

    def on_start_trial(self, trial: Trial) -> None:
        self._hurry("trial")

    def on_resume_trial(self, trial: Trial) -> None:
        self._hurry("trial")

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        self._hurry("report")

    def _hurry(self, what: str) -> None:
        if what in self._awaited:
            self._awaited.remove(what)
            self._next = 0.0

    def next_time(self) -> float | None:
        return self._next

    def on_time(self, now: float, status: TuningStatus) -> None:
        self._take(RUNNING, "", soon=self._next == 0.0)
        self._next = now + self._pace.changed

    def on_tuning_end(self) -> None:
        self._next = None
        status = self._tuner.status
        self._end(status.finished_state or UNFINISHED, status.finished_why or "")

    def tuner_failed(self, error: Exception) -> None:
        """Says why the tuner could not go on, or could not hand over. Called after it has ended.

        Nothing is said where another tuner has the experiment, and of a tuner that had not begun: of that its job's
        failure reason tells, and what an earlier one has said of its trials stays.

        Args:
            error: Why.
        """
        if self._last is None or self._last.state in (FINISHED, FAILED) or isinstance(error, ExperimentLocked | Fenced):
            return
        said = " ".join(str(error).split()) or type(error).__name__
        self._end(INTERRUPTED if self._last.state == INTERRUPTED else UNFINISHED, said)

    # ------------------------------------------------------------------ what is written

    def _take(self, state: str, why: str, soon: bool) -> None:
        self._last = overview_of(self._tuner, state, why, self._job, time.time())
        if self._writer is not None:
            self._writer.take(self._last, soon)

    def _end(self, state: str, why: str) -> None:
        """Has the last object written, and waits for that, but not for long."""
        if self._writer is None:
            self._writer = _Writer(self._bucket, self._key, self._pace)
            self._writer.start()
        left = self._pace.end
        if self._signals is not None:
            left = min(left, max(1.0, self._signals.time_left(TIME_TO_END)))
        self._take(state, why, soon=True)
        writer, self._writer = self._writer, None
        writer.end(left)


class _Writer:
    """Writes the newest of what it is given, in a thread of its own, until another tuner does."""

    def __init__(self, bucket: Bucket, key: str, pace: Pace) -> None:
        # What fails comes again with the next beat: nothing is repeated in between.
        self._bucket = bucket.with_patience(0)
        self._key = key
        self._pace = pace
        self._nonce = os.urandom(8).hex()
        self._changed = threading.Condition()
        self._given: Overview | None = None
        self._soon = False
        self._ended = False
        self._written: Overview | None = None
        #: ETag of our newest object; None before the first.
        self._etag: str | None = None
        self._beat = 0
        self._is_told = False
        self._thread = threading.Thread(target=self._run, name="cloudtune overview", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def take(self, overview: Overview, soon: bool) -> None:
        """Gives it something newer.

        Args:
            overview: What is to be written.
            soon: It does not wait for its time.
        """
        with self._changed:
            self._given = overview
            self._soon = self._soon or soon
            if soon:
                self._changed.notify()

    def end(self, patience: float) -> None:
        """Returns once the newest is written, or after so many seconds."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(patience)

    def _run(self) -> None:
        tried_at = -float("inf")
        while True:
            with self._changed:
                while not self._ended and not self._soon and (wait := self._wait(tried_at)) > 0:
                    self._changed.wait(wait)
                given, ended, self._soon = self._given, self._ended, False
            tried_at = time.monotonic()
            if given is not None:
                try:
                    goes_on = self._write(given)
                except AwsError as error:
                    self._tell(error)
                else:
                    if not goes_on:
                        return
            if ended:
                return

    def _wait(self, tried_at: float) -> float:
        """Seconds until something is to be written; 0 or less: now."""
        is_new = self._given is not None and not _is_same(self._given, self._written)
        return tried_at + (self._pace.changed if is_new else self._pace.unchanged) - time.monotonic()

    def _write(self, overview: Overview) -> bool:
        """Writes it; False: another tuner does by now.

        Raises:
            AwsError: S3 does not take it.
        """
        self._beat += 1
        body = replace(overview, unix=time.time()).to_json(self._nonce, self._beat)
        is_first = self._etag is None
        for _ in range(_TRIES):
            try:
                if is_first:
                    # Whose experiment it is decides the lease, which we have: what an earlier tuner has said is past.
                    there = self._bucket.get(self._key)
                    self._etag = (
                        self._bucket.put_own(self._key, body, if_none_match=True)
                        if there is None
                        else self._bucket.put_own(self._key, body, if_match=there.etag)
                    )
                else:
                    self._etag = self._bucket.put_own(self._key, body, if_match=self._etag)
            except Conflict as error:
                there = self._bucket.get(self._key)
                if there is None or f'"{self._nonce}"'.encode() in there.body:
                    is_first = True  # somebody has deleted it, or an earlier try wrote it whose answer was lost
                    continue
                if not is_first:
                    logger.debug("another tuner says how the experiment stands: %s", error)
                    return False
            else:
                self._written = overview
                return True
        return True

    def _tell(self, error: AwsError) -> None:
        """Once: what is missing is a row in somebody's table."""
        if not self._is_told:
            self._is_told = True
            logger.info("how the experiment stands was not written for `cloudtune status`, trying again: %s", error)


def _is_same(one: Overview, other: Overview | None) -> bool:
    """Whether nothing has changed but the time."""
    return other is not None and replace(one, unix=0.0, seconds=0.0, limits=[]) == replace(
        other, unix=0.0, seconds=0.0, limits=[]
    )
