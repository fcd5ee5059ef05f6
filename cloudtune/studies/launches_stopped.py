"""Whether somebody has stopped a study whose experiments are being launched: `cloudtune stop TAG` leaves a mark."""

from __future__ import annotations

import threading
import time

from cloudtune.errors import CloudtuneError
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.stop_mark import stop_mark_key

#: So often it is looked at the mark, in seconds, while launches are made.
_INTERVAL = 5.0


class LaunchesStopped(CloudtuneError):
    """Somebody has stopped the study while its experiments were being launched."""


class StopCheck:
    """Called before each launch. Thread-safe.

    Args:
        place: Of the study.
        mark: ETag of the mark that was there at the beginning; "" if there was none.
    """

    def __init__(self, place: StudyPlace, mark: str) -> None:
        self._place = place
        self._mark = mark
        self._looked_at = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Looks, if that was not done just now.

        Raises:
            LaunchesStopped: There is a new mark.
            AwsError: S3 does not answer.
        """
        with self._lock:
            if time.monotonic() < self._looked_at + _INTERVAL:
                return
            self._looked_at = time.monotonic()
        found = self._place.bucket.head(stop_mark_key(self._place))
        self.compare("" if found is None else found.etag)

    def compare(self, mark: str) -> None:
        """Raises LaunchesStopped if the mark that was found is a new one."""
        if mark != self._mark:
            raise LaunchesStopped(
                f"somebody has stopped the study '{self._place.tag}' meanwhile: what is not launched yet is not "
                "launched; the same command launches it later"
            )
