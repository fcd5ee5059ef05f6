"""Ending what a killed supervisor left, on systems that offer more for it, and less."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import NoReturn

import pytest

from cloudtune.backend import leftovers
from tests.contracts.local_process_contract import gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found by their mark in /proc")


def forbidden(*_: object) -> NoReturn:
    """What a container that does not know a system call says."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def missing(*_: object) -> NoReturn:
    """What a kernel that does not have a system call says."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.mark.parametrize("system", ["this", "no pidfd_open in Python", "none in the kernel", "no pidfd_send_signal"])
def test_all_that_bear_the_mark_end(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """Processes with the mark, also those that ignore SIGTERM, have ended when it returns; others live on."""
    if system == "no pidfd_open in Python":
        monkeypatch.delattr(os, "pidfd_open")
        monkeypatch.delattr(signal, "pidfd_send_signal")
    elif system == "none in the kernel":
        monkeypatch.setattr(os, "pidfd_open", missing)
    elif system == "no pidfd_send_signal":
        monkeypatch.setattr(signal, "pidfd_send_signal", forbidden)
    mark = f"CLOUDTUNE_EXPERIMENT=leftovers-{os.getpid()}"
    name, _, value = mark.partition("=")
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    sleepers = [
        subprocess.Popen([sys.executable, "-S", "-c", stubborn], env={**os.environ, name: text}, stdout=subprocess.PIPE)
        for text in (value, value, f"{value}0")
    ]
    try:
        for sleeper in sleepers:
            assert sleeper.stdout is not None
            assert sleeper.stdout.readline() == b"\n"
        assert leftovers.end_processes_of(mark, [sleepers[0].pid]) == 2
        assert [gone(sleeper.pid) for sleeper in sleepers] == [True, True, False]
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.communicate()
