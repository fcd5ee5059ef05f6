"""Whether the tuner of an experiment is alive, and how to call its trials off where it is not.

A tuner writes its life object again and again. How old that is, S3 says by one clock: in an answer's ``Date`` and
``Last-Modified``. The clock of this machine does not count.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from cloudtune.agent.protocol import WISH_PAUSE, Keys
from cloudtune.aws.answer_time import aws_time
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError, Conflict, NotFound
from cloudtune.aws.our_jobs import OurJob, readable
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.s3 import Bucket

#: A tuner that is alive writes at least this often; seconds, with room for delays.
ALIVE = 180.0
#: How the nonce of a life object begins whose newest writer is no tuner.
_REAPER = "reaper-"
_UNSURE = "only a tag says where the experiment is, perhaps not exactly, and no sign of life is there"


@dataclass(frozen=True)
class SignOfLife:
    """What is known of a tuner.

    Args:
        age: Seconds since its last sign of life; None where there is none.
        was_called_off: The newest writer is not the tuner: somebody has called off the experiment's trials.
        unreadable: Why nothing is known; "" where something is.
    """

    age: float | None = None
    was_called_off: bool = False
    unreadable: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether a tuner drives the experiment, as far as can be told."""
        return self.age is not None and self.age <= ALIVE and not self.was_called_off


def signs_of_life(aws: Aws, places: Iterable[str], unsure: Collection[str] = ()) -> dict[str, SignOfLife]:
    """For each place (``s3://bucket/prefix``), what is known of its tuner.

    Args:
        aws: Account, which must own the buckets, and region.
        places: Of experiments.
        unsure: Places that may be written otherwise: where there is no sign of life, it may be elsewhere.
    """
    wanted = list(dict.fromkeys(places))
    found = in_parallel(aws.threads, [partial(_sign, aws, place, place in unsure) for place in wanted])
    return dict(zip(wanted, found, strict=True))


def signs_of(aws: Aws, jobs: Collection[OurJob]) -> dict[str, SignOfLife]:
    """For the place of each job, what is known of its tuner."""
    sure = {job.place for job in jobs if not job.place_may_differ}
    places = [job.place for job in jobs]
    return signs_of_life(aws, places, unsure=set(places) - sure)


def call_off(aws: Aws, place: str, confirm: Callable[[], object] = lambda: None, kms_key: str | None = None) -> bool:
    """Tells all agents of an experiment to save their checkpoints and to end; the trials can be continued later.

    Args:
        aws: Account, which must own the bucket, and region.
        place: ``s3://bucket/prefix`` of the trials.
        confirm: Asked whether this is still right, of all that was written to the life object so far: what it raises
            keeps them from being told, and so does whatever is written there from now on.
        kms_key: Encrypts the object, where it is known which one does.

    Returns:
        False if somebody else writes the life object, or there is none.

    Raises:
        AwsError: S3 refuses.
    """
    read = _read_to_write(aws, place, confirm, kms_key)
    if read is None:
        return False
    life, write = read
    life["stop_all"] = WISH_PAUSE
    life["nonce"] = _REAPER + uuid.uuid4().hex
    try:
        write()
    except Conflict:
        return False
    return True


def give_sign(aws: Aws, place: str, confirm: Callable[[], object], kms_key: str | None = None) -> bool:
    """Gives a sign of life for a tuner that has ended, while the next one is on its way; its wishes stay as they are.

    Args:
        aws: Account, which must own the bucket, and region.
        place: ``s3://bucket/prefix`` of the trials.
        confirm: As in :func:`call_off`.
        kms_key: Encrypts the object.

    Returns:
        False if there is no life object, or somebody has called the trials off.

    Raises:
        AwsError: S3 refuses, or does not answer.
    """
    read = _read_to_write(aws, place, confirm, kms_key)
    if read is None:
        return False
    life, write = read
    if str(life.get("nonce", "")).startswith(_REAPER):
        return False
    life["unix"] = time.time()
    try:
        write()
    except Conflict:
        pass  # somebody else has written: that is a sign of life, too
    return True


def _read_to_write(
    aws: Aws, place: str, confirm: Callable[[], object], kms_key: str | None
) -> tuple[dict[str, Any], Callable[[], object]] | None:
    """The life object, and what writes it again, changed, with the next beat; None: there is none.

    Writing raises Conflict where somebody else has written since.
    """
    name, key = _bucket_and_key(place)
    bucket = Bucket(aws, name, aws.account, kms_key)
    got = bucket.get(key)
    if got is None:
        return None
    confirm()
    life = _parsed(got.body)
    life["beat"] = life.get("beat", 0) + 1
    return life, lambda: bucket.put_own(key, json.dumps(life).encode(), if_match=got.etag)


def _sign(aws: Aws, place: str, is_unsure: bool) -> SignOfLife:
    if not place.startswith("s3://"):
        return SignOfLife(unreadable="the job does not say where its experiment is")
    bucket, key = _bucket_and_key(place)
    try:
        answer = aws.call("s3", "get_object", Bucket=bucket, Key=key, ExpectedBucketOwner=aws.account)
    except NotFound as error:
        if error.code != "NoSuchKey":
            return SignOfLife(unreadable=readable(error))
        return SignOfLife(unreadable=_UNSURE) if is_unsure else SignOfLife()
    except AwsError as error:
        return SignOfLife(unreadable=readable(error))
    now = aws_time(answer)
    if now is None:
        return SignOfLife(unreadable="S3 did not say what time it is")
    life = _parsed(answer["Body"].read())
    age = max(0.0, (now - answer["LastModified"]).total_seconds())
    return SignOfLife(age, str(life.get("nonce", "")).startswith(_REAPER))


def _bucket_and_key(place: str) -> tuple[str, str]:
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    return bucket, Keys(prefix).life


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        life = json.loads(body)
    except ValueError:
        life = None
    return life if isinstance(life, dict) else {}
