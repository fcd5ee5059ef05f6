"""Starts the process of a local cloud, and sees to its end."""

from __future__ import annotations

import errno
import json
import logging
import os
import selectors
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudtune
from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.locked_folder import LockedFolder, remove_dead
from cloudtune.localcloud.settings import CloudSettings

logger = logging.getLogger(__name__)

#: Real seconds. A cloud answers within one; a machine may be busy.
_START_TIMEOUT = 60.0
#: Real seconds from the wish to end until SIGKILL: jobs have to be killed, the state to be saved.
_END_TIMEOUT = 60.0
_LAST_LINES = 20

# Run in an empty folder, so that no file of the user's stands in for a module; our own folder comes last in the path,
# for a cloudtune that is not installed. What else it is told: its folder, and whose process it is.
_PROGRAM = """\
import sys
sys.path.append(sys.argv[1])
from cloudtune.localcloud.server.server_main import main
sys.exit(main(sys.argv[2], int(sys.argv[3])))
"""

#: Of the names of our folders, which go on with the pid of the process that started the cloud.
_PREFIX = "cloudtune-localcloud-of-"


class CloudStartFailed(RuntimeError):
    """The cloud could not begin; the message says why, with the last lines of its log where it broke down."""


class ServerProcess:
    """A running server. It ends with this process, however that ends, since it waits at the end of a pipe.

    Its folder among the temporary files goes away with it: this process removes it, or the server if this process is
    gone, or the next cloud's start if both were killed at once.

    Args:
        settings: Of the cloud. Paths are relative to the current folder.

    Raises:
        CloudStartFailed: It could not begin.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self._owner = os.getpid()
        self._killed = False
        self._folder = LockedFolder(os.path.abspath(tempfile.gettempdir()), f"{_PREFIX}{self._owner}-")
        #: What the server writes to its standard error: kept for as long as the server runs, longer if it broke down.
        self.log = Path(self._folder.path, "server.log")
        settings = replace(
            settings,
            folder=os.path.abspath(settings.folder) if settings.folder is not None else self._folder.path,
            state_folder=os.path.abspath(settings.state_folder) if settings.state_folder is not None else None,
            images={pattern: os.path.abspath(path) for pattern, path in settings.images.items()},
        )
        program = [sys.executable, "-c", _PROGRAM, str(Path(cloudtune.__file__).parents[1])]
        try:
            work = Path(self._folder.path, "work")
            work.mkdir()
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    [*program, self._folder.path, str(self._owner)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=work,
                    # The folder stays locked until both this process and the server have ended.
                    pass_fds=[self._folder.lock],
                    env=_server_environment(),
                    # A Ctrl-C in the terminal is for the program that uses the cloud, which takes it down when it ends.
                    start_new_session=True,
                )
        except BaseException:
            self._folder.remove()
            raise
        try:
            ready = self._begun(settings)
        except BaseException:
            self.kill()
            self.end()
            raise
        self.endpoint: str = ready["endpoint"]
        self.id: str = ready["id"]

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the server runs; negative for a signal."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Blocks until the server has ended, for ``timeout`` real seconds at most; its exit code, or None."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """SIGKILL, as a machine that dies would do it. Its jobs die with it."""
        self._killed = True
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Tells the server to end, waits, and removes what is left of it. May be called twice."""
        if os.getpid() != self._owner:  # a fork of the process that owns the server
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        if self.wait(_END_TIMEOUT) is None:
            self.kill()
        if self.exit_code and not self._killed:
            logger.warning("%s", self.how_it_ended())
        self._process.stdout.close()
        _remove(self._folder.path)
        self._folder.close()

    def how_it_ended(self) -> str:
        """For people, once the server has ended."""
        return f"The local cloud has ended (exit code {self.exit_code}). Its log ends:\n{self.last_lines()}"

    def last_lines(self) -> str:
        """The end of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        except FileNotFoundError:
            return ""

    def _begun(self, settings: CloudSettings) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(settings.to_json().encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it is dead already: what it wrote before says why
            pass
        remove_dead(os.path.dirname(self._folder.path), _PREFIX)
        text = self._first_line()
        ready: dict[str, Any] = json.loads(text) if text else {}
        if "error" in ready:
            raise CloudStartFailed(ready["error"])
        if not ready:
            lines = self.last_lines()
            code = self._process.wait()
            raise CloudStartFailed(f"The local cloud ended at its start (exit code {code}). Its log ends:\n{lines}")
        return ready

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(_START_TIMEOUT):
                raise CloudStartFailed(
                    f"The local cloud did not begin within {_START_TIMEOUT:g} s. Its log ends:\n{self.last_lines()}"
                )
        return self._process.stdout.readline()


def _server_environment() -> dict[str, str]:
    """Without any AWS settings of the user's, which moto would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def _remove(folder: str) -> None:
    """Removes a folder in which processes that were just killed may still be busy for a moment."""
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        error = job_files.try_to_remove(folder)
        if error is None:
            return
        if error.errno != errno.ENOTEMPTY:  # nobody writes there any more
            break
    job_files.remove(folder)
