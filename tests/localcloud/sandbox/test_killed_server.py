"""What is left of a server that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.localcloud.sandbox.place import marked, until

ROOT = Path(__file__).parents[3]


def sandbox_processes(server: int) -> list[int]:
    """Guard and spawner of a server, by their command line."""
    found = []
    for name in os.listdir("/proc"):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes() if name.isdigit() else b""
        except OSError:
            continue
        if b"spawner_main" in line and f", {server})".encode() in line:
            found.append(int(name))
    return found


@pytest.mark.parametrize("kind", ["namespaces", "folders"])
def test_nothing_outlives_a_killed_server(kind: str, tmp_path: Path) -> None:
    """Containers, their daemons and our own processes end, though a fork of the server still has its descriptors."""
    command = [sys.executable, "-m", "tests.localcloud.sandbox.server_program", kind, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        assert len(marked(str(tmp_path))) == 2
        assert len(sandbox_processes(server.pid)) == 2
        server.send_signal(signal.SIGKILL)
        server.wait()
        until(lambda: marked(str(tmp_path)) == [] and sandbox_processes(server.pid) == [])
