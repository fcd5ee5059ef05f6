"""The spawner's process, and the guard: the server's child, which starts the spawner and cleans up if it is killed.

Standard library only: every container begins as a fork of this process.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys

from cloudtune.localcloud.sandbox import linux
from cloudtune.localcloud.sandbox.spawner import Spawner
from cloudtune.localcloud.sandbox.worlds import FolderWorld, NamespaceWorld


def main(kind: str, nonce: str, server: int) -> None:
    """Serves the server at the other end of descriptor 0 until that is closed, or the server has ended.

    Args:
        kind: ``namespaces`` or ``folders``.
        nonce: What the marks of containers begin with.
        server: Process id of the server, the parent of this process.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    lifelines = _watch_server(server)
    if os.getppid() != server:
        return  # it has ended
    try:
        if kind == "namespaces":
            _enter_namespaces()
        elif sys.platform.startswith("linux"):
            linux.adopt_orphans()
        guard_lives, never_written = os.pipe()
        spawner = os.fork()
    except OSError as error:
        reply = {"errno": error.errno, "call": error.filename or "fork", "error": error.strerror}
        control.sendall(json.dumps(reply).encode() + b"\n")
        return
    if spawner == 0:
        os.close(never_written)
        _serve(kind, nonce, control, [guard_lives, *lifelines])
        os._exit(0)
    control.sendall(b'{"pid": %d}\n' % spawner)
    control.close()
    os.close(guard_lives)
    os.waitpid(spawner, 0)
    if kind == "folders":
        FolderWorld(nonce).end_all()


def _serve(kind: str, nonce: str, control: socket.socket, lifelines: list[int]) -> None:
    if kind == "folders" and sys.platform.startswith("linux"):
        linux.adopt_orphans()  # not inherited over fork
    world = NamespaceWorld() if kind == "namespaces" else FolderWorld(nonce)
    gc.freeze()  # what is there now stays: looking at it in every fork would copy its pages
    Spawner(control, lifelines, world).run()


def _watch_server(server: int) -> list[int]:
    """A descriptor that tells the server's end even while a fork of the server holds the socket open.

    Where the system has none (macOS, old kernels), the end of the socket has to do.
    """
    if not hasattr(os, "pidfd_open"):
        return []
    try:
        return [os.pidfd_open(server)]
    except OSError:
        return []


def _enter_namespaces() -> None:
    """Makes the next child of this process the first of a pid namespace. Raises OSError, naming the call.

    Root may do that as it is; everybody else, and a root without the right (in docker, say), in a user namespace,
    as root of which (user_namespaces(7)) it sees itself.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        try:
            linux.unshare(linux.CLONE_NEWPID)
            return
        except PermissionError:
            pass  # as everybody else, then
    linux.unshare(linux.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    linux.unshare(linux.CLONE_NEWPID)
