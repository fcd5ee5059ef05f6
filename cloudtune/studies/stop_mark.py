"""The mark that `cloudtune stop TAG` leaves in a study: launchers at work launch nothing more.

A launcher notes the mark that is there when it begins (``StudyStanding.stop_mark``), and ends its queue once it meets
another one. So whoever launches after a stop need not take the mark away, and no clocks are compared.
"""

from __future__ import annotations

import json
import os
import time

from cloudtune.aws.s3 import Bucket
from cloudtune.store.lease import ourselves
from cloudtune.store.study_place import StudyPlace

_FORMAT = 1


def stop_mark_key(place: StudyPlace) -> str:
    """Where the mark lies."""
    return f"{place.folder}stopped.json"


def put_stop_mark(place: StudyPlace, bucket: Bucket | None = None) -> str:
    """Leaves a mark, in place of an earlier one; its ETag.

    Args:
        place: Of the study.
        bucket: In place of the place's own, with the key that what is written is to be encrypted with.

    Raises:
        AwsError: S3 does not take it.
    """
    said = {"format": _FORMAT, "by": ourselves(), "unix": time.time(), "nonce": os.urandom(8).hex()}
    return (bucket or place.bucket).put(stop_mark_key(place), json.dumps(said).encode())
