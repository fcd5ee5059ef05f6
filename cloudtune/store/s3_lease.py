"""The lease of an experiment in S3: an object that says who drives it, renewed as long as that one lives.

It keeps people from starting a second tuner by mistake. What keeps two tuners that both believe they hold it from
writing one log are the conditions under which segments are written.

How old a lease is, S3 says by one clock: in an answer's ``Date`` and ``Last-Modified``. No clock of ours counts.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cloudtune.aws.errors import AwsError, Conflict
from cloudtune.aws.s3 import Bucket, Seen
from cloudtune.errors import ExperimentLocked, Fenced
from cloudtune.store.lease import describe_holder, ourselves
from cloudtune.store.processes import is_same_space, lives, process_identity
from cloudtune.store.s3_segments import LogKeys

logger = logging.getLogger(__name__)

#: Seconds between two renewals, and after a failed one.
RENEW_INTERVAL = 20.0
_RETRY_INTERVAL = 5.0
#: A lease that was not renewed for so long is nobody's.
STALE_AFTER = 90.0

_FORMAT = 1
#: So often a lease is tried for that changes each time between our look and our write.
_TRIES = 20
#: Seconds that giving it back may wait for a renewal that is under way.
_JOIN_TIMEOUT = 20.0


#: Nonces of the leases that this process holds.
_held: set[str] = set()


@dataclass(frozen=True)
class LeaseState:
    """What the lease object says.

    Args:
        owner: Who drives, or last drove, the experiment: ``host``, ``pid``, ``user``, ``since``, ``command``, ``job``
            (name of its training job, or None) and more; empty if the object cannot be read.
        epoch: Number of that one's epoch; 0 while it begins.
        age: Seconds since it was renewed, by S3's own clock; None: S3 did not say.
        released: It was given back.
        nonce: Of the owner.
        etag: Of the object.
    """

    owner: dict[str, Any]
    epoch: int
    age: float | None
    released: bool
    nonce: str
    etag: str

    @property
    def is_stale(self) -> bool:
        """Whether nobody has renewed it for so long that it is nobody's."""
        return self.age is not None and self.age > STALE_AFTER

    @property
    def is_alive(self) -> bool:
        """Whether somebody drives the experiment, as far as the lease can tell."""
        return not self.released and not self.is_stale

    def describe(self) -> str:
        """Who holds it, in words."""
        if not {"pid", "host", "user", "since"} <= self.owner.keys():
            return "another process"
        job = self.owner.get("job")
        return (f"training job {job}, " if job else "") + describe_holder(self.owner)


def read_lease(bucket: Bucket, root: str) -> LeaseState | None:
    """Who drives an experiment; None if nobody ever did.

    Raises:
        AwsError: S3 cannot be read.
    """
    seen = bucket.look(LogKeys(root).lease)
    return None if seen is None else _state(seen)


