"""The checkpoints of a trial, on the job's side: restored at the start, saved while the script runs and at its end.

A *generation* is the checkpoint directory at one moment. Its files are uploaded, one listing shows that all are there,
and only then its manifest is put: without it there is no generation, so a job may die between any two calls. Restored
is the newest generation that is complete. Files that have not changed since the last one stay where that has put them.

A generation taken while the script runs is of one moment: between two scans that are alike, the files are held by hard
links (see :class:`cloudtune.agent.checkpoint_staging.Staging`); afterwards they must not change for a second, nor until
they are uploaded. A script that replaces its files, as :func:`cloudtune.checkpoint.save_checkpoint` does, can be saved
at any time; one that writes them in place, between two of its writes; one that never leaves them alone for a second,
at its end only.

What a script leaves that was ended by a signal may hold half of a file, and nothing tells that from a whole one. It is
saved if nothing was modified within the last second before the end; else the last good generation stays the newest.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from cloudtune.agent.checkpoint_pace import NotNow, Pace
from cloudtune.agent.checkpoint_restore import empty_folder, fill_folder
from cloudtune.agent.folder_scan import Scan, scan
from cloudtune.agent.generation_writer import GenerationWriter
from cloudtune.agent.manifests import complete_generations
from cloudtune.agent.protocol import Keys
from cloudtune.agent.s3_errors import S3Error, S3NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudtune.agent.forms import Manifest, Task
    from cloudtune.agent.manifests import Objects
    from cloudtune.agent.s3 import S3

logger = logging.getLogger(__name__)

#: Files must not change for so many seconds to count as written.
SETTLE = 1.0
#: For so many seconds a restore and a final save get along without S3. A spot instance has two minutes left.
PATIENCE = 90.0
_SHARE = 10  # a save that took a second is followed by ten without one
_REPORTS_WAIT = 30.0
_REPORTS_LOOK = 0.1
_FINAL_TRIES = 5
_NOTED_AFTER = 10  # saves in a row that came to nothing


class Checkpoints:
    """Generations of the checkpoint directory in S3.

    Args:
        s3: Reads and writes the bucket.
        task: Says whose checkpoints, and how often.
        run: Number of this run of the attempt.
        folder: The checkpoint directory.
        reports_made: How many reports the script has made in this run so far. A generation becomes valid only when as
            many are shipped: what resumes from it never skips a report. None: nothing is waited for.
        note: Told, in one sentence each and once, what people should know. By default, a warning is logged.
        clock: Seconds, never going back.
        settle: See :data:`SETTLE`.
        patience: See :data:`PATIENCE`.
    """

    def __init__(
        self,
        s3: S3,
        task: Task,
        run: int,
        folder: str,
        reports_made: Callable[[], int] | None = None,
        *,
        note: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        settle: float = SETTLE,
        patience: float = PATIENCE,
    ) -> None:
        self._s3 = s3
        self._keys = Keys(task["prefix"])
        self._trial = task["trial"]
        self._interval = task["checkpoint_interval"]
        self._folder = folder
        self._reports_made = reports_made
        self._tell = note or logger.warning
        self._told: set[str] = set()
        self._clock = clock
        self._settle = settle
        self._patience = patience
        self._writer = GenerationWriter(s3, self._keys, self._trial, task["attempt"], run, folder, self._note)
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._next_save = clock()
        self._in_vain = 0

    @property
    def newest(self) -> str | None:
        """The newest complete generation of the trial, as far as this run has restored or saved one."""
        manifest = self._writer.newest
        return manifest["generation"] if manifest is not None else None

    def restore(self) -> str | None:
        """Has the folder hold the newest complete generation and nothing else.

        Returns:
            Its name; None if there is none, and the folder is empty.

        Raises:
            S3Denied, S3NotFound, S3Unreachable: S3 does not say what there is, for longer than patience lasts.
            OSError: The folder cannot be filled.
        """
        pace = Pace(self._patience, clock=self._clock)
        with self._lock:
            listed = pace.patiently(lambda: self._s3.list(self._keys.checkpoints(self._trial)))
            objects = {key: (size, etag) for key, size, etag in listed}
            self._writer.begin_behind(objects)
            for manifest in self._complete(objects, pace):
                empty_folder(self._folder)
                try:
                    fill_folder(self._folder, manifest, lambda key, to: self._download(key, to, pace))
                except S3NotFound as error:
                    self._note(
                        "generation {} of the checkpoint is passed over: {}".format(manifest["generation"], error)
                    )
                    continue
                self._writer.begin_from(manifest)
                return self.newest
            empty_folder(self._folder)
            return None

    def save_if_due(self, reports_shipped: Callable[[], int], now: bool = False) -> str | None:
        """Saves a generation while the script runs, if it is time and something changed.

        May run in a thread of its own; :meth:`save_final` in another has it give up as soon as possible.

        Args:
            reports_shipped: How many reports of this run are in S3.
            now: Whatever the interval says: before the script is told to end.

        Returns:
            The new generation; None if there is none (not due, nothing changed, files being written, S3 not there).
        """
        if not self._lock.acquire(blocking=now):
            return None
        try:
            started = self._clock()
            if started < self._next_save and not now:
                return None
            pace = Pace(0.0, self._hurry, self._clock)
            saved, wait = self._try_to_save(reports_shipped, pace)
            took = self._clock() - started - pace.waited
            self._next_save = max(started + wait, self._clock() + _SHARE * took)
            return saved
        finally:
            self._lock.release()

    def save_final(
        self, reports_shipped: Callable[[], int], killed: bool = False, ended: float | None = None
    ) -> str | None:
        """Saves what the script, which has ended, left behind.

        Args:
            reports_shipped: How many reports of this run are in S3.
            killed: A signal ended the script, so it may have been in the middle of a file: if anything was modified
                within the last second before ``ended``, nothing is saved.
            ended: When the script ended, as ``time.time()``. None: now.

        Returns:
            The newest complete generation: a new one, or the last good one; None if there is none at all.

        Raises:
            S3Denied, S3Unreachable: It could not be saved, for longer than patience lasts.
        """
        ended = time.time() if ended is None else ended
        self._hurry.set()  # another thread may be saving
        with self._lock:
            self._hurry.clear()
            pace = Pace(self._patience, clock=self._clock)
            for tries in range(_FINAL_TRIES):
                try:
                    if tries:
                        pace.pause(self._settle)
                    self._save(reports_shipped, 0.0, pace, ended - SETTLE if killed else None)
                    break
                except (NotNow, OSError) as error:
                    why = str(error)
            else:
                self._note(
                    f"what the script has left last is not saved ({why}); the newest generation of the checkpoint is "
                    f"{self.newest}"
                )
            return self.newest

    def _try_to_save(self, reports_shipped: Callable[[], int], pace: Pace) -> tuple[str | None, float]:
        """The new generation, if any, and how long to wait before the next."""
        try:
            saved = self._save(reports_shipped, self._settle, pace)
        except NotNow as error:
            self._in_vain += 1
            if self._in_vain == _NOTED_AFTER:
                self._note(
                    f"the checkpoint cannot be saved while the script runs: {error}; let the script save with "
                    "cloudtune.checkpoint.save_checkpoint, or write less often"
                )
            return None, min(self._interval, self._settle)
        except (S3Error, OSError) as error:
            self._note(f"the checkpoint could not be saved, it is tried again: {error}")
            return None, self._interval
        self._in_vain = 0
        return saved, self._interval if saved else 0.0

    def _save(
        self, reports_shipped: Callable[[], int], settle: float, pace: Pace, trusted_until: float | None = None
    ) -> str | None:
        """Saves a generation; None if there is nothing new, or nothing to be trusted."""
        shipped = reports_shipped()
        found = scan(self._folder, self._note)
        if self._writer.is_newest(found):
            return None
        if trusted_until is not None:
            doubted = self._modified_since(trusted_until, found)
            if doubted is not None:
                self._note(
                    f"{doubted} was written when the script was killed, so the folder is not saved; the newest "
                    f"generation of the checkpoint is {self.newest}"
                )
                return None
        manifest = self._writer.save(found, shipped, settle, lambda: self._await_reports(reports_shipped, pace), pace)
        return manifest["generation"]

    def _modified_since(self, unix: float, found: Scan) -> str | None:
        """A file that was modified, or has been removed since it was saved, later than that; None if there is none."""
        for path, state in found.files.items():
            if state.modified_ns > unix * 1e9:
                return path
        manifest = self._writer.newest
        for file in manifest["files"] if manifest is not None else ():
            if file["path"] not in found.files:
                above = os.path.dirname(os.path.join(self._folder, *file["path"].split("/")))
                while not os.path.isdir(above):
                    above = os.path.dirname(above)
                if os.stat(above).st_mtime > unix:
                    return file["path"]
        return None

    def _await_reports(self, reports_shipped: Callable[[], int], pace: Pace) -> None:
        made = self._reports_made() if self._reports_made is not None else 0
        until = self._clock() + _REPORTS_WAIT
        while reports_shipped() < made:
            if self._clock() > until:
                raise NotNow("reports made before it cannot be shipped")
            pace.pause(_REPORTS_LOOK)

    def _complete(self, objects: Objects, pace: Pace) -> Iterator[Manifest]:
        def body(key: str) -> bytes | None:
            got = pace.patiently(lambda: self._s3.get(key))
            return got.body if got is not None else None

        return complete_generations(objects, self._keys, self._trial, body, self._note)

    def _download(self, key: str, path: str, pace: Pace) -> None:
        pace.patiently(lambda: self._s3.download_file(key, path))

    def _note(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)
