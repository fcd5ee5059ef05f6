"""The two ways in which the spawner keeps its containers apart, and ends all that descends from them."""

from __future__ import annotations

import os

from cloudtune.localcloud.sandbox import linux
from cloudtune.localcloud.sandbox.marked_processes import kill_all
from cloudtune.localcloud.sandbox.private_view import take_private_view

TYPE_CHECKING = False  # importing typing would make the spawner larger, and every fork of it dearer
if TYPE_CHECKING:
    from typing import Any


class NamespaceWorld:
    """Each container is a pid namespace below that of the spawner: the kernel ends what is left of it."""

    def __init__(self) -> None:
        self._own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def fork(self) -> int:
        """Forks a child that is the first process of a new pid namespace. Raises OSError."""
        linux.unshare(linux.CLONE_NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                linux.setns(self._own, linux.CLONE_NEWPID)
        return pid

    @staticmethod
    def outer_pid() -> int:
        """Of the calling process, as the machine sees it. To be asked before it mounts a /proc of its own."""
        return int(os.readlink("/proc/self"))

    def prepare(self, request: dict[str, Any]) -> None:
        """What a container's first process does before exec."""
        take_private_view(request)

    def end(self, request: dict[str, Any], pid: int) -> None:
        """Called when the first process has been waited for; all others had ended before."""

    def end_all(self) -> None:
        """Called when the spawner is about to end. It is the first process of its namespace: all end with it."""


class FolderWorld:
    """Containers are sessions. What left its session is found by a mark in its environment.

    Args:
        nonce: What all marks begin with.
    """

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce

    def fork(self) -> int:
        """Raises OSError."""
        return os.fork()

    @staticmethod
    def outer_pid() -> int:
        """Of the calling process."""
        return os.getpid()

    def prepare(self, request: dict[str, Any]) -> None:
        """Nothing is there to be prepared."""

    def end(self, request: dict[str, Any], pid: int) -> None:
        """Kills what the first process left, and returns when it is gone."""
        kill_all(request["mark"], session=pid)

    def end_all(self) -> None:
        """Kills all containers, and what fell to this process as an orphan."""
        kill_all(f"{self._nonce}.", parent=os.getpid())


if TYPE_CHECKING:
    World = NamespaceWorld | FolderWorld
