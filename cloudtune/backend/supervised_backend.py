"""What LocalBackend and PythonBackend share: trials are children of a supervisor, reports come through files.

A trial's Reporter appends to its report file and writes the trial's number into a named pipe; the supervisor tells of
ends. :meth:`SupervisedBackend.poll` sleeps until one of the two, or :meth:`~SupervisedBackend.wake`, has something.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cloudtune.backend import leftovers, trial_files
from cloudtune.backend.gpus import ENV_VISIBLE, GPURotation, visible_gpus
from cloudtune.backend.report_lines import ReportLines
from cloudtune.backend.supervisor_link import SupervisorLink, end_earlier_supervisor
from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.backend.trial_end import EndRecord
from cloudtune.backend.trial_folders import TrialFolders
from cloudtune.backend.wake_fifo import WakeFifo
from cloudtune.constants import ENV_EXPERIMENT, ENV_WAKE_FIFO
from cloudtune.errors import BackendBroken
from cloudtune.trial import End, Report, Trial, TrialEvent

_log = logging.getLogger(__name__)

#: More deaths of the supervisor than this without a report in between: something is wrong with the machine.
_MAX_DEATHS = 3


class SupervisedBackend(TrialBackend):
    """Base of the backends whose trials are processes on this machine.

    Args:
        rotate_gpus: Give every trial GPUs of its own, where there are at least two, or ``gpus_to_use`` names them.
        num_gpus_per_trial: How many.
        gpus_to_use: Which GPUs to share out; trials see no others. By default those of ``CUDA_VISIBLE_DEVICES``, else
            all. Without ``rotate_gpus`` it has no effect.
        delete_checkpoints: Whether the tuner shall delete a trial's checkpoints when it will not go on any more.
        stop_grace: Seconds a trial has to end after SIGTERM, before SIGKILL.
    """

    def __init__(
        self,
        rotate_gpus: bool,
        num_gpus_per_trial: int,
        gpus_to_use: Sequence[int | str] | None,
        delete_checkpoints: bool,
        stop_grace: float,
    ) -> None:
        if not stop_grace >= 0:
            raise ValueError(f"stop_grace must be a number of seconds, 0 or more, got {stop_grace!r}")
        self.rotate_gpus = rotate_gpus
        self.num_gpus_per_trial = num_gpus_per_trial
        self.gpus_to_use = None if gpus_to_use is None else [str(gpu) for gpu in gpus_to_use]
        if rotate_gpus:
            self._rotation([])  # complains early
        self.delete_checkpoints = delete_checkpoints
        self.stop_grace = stop_grace
        self._work: _Work | None = None
        #: For measuring: ("started" or "ended", trial id, ``time.monotonic()`` in the supervisor) of the last trials.
        self.timings: deque[tuple[str, int, float]] = deque(maxlen=4096)

    #: Whether trials are told a directory for checkpoints.
    _saves_checkpoints = True
    #: Variables of the trials' own, beside those of the tuner.
    environment: Mapping[str, str] = MappingProxyType({})

    @abstractmethod
    def _hello(self) -> tuple[dict[str, Any], bytes | None]:
        """What the supervisor is told first, beyond what is the same for all backends; and the function, if any."""

    @abstractmethod
    def _request(self, trial: Trial, checkpoints: str) -> dict[str, Any]:
        """What the supervisor is told to start a trial, beyond what is the same for all backends."""

    def __getstate__(self) -> dict[str, Any]:
        if self._work is not None:
            raise RuntimeError("a backend cannot be pickled while it is open; close it first")
        return self.__dict__.copy()

    def open(self, place: ExperimentPlace) -> None:
        """See :meth:`TrialBackend.open`. Waits until the processes of an earlier tuner of the experiment have ended."""
        if self._work is not None:
            raise RuntimeError(f"the backend works for experiment {self._work.place.name!r} already; close it first")
        rotation = None
        if self.rotate_gpus:
            rotation = self._rotation(visible_gpus() if self.gpus_to_use is None else ())
        # Absolute: trials, and the tuner's own program, may change their directory.
        work = _Work(replace(place, path=Path(os.path.abspath(place.path))), rotation, self.stop_grace)
        try:
            work.fifo.open()
            work.link = self._start_supervisor(work)
        except BaseException:
            work.release()
            raise
        work.watch_link()
        self._work = work

    def _rotation(self, visible: Sequence[str]) -> GPURotation:
        if self.gpus_to_use is None:
            return GPURotation(visible, self.num_gpus_per_trial)
        return GPURotation(self.gpus_to_use, self.num_gpus_per_trial, chosen=True)

    def _start_supervisor(self, work: _Work) -> SupervisorLink:
        own, function = self._hello()
        hello = {"trials": work.folders.root, "grace": self.stop_grace, **own}
        return SupervisorLink(work.place.path, hello, _environment(work.place, work.fifo.path), function)

    def attach(self, trials: Sequence[LeftRunning]) -> None:
        """See :meth:`TrialBackend.attach`. Local trials never outlive their tuner, so that all of them have ended."""
        work = self._opened()
        for left in trials:
            attempt = _Attempt(work.folders, left.trial.trial_id, left.trial.attempt, left.delivered.get(0, 0))
            work.attempts[attempt.trial_id] = attempt
            work.busy.add(attempt.trial_id)
            self._deliver_end(work, attempt, work.folders.read_end(attempt.trial_id, attempt.attempt))

    def start_trial(self, trial: Trial, checkpoint_trial_id: int | None = None) -> None:
        """See :meth:`TrialBackend.start_trial`."""
        work = self._opened()
        work.folders.create(trial, self._saves_checkpoints)
        if checkpoint_trial_id is not None:
            work.folders.copy_checkpoints(checkpoint_trial_id, trial.trial_id)
        self._launch(work, trial)

    def resume_trial(self, trial: Trial) -> None:
        """See :meth:`TrialBackend.resume_trial`."""
        work = self._opened()
        work.folders.renew(trial)
        self._launch(work, trial)

    def _launch(self, work: _Work, trial: Trial) -> None:
        environment = dict(self.environment)
        if work.gpus is not None:
            gpus = work.gpus.assign(trial.trial_id)
            if gpus is not None:
                environment[ENV_VISIBLE] = gpus
        request = self._request(trial, work.folders.checkpoints(trial.trial_id))
        work.attempts[trial.trial_id] = _Attempt(work.folders, trial.trial_id, trial.attempt)
        work.busy.add(trial.trial_id)
        if work.link is None:
            work.link = self._start_supervisor(work)
            work.watch_link()
        work.link.send(
            {"op": "start", "trial": trial.trial_id, "attempt": trial.attempt, "environment": environment, **request}
        )

    def stop_trial(self, trial_id: int) -> None:
        """See :meth:`TrialBackend.stop_trial`."""
        self._ask_to_end(trial_id, "stop")

    def pause_trial(self, trial_id: int) -> None:
        """See :meth:`TrialBackend.pause_trial`."""
        self._ask_to_end(trial_id, "pause")

    def _ask_to_end(self, trial_id: int, op: str) -> None:
        work = self._opened()
        if trial_id in work.attempts and work.link is not None:
            work.link.send({"op": op, "trial": trial_id})

    def poll(self, timeout: float | None) -> list[TrialEvent]:
        """See :meth:`TrialBackend.poll`.

        Raises:
            BackendBroken: The supervisor was killed again and again.
        """
        work = self._opened()
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            woken = self._gather(work, 0.0 if work.pending else deadline)
            if work.pending:
                events, work.pending = work.pending, []
                work.busy.difference_update(event.trial_id for event in events if isinstance(event, End))
                return events
            if work.deaths > _MAX_DEATHS:
                raise BackendBroken(
                    f"the process that runs the local trials was killed {work.deaths} times in a row; see "
                    f"{work.place.path / trial_files.SUPERVISOR_LOG}, and whether the machine has run out of memory"
                )
            if woken or (deadline is not None and time.monotonic() >= deadline):
                return []

    def _gather(self, work: _Work, deadline: float | None) -> bool:
        """Waits for something to happen, until ``deadline`` at most, and queues its events. True if woken by wake()."""
        wait = None if deadline is None else max(0.0, (deadline - time.monotonic()) * 1000)
        woken = False
        for fd, _ in work.poll.poll(wait):
            if fd == work.fifo.fd:
                trials = work.fifo.read()
                for trial_id in work.attempts if trials is None else trials:
                    attempt = work.attempts.get(trial_id)
                    if attempt is not None:
                        _queue_reports(work, attempt)
            elif work.link is not None and fd == work.link.messages:
                self._receive(work, work.link)
            else:
                os.read(work.woken, 4096)
                woken = True
        return woken

    def _receive(self, work: _Work, link: SupervisorLink) -> None:
        messages, alive = link.receive()
        for message in messages:
            self.timings.append((message["m"], message["trial"], message["at"]))
            attempt = work.attempts.get(message["trial"])
            if attempt is None or attempt.attempt != message["attempt"]:
                continue
            if message["m"] == "started":
                attempt.pid = message["pid"]
            else:
                end = EndRecord.from_json(message)
                if end.sent is not None and end.signal == signal.SIGKILL:
                    self._tell_of_kill(work, attempt.trial_id)
                self._deliver_end(work, attempt, end)
        if not alive:
            self._supervisor_died(work, link)

    def _tell_of_kill(self, work: _Work, trial_id: int) -> None:
        """Warns once that trials are killed, for nothing but the log tells: what they lose is a checkpoint."""
        level = logging.DEBUG if work.told_of_kill else logging.WARNING
        work.told_of_kill = True
        _log.log(
            level,
            "trial %d had not ended %g seconds after SIGTERM and was killed; let the training script end on SIGTERM, "
            "or raise the backend's stop_grace",
            trial_id,
            self.stop_grace,
        )

    def _deliver_end(self, work: _Work, attempt: _Attempt, record: EndRecord | None) -> None:
        _queue_reports(work, attempt, ended=True)
        trial_id = attempt.trial_id
        del work.attempts[trial_id]
        if work.gpus is not None:
            work.gpus.release(trial_id)
        if record is None:
            record = EndRecord.unknown()
        work.pending.append(record.to_event(trial_id, attempt.attempt, work.folders.root))

    def _supervisor_died(self, work: _Work, link: SupervisorLink) -> None:
        work.poll.unregister(link.messages)
        work.link = None
        status = link.release()
        work.deaths += 1
        if status == 0:
            _log.info("the process that runs the local trials was told to end, and has ended them")
        else:
            how = "" if status is None else f" ({_how(status)})"
            _log.warning("the process that runs the local trials has died%s; running trials will continue", how)
        # Of this supervisor only: the experiment may have been taken over, and another tuner's trials may run.
        mark = f"{trial_files.ENV_SUPERVISOR}={link.nonce}"
        leftovers.end_processes_of(mark, [a.pid for a in work.attempts.values() if a.pid is not None])
        for attempt in list(work.attempts.values()):
            self._deliver_end(work, attempt, work.folders.read_end(attempt.trial_id, attempt.attempt))

    def wake(self) -> None:
        """See :meth:`TrialBackend.wake`."""
        work = self._work
        if work is not None:
            work.wake()

    def busy_workers(self) -> int:
        """See :meth:`TrialBackend.busy_workers`."""
        return 0 if self._work is None else len(self._work.busy)

    def copy_checkpoint(self, source_trial_id: int, target_trial_id: int) -> None:
        """See :meth:`TrialBackend.copy_checkpoint`. A source that has saved nothing gives an empty directory."""
        self._opened().folders.copy_checkpoints(source_trial_id, target_trial_id)

    def delete_checkpoint(self, trial_id: int) -> None:
        """See :meth:`TrialBackend.delete_checkpoint`."""
        self._opened().folders.delete_checkpoints(trial_id)

    def checkpoint_path(self, trial_id: int) -> Path:
        """Directory in which a trial saves its checkpoints."""
        return Path(self._opened().folders.checkpoints(trial_id))

    def stdout(self, trial_id: int) -> str:
        """See :meth:`TrialBackend.stdout`."""
        return self._opened().folders.output(trial_id, trial_files.STDOUT)

    def stderr(self, trial_id: int) -> str:
        """See :meth:`TrialBackend.stderr`."""
        return self._opened().folders.output(trial_id, trial_files.STDERR)

    def close(self, stop_running: bool) -> None:
        """See :meth:`TrialBackend.close`. Returns when all processes of the experiment have ended."""
        work = self._work
        if work is None:
            return
        if work.attempts and not stop_running:
            _log.info("trials that end with the tuner, because they run on its machine: %d", len(work.attempts))
        try:
            if work.link is not None:
                work.link.close()
        finally:
            self._work = None
            work.release()

    def _opened(self) -> _Work:
        if self._work is None:
            raise RuntimeError("the backend is not open; call open(place) first (Tuner.run() does)")
        return self._work


class _Attempt:
    """A running attempt as the tuner's side sees it."""

    __slots__ = ("attempt", "pid", "reports", "trial_id")

    def __init__(self, folders: TrialFolders, trial_id: int, attempt: int, delivered: int = 0) -> None:
        self.trial_id = trial_id
        self.attempt = attempt
        self.pid: int | None = None
        self.reports = ReportLines(trial_files.report_file(folders.root, trial_id, attempt), skip=delivered)


