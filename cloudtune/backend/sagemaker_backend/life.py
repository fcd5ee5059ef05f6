"""The tuner's side of the life object: its sign of life, and what it wishes of its trials."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable

from cloudtune.agent import protocol
from cloudtune.agent.forms import Life
from cloudtune.aws.errors import PASSING, Conflict
from cloudtune.aws.s3 import Bucket, Got
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.service import Service, now
from cloudtune.errors import Fenced

logger = logging.getLogger(__name__)

#: Shortest time between two writes, so that many wishes go into one.
_SHORTEST = 0.1
#: So often the first sign of life is tried that changes each time between our look and our write.
_TRIES = 20
#: For so many seconds since the last answer that told it, nobody else is taken to drive the experiment.
_CERTAIN_FOR = 1.0


class LifeWriter(Service):
    """Writes the life object: at intervals, and at once where there is a new wish.

    Every write is on the condition that nobody else has written since this one looked: a second tuner that takes the
    experiment over is noticed, and this one stops. Where it is to write over what is not its own, it asks the
    experiment's log first. Whoever has the log last has written last here: it goes on, and nobody else does.

    Args:
        desk: Shared with the other services.
        bucket: Where the object lies.
        keys: Of the experiment.
        interval: Seconds between two signs of life.
        confirm_log: Raises Fenced if the experiment's log is another tuner's now. Called from any thread.
    """

    def __init__(
        self,
        desk: Desk,
        bucket: Bucket,
        keys: protocol.Keys,
        interval: float,
        confirm_log: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(desk, "writing the tuner's sign of life to S3")
        self._confirm_log = confirm_log
        self._bucket = bucket
        self._key = keys.life
        self._place = f"s3://{bucket.name}/{keys.prefix}"
        self._interval = interval
        self._nonce = uuid.uuid4().hex
        self._etag: str | None = None
        self._former: Got | None = None  # what the tuner has written from which this one took over
        self._beat = 0
        self._wishes: dict[str, str] = {}
        self._stop_all: str | None = None
        self._changed = False
        self._next = 0.0
        self._certain_at = 0.0

    def begin(self, bucket: Bucket | None = None) -> None:
        """The first sign of life, over whatever an earlier tuner has left. It is the first thing that is written.

        Args:
            bucket: The same bucket with more patience.

        Raises:
            Fenced: Another tuner has the experiment's log by now.
            AwsError: S3 does not answer, or refuses.
        """
        patient = bucket or self._bucket
        for last in (False,) * (_TRIES - 1) + (True,):
            asked = _with_sleep()
            former = patient.get(self._key)
            # Then the log: a tuner that takes it from now on will write here from now on, and our write is refused.
            self._confirm_log()
            if former is not None and not self._is_own(former):
                self._former = former
            try:
                self._etag = self._put(patient, self._body(), None if former is None else former.etag)
            except Conflict:
                # Another has written meanwhile, or we have, and no answer came.
                if last:
                    raise
            else:
                self._certain_at = asked
                self._next = now() + self._interval
                return

    @property
    def has_taken_over(self) -> bool:
        """Whether another tuner has driven the experiment before."""
        return self._former is not None

    def wish(self, trial: int, attempt: int, wish: str) -> None:
        """Tells the agent of an attempt to end."""
        with self.desk.lock:
            self._wishes[protocol.wish_key(trial, attempt)] = wish
            self._changed = True
        self.wake()

    def forget(self, trial: int, attempt: int) -> None:
        """The attempt is over; its wish goes with the next write."""
        with self.desk.lock:
            self._wishes.pop(protocol.wish_key(trial, attempt), None)

    def stop_all(self, wish: str) -> None:
        """Tells all agents of the experiment to end."""
        with self.desk.lock:
            self._stop_all = wish
            self._changed = True
        self.wake()

    def confirm(self) -> None:
        """Returns if no other tuner has begun to drive the experiment.

        Raises:
            Fenced: One has. It may have done so long ago: this machine may have slept.
        """
        asked = _with_sleep()
        self._own_etag()
        self._certain_at = asked

    def confirm_unless_certain(self) -> None:
        """As :meth:`confirm`, without asking S3 if it has said so within the last second.

        For what changes jobs: between a decision and what is done about it this process may have stood still for hours.
        """
        if _with_sleep() - self._certain_at > _CERTAIN_FOR:
            self.confirm()

    def confirm_if_possible(self) -> None:
        """As :meth:`confirm_unless_certain`, where S3 answers."""
        try:
            self.confirm_unless_certain()
        except PASSING as error:
            logger.debug("whether another tuner drives the experiment is not known: %s", error)

    def turn(self) -> float | None:
        with self.desk.lock:
            due = self._changed or now() >= self._next
            if due:
                self._changed = False
                body = self._body()
        if not due:
            return max(0.0, self._next - now())
        asked = _with_sleep()
        try:
            self._etag = self._put(self._bucket, body, self._etag)
        except Conflict as error:
            self._look_who_wrote(error)
            return 0.0
        except BaseException:
            with self.desk.lock:
                self._changed = True
            raise
        self._certain_at = asked
        self._next = now() + self._interval
        return _SHORTEST

    def _look_who_wrote(self, error: Conflict) -> None:
        """After a refused write: it may be our own that stands there, whose answer was lost."""
        try:
            self._etag = self._own_etag()
        except Fenced as fenced:
            raise fenced from error
        with self.desk.lock:
            self._changed = True

    def _own_etag(self) -> str | None:
        """Of what stands there. None: somebody has deleted it, so that it is to be written anew."""
        got = self._bucket.get(self._key)
        # What stood there before is no sign of another tuner: our first write has not taken effect, and is repeated.
        if got is None or (self._former is not None and got.etag == self._former.etag):
            self._confirm_log()
            return None if got is None else got.etag
        if not self._is_own(got):
            raise Fenced(
                f"another tuner drives the experiment at {self._place} now: this one stops and leaves all training "
                "jobs to that one"
            )
        return got.etag

    def _is_own(self, got: Got) -> bool:
        return self._nonce.encode() in got.body

    def _put(self, bucket: Bucket, body: bytes, etag: str | None) -> str:
        """Writes over what has this ETag, or, without one, where there is nothing."""
        if etag is None:
            return bucket.put(self._key, body, if_none_match=True)
        return bucket.put(self._key, body, if_match=etag)

    def _body(self) -> bytes:
        self._beat += 1
        life: Life = {
            "format": protocol.FORMAT,
            "nonce": self._nonce,
            "beat": self._beat,
            "stop_all": self._stop_all,
            "wishes": dict(self._wishes),
            "unix": time.time(),
        }
        return json.dumps(life).encode()


def _with_sleep() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
