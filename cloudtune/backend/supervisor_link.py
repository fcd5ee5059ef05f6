"""The tuner's end of a supervisor: starts the process, sends requests, receives messages."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudtune.backend import trial_files
from cloudtune.backend.supervisor import LOCK, MESSAGES, REQUESTS

_log = logging.getLogger(__name__)

#: Descriptors are moved above those that the supervisor wants them to have, so that none overwrites another.
_ABOVE = 10


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
        self._incoming = b""
        lock = lock_supervisor(folder)
        their_requests, self._requests = os.pipe()
        self.messages, their_messages = os.pipe()
        log = os.open(folder / trial_files.SUPERVISOR_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        theirs = {their_requests: REQUESTS, their_messages: MESSAGES, log: 2, lock: LOCK}
        moved = {fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE): wanted for fd, wanted in theirs.items()}
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                _command(isolated=function is None),
                dict(environment),
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, wanted) for fd, wanted in moved.items()],
                setsid=True,  # Ctrl-C is for the tuner
            )
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


def lock_supervisor(folder: Path) -> int:
    """Waits until no supervisor works in the folder, and returns the descriptor that holds its lock from now on."""
    fd = os.open(folder / trial_files.SUPERVISOR_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting until the trials of an earlier tuner in %s have ended", folder)
            fcntl.flock(fd, fcntl.LOCK_EX)
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
        "from cloudtune.backend.supervisor import main; main()"
    )
    flags = ["-I", "-S", "-X", "utf8"] if isolated else []
    return [sys.executable, *flags, "-c", program]
