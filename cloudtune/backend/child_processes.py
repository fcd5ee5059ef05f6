"""What the supervisor asks of the operating system about its children. Linux has more of it than macOS."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # importing typing would make every fork dearer
if TYPE_CHECKING:
    from collections.abc import Callable

#: Whether processes can be looked at in /proc.
HAS_PROC = sys.platform.startswith("linux")

#: Signals that must mean in a trial what they mean by default, whatever the supervisor does with them.
RESTORED_SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ)

_PR_SET_CHILD_SUBREAPER = 36


def close_inherited(above: int) -> None:
    """Closes the descriptors above a number that this process was started with: a trial would keep them open."""
    for fd in map(int, os.listdir("/dev/fd")):
        if fd > above:
            try:
                os.close(fd)
            except OSError:  # that of the listing itself
                continue


def adopt_orphans() -> None:
    """Makes orphaned descendants children of this process (Linux: prctl(2), PR_SET_CHILD_SUBREAPER).

    Goes to the C library through ``_ctypes``, for the Python half of ctypes would make every fork dearer.
    """
    if HAS_PROC:
        import _ctypes

        this_process = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        prctl = _ctypes.dlsym(this_process, "prctl")
        _ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def watch(pid: int) -> int | None:
    """A file descriptor that becomes readable when the process ends; None where there is no such thing."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, or it has ended already: the pipe tells that too
        return None


def spawn(argv: list[str], environment: dict[str, str], stdout: str, stderr: str) -> int:
    """Starts a program in a session of its own, its output appended to two files. Returns its process id.

    Raises:
        OSError: The program or a file could not be opened, or the command line is too long.
    """
    append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, stdout, append, 0o666),
        (os.POSIX_SPAWN_OPEN, 2, stderr, append, 0o666),
    ]
    try:
        return os.posix_spawn(
            argv[0], argv, environment, file_actions=actions, setsid=True, setsigmask=(), setsigdef=RESTORED_SIGNALS
        )
    except NotImplementedError:  # an old macOS: a process group serves nearly as well as a session
        return os.posix_spawn(
            argv[0], argv, environment, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=RESTORED_SIGNALS
        )


def signal_group(pid: int, number: int) -> bool:
    """Sends a signal to the process group of a child that leads one, or to the child while it does not yet.

    Returns:
        False if all of the group belong to another user by now; or, on macOS, if only the dead leader is left.
    """
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)
    except PermissionError:
        return False
    return True


def wait_next(is_trial: Callable[[int], bool]) -> tuple[int, int] | None:
    """Waits for a child that has ended, without blocking: its process id and wait status, or None if all live.

    What is left of a trial's process group is killed before its leader is waited for, because afterwards
    the number of the group may be another's.

    Raises:
        ChildProcessError: There is no child at all.
    """
    if not hasattr(os, "waitid"):  # macOS before Python 3.13: the group cannot be killed first
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid and is_trial(pid):
            _kill_rest_of_group(pid)
        return (pid, status) if pid else None
    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    if is_trial(ended.si_pid):
        _kill_rest_of_group(ended.si_pid)
    return os.waitpid(ended.si_pid, 0)


def children() -> list[int]:
    """Process ids of this process's children; without /proc an empty list."""
    if not HAS_PROC:
        return []
    pid = os.getpid()
    try:
        fd = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == pid]
    try:
        text = b""
        while data := os.read(fd, 1 << 16):
            text += data
    finally:
        os.close(fd)
    return [int(word) for word in text.split()]


def environment(pid: int) -> dict[str, str]:
    """The variables a process was started with; empty if it has ended, has none, or there is no /proc."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            items = file.read().split(b"\0")
    except OSError:
        return {}
    pairs = (item.decode("utf-8", "replace").partition("=") for item in items)
    return {name: value for name, _, value in pairs}


def _kill_rest_of_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nobody is left; PermissionError is how macOS says it
        return


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0
