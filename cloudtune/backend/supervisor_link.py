"""The tuner's end of a supervisor: starts the process, sends requests, receives messages."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.backend import child_processes, leftovers, trial_files
from cloudtune.backend.supervisor import GRACE_WITHOUT_TUNER, LOCK, MESSAGES, REQUESTS
from cloudtune.constants import ENV_EXPERIMENT
from cloudtune.errors import BackendBroken

_log = logging.getLogger(__name__)

#: Descriptors are moved above those that the supervisor wants them to have, so that none overwrites another.
_ABOVE = 10

#: Seconds that an earlier supervisor may need beyond the grace of its trials, on a busy machine.
_PATIENCE = 5.0
#: Seconds that the lock may stay taken after that: what holds it is being killed, or has been.
_LOCK_PATIENCE = 60.0
#: Seconds between two looks at its lock, if the end of the process is not noticed at once.
_LOOK_INTERVAL = 0.5


class SupervisorLink:
    """One running supervisor.

    Args:
        folder: Folder of the experiment. The supervisor holds a lock in it until all its children are dead.
        hello: The first request: what is the same for all trials.
        environment: Of the supervisor, and so of the trials.
        function: For trials that are functions: what the supervisor is given to call.
    """

    def __init__(
        self, folder: Path, hello: Mapping[str, Any], environment: Mapping[str, str], function: bytes | None = None
    ) -> None:
        #: In the environment of the supervisor and its trials, as ``CLOUDTUNE_SUPERVISOR``.
        self.nonce = os.urandom(8).hex()
        self._incoming = b""
        lock = _lock_supervisor(folder)
        their_requests, self._requests = os.pipe()
        self.messages, their_messages = os.pipe()
        log = os.open(folder / trial_files.SUPERVISOR_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        theirs = {their_requests: REQUESTS, their_messages: MESSAGES, log: 2, lock: LOCK}
        moved = {fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE): wanted for fd, wanted in theirs.items()}
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                _command(isolated=function is None),
                {**environment, trial_files.ENV_SUPERVISOR: self.nonce},
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, wanted) for fd, wanted in moved.items()],
                setsid=True,  # Ctrl-C is for the tuner
                setsigmask=(),  # what the tuner blocks or ignores is what the supervisor lives on
                setsigdef=child_processes.RESTORED_SIGNALS,
            )
            os.pwrite(lock, b"%d" % self.pid, 0)
        finally:
            for fd in (*theirs, *moved):
                os.close(fd)
        os.set_blocking(self.messages, False)
        first = {**hello, "tuner": os.getpid()}
        if function is not None:
            first["function"] = len(function)
        text = json.dumps(first).encode()
        self._write(b"%10d" % len(text) + text + (function or b""))

    def send(self, request: Mapping[str, Any]) -> None:
        """Sends a request. If the supervisor is dead nothing happens: :meth:`receive` tells."""
        self._write(json.dumps(request).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._requests, view) :]
            except BrokenPipeError:
                return

    def receive(self) -> tuple[list[dict[str, Any]], bool]:
        """The messages that have come, and whether the supervisor still lives. Does not block."""
        alive = True
        while True:
            try:
                data = os.read(self.messages, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                alive = False
                break
            self._incoming += data
            if len(data) < 1 << 16:
                break
        *lines, self._incoming = self._incoming.split(b"\n")
        return [json.loads(line) for line in lines], alive

    def close(self) -> None:
        """Asks the supervisor to end all trials and itself, and returns when it has ended."""
        self.send({"op": "close"})
        os.set_blocking(self.messages, True)
        while os.read(self.messages, 1 << 16):
            continue  # ends that nobody will be told of; they stand in the end files
        self.release()

    def release(self) -> int | None:
        """Frees what belongs to a supervisor that has ended; returns its exit code, or minus the signal's number."""
        os.close(self._requests)
        os.close(self.messages)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # somebody else in this process has waited for it
            return None


