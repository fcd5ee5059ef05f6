"""The server's process: its first line, its ends, its exit codes."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.localcloud import CloudSettings
from cloudtune.localcloud.control_client import ControlClient
from tests.localcloud.conftest import Trainer, wait_until

Server = subprocess.Popen[str]
Start = Callable[..., Server]

SLEEPS = "import time; print('waiting', flush=True); time.sleep(600)"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers as any program could; each is ended by the end of its standard input."""
    started: list[Server] = []

    def start(first_line: str) -> Server:
        server = subprocess.Popen(
            [sys.executable, "-m", "cloudtune.localcloud.server.server_main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(server)
        assert server.stdin is not None
        server.stdin.write(first_line + "\n")
        server.stdin.flush()
        return server

    yield start
    for server in started:
        server.communicate(timeout=60)


def ready(server: Server) -> dict[str, Any]:
    assert server.stdout is not None
    answer: dict[str, Any] = json.loads(server.stdout.readline())
    return answer


def test_the_ready_line(start: Start) -> None:
    """One line of JSON tells where the cloud answers; it answers by then."""
    server = start(CloudSettings().to_json())
    told = ready(server)
    assert told["pid"] == server.pid
    assert ControlClient(told["endpoint"]).status()["id"] == told["id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it(start: Start, number: int) -> None:
    """Exit code 0, and nothing on standard error."""
    server = start(CloudSettings().to_json())
    ready(server)
    server.send_signal(number)
    _, errors = server.communicate(timeout=60)
    assert (server.returncode, errors) == (0, "")


def test_the_end_of_its_input_ends_it(start: Start) -> None:
    """Also while jobs run, which are killed, and whose folder is removed."""
    server = start(CloudSettings().to_json())
    told = ready(server)
    trainer = Trainer(_Clients(told["endpoint"]))
    trainer.create("train-1", SLEEPS)
    trainer.wait_for_line("train-1", "waiting")
    children = psutil.Process(server.pid).children(recursive=True)
    assert children
    _, errors = server.communicate(timeout=60)
    assert (server.returncode, errors) == (0, "")
    assert [child for child in children if _lives(child)] == []


def test_a_killed_server_takes_its_jobs_along(start: Start, tmp_path: Path) -> None:
    """SIGKILL cannot be handled; the jobs die all the same."""
    server = start(CloudSettings(folder=str(tmp_path)).to_json())
    trainer = Trainer(_Clients(ready(server)["endpoint"]))
    trainer.create("train-1", SLEEPS)
    trainer.wait_for_line("train-1", "waiting")
    children = psutil.Process(server.pid).children(recursive=True)
    assert children, "the job was to run in a child of the server"
    server.kill()
    wait_until(lambda: not any(_lives(child) for child in children), "the end of the job")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "settings on standard input"),
        ("{", "settings on standard input"),
        ("[]", "settings on standard input"),
        ('{"prot": 1}', "'prot'"),
        ('{"sandbox": "docker"}', "namespaces or folders"),
        ('{"account": "12"}', "twelve digits"),
        ('{"time_scale": 0}', "time_scale"),
        ('{"faults": [{"kind": "trottle"}]}', "did you mean 'throttle'"),
    ],
)
def test_settings_of_no_use(start: Start, line: str, said: str) -> None:
    """Told as JSON in one line, exit code 2."""
    server = start(line)
    told = ready(server)
    assert said in told["error"], told
    server.communicate(timeout=60)
    assert server.returncode == 2


def test_descriptors(start: Start) -> None:
    """As many as the machine allows, since moto needs one for each large object."""
    if not hasattr(psutil.Process, "rlimit"):  # only Linux lets others look
        return
    server = start(CloudSettings().to_json())
    ready(server)
    soft, hard = psutil.Process(server.pid).rlimit(resource.RLIMIT_NOFILE)
    assert soft == min(hard, 1 << 20)


def test_another_account(start: Start) -> None:
    """Clients with any credentials are in the account that was chosen."""
    server = start(CloudSettings(account="210987654321").to_json())
    identity = _Clients(ready(server)["endpoint"]).client("sts").get_caller_identity()
    assert identity["Account"] == "210987654321"


class _Clients:
    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def client(self, service: str) -> Any:
        from cloudtune.localcloud.clients import CloudSession

        return CloudSession(self._endpoint, "us-east-1").client(service)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
