"""A program that the agent runs: its group of processes, its end, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.console import Console

_PR_SET_CHILD_SUBREAPER = 36
_REAP_INTERVAL = 0.01
#: Seconds to wait for what was sent SIGKILL: a process that sleeps in the kernel may take long.
_KILL_TIME = 5.0


class Child:
    """A running program in a session of its own, its output copied to the container's.

    It is waited for by :meth:`reap` alone, which the main thread calls; so are orphans that were handed to us.

    Args:
        argv: The command.
        cwd: Where it runs.
        environment: Its variables.
        console: Copies its output.

    Raises:
        OSError: It could not be started.
    """

    def __init__(self, argv: list[str], cwd: str, environment: dict[str, str], console: Console) -> None:
        self._popen = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Where the container has one output for both, so has the program: lines come in the order of its writes.
            stderr=subprocess.STDOUT if _is_one_output() else subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self.pid = self._popen.pid
        self.exit_code: int | None = None
        self.signal: int | None = None
        for stream, target in ((self._popen.stdout, 1), (self._popen.stderr, 2)):
            if stream is not None:
                console.copy(os.dup(stream.fileno()), target)
                stream.close()

    @property
    def ended(self) -> bool:
        """Whether the program, as far as it was reaped, has ended."""
        return self.exit_code is not None or self.signal is not None

    def reap(self) -> None:
        """Takes note of all processes that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.pid:
                if os.WIFSIGNALED(status):
                    self.signal = os.WTERMSIG(status)
                else:
                    self.exit_code = os.WEXITSTATUS(status)
                self._popen.returncode = -1  # it was waited for; subprocess is not to do it again

    def send(self, number: int) -> None:
        """Sends a signal to the program's group."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # nobody is left
            return
        except PermissionError:  # another user's by now; only the container's end ends it
            return

    def group_lives(self) -> bool:
        """Whether any process of its group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def kill_all(self) -> None:
        """Kills what is left of the group and of all that descends from it, daemons included."""
        self.send(signal.SIGKILL)
        until = time.monotonic() + _KILL_TIME
        pause = threading.Event()
        while _kill_others() and time.monotonic() < until:
            self.reap()
            pause.wait(_REAP_INTERVAL)
        self.reap()


def _is_one_output() -> bool:
    try:
        return os.path.sameopenfile(1, 2)
    except OSError:  # one of them is closed
        return False


def adopt_orphans() -> None:
    """Has orphaned descendants become children of this process, where it is not the container's first process."""
    if os.getpid() == 1 or not sys.platform.startswith("linux"):
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):  # daemons then live as long as the container
        return


def _kill_others() -> bool:
    """Sends SIGKILL to every process of the container but this one; whether there were any."""
    if os.getpid() == 1:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return False
        except PermissionError:  # some are another user's
            return False
        return True
    found = _descendants()
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    return bool(found)


def _descendants() -> list[int]:
    """Living processes that descend from this one; empty where there is no /proc."""
    parents: dict[int, int] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in filter(str.isdigit, names):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):  # it has ended
            continue
        if state != b"Z":
            parents[int(name)] = int(parent)
    found: list[int] = []
    ours = {os.getpid()}
    grew = True
    while grew:
        new = [pid for pid, parent in parents.items() if parent in ours and pid not in ours]
        ours.update(new)
        found += new
        grew = bool(new)
    return found