class _Work:
    """What a backend holds while it is open."""

    def __init__(self, place: ExperimentPlace, gpus: GPURotation | None, grace: float) -> None:
        self.place = place
        self.gpus = gpus
        self.folders = TrialFolders(place.path)
        killed = end_earlier_supervisor(place.path, place.marker, grace)
        if killed:
            _log.warning("killed %d processes that an earlier run of %s had left behind", killed, place.name)
        self.attempts: dict[int, _Attempt] = {}
        self.busy: set[int] = set()
        self.pending: list[TrialEvent] = []
        self.deaths = 0
        self.told_of_kill = False
        self.link: SupervisorLink | None = None
        self.fifo = WakeFifo(place.path)
        self.woken, self._wakes = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(self._wakes, False)
        self._wake_lock = threading.Lock()
        self._released = False
        self.poll = select.poll()
        self.poll.register(self.woken, select.POLLIN)

    def watch_link(self) -> None:
        """Waits for the messages of a new supervisor too, and for the pipe that trials write to."""
        assert self.link is not None
        self.poll.register(self.link.messages, select.POLLIN)
        self.poll.register(self.fifo.fd, select.POLLIN)

    def wake(self) -> None:
        """Makes ``poll`` return. Never blocks: it may run in a signal handler that has interrupted itself."""
        if not self._wake_lock.acquire(blocking=False):
            return  # another call is just writing, or the backend is being closed
        try:
            if not self._released:
                os.write(self._wakes, b"\0")
        except BlockingIOError:  # thousands of calls that nobody has read: it will wake
            return
        finally:
            self._wake_lock.release()

    def release(self) -> None:
        with self._wake_lock:
            self._released = True
            self.fifo.close()
            os.close(self.woken)
            os.close(self._wakes)


def _queue_reports(work: _Work, attempt: _Attempt, ended: bool = False) -> None:
    for number, metrics in attempt.reports.read_new(ended):
        work.pending.append(Report(attempt.trial_id, attempt.attempt, 0, number, metrics))
        work.deaths = 0


def _environment(place: ExperimentPlace, fifo: str) -> Mapping[str, str]:
    """Environment of the supervisor and its trials."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // place.n_workers))}  # else n_workers trials fight for all cores
    return {**threads, **os.environ, **trial_files.PLACEHOLDERS, ENV_EXPERIMENT: place.marker, ENV_WAKE_FIFO: fifo}


def _how(status: int) -> str:
    return f"exit code {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"