def _state(seen: Seen) -> LeaseState:
    try:
        said = json.loads(seen.body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    owner, epoch = said.get("owner"), said.get("epoch")
    return LeaseState(
        owner=owner if isinstance(owner, dict) else {},
        epoch=epoch if isinstance(epoch, int) else 0,
        age=seen.age_seconds,
        released=said.get("released") is True,
        nonce=str(said.get("nonce", "")),
        etag=seen.etag,
    )


def check_free(
    state: LeaseState,
    root: str,
    job_is_over: Callable[[str], bool] | None = None,
    way: str = "--takeover (Tuner.run(takeover=True))",
) -> None:
    """Returns if nobody holds the lease who is not known to be dead. Takes nothing.

    Args:
        state: Of the lease.
        root: Prefix of the experiment.
        job_is_over: Whether the training job of this name has ended. Asked about an owner that was one.
        way: To take over, for the message.

    Raises:
        ExperimentLocked: Somebody holds it.
    """
    if not state.is_alive:
        return
    if is_same_space(state.owner):
        if not lives(state.owner) or _is_left_by_us(state):
            return
    # SageMaker starts a job's container again when the one before has ended.
    elif (job := state.owner.get("job")) and (job == _own_job() or _is_over(job, job_is_over)):
        return
    age = "" if state.age is None else f" (last sign of life {state.age:.0f} seconds ago)"
    raise ExperimentLocked(
        f"experiment {LogKeys(root).name!r} is driven by {state.describe()}{age}; wait for it to end, stop it, or "
        f"take over with {way}; if it has died, its lease ends {STALE_AFTER:.0f} seconds after its last sign of life"
    )


def _own_job() -> str | None:
    return os.environ.get("TRAINING_JOB_NAME")


def _is_left_by_us(state: LeaseState) -> bool:
    """Whether this process has written it and holds it no more, or not yet: no answer came when it did."""
    own = {"pid": os.getpid(), "pid_start": process_identity()["pid_start"]}
    return all(state.owner.get(key) == own[key] for key in own) and state.nonce not in _held


def _is_over(job: str, job_is_over: Callable[[str], bool] | None) -> bool:
    if job_is_over is None:
        return False
    try:
        return job_is_over(job)
    except AwsError as error:
        logger.debug("it is not known whether training job %s has ended: %s", job, error)
        return False


class S3Lease:
    """Keeps other tuners off an experiment as long as this process lives.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment.
        job_is_over: Whether the training job of this name has ended. Asked about an owner that was one.
        renew_interval: Seconds between two renewals.
    """

    def __init__(
        self,
        bucket: Bucket,
        root: str,
        job_is_over: Callable[[str], bool] | None = None,
        renew_interval: float = RENEW_INTERVAL,
    ) -> None:
        self._bucket = bucket
        self._keys = LogKeys(root)
        self._job_is_over = job_is_over
        self._renew_interval = renew_interval
        #: Tells our objects from all others'.
        self.nonce = os.urandom(8).hex()
        self._owner: dict[str, Any] = {}
        self._epoch = 0
        self._beat = 0
        self._etag = ""
        self._writing = threading.Lock()
        #: Set when the lease was lost or given back.
        self.ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost: str | None = None

    # ------------------------------------------------------------------ taking

    def acquire(self, takeover: bool = False) -> dict[str, Any]:
        """Takes the lease, begins to renew it, and returns who we are (as :class:`LeaseState` has the owner).

        Args:
            takeover: Take it even if somebody holds it.

        Raises:
            ExperimentLocked: Somebody holds it and ``takeover`` is false.
            AwsError: S3 cannot be asked.
        """
        self._owner = {**ourselves(), **process_identity(), "job": _own_job()}
        for _ in range(_TRIES):
            seen = self._bucket.look(self._keys.lease)
            if seen is not None and not takeover:
                check_free(_state(seen), self._keys.root, self._job_is_over)
            body = self._body()
            try:
                if seen is None:
                    self._etag = self._bucket.put_own(self._keys.lease, body, if_none_match=True)
                else:
                    self._etag = self._bucket.put_own(self._keys.lease, body, if_match=seen.etag)
            except Conflict as error:
                logger.debug("the lease changed while it was taken: %s", error)
                continue
            self._thread = threading.Thread(target=self._keep_renewing, name="cloudtune-lease", daemon=True)
            self._thread.start()
            _held.add(self.nonce)
            return self._owner
        raise ExperimentLocked(
            f"experiment {self._keys.name!r} is being taken by several tuners at once; try again when one drives it"
        )

    # ------------------------------------------------------------------ holding

    def begin_epoch(self, epoch: int) -> None:
        """Has the object name the epoch, from its next renewal on, which is soon."""
        self._epoch = epoch

    def check(self) -> None:
        """Returns if nothing is known of a loss of the lease. Asks nobody.

        Raises:
            Fenced: The lease was lost.
        """
        if self._lost is not None:
            raise Fenced(self._lost)

    def confirm(self) -> None:
        """Asks S3 whether the lease is still ours.

        Raises:
            Fenced: It is not.
            AwsError: S3 cannot be asked.
        """
        self.check()
        seen = self._bucket.look(self._keys.lease)
        if seen is not None and (state := _state(seen)).nonce != self.nonce:
            self._lose(state)
            self.check()

    def _lose(self, state: LeaseState) -> None:
        self._lost = (
            f"experiment {self._keys.name!r} was taken over by {state.describe()}: this tuner stops and leaves "
            "everything to that one"
        )
        self.ended.set()

    def _keep_renewing(self) -> None:
        bucket = self._bucket.with_patience(0)
        pause = self._renew_interval
        while not self.ended.wait(pause):
            try:
                self._renew(bucket)
            except AwsError as error:
                logger.debug("the lease could not be renewed: %s", error)
                pause = min(_RETRY_INTERVAL, self._renew_interval)
            else:
                pause = self._renew_interval

    def _renew(self, bucket: Bucket, released: bool = False) -> None:
        """Writes the object again, unless it is another's by now."""
        with self._writing:
            body = self._body(released)
            try:
                self._etag = bucket.put(self._keys.lease, body, if_match=self._etag)
                return
            except Conflict as error:
                seen = bucket.look(self._keys.lease)
                if seen is not None and (state := _state(seen)).nonce != self.nonce:
                    logger.debug("the lease is another's: %s", error)
                    self._lose(state)
                    return
            if seen is None:
                # Somebody has deleted it. Whoever takes it first now has it; we do not know of anybody.
                self._etag = bucket.put_own(self._keys.lease, body, if_none_match=True)
            elif seen.body != body:
                # What an earlier try has written, whose answer was lost.
                self._etag = bucket.put_own(self._keys.lease, body, if_match=seen.etag)
            else:
                self._etag = seen.etag

    def release(self) -> None:
        """Gives the lease back, if it is ours. Safe to call when it is not held.

        If S3 cannot be reached, the lease ends by itself after :data:`STALE_AFTER` seconds.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.ended.set()
        _held.discard(self.nonce)
        thread.join(_JOIN_TIMEOUT)
        if self._lost is not None:
            return
        try:
            self._renew(self._bucket.with_patience(_RETRY_INTERVAL), released=True)
        except AwsError as error:
            logger.info(
                "the lease of experiment %r could not be given back (%s): it ends %.0f seconds after its last renewal",
                self._keys.name,
                error,
                STALE_AFTER,
            )

    def _body(self, released: bool = False) -> bytes:
        self._beat += 1
        said = {
            "format": _FORMAT,
            "nonce": self.nonce,
            "epoch": self._epoch,
            "owner": self._owner,
            "beat": self._beat,
            "released": released,
            "unix": time.time(),
        }
        return json.dumps(said).encode()