def end_earlier_supervisor(folder: Path, marker: str, grace: float) -> int:
    """Returns when no supervisor of an earlier tuner works for the experiment, and no process of its trials is left.

    That tuner has lost the lease. If it died, its supervisor is ending by itself. If the experiment was taken over from
    it, it may not know that yet (it may even be stopped), so the supervisor is told to end.

    Args:
        folder: Folder of the experiment.
        marker: Value of ``CLOUDTUNE_EXPERIMENT`` in its processes.
        grace: Seconds its trials have to end after SIGTERM. A supervisor that takes longer is killed, with its trials.

    Returns:
        Number of processes that had to be killed.

    Raises:
        BackendBroken: A supervisor could not even be killed.
    """
    mark = f"{ENV_EXPERIMENT}={marker}"
    if not (folder / trial_files.SUPERVISOR_LOCK).exists():
        return 0
    fd = os.open(folder / trial_files.SUPERVISOR_LOCK, os.O_RDWR | os.O_CLOEXEC)
    try:
        killed = 0
        if not _locked(fd):
            _log.info("waiting until the trials of an earlier tuner in %s have ended", folder)
            if not _wait_for_lock(fd, max(grace, GRACE_WITHOUT_TUNER) + _PATIENCE, tell_holder=True):
                killed = leftovers.end_processes_of(mark, _holder(fd))
                _take_lock(fd, folder)
        return killed + leftovers.end_processes_of(mark)
    finally:
        os.close(fd)


def _take_lock(lock: int, folder: Path) -> None:
    """Takes the lock of a supervisor that is ending.

    Raises:
        BackendBroken: It does not end.
    """
    if not _wait_for_lock(lock, _LOCK_PATIENCE, tell_holder=False):
        holder = "".join(f" (process {pid})" for pid in _holder(lock))
        raise BackendBroken(
            f"another process{holder} still runs trials of the experiment in {folder}, and has not ended in "
            f"{_LOCK_PATIENCE:g} seconds; end it, or see whether another tuner has taken the experiment over"
        )


def _wait_for_lock(lock: int, seconds: float, tell_holder: bool) -> bool:
    """Waits until the lock is free, and takes it; False if it is not within ``seconds``.

    Args:
        lock: Descriptor of the lock's file.
        seconds: How long to wait.
        tell_holder: Whether to tell the supervisor that holds it to end.
    """
    deadline = time.monotonic() + seconds
    told: list[int] = []
    while not _locked(lock):
        if time.monotonic() >= deadline:
            return False
        holder = _holder(lock)
        if tell_holder and holder != told:
            for pid in holder:
                # It has just ended, or the number stands for another user's process.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)
            told = holder
        _wait_for(holder, min(_LOOK_INTERVAL, deadline - time.monotonic()))
    return True


def _wait_for(pids: list[int], seconds: float) -> None:
    """Returns when one of the processes has ended, or after some seconds."""
    ends = select.poll()
    handles = [handle for handle in map(child_processes.watch, pids) if handle is not None]
    try:
        for handle in handles:
            ends.register(handle, select.POLLIN)
        ends.poll(max(0.0, seconds) * 1000)
    finally:
        for handle in handles:
            os.close(handle)


def _holder(lock: int) -> list[int]:
    """Process id of the supervisor that holds the lock; nothing while its tuner has only just started it."""
    text = os.pread(lock, 32, 0)
    return [int(text)] if text.isdigit() else []


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.ftruncate(fd, 0)
    return True


def _lock_supervisor(folder: Path) -> int:
    """Takes the lock of the experiment's supervisor, once the one before has ended; the descriptor that holds it.

    Raises:
        BackendBroken: The one before does not end.
    """
    fd = os.open(folder / trial_files.SUPERVISOR_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _take_lock(fd, folder)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _command(isolated: bool) -> list[str]:
    """The supervisor's command line.

    For scripts it needs the standard library only; as a parent of function trials it must be a Python like the tuner's.
    """
    root = str(Path(__file__).resolve().parents[2])
    program = (
        f"import sys; sys.path[:] = [{root!r}] + [p for p in sys.path if p]\n"
        "from cloudtune.backend.supervisor_main import main; main()"
    )
    flags = ["-I", "-S", "-X", "utf8"] if isolated else []
    return [sys.executable, *flags, "-c", program]
