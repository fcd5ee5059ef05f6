"""The checkpoints of a trial, on the job's side: restored at the start, saved while the script runs and at its end."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudtune.agent.forms import Task
    from cloudtune.agent.s3 import S3


class Checkpoints:
    """Generations of the checkpoint directory in S3.

    Args:
        s3: Reads and writes the bucket.
        task: Says whose checkpoints, and how often.
        run: Number of this run of the attempt.
        folder: The checkpoint directory.
        reports_made: How many reports the script has made in this run so far. A generation becomes valid only when as
            many are shipped: what resumes from it never skips a report. None: nothing is waited for.
    """

    def __init__(
        self, s3: S3, task: Task, run: int, folder: str, reports_made: Callable[[], int] | None = None
    ) -> None:
        raise NotImplementedError

    @property
    def newest(self) -> str | None:
        """The newest complete generation of the trial, as far as this run has restored or saved one."""
        raise NotImplementedError

    def restore(self) -> str | None:
        """Has the folder hold the newest complete generation and nothing else; its name, or None (then it is empty)."""
        raise NotImplementedError

    def save_if_due(self, reports_shipped: Callable[[], int], now: bool = False) -> str | None:
        """Saves a generation while the script runs, if it is time and something changed.

        May run in a thread of its own; :meth:`save_final` in another has it give up as soon as possible.

        Args:
            reports_shipped: How many reports of this run are in S3.
            now: Whatever the interval says: before the script is told to end.

        Returns:
            The new generation; None if there is none (not due, nothing changed, files being written, S3 not there).
        """
        raise NotImplementedError

    def save_final(
        self, reports_shipped: Callable[[], int], killed: bool = False, ended: float | None = None
    ) -> str | None:
        """Saves what the script, which has ended, left behind.

        Args:
            reports_shipped: How many reports of this run are in S3.
            killed: A signal ended the script, so it may have been in the middle of a file: files modified within the
                last second before ``ended`` are not trusted, and the last good generation stays the newest.
            ended: When the script ended, as ``time.time()``. None: now.

        Returns:
            The newest complete generation: a new one, or the last good one; None if there is none at all.

        Raises:
            S3Denied, S3Unreachable: It could not be saved.
        """
        raise NotImplementedError
