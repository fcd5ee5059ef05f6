"""An experiment in a folder of this machine."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from cloudtune import __version__
from cloudtune.errors import Fenced, StorageFull
from cloudtune.store.encoding import encode, encode_lines, plain_number
from cloudtune.store.entries import EPOCH, LOG_FORMAT
from cloudtune.store.lease import FileLease
from cloudtune.store.log import LogView, count_entries, segment_path
from cloudtune.store.results import write_results
from cloudtune.store.results_draft import ResultsDraft
from cloudtune.store.results_rows import Columns, is_result
from cloudtune.store.store import Entry, Store

logger = logging.getLogger(__name__)

_SYNC_INTERVAL = 1.0
_ROW_GROWTH = 0.1
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


class LocalStore(Store):
    """The event log and what is derived from it, in a local folder::

        <path>/log/000001.jsonl ...   the event log, one file for each tuner that drove the experiment
        <path>/lock                   the lease
        <path>/metadata.json
        <path>/results.csv.zip
        <path>/tuner.dill

    What :meth:`append` has written survives the death of the process at once. It is brought to the disk at most once a
    second, so that a power failure costs a second at most and leaves a consistent beginning of the log.
    A store pickles as its path and options; the copy is not open.

    Args:
        path: The experiment's folder; created by :meth:`open`.
        results_update_interval: ``results.csv.zip`` is not replaced more often than this, in seconds.
    """

    def __init__(self, path: str | os.PathLike[str], results_update_interval: float = 10.0) -> None:
        self.path = Path(path).absolute()
        self.results_update_interval = results_update_interval
        self._reset()

    def _reset(self) -> None:
        self._lease: FileLease | None = None
        self._fd = -1
        self._size = 0
        self._torn = False
        self._length = 0
        self._epoch = 0
        self._dirty = False
        self._last_sync = float("-inf")
        self._last_results = float("-inf")
        self._rows_written = 0
        self._rows_new = 0
        self._results_stale = False
        #: An earlier owner may not have come to write the newest results.
        self._results_are_old = False
        self._columns = Columns()
        #: Where the log was begun by this store.
        self._draft: ResultsDraft | None = None
        self._background: ThreadPoolExecutor | None = None
        self._sync_job: Future[None] | None = None
        self._results_job: Future[None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "results_update_interval": self.results_update_interval}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def epoch(self) -> int:
        """Number of the epoch this store writes, from 1; 0 while it is not open."""
        return self._epoch

    @property
    def log_folder(self) -> Path:
        """The folder of the event log."""
        return self.path / "log"

    def exists(self) -> bool:
        """True if the experiment has a log."""
        return segment_path(self.log_folder, 1).is_file()

    def open(self, takeover: bool = False) -> None:
        """Takes the lease and begins a new epoch (see :meth:`Store.open`).

        Raises:
            ExperimentLocked: Another tuner holds the lease.
            Fenced: Yet another tuner took over at the same moment.
            NewerFormat: The experiment was written by a newer cloudtune.
            DamagedLog: The log was changed by something else.
            StorageFull: There is no room for one more entry.
        """
        if self._lease is not None:
            raise RuntimeError(f"the store of {self.path} is open already: close it first")
        try:
            self.log_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._explained(error) from error
        # Before the lease: a newer cloudtune is not fenced by one that cannot continue its work.
        LogView(self.log_folder)
        lease = FileLease(self.path / "lock")
        try:
            owner = lease.acquire(takeover)
        except OSError as error:
            raise self._explained(error) from error
        self._lease = lease
        try:
            self._remove_leftovers()
            self._begin_epoch(owner)
            self._results_are_old = self._epoch > 1
        except BaseException:
            lease.release()
            self._reset()
            raise

    def append(self, entries: Sequence[Entry]) -> None:
        """Appends entries with a single write (see :meth:`Store.append`).

        If another tuner takes over in the very middle of the write, this raises :class:`Fenced` although the new owner
        may still have read these entries, as if this process had died right after writing them.

        Raises:
            Fenced: The lease was lost.
            StorageFull: There is no room; a later call may succeed.
            TypeError: An entry is no JSON object; nothing was written.
        """
        self._check_owner()
        if not entries:
            return
        data, cells = encode_lines(entries)
        if self._torn:
            self._take_back()
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._take_back()
            raise self._explained(error) from error
        if written < len(data):
            self._take_back()
            raise self._no_room()
        # Asked again: only a write that ended while the lease was ours is sure to be seen by the next owner.
        self._check_owner()
        self._size += written
        self._length += len(entries)
        self._dirty = True
        if self._draft is not None:
            self._rows_new += self._draft.add(entries, cells)
        else:
            self._rows_new += sum([is_result(entry) for entry in entries])

    def flush(self) -> None:
        """Returns at once: what was appended survives a crash of this process already.

        Raises:
            Fenced: The lease was lost.
        """
        self._check_owner()

    def confirm(self) -> None:
        """Looks at the lock file (see :meth:`Store.confirm`)."""
        self._check_owner()

    def read(self, start: int = 0) -> Iterator[Entry]:
        """Yields the entries from number ``start`` on, as they stand at the time of the call."""
        return LogView(self.log_folder).entries(start)

    def length(self) -> int:
        """Number of entries."""
        return self._length if self._lease is not None else LogView(self.log_folder).length()

    def write_metadata(self, metadata: dict[str, Any]) -> None:
        """Replaces ``metadata.json`` atomically."""
        text = json.dumps(metadata, indent=1, default=plain_number) + "\n"
        self._replace("metadata.json", lambda file: file.write(text.encode()))

    def update_results(self) -> None:
        """Replaces ``results.csv.zip`` atomically by what the log says now.

        Raises:
            Fenced: The lease was lost.
            StorageFull: There is no room; the file is as it was.
        """
        self._check_owner()
        if self._results_job is not None:
            job, self._results_job = self._results_job, None
            # What it would raise does not matter any more: the same work is done again now.
            job.exception()
        rows_new = self._rows_new
        self._results_are_old = False
        self._write_results(rows_new)
        self._rows_new -= rows_new

    def snapshot(self, state: bytes) -> None:
        """Replaces ``tuner.dill`` atomically."""
        self._replace("tuner.dill", lambda file: file.write(state), durable=True)

    def load_snapshot(self) -> bytes | None:
        """The newest snapshot, or None."""
        try:
            return (self.path / "tuner.dill").read_bytes()
        except FileNotFoundError:
            return None

    def maintain(self, now: float) -> float | None:
        """Brings the log to the disk and refreshes the results when that is due (see :meth:`Store.maintain`).

        Both happen in a thread of their own, which sleeps when there is nothing to do, so that a slow disk does not
        hold the caller up.
        """
        self._check_owner()
        due = [self._maintain_sync(now), self._maintain_results(now)]
        return min((moment for moment in due if moment is not None), default=None)

    def close(self) -> None:
        """Makes everything durable, brings the results up to date, and gives the lease back. Safe to call twice.

        If there is no room for ``results.csv.zip``, that is logged as a warning: the log holds everything.
        """
        if self._lease is None:
            return
        lease = self._lease
        try:
            if self._background is not None:
                self._background.shutdown(wait=True)
            if self._sync_job is not None:
                self._sync_job.result()
            os.fsync(self._fd)
            self._finish_results()
        finally:
            os.close(self._fd)
            if self._draft is not None:
                self._draft.close()
            lease.release()
            self._reset()

    def _begin_epoch(self, owner: dict[str, Any]) -> None:
        while True:
            view = LogView(self.log_folder)
            previous, number, length = None, 1, 0
            if view.segments:
                last = view.segments[-1]
                counted = count_entries(last)
                previous = {"segment": last.number, "bytes": last.size, "entries": counted}
                number, length = last.number + 1, last.first + counted
                # It must be on the disk before a header says how long it is.
                _sync_path(last.path)
            header = {
                "event": EPOCH,
                "epoch": number,
                "nonce": os.urandom(8).hex(),
                "owner": {key: owner[key] for key in ("host", "pid", "user")},
                "unix": time.time(),
                "format": LOG_FORMAT,
                "version": __version__,
                "previous": previous,
            }
            data = (encode(header) + "\n").encode()
            if self._create_segment(segment_path(self.log_folder, number), data):
                break
            # A tuner that we took over from made one of that number at the last moment: it counts, ours is the next.
        _sync_path(self.log_folder)
        self._epoch, self._size, self._length = number, len(data), length + 1
        self._fd = os.open(segment_path(self.log_folder, number), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if length == 0:
            self._draft = ResultsDraft(self.path)
            self._draft.add([header])
        self._results_stale = length > 0 or not (self.path / "results.csv.zip").exists()

    def _create_segment(self, path: Path, header: bytes) -> bool:
        """Makes a segment that holds its header from its first moment on; False if its number is taken."""
        fresh = self.log_folder / f".{path.name}.{os.urandom(8).hex()}.tmp"
        try:
            with fresh.open("xb") as file:
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
            self._check_owner()
            return _link(fresh, path)
        except FileNotFoundError:
            # A tuner that tidied up while we took over from it mistook ours for a leftover.
            self._check_owner()
            return False
        except OSError as error:
            self._check_owner()
            raise self._explained(error) from error
        finally:
            fresh.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        for folder in (self.path, self.log_folder):
            for leftover in folder.glob(".*.tmp"):
                # A lock file in the making may belong to a tuner that is about to take over.
                if not leftover.name.startswith(".lock."):
                    leftover.unlink(missing_ok=True)

    def _check_owner(self) -> None:
        if self._lease is None:
            raise RuntimeError(f"the store of {self.path} is not open: call open() first")
        self._lease.check()

    def _take_back(self) -> None:
        """Cuts off what a failed write left at the end of the segment."""
        self._torn = True
        os.ftruncate(self._fd, self._size)
        self._torn = False

    def _maintain_sync(self, now: float) -> float | None:
        if self._sync_job is not None:
            if not self._sync_job.done():
                return now + _SYNC_INTERVAL if self._dirty else None
            job, self._sync_job = self._sync_job, None
            job.result()
        if not self._dirty:
            return None
        if now < self._last_sync + _SYNC_INTERVAL:
            return self._last_sync + _SYNC_INTERVAL
        self._last_sync = now
        self._dirty = False
        self._sync_job = self._in_background(os.fsync, self._fd)
        return None

    def _maintain_results(self, now: float) -> float | None:
        if self._results_job is not None:
            if not self._results_job.done():
                return now + self.results_update_interval if self._rows_new else None
            self._finish_results_job()
        if self._rows_new <= self._rows_written * _ROW_GROWTH and not self._results_are_old:
            return None
        if now < self._last_results + self.results_update_interval:
            return self._last_results + self.results_update_interval
        self._last_results = now
        self._results_are_old = False
        rows_new, self._rows_new = self._rows_new, 0
        self._results_job = self._in_background(self._write_results, rows_new)
        return None

    def _in_background(self, work: Callable[[int], None], argument: int) -> Future[None]:
        if self._background is None:
            self._background = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cloudtune-store")
        return self._background.submit(work, argument)

    def _finish_results_job(self) -> None:
        if self._results_job is None:
            return
        job, self._results_job = self._results_job, None
        try:
            job.result()
        except (StorageFull, OSError) as error:
            self._results_stale = True
            logger.warning("results.csv.zip is behind the event log, which has everything: %s", error)

    def _finish_results(self) -> None:
        """At the end: results.csv.zip as the log has it, if that can be had."""
        try:
            if self._results_job is not None:
                job, self._results_job = self._results_job, None
                # If it failed, the same work is done again now, and what that raises is told.
                self._results_stale = self._results_stale or job.exception() is not None
            if self._rows_new or self._results_stale:
                self.update_results()
        except Fenced:
            logger.info("results.csv.zip is left to the tuner that took %s over", self.path)
        except (StorageFull, OSError) as error:
            logger.warning("results.csv.zip is behind the event log, which has everything: %s", error)

    def _write_results(self, _rows_new: int) -> None:
        def write(file: BinaryIO) -> None:
            blocks = LogView(self.log_folder).blocks
            draft = self._draft
            self._rows_written = (
                write_results(blocks, file, self._columns) if draft is None else draft.write(blocks, file)
            )

        self._replace("results.csv.zip", write)
        self._results_stale = False

    def _replace(self, name: str, write: Callable[[BinaryIO], object], durable: bool = False) -> None:
        """Replaces a file of the experiment's folder by what ``write`` writes, in one step.

        What can be made anew from the log need not be ``durable``: waiting for the disk takes longer than writing.
        """
        self._check_owner()
        fresh = self.path / f".{name}.{os.urandom(8).hex()}.tmp"
        try:
            with fresh.open("xb") as file:
                write(file)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            self._check_owner()
            fresh.replace(self.path / name)
        except OSError as error:
            self._check_owner()
            raise self._explained(error) from error
        finally:
            fresh.unlink(missing_ok=True)

    def _explained(self, error: OSError) -> Exception:
        """The error to raise instead of ``error``: about a full disk cloudtune has more to say."""
        return self._no_room() if error.errno in _NO_ROOM else error

    def _no_room(self) -> StorageFull:
        return StorageFull(
            f"there is no room left to write in {self.path} (disk or quota full): free some space and run the same "
            "command again; everything received before is kept"
        )


def _link(source: Path, target: Path) -> bool:
    """Gives ``source`` a second name that nobody has taken yet; False if it is taken."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: the lease alone keeps two tuners from meeting here.
        if target.exists():
            return False
        source.rename(target)
    return True


def _sync_path(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
