"""The server's end of one container that a spawner has started."""

from __future__ import annotations

import json
import select
import signal
import socket
import threading
from collections.abc import Callable


class SpawnedContainer:
    """A container of either kind (see the contract, ``Container``). All methods may be called from any thread.

    Args:
        channel: To the spawner (see ``Spawner``). The container owns it.
        pid: Of the first process.
        wait_until_spawner_is_gone: Called if the channel ends without a word: then the spawner dies, with all of its
            containers.
    """

    def __init__(self, channel: socket.socket, pid: int, wait_until_spawner_is_gone: Callable[[], None]) -> None:
        self._channel = channel
        self._pid = pid
        self._wait_until_spawner_is_gone = wait_until_spawner_is_gone
        self._lock = threading.Lock()
        self._closing = threading.Lock()
        self._incoming = b""
        self._exit: int | None = None

    @property
    def pid(self) -> int:
        return self._pid

    def fileno(self) -> int:
        return self._channel.fileno()

    def exit_code(self) -> int | None:
        with self._lock:
            if self._exit is None:
                self._receive()
            return self._exit

    def terminate(self) -> None:
        self._send(b"T")

    def kill(self) -> None:
        self._send(b"K")

    def close(self) -> None:
        with self._closing:
            if self._channel.fileno() < 0:
                return
            self.kill()
            end = select.poll()
            end.register(self._channel, select.POLLIN)
            while self.exit_code() is None:
                end.poll()
            with self._lock:
                self._channel.close()

    def _send(self, byte: bytes) -> None:
        with self._lock:
            if self._exit is None:
                try:
                    self._channel.send(byte)
                except (BrokenPipeError, ConnectionResetError):  # it has ended
                    return

    def _receive(self) -> None:
        try:
            data = self._channel.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self._incoming += data
        if self._incoming.endswith(b"\n"):
            self._exit = json.loads(self._incoming)["exit"]
            # From now on the descriptor is readable for ever, whoever else may still hold the spawner's end.
            self._channel.shutdown(socket.SHUT_RD)
        elif not data:
            self._wait_until_spawner_is_gone()
            self._exit = -signal.SIGKILL
