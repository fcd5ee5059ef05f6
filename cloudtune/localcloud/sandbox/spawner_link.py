"""The server's end of a spawner: starts its process, asks it for containers, waits for its end."""

from __future__ import annotations

import itertools
import json
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from cloudtune.localcloud.sandbox import marked_processes
from cloudtune.localcloud.sandbox.sandbox import CommandNotRunnable, ContainerStartFailed
from cloudtune.localcloud.sandbox.spawned_container import SpawnedContainer

#: Variable in the environment of guard and spawner: the nonce of their sandbox.
ENV_SANDBOX = "CLOUDTUNE_SANDBOX"

#: Milliseconds between two looks at a process whose end the system does not tell.
_LOOK_INTERVAL = 10


class SpawnerDead(Exception):
    """The spawner cannot be asked for anything: it is dead."""


class SpawnerRefused(Exception):
    """The spawner could not be started.

    Args:
        call: The system call that was refused; None if the process said nothing.
        number: Its errno.
        reason: Its error in words.
    """

    def __init__(self, call: str | None, number: int, reason: str) -> None:
        super().__init__(f"{call}: {reason}" if call else reason)
        self.call = call
        self.number = number


class SpawnerLink:
    """One running spawner, and the guard above it (see ``spawner_main``).

    Args:
        kind: ``namespaces`` or ``folders``.

    Raises:
        SpawnerRefused: The system does not let it do its work.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        #: Distinguishes the processes of this spawner from all others.
        self.nonce = os.urandom(8).hex()
        self._sending = threading.Lock()
        self._ending = threading.Lock()
        self._gone = False
        self._numbers = itertools.count()
        # Some interpreters, those of continuous integration for one, do not find their own library without it.
        libraries = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        self._control, theirs = socket.socketpair()
        try:
            with theirs:
                self._guard = subprocess.Popen(
                    _command(kind, self.nonce),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    env={ENV_SANDBOX: self.nonce, **libraries},
                    start_new_session=True,  # Ctrl-C is for the server
                )
        except OSError as error:
            self._control.close()
            raise SpawnerRefused(None, error.errno or 0, f"{sys.executable}: {error.strerror}") from error
        answer = _read_line(self._control)
        if "pid" not in answer:
            self._control.close()
            self._guard.wait()
            reason = answer.get("error", f"the process that starts containers ended with {self._guard.returncode}")
            raise SpawnerRefused(answer.get("call"), answer.get("errno", 0), reason)
        self._pid: int = answer["pid"]
        self._handle = _watch(self._pid)

    def start(self, request: dict[str, Any], output: int) -> SpawnedContainer:
        """Starts a container.

        Args:
            request: See ``Spawner``.
            output: Descriptor that becomes its stdout and stderr.

        Raises:
            SpawnerDead: It was dead before it was asked.
            ContainerStartFailed: It says that it did not work, or it died meanwhile.
        """
        if self.kind == "folders":
            mark = f"{self.nonce}.{next(self._numbers)}."
            environment = {**request["environment"], marked_processes.MARK: mark}
            request = {**request, "mark": mark, "environment": environment}
        try:
            channel, theirs = socket.socketpair()
        except OSError as error:
            raise ContainerStartFailed(f"No connection can be made for another container: {error.strerror}.") from error
        try:
            with theirs:
                self._pass_on(theirs, output)
            text = json.dumps(request).encode()
            try:
                channel.sendall(b"%10d" % len(text) + text)
                answer = _read_line(channel)
            except (BrokenPipeError, ConnectionResetError):
                answer = {}
            if "error" in answer:
                kind = CommandNotRunnable if answer["fault"] == "command" else ContainerStartFailed
                raise kind(answer["error"])
            if "pid" not in answer:
                raise ContainerStartFailed(
                    "The process that starts containers ended, or has too many files open: see ulimit -n."
                )
            return SpawnedContainer(channel, answer["pid"], self.wait_until_gone)
        except BaseException:
            channel.close()
            raise

    def _pass_on(self, channel: socket.socket, output: int) -> None:
        with self._sending:
            if self._control.fileno() < 0:
                raise SpawnerDead
            try:
                socket.send_fds(self._control, [b"S"], [channel.fileno(), output])
            except (BrokenPipeError, ConnectionResetError) as error:
                raise SpawnerDead from error
            except OSError as error:
                raise ContainerStartFailed(f"The container's output cannot be passed on: {error.strerror}.") from error

    def close(self) -> None:
        """Ends the spawner and all its containers, and returns when they have ended. May be called twice."""
        try:
            self._control.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is dead, or closed before
            pass
        self.wait_until_gone()
        with self._sending:
            self._control.close()

    def wait_until_gone(self) -> None:
        """Returns when spawner, guard and all containers have ended. To be called when that is about to happen."""
        with self._ending:
            if self._gone:
                return
            self._guard.wait()
            # If the guard was killed, the spawner may still be ending.
            _wait_for_end(self._pid, self._handle)
            if self.kind == "folders":
                marked_processes.kill_all(f"{self.nonce}.")  # if both were killed, nobody else has done it
            if self._handle is not None:
                os.close(self._handle)
            self._gone = True


def _command(kind: str, nonce: str) -> list[str]:
    root = str(Path(__file__).resolve().parents[3])
    program = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from cloudtune.localcloud.sandbox.spawner_main import main\n"
        f"main({kind!r}, {nonce!r}, {os.getpid()})"
    )
    return [sys.executable, "-I", "-S", "-E", "-X", "utf8", "-c", program]


def _read_line(connection: socket.socket) -> dict[str, Any]:
    """One line of JSON; empty if the connection ends first."""
    text = b""
    while not text.endswith(b"\n"):
        # What follows the line, the container's end perhaps, is left for who reads next.
        ahead = connection.recv(1 << 16, socket.MSG_PEEK)
        if not ahead:
            return {}
        text += connection.recv(ahead.find(b"\n") + 1 or len(ahead))
    answer: dict[str, Any] = json.loads(text)
    return answer


def _watch(pid: int) -> int | None:
    """A descriptor that becomes readable when a process ends; None where there is no such thing."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, or it has ended already
        return None


def _wait_for_end(pid: int, handle: int | None) -> None:
    end = select.poll()
    if handle is not None:
        end.register(handle, select.POLLIN)
        end.poll()
        return
    while True:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):  # PermissionError: the number is another process's by now
            return
        end.poll(_LOOK_INTERVAL)
