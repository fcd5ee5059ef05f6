"""The spawner's loop: starts containers, passes signals on to them, tells their ends. One thread, and no waiting."""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket

from cloudtune.localcloud.sandbox.container_process import become_container

TYPE_CHECKING = False  # importing typing would make the spawner larger, and every fork of it dearer
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cloudtune.localcloud.sandbox.worlds import World

_CHUNK = 1 << 16
_SIGNALS = {b"T"[0]: signal.SIGTERM, b"K"[0]: signal.SIGKILL}


class _Container:
    """What the spawner knows of one container.

    Args:
        channel: To the server; its end means that the server no longer wants the container.
        output: Descriptor for stdout and stderr, until the container has started.
    """

    def __init__(self, channel: socket.socket, output: int) -> None:
        self.channel = channel
        self.output = output
        self.incoming = b""
        self.request: dict[str, Any] = {}
        self.pid = 0  # 0: not started
        self.status = -1  # pipe from the child; open until exec, or the child's end
        self.told = b""  # what came through it
        self.exit: int | None = None


class Spawner:
    """Serves one server.

    Each container has a channel (a socket) of its own, which comes with the output's descriptor over ``control``. On
    it the server sends the length of the request in ten digits and the request, JSON. The answer is a line with
    ``{"pid": ...}`` or with ``{"fault": "command" | "sandbox", "error": ...}``. Then the server may send ``T``
    (SIGTERM) and ``K`` (SIGKILL), and the spawner, at the end, a line with ``{"exit": ...}``.

    Args:
        control: The socket to the server.
        lifelines: Descriptors that become readable when the server or the guard has ended.
        world: Keeps the containers apart.
    """

    def __init__(self, control: socket.socket, lifelines: Iterable[int], world: World) -> None:
        self._control = control
        self._world = world
        self._by_channel: dict[int, _Container] = {}
        self._by_status: dict[int, _Container] = {}
        self._by_pid: dict[int, _Container] = {}
        self._wakeup, wakes = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakes, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        self._poll = select.poll()
        for fd in (control.fileno(), self._wakeup, *lifelines):
            self._poll.register(fd, select.POLLIN)
        self._lifelines = frozenset(lifelines)

    def run(self) -> None:
        """Returns when the server has ended, or wants no containers any more; all are dead then, or will be at once."""
        while self._turn():
            continue
        self._world.end_all()

    def _turn(self) -> bool:
        for fd, _ in self._poll.poll():
            if fd in self._lifelines:
                return False
            if fd == self._control.fileno():
                if not self._accept():
                    return False
            elif fd == self._wakeup:
                os.read(self._wakeup, _CHUNK)
                self._reap()
            elif fd in self._by_channel:
                self._listen(self._by_channel[fd])
            elif fd in self._by_status:
                self._hear_child(self._by_status[fd])
        return True

    def _accept(self) -> bool:
        """A container is wanted: a byte with two descriptors has come. False: the server has closed the socket."""
        descriptors = array.array("i")
        cloexec = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, ancillary, _, _ = self._control.recvmsg(1, socket.CMSG_SPACE(2 * descriptors.itemsize), cloexec)
        if not data:
            return False
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        if len(descriptors) < 2:  # no room for more descriptors: the server sees the end of its channel
            for fd in descriptors:
                os.close(fd)
            return True
        for fd in descriptors:
            os.set_inheritable(fd, False)
        container = _Container(socket.socket(fileno=descriptors[0]), descriptors[1])
        container.channel.setblocking(False)
        self._by_channel[descriptors[0]] = container
        self._poll.register(descriptors[0], select.POLLIN)
        return True

    def _listen(self, container: _Container) -> None:
        """The server says something about a container, or closes the channel: then the container must end."""
        try:
            data = container.channel.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if container.pid:
            for byte in data or b"K":
                self._signal(container, _SIGNALS[byte])
            if not data:
                self._poll.unregister(container.channel)
            return
        container.incoming += data
        if len(container.incoming) >= 10 and len(container.incoming) >= 10 + int(container.incoming[:10]):
            container.request = json.loads(container.incoming[10:])
            container.incoming = b""
            self._start(container)
        elif not data:
            self._drop(container)

    def _signal(self, container: _Container, number: signal.Signals) -> None:
        if container.exit is None:
            try:
                os.kill(container.pid, number)
            except PermissionError:  # it has become another user's
                return

    def _start(self, container: _Container) -> None:
        ends: tuple[int, ...] = ()
        try:
            ends = os.pipe()
            container.pid = self._world.fork()
        except OSError as error:
            for fd in ends:
                os.close(fd)
            self._say(container, {"fault": "sandbox", "error": f"No process can be made for it: {error.strerror}."})
            self._drop(container)
            return
        container.status, theirs = ends
        if container.pid == 0:
            self._become(container, theirs)
        os.set_blocking(container.status, False)
        os.close(theirs)
        os.close(container.output)
        container.output = -1
        self._by_pid[container.pid] = container
        self._by_status[container.status] = container
        self._poll.register(container.status, select.POLLIN)

    def _become(self, container: _Container, status: int) -> None:
        """In the child: does not return."""

        def tell(fault: str, message: str) -> None:
            os.write(status, json.dumps({"fault": fault, "error": message[:2000]}).encode())

        os.write(status, b"%d\n" % self._world.outer_pid())
        become_container(container.request, container.output, self._world.prepare, tell)

    def _hear_child(self, container: _Container) -> None:
        try:
            data = os.read(container.status, _CHUNK)
        except BlockingIOError:  # what the poll told was of an earlier descriptor with this number
            return
        if data:
            container.told += data
            return
        self._poll.unregister(container.status)
        os.close(container.status)
        del self._by_status[container.status]
        container.status = -1
        pid, _, error = container.told.partition(b"\n")
        if not error:
            self._say(container, {"pid": int(pid or 0)})
        if container.exit is not None:
            self._tell_end(container)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            container = self._by_pid.pop(pid, None)  # None: an orphan that fell to this process
            if container is not None:
                container.exit = os.waitstatus_to_exitcode(status)
                self._world.end(container.request, pid)
                if container.status < 0:
                    self._tell_end(container)

    def _tell_end(self, container: _Container) -> None:
        """All of the container is dead, and the answer to its start has been given, unless it is that it failed."""
        error = container.told.partition(b"\n")[2]
        self._say(container, json.loads(error) if error else {"exit": container.exit})
        self._drop(container)

    def _say(self, container: _Container, message: dict[str, Any]) -> None:
        try:
            container.channel.send(json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):  # the server no longer wants to know
            return

    def _drop(self, container: _Container) -> None:
        fd = container.channel.fileno()
        del self._by_channel[fd]
        try:
            self._poll.unregister(fd)
        except KeyError:  # the server had closed it before
            pass
        container.channel.close()
        if container.output >= 0:
            os.close(container.output)
