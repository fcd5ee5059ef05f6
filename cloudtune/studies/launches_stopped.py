"""Whether somebody has stopped a study whose experiments are being launched: `cloudtune stop TAG` leaves a mark."""

from __future__ import annotations

from cloudtune.errors import CloudtuneError
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.stop_mark import stop_mark_key


class LaunchesStopped(CloudtuneError):
    """Somebody has stopped the study while its experiments were being launched."""


class StopCheck:
    """Called right before the job of a launch is created, and right after. Thread-safe.

    A launch says in S3 that it is about to create a job before it looks here for the last time. So whoever leaves a
    mark, and then waits until nobody is about to create one, misses no job.

    Args:
        place: Of the study.
        mark: ETag of the mark that was there at the beginning; "" if there was none.
    """

    def __init__(self, place: StudyPlace, mark: str) -> None:
        self._place = place
        self._mark = mark

    def __call__(self) -> None:
        """Looks.

        Raises:
            LaunchesStopped: There is a new mark.
            AwsError: S3 does not answer.
        """
        found = self._place.bucket.head(stop_mark_key(self._place))
        self.compare("" if found is None else found.etag)

    def compare(self, mark: str) -> None:
        """Raises LaunchesStopped if the mark that was found is a new one."""
        if mark != self._mark:
            raise LaunchesStopped(
                f"somebody has stopped the study '{self._place.tag}' meanwhile: what is not launched yet is not "
                "launched; the same command launches it later"
            )
