"""System calls of Linux that Python 3.10 has no names for, through the C library (unshare(2), setns(2), mount(2))."""

from __future__ import annotations

import ctypes
import functools
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_MNT_DETACH = 2
_PR_SET_CHILD_SUBREAPER = 36


def unshare(flags: int) -> None:
    """Gives this process namespaces of its own. Raises OSError."""
    _call("unshare", ctypes.c_int(flags))


def setns(namespace: int, kind: int) -> None:
    """Enters the namespace that a descriptor stands for; for ``CLONE_NEWPID`` only children do. Raises OSError."""
    _call("setns", ctypes.c_int(namespace), ctypes.c_int(kind))


def mount(source: str, target: str, filesystem: str | None, flags: int, options: str | None = None) -> None:
    """Raises OSError."""
    data = None if options is None else options.encode()
    kind = None if filesystem is None else filesystem.encode()
    _call("mount", os.fsencode(source), os.fsencode(target), kind, ctypes.c_ulong(flags), data)


def detach(target: str) -> None:
    """Takes a mount out of sight; what is in use of it stays. Raises OSError."""
    _call("umount2", os.fsencode(target), ctypes.c_int(_MNT_DETACH))


def sethostname(name: str) -> None:
    """Raises OSError."""
    encoded = name.encode()
    _call("sethostname", encoded, ctypes.c_size_t(len(encoded)))


def adopt_orphans() -> None:
    """Makes descendants whose parents end children of this process (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    _call("prctl", ctypes.c_int(_PR_SET_CHILD_SUBREAPER), one, zero, zero, zero)


def _call(name: str, *arguments: object) -> None:
    function = getattr(_library(), name)
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)


@functools.lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
