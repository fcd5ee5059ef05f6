"""What a container's first process does to see its own ``/opt/ml``, processes, host name and, if asked, network."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from cloudtune.localcloud.sandbox import linux

TYPE_CHECKING = False  # importing typing would make the spawner larger, and every fork of it dearer
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41

#: What a killed job leaves here (PyTorch's data loaders do) would stay for ever if it were the machine's.
#: A machine whose temporary folders are here keeps it in sight, for other files that jobs need may be here, too.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # not used as a place for files


class ViewRefused(Exception):
    """A step failed; the message says which and why."""


def take_private_view(request: dict[str, Any]) -> None:
    """Changes what this process sees of the machine. Nothing of it is seen outside.

    The process must be the first of its pid namespace, and alone in it.

    Args:
        request: ``ml_folder``, ``hostname``, ``hosts`` (name -> address) and ``network`` of the container.

    Raises:
        ViewRefused: A step failed.
    """
    ml_folder: str = request["ml_folder"]
    own = linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    _step("have mounts and a host name of its own", lambda: linux.unshare(own))
    if not request["network"]:
        _step("have a network of its own", lambda: linux.unshare(linux.CLONE_NEWNET))
        _step("bring its loopback interface up", _bring_loopback_up)
    _step("keep its mounts to itself", lambda: linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE))
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    _step("mount a /proc of its own", lambda: linux.mount("proc", "/proc", "proc", flags))
    _step(f"set the host name {request['hostname']!r}", lambda: linux.sethostname(request["hostname"]))
    # Opened before anything is mounted, since the folder may lie in what is covered then.
    ml = _open_folder(ml_folder)
    _step("have an /etc/hosts of its own", lambda: _mount_hosts(request["hosts"], ml_folder))
    if os.path.isdir(_SHARED_MEMORY) and not os.path.realpath(ml_folder).startswith(f"{_SHARED_MEMORY}/"):
        shared = linux.MS_NOSUID | linux.MS_NODEV
        _step("have shared memory of its own", lambda: linux.mount("shm", _SHARED_MEMORY, "tmpfs", shared, "mode=1777"))
    if not os.path.isdir("/opt/ml"):
        _step("put an /opt with a folder ml over the machine's", _cover_opt)
    _step("mount its folder on /opt/ml", lambda: _bind(f"/proc/self/fd/{ml}", "/opt/ml"))
    os.close(ml)


def _step(what: str, function: Callable[[], None]) -> None:
    try:
        function()
    except OSError as error:
        raise ViewRefused(f"A container cannot {what}: {error.strerror}.") from error


def _open_folder(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ViewRefused(f"The folder {path!r} cannot become /opt/ml: {error.strerror}.") from error


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))


def _mount_hosts(hosts: dict[str, str], ml_folder: str) -> None:
    """Puts the job's hosts before the machine's own.

    The file lives in a file system that is mounted for a moment, over a folder that is there in any case, and that
    nothing but the bind mount holds afterwards: no file of the machine is written.
    """
    with open("/etc/hosts", "rb") as file:
        machine = file.read()
    linux.mount("hosts", ml_folder, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755")
    try:
        path = f"{ml_folder}/hosts"
        with open(path, "wb") as file:
            file.writelines(f"{address} {name}\n".encode() for name, address in hosts.items())
            file.write(machine)
        os.chmod(path, 0o644)
        _bind(path, "/etc/hosts")
    finally:
        linux.detach(ml_folder)


def _cover_opt() -> None:
    """A file system in memory over /opt, in which everything that was there is bound back, and an empty ``ml``."""
    below = os.open("/opt", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        linux.mount("opt", "/opt", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755")
        os.mkdir("/opt/ml")
        for entry in os.scandir(below):
            if entry.name == "ml":  # a file, or a link that leads nowhere
                continue
            hidden, seen = f"/proc/self/fd/{below}/{entry.name}", f"/opt/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(hidden), seen)
                continue
            if entry.is_dir():
                os.mkdir(seen)
            else:
                os.close(os.open(seen, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            _bind(hidden, seen)
    finally:
        os.close(below)


def _bind(source: str, target: str) -> None:
    linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)
