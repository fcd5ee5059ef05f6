"""Keeps a program on this machine: connections to others are refused, and noted."""

from __future__ import annotations

import socket
import threading
from typing import Any

#: Addresses that something tried to reach.
tried: list[str] = []
_connect = socket.socket.connect
_look_up = socket.getaddrinfo
_HERE = ("127.0.0.1", "localhost", "::1")


def _checked_connect(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and address[0] not in _HERE:
        tried.append(str(address))
        raise ConnectionRefusedError(f"no way out to {address}")
    _connect(self, address)


def _checked_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
    if host not in _HERE:
        tried.append(str(host))
        raise socket.gaierror(f"no way out to {host}")
    return _look_up(host, *args, **kwargs)


def close() -> None:
    """From here on."""
    socket.socket.connect = _checked_connect  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = _checked_look_up


def _wait() -> None:
    """For threads that send something in the background, as SDK v3's telemetry does."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
        elif thread is not threading.current_thread():
            thread.join(timeout=5)


def forget() -> None:
    """What was tried so far is not to count."""
    _wait()
    tried.clear()


def check_untried() -> None:
    """Fails if anything tried to leave the machine."""
    _wait()
    assert not tried, tried
