"""An experiment in S3."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cloudtune.aws.errors import PASSING, AwsError
from cloudtune.aws.s3 import Bucket
from cloudtune.errors import Fenced, StorageFull
from cloudtune.store import entries as events
from cloudtune.store.encoding import plain_number
from cloudtune.store.last_seconds import LastSeconds
from cloudtune.store.results import write_results
from cloudtune.store.results_rows import Columns, is_result
from cloudtune.store.s3_file import OwnedObject
from cloudtune.store.s3_lease import S3Lease
from cloudtune.store.s3_log import LogReader, S3LogView, log_exists
from cloudtune.store.s3_packing import Packer
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_writer import LogWriter
from cloudtune.store.store import Entry, Store
from cloudtune.store.study_results import StudyResults

logger = logging.getLogger(__name__)

#: Seconds after which entries are put that nobody has flushed. With the time that a put takes, they are in S3 within 5.
_WAIT = 4.8
#: Seconds until a background put, or packing, that failed is tried again.
_RETRY = 5.0
_RETRY_PACKING = 60.0
_ROW_GROWTH = 0.1
#: More bytes than this do not wait to be put.
_LARGEST_WAITING = 4 << 20
#: For so many seconds at most a store that is closed tries to reach S3; less where its process has less.
_PATIENCE_AT_END = 60.0
#: What is told of entries that were not put, by their events.
_TOLD = {events.REPORT: "reports", events.END: "ends of trials", events.SUGGEST: "suggestions"}
#: Root of an experiment: [prefix/]cloudtune/<tag>/<name>/
_USUAL = re.compile(r"(?:(?P<prefix>.+)/)?cloudtune/[^/]+/[^/]+/")


class S3Store(Store):
    """The event log and what is derived from it, below a prefix of a bucket::

        <root>lease.json              who drives the experiment
        <root>log/00000001.jsonl ...  the event log (see cloudtune.store.s3_segments)
        <root>packed/...              the same, to be read faster
        <root>metadata.json
        <root>results.csv.zip
        <root>tuner.dill

    and, beside the experiments, ``_study/results/<name>.table`` (see :mod:`cloudtune.store.results_object`).
    What :meth:`append` takes is in S3 after :meth:`flush`, or within 5 seconds by :meth:`maintain`. While S3 cannot be
    reached it is kept in memory and tried again. The owner keeps a copy of the log in a temporary file, so that neither
    reading nor writing the results asks S3 for anything, and memory does not grow with the log.

    A store pickles as its bucket, root and options; the copy is not open.

    Args:
        bucket: Where the experiment lies.
        root: Its prefix.
        results_update_interval: ``results.csv.zip`` is not replaced more often than this, in seconds.
        job_is_over: Whether the training job of this name has ended; asked when such a job holds the lease.
        scratch: Folder of this machine for temporary files; by default the system's. It does not travel.
        patience: For how many seconds S3 may be out of reach before :meth:`flush` raises.
    """

    def __init__(
        self,
        bucket: Bucket,
        root: str,
        results_update_interval: float = 10.0,
        job_is_over: Callable[[str], bool] | None = None,
        scratch: Path | None = None,
        patience: float = 900.0,
    ) -> None:
        self.bucket = bucket
        self.keys = LogKeys(root)
        self.results_update_interval = results_update_interval
        self.job_is_over = job_is_over
        self.scratch = scratch
        self.patience = patience
        self._reset()

    def _reset(self) -> None:
        self._lease: S3Lease | None = None
        self._writer: LogWriter | None = None
        self._packer: Packer | None = None
        self._study: StudyResults | None = None
        self._objects: dict[str, OwnedObject] = {}
        self._anchor: float | None = None
        self._not_before = float("-inf")
        self._last_results = float("-inf")
        self._next_packing = float("-inf")
        self._rows_written = 0
        self._rows_new = 0
        #: An earlier owner may not have come to write the newest results.
        self._results_are_old = False
        #: Number of entries that the results were last written from.
        self._results_length = -1
        self._columns = Columns()
        self._log_thread: ThreadPoolExecutor | None = None
        self._work_thread: ThreadPoolExecutor | None = None
        self._log_job: Future[None] | None = None
        self._results_job: Future[None] | None = None
        self._packing_job: Future[None] | None = None
        self._last = LastSeconds()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "bucket": self.bucket,
            "root": self.root,
            "results_update_interval": self.results_update_interval,
            "job_is_over": self.job_is_over,
            "patience": self.patience,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def root(self) -> str:
        """Prefix of the experiment, with a slash at its end."""
        return self.keys.root

    @property
    def s3_path(self) -> str | None:  # type: ignore[override]
        """See :attr:`Store.s3_path`. None where the root is none that :class:`S3Place` makes."""
        usual = _USUAL.fullmatch(self.root)
        return None if usual is None else self.bucket.uri(usual["prefix"] or "").rstrip("/")

    @property
    def s3_region(self) -> str | None:  # type: ignore[override]
        """See :attr:`Store.s3_region`."""
        return self.bucket.aws.region

    @property
    def kms_key(self) -> str | None:  # type: ignore[override]
        """See :attr:`Store.kms_key`."""
        return self.bucket.kms_key

    @property
    def uri(self) -> str:
        """``s3://bucket/root``."""
        return self.bucket.uri(self.root)

    @property
    def epoch(self) -> int:
        """Number of the epoch this store writes, from 1; 0 while it is not open."""
        return self._writer.epoch if self._writer is not None else 0

    # ------------------------------------------------------------------ opening and closing

    def exists(self) -> bool:
        """True if the experiment has a log."""
        return log_exists(self.bucket, self.root)

    def open(self, takeover: bool = False) -> None:
        """Takes the lease and begins a new epoch (see :meth:`Store.open`).

        A log that is damaged is gone on with from what comes before the damage; nothing is overwritten.

        Raises:
            ExperimentLocked: Another tuner holds the lease.
            Fenced: Yet another tuner took over at the same moment.
            NewerFormat: The experiment was written by a newer cloudtune.
            AwsError: S3 cannot be reached, or refuses.
            StorageFull: There is no room on this machine for a copy of the log.
        """
        if self._writer is not None:
            raise RuntimeError(f"the store of {self.uri} is open already: close it first")
        reader = LogReader(self.bucket, self.root, self.scratch)
        # Before the lease: a newer cloudtune is not fenced by one that cannot continue its work.
        reader.read_on()
        lease = S3Lease(self.bucket, self.root, self.job_is_over)
        owner = lease.acquire(takeover)
        writer = LogWriter(self.bucket, reader, self.patience, lease.ended)
        try:
            writer.begin(owner, lease.confirm)
        except BaseException:
            lease.release()
            reader.chain.close()
            raise
        lease.begin_epoch(writer.epoch)
        self._results_are_old = writer.epoch > 1
        self._lease, self._writer = lease, writer
        self._packer = Packer(self.bucket, self.keys, reader.chain, reader.packs)
        self._study = StudyResults(self.bucket, self.root, writer.epoch, lease.confirm)

    def end_by(self, time_left: Callable[[], float]) -> None:
        """See :meth:`Store.end_by`. Until :meth:`close`."""
        self._last = LastSeconds(time_left)

    def close(self) -> None:
        """Makes everything durable, brings the results up to date, and gives the lease back. Safe to call twice.

        If ``results.csv.zip`` cannot be written, that is logged as a warning: the log holds everything.

        Raises:
            AwsError: S3 cannot be reached, and there are entries that were never put. The message says how many.
        """
        if self._writer is None or self._lease is None:
            return
        writer, lease, last = self._writer, self._lease, self._last
        writer.patience = min(writer.patience, _PATIENCE_AT_END, last.left())
        try:
            if self._is_ours():
                last.run(lambda: self._finish(writer), _PATIENCE_AT_END)
        except Fenced as error:
            logger.info("%s", error)
        except AwsError as error:
            self._tell_of_unwritten(writer, writer.failure or error)
        finally:
            self._give_back(lease, last)
            writer.chain.close()
            self._reset()

    def _finish(self, writer: LogWriter) -> None:
        for thread in (self._log_thread, self._work_thread):
            if thread is not None:
                thread.shutdown(wait=True)
        writer.put(self._check_owner)
        self._finish_results(writer)
        if self._study is not None:
            self._study.finish(writer.chain)

    def _tell_of_unwritten(self, writer: LogWriter, error: AwsError) -> None:
        """Raises an error of the same kind if it has kept entries from being put."""
        kept = [entry["event"] for block in writer.blocks(writer.chain.length()) for entry in block]
        if not kept:
            logger.warning("results.csv.zip is behind the event log, which has everything: %s", error)
            return
        told = [f"{name}: {kept.count(event)}" for event, name in _TOLD.items() if event in kept]
        raise type(error)(
            f"the event log of experiment {self.keys.name!r} could not be written to {self.uri} any more: its last "
            f"{len(kept)} entries" + (f" ({', '.join(told)})" if told else "") + " are not known to be there; continue "
            f"the experiment once S3 can be reached ({str(error).rstrip('.')})",
            error.code,
            error.operation,
        ) from error

    @staticmethod
    def _give_back(lease: S3Lease, last: LastSeconds) -> None:
        try:
            last.run(lease.release)
        except AwsError as error:
            logger.info("the lease could not be given back, and ends by itself: %s", error)

    def _is_ours(self) -> bool:
        try:
            self._check_owner()
        except Fenced:
            return False
        return True

    # ------------------------------------------------------------------ the log

    def append(self, entries: Sequence[Entry]) -> None:
        """Takes entries in (see :meth:`Store.append`); only where very many wait this waits for S3.

        A tuner that has lost the experiment, and does not know yet, is told by :meth:`flush` or :meth:`maintain`.

        Raises:
            Fenced: The lease was lost.
            TypeError: An entry is no JSON object; none was taken.
        """
        writer = self._check_owner()
        writer.add(entries)
        if self._study is not None:
            self._study.note(entries)
        self._rows_new += sum([is_result(entry) for entry in entries])
        if writer.gathered > _LARGEST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Returns when everything appended so far is in S3.

        Raises:
            Fenced: The lease was lost.
            AwsError: S3 could not be reached for as long as our patience lasts, or refuses us; what was appended is
                kept, and a later call may succeed.
            StorageFull: There is no room on this machine for a copy of the log.
        """
        writer = self._check_owner()
        check = self._last.check()

        def between_tries() -> None:
            self._check_owner()
            check()

        self._last.run(lambda: writer.put(between_tries))
        self._anchor = None

    def confirm(self) -> None:
        """Asks S3 for the lease (see :meth:`Store.confirm`). Raises AwsError where S3 does not answer, too."""
        self._check_owner()
        lease = self._lease
        assert lease is not None
        lease.confirm()

    def read(self, start: int = 0) -> Iterator[Entry]:
        """The entries from number ``start`` on, as they stand at the time of the call."""
        if self._writer is None:
            return S3LogView(self.bucket, self.root, self.scratch).entries(start)
        return (entry for block in self._writer.blocks(start) for entry in block)

    def length(self) -> int:
        """Number of entries."""
        if self._writer is None:
            return S3LogView(self.bucket, self.root, self.scratch).length()
        return self._writer.length()

    @property
    def damage(self) -> str | None:
        """What of the log is lost, in a sentence; None if nothing is, or the store is not open."""
        return self._writer.chain.damage if self._writer is not None else None

    def _check_owner(self) -> LogWriter:
        if self._writer is None or self._lease is None:
            raise RuntimeError(f"the store of {self.uri} is not open: call open() first")
        self._writer.check()
        self._lease.check()
        return self._writer

    # ------------------------------------------------------------------ what is derived from it

    def write_metadata(self, metadata: dict[str, Any]) -> None:
        """Replaces ``metadata.json`` atomically."""
        if self._study is not None:
            self._study.metadata = metadata
        text = json.dumps(metadata, indent=1, default=plain_number) + "\n"
        self._replace("metadata.json", text.encode())

    def update_results(self) -> None:
        """Replaces ``results.csv.zip`` atomically by what the log says now.

        Raises:
            Fenced: The lease was lost.
            AwsError: S3 cannot be reached, or refuses; the object is as it was.
            StorageFull: There is no room for a temporary file.
        """
        self._check_owner()
        if self._results_job is not None:
            job, self._results_job = self._results_job, None
            # What it would raise does not matter any more: the same work is done again now.
            self._last.run(job.exception)
        self.flush()
        rows_new = self._rows_new
        self._results_are_old = False
        self._write_results()
        self._rows_new -= rows_new

    def snapshot(self, state: bytes) -> None:
        """Replaces ``tuner.dill`` atomically."""
        self._replace("tuner.dill", state)

    def load_snapshot(self) -> bytes | None:
        """The newest snapshot, or None."""
        got = self.bucket.get(self.root + "tuner.dill")
        return None if got is None else got.body

    def _replace(self, name: str, body: bytes) -> None:
        self._check_owner()
        assert self._lease is not None
        if name not in self._objects:
            self._objects[name] = OwnedObject(self.bucket, self.root + name, self._lease.confirm)
        target = self._objects[name]
        self._last.run(lambda: target.put(body))

    def _write_results(self) -> None:
        writer = self._writer
        assert writer is not None
        length = writer.chain.length()
        with tempfile.TemporaryFile(prefix="cloudtune-results-", dir=self.scratch) as file:
            try:
                rows = write_results(writer.chain.blocks, file, self._columns)
                file.seek(0)
                body = file.read()
            except OSError as error:
                raise StorageFull(
                    f"results.csv.zip cannot be made in {self.scratch or tempfile.gettempdir()} ({error}): free some "
                    "space there, or set TMPDIR to a folder that has room"
                ) from error
        self._replace("results.csv.zip", body)
        self._rows_written, self._results_length = rows, length

    def _refresh_results(self) -> None:
        """In the background: what waits is put first, so that it is in the results."""
        assert self._writer is not None
        try:
            self._writer.put_once()
        except PASSING as error:
            logger.debug("the newest entries are not in results.csv.zip yet: %s", error)
        self._write_results()

    def _finish_results(self, writer: LogWriter) -> None:
        """At the end: results.csv.zip as the log has it, if that can be had."""
        try:
            if self._results_length != writer.length():
                self.update_results()
        except (StorageFull, AwsError, OSError) as error:
            logger.warning("results.csv.zip is behind the event log, which has everything: %s", error)

    # ------------------------------------------------------------------ periodic work

    def maintain(self, now: float) -> float | None:
        """Puts what waits, refreshes the results and packs segments when that is due (see :meth:`Store.maintain`).

        All of it happens in threads of its own, so that a slow S3 does not hold the caller up.

        Raises:
            Fenced: The lease was lost.
            AwsError: S3 could not be reached for as long as our patience lasts, or refuses us; what was appended is
                kept.
            StorageFull: There is no room on this machine for a copy of the log.
        """
        self._check_owner()
        due = [self._maintain_log(now), self._maintain_results(now)]
        self._maintain_packing(now)
        if self._study is not None:
            self._study.maintain(now, self.length(), self._in_background)
        return min((moment for moment in due if moment is not None), default=None)

    def _maintain_log(self, now: float) -> float | None:
        writer = self._check_owner()
        if self._log_job is not None:
            if not self._log_job.done():
                return now + _RETRY if writer.gathered else None
            self._finish_log_job(writer, now)
        if not writer.gathered:
            self._anchor = None
            return None
        if self._anchor is None:
            self._anchor = now
        due = max(self._anchor + _WAIT, self._not_before)
        if now < due:
            return due
        self._anchor = None
        if self._log_thread is None:
            self._log_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cloudtune-log")
        self._log_job = self._log_thread.submit(writer.put_soon)
        return None

    def _finish_log_job(self, writer: LogWriter, now: float) -> None:
        job, self._log_job = self._log_job, None
        assert job is not None
        try:
            job.result()
        except PASSING as error:
            if not writer.is_patient(error):
                raise
            self._not_before = now + _RETRY

    def _maintain_results(self, now: float) -> float | None:
        if self._results_job is not None:
            if not self._results_job.done():
                return now + self.results_update_interval if self._rows_new else None
            job, self._results_job = self._results_job, None
            try:
                job.result()
            except (StorageFull, AwsError, OSError) as error:
                logger.warning("results.csv.zip is behind the event log, which has everything: %s", error)
        if self._rows_new <= self._rows_written * _ROW_GROWTH and not self._results_are_old:
            return None
        if now < self._last_results + self.results_update_interval:
            return self._last_results + self.results_update_interval
        self._last_results = now
        self._rows_new = 0
        self._results_are_old = False
        self._results_job = self._in_background(self._refresh_results)
        return None

    def _maintain_packing(self, now: float) -> None:
        if self._packing_job is not None:
            if not self._packing_job.done():
                return
            job, self._packing_job = self._packing_job, None
            error = job.exception()
            if error is not None and not isinstance(error, (AwsError, OSError)):
                raise error
            if error is not None:
                logger.debug("segments of the event log were not packed: %s", error)
                self._next_packing = now + _RETRY_PACKING
        if self._packer is not None and self._packer.is_due and now >= self._next_packing:
            self._packing_job = self._in_background(self._packer.pack_next)

    def _in_background(self, work: Callable[[], None]) -> Future[None]:
        if self._work_thread is None:
            self._work_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cloudtune-store")
        return self._work_thread.submit(work)
