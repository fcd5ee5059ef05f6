"""What a container's first process does to see its own ``/opt/ml``, processes, host name and, if asked, network."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from cloudtune.localcloud.sandbox import linux
from cloudtune.localcloud.sandbox.covered_folder import bind, cover

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
        request: ``ml_folder``, ``temporary`` and ``keep``, ``hostname``, ``hosts`` (name -> address) and ``network`` of
            the container; its ``command`` and ``environment`` tell, too, what it needs.

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
    ml = _open_folder(ml_folder, "/opt/ml")
    _step("have an /etc/hosts of its own", lambda: _mount_hosts(request["hosts"], ml_folder))
    if os.path.isdir(_SHARED_MEMORY) and not os.path.realpath(ml_folder).startswith(f"{_SHARED_MEMORY}/"):
        shared = linux.MS_NOSUID | linux.MS_NODEV
        _step("have shared memory of its own", lambda: linux.mount("shm", _SHARED_MEMORY, "tmpfs", shared, "mode=1777"))
    if not os.path.isdir("/opt/ml"):
        _step("put an /opt with a folder ml over the machine's", _cover_opt)
    _step("mount its folder on /opt/ml", lambda: bind(f"/proc/self/fd/{ml}", "/opt/ml"))
    os.close(ml)
    _cover_temporary(request)


def _step(what: str, function: Callable[[], None]) -> None:
    try:
        function()
    except OSError as error:
        raise ViewRefused(f"A container cannot {what}: {error.strerror}.") from error


def _open_folder(path: str, becomes: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ViewRefused(f"The folder {path!r} cannot become {becomes}: {error.strerror}.") from error


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
        bind(path, "/etc/hosts")
    finally:
        linux.detach(ml_folder)


def _cover_opt() -> None:
    """A file system in memory over /opt, in which everything that was there is bound back, and an empty ``ml``."""
    cover("/opt", None, spare=["ml"])  # which is a file, or a link that leads nowhere
    os.mkdir("/opt/ml")


def _cover_temporary(request: dict[str, Any]) -> None:
    """Folders of the job over /tmp and the like.

    What the job leaves there goes with the job and counts in its volume, and no other job sees it. What the machine
    has there stays in sight, since the job's own folders, its interpreter, its code or its data may be among it.
    """
    folders: dict[str, str] = request["temporary"]
    needed = [
        request["ml_folder"],
        *folders.values(),
        *request["keep"],
        *request["command"],
        *request["environment"].values(),
    ]
    opened = {path: _open_folder(folder, path) for path, folder in folders.items() if os.path.isdir(path)}
    covered = set()
    for path, folder in opened.items():
        place = os.path.realpath(path)  # /var/tmp may be a link to /tmp
        if place not in covered:
            covered.add(place)
            try:
                cover(place, f"/proc/self/fd/{folder}", needed)
            except OSError as error:
                raise ViewRefused(f"A container cannot have a {path} of its own: {error.strerror}.") from error
        os.close(folder)
