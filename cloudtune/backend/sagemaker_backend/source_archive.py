"""The archive of agent and source in S3, from which every job begins: uploaded once, and again if it was lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

from cloudtune.agent.protocol import BUNDLE
from cloudtune.aws.entry_point import DAMAGED
from cloudtune.aws.errors import PASSING, AwsError
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import JobState
from cloudtune.backend.sagemaker_backend.attempt import Attempt
from cloudtune.backend.sagemaker_backend.service import now

logger = logging.getLogger(__name__)

#: Before a job is created it is looked whether the archive is there, if that was not done for so long (seconds).
_LOOK_INTERVAL = 60.0
#: Whoever deletes it again and again wants it to be gone; every job that it is missing for costs money.
_MOST_UPLOADS = 10


class SourceArchive:
    """Keeps the archive in its place.

    Args:
        bucket: Where it lies.
        upload: Uploads it unless it is there, and whole; returns its URI, or that of its folder.

    Raises:
        AwsError: It could not be uploaded.
    """

    def __init__(self, bucket: Bucket, upload: Callable[[], str]) -> None:
        self._bucket = bucket
        self._upload = upload
        self.uri = upload()
        key = self.uri.removeprefix(bucket.uri(""))
        self._key = key + BUNDLE if key.endswith("/") else key
        self._etag = self._seen_etag()
        self._looked_at = now()
        self._uploads = 0

    def keep(self) -> None:
        """Uploads it again if it was deleted or changed; looks only now and then. Raises AwsError."""
        if now() - self._looked_at >= _LOOK_INTERVAL:
            self._repair()
        self._looked_at = now()

    def was_missing(self, attempt: Attempt, state: JobState) -> bool:
        """Whether a job has failed because the archive was not there, or not whole; then it is there again.

        Raises:
            AwsError: S3 does not answer at the moment.
        """
        if state.status != "Failed" or not self._is_to_blame(state.failure_reason):
            return False
        try:
            if self._uploads < _MOST_UPLOADS and self._repair():
                return True
            seen = self._bucket.look(self._key)
        except PASSING:
            raise
        except AwsError as error:
            logger.warning("whether the source is still in S3 cannot be told: %s", error)
            return False
        # Another trial's job, or another tuner, may have found it missing first, and have had it uploaded again.
        if seen is None or seen.age_seconds is None or attempt.created_at is None:
            return False
        return seen.age_seconds < now() - attempt.created_at

    def _is_to_blame(self, reason: str) -> bool:
        """Whether a job's reason names the archive: SageMaker, where there is none, or the job's own beginning."""
        folder = self._key.rpartition("/")[0]
        return self.uri.rstrip("/") in reason or (folder.rpartition("/")[2] in reason and DAMAGED in reason)

    def _repair(self) -> bool:
        """Uploads it if it is not there, or not what we know; whether that was so."""
        etag = self._seen_etag()
        if etag == self._etag is not None:
            return False
        if etag is None:
            self._restore()
        else:
            self._upload()  # which looks whether it is whole, and says so if it is not
            if self._seen_etag() == etag:
                self._etag = etag
                return False
            self._uploads += 1
        self._etag = self._seen_etag()
        return True

    def _seen_etag(self) -> str | None:
        there = self._bucket.head(self._key)
        return None if there is None else there.etag

    def _restore(self) -> None:
        self._uploads += 1
        logger.warning(
            "%s, from which the jobs begin, was deleted; uploading it again. If a lifecycle rule of the bucket deletes "
            "it, leave it out there",
            self._bucket.uri(self._key),
        )
        self._upload()
