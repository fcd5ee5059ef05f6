"""``cloudtune localcloud``: up, run, down, and the commands that ask a cloud which is up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from cloudtune.cli import main
from cloudtune.cli.localcloud_display import JobTable, job_display
from cloudtune.cli.localcloud_options import settings_of
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.localcloud.settings import AWS_RATES
from tests.cli.conftest import Workplace
from tests.localcloud.conftest import Trainer, wait_until

SLEEPS = "import time; print('waiting', flush=True); time.sleep(600)"


def localcloud(*arguments: str) -> Result:
    """Runs a subcommand in this process."""
    return CliRunner().invoke(main, ["localcloud", *arguments])


class Up:
    """`cloudtune localcloud up` as a user runs it, with its output in files."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.out, self.err = folder / "up.out", folder / "up.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cloudtune.cli", "localcloud", "up", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def environment(self) -> dict[str, str]:
        """What a shell that reads the output has exported."""
        wait_until(lambda: "AWS_EC2_METADATA_DISABLED" in self.out.read_text() or self.process.poll(), "the output")
        exported = subprocess.run(
            ["sh", "-c", f". {self.out}; env"], env={}, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        return dict(line.split("=", 1) for line in exported if line.startswith("AWS_"))

    def cloud(self) -> LocalCloud:
        return LocalCloud.attach(self.environment()["AWS_ENDPOINT_URL"])


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    if up.process.poll() is None:
        up.process.terminate()
    up.process.wait(60)


@pytest.fixture
def trainer(local_cloud: LocalCloud) -> Trainer:
    return Trainer(local_cloud)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_until_it_is_told_to_end(up: Up, number: int) -> None:
    """It prints what to export, tells of each job, and leaves nothing behind; the way it ends is no error."""
    environment = up.environment()
    cloud = up.cloud()
    assert environment == {**environment, **cloud.environment()}
    trainer = Trainer(cloud)
    trainer.create("train-1", "print(1)")
    trainer.create("train-2", SLEEPS)
    trainer.wait_for_line("train-2", "waiting")
    cloud.wait_for_job("train-1")
    wait_until(
        lambda: "train-1  Completed" in up.err.read_text() and "train-2  InProgress  Training" in up.err.read_text()
    )
    pid = cloud.pid
    up.process.send_signal(number)
    assert up.process.wait(60) == 0
    assert not psutil.pid_exists(pid)
    assert up.err.read_text().endswith("taking the local cloud down: 2 jobs (1 Completed, 1 InProgress)\n")


def test_a_hangup_that_is_ignored(tmp_path: Path) -> None:
    """Under nohup the cloud stays up when the terminal goes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        up = Up(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    cloud = up.cloud()
    up.process.send_signal(signal.SIGHUP)
    assert up.cloud().id == cloud.id
    cloud.control.shut_down()
    assert up.process.wait(60) == 0


def test_down_ends_up(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud is found by the environment; the command waits for its end; the one that started it ends well."""
    endpoint = up.environment()["AWS_ENDPOINT_URL"]
    pid = up.cloud().pid
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    done = localcloud("down")
    assert (done.exit_code, done.output) == (0, "")
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert up.process.wait(60) == 0
    done = localcloud("down")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: No local cloud answers at {endpoint}")


def test_up_when_the_server_dies(up: Up) -> None:
    """A cloud that breaks down ends the command with an error."""
    cloud = up.cloud()
    os.kill(cloud.pid, signal.SIGKILL)
    assert up.process.wait(60) == 1
    assert "Error: the local cloud broke down (exit code -9)" in up.err.read_text()


def test_a_killed_up_takes_the_cloud_along(up: Up) -> None:
    """Nothing goes on without the command that shows it, and nothing stays."""
    pid = up.cloud().pid
    folder = Path(psutil.Process(pid).cwd()).parent
    assert folder.name.startswith("cloudtune-localcloud-")
    up.process.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    wait_until(lambda: not folder.exists())


def test_up_as_json(tmp_path: Path) -> None:
    """One object with all there is to know."""
    up = Up(tmp_path, "--json", "--port", "0", "--region", "eu-west-1")
    wait_until(lambda: up.out.read_text().endswith("\n"), "the output")
    told = json.loads(up.out.read_text())
    cloud = LocalCloud.attach(told["endpoint"])
    assert (told["id"], told["pid"], told["environment"]) == (cloud.id, cloud.pid, cloud.environment())
    assert told["environment"]["AWS_REGION"] == "eu-west-1"
    up.process.terminate()
    assert up.process.wait(60) == 0


def test_up_on_a_taken_port(local_cloud: LocalCloud) -> None:
    """One line, exit code 2."""
    port = local_cloud.endpoint.rpartition(":")[2]
    done = localcloud("up", "--port", port)
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: Port {port} on 127.0.0.1 is taken, perhaps by another local cloud; choose another")


def test_run_gives_the_command_a_cloud(workplace: Workplace) -> None:
    """The command's output and exit code are its own; the cloud is there for it, with the options' settings."""
    script = """
import os, sys, boto3
sys.stdin.read()
s3 = boto3.client("s3")
s3.create_bucket(Bucket="data")
try:
    boto3.client("s3").put_object(Bucket="data", Key="x", Body=b"")
except s3.exceptions.ClientError as error:
    print(error.response["Error"]["Code"], sys.argv[1:])
assert "AWS_PROFILE" not in os.environ
sys.exit(7)
"""
    (workplace.folder / "launch.py").write_text(script)
    command = workplace.command(
        [
            "localcloud",
            "run",
            "--fault",
            "access_denied:operation=s3:PutObject",
            "--",
            sys.executable,
            "launch.py",
            "--x",
        ]
    )
    done = subprocess.run(
        command,
        cwd=workplace.folder,
        env={**workplace.environment, "AWS_PROFILE": "of-the-user"},
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "AccessDenied ['--x']\n"), done.stderr
    assert done.stderr == "taking the local cloud down: no jobs\n"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["no-such-command"], 127, "there is no command no-such-command"),
        (["/"], 126, "/ cannot be run"),
        (["sh", "-c", "kill -9 $$"], 137, "taking the local cloud down"),
    ],
)
def test_run_with_commands_that_end_badly(workplace: Workplace, command: list[str], code: int, said: str) -> None:
    """The exit codes are those of a shell."""
    done = workplace.run("localcloud", "run", *command)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_passes_signals_on(workplace: Workplace, number: int) -> None:
    """The command handles them, in its own time; the cloud is up until it has ended."""
    script = f"""
import signal, sys, boto3
def end(number, frame):
    boto3.client("s3").create_bucket(Bucket="late")
    sys.exit(5)
signal.signal({int(number)}, end)
print("ready", flush=True)
signal.pause()
"""
    (workplace.folder / "launch.py").write_text(script)
    process = workplace.start("localcloud", "run", sys.executable, "launch.py")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 5, errors


def test_run_in_a_terminal_tells_the_command_once(workplace: Workplace) -> None:
    """Ctrl-C reaches the command from the terminal, not a second time from us, and does not reach the cloud."""
    pty = pytest.importorskip("pty")
    script = """
import os, signal, urllib.request
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
signal.sigwait([signal.SIGINT])
print("told", "twice" if signal.sigtimedwait([signal.SIGINT], 0.5) else "once", flush=True)
urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/cloudtune-localcloud/status").read()
print("still up", flush=True)
"""
    (workplace.folder / "launch.py").write_text(script)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(workplace.folder)
        command = workplace.command(["localcloud", "run", sys.executable, "launch.py"])
        os.execve(command[0], command, workplace.environment)
    said = _read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    said += _read_until(terminal, b"still up")
    assert b"told once" in said
    _read_until(terminal, None)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said


def test_who_has_the_terminal_is_known() -> None:
    """Signals are passed on where no terminal has told the command itself."""
    pty = pytest.importorskip("pty")
    program = [
        sys.executable,
        "-c",
        "from cloudtune.cli.localcloud import _in_foreground; print(_in_foreground(), '.')",
    ]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(program[0], program)
    _read_until(terminal, b"True .")
    os.close(terminal)
    os.waitpid(child, 0)
    done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout == "False .\n"


def _read_until(terminal: int, text: bytes | None) -> bytes:
    said = b""
    while text is None or text not in said:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # the other side is closed
            more = b""
        if not more:
            assert text is None, said
            return said
        said += more
    return said


def test_status_jobs_and_calls(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """Tables for people, JSON for programs."""
    trainer.create("train-1", "raise SystemExit(3)")
    local_cloud.wait_for_job("train-1")
    status = localcloud("status")
    assert status.exit_code == 0
    assert local_cloud.endpoint in status.stdout
    assert "1 Failed" in status.stdout
    assert json.loads(localcloud("status", "--json").stdout)["id"] == local_cloud.id
    header, row = localcloud("jobs").stdout.splitlines()
    assert header.split()[:3] == ["job", "status", "secondary"]
    assert row.split()[:2] == ["train-1", "Failed"]
    assert json.loads(localcloud("jobs", "--json").stdout) == local_cloud.jobs()
    table = localcloud("calls", "--operation", "sagemaker:*").stdout.splitlines()
    assert len(table) == 2
    assert "sagemaker:CreateTrainingJob" in table[1]
    calls = json.loads(localcloud("calls", "--job", "train-1", "--json").stdout)
    assert [call["operation"] for call in calls] == ["CreateTrainingJob"]
    assert "       1  sagemaker:CreateTrainingJob" in localcloud("calls", "--counts").stdout
    assert json.loads(localcloud("calls", "--counts", "--json").stdout) == local_cloud.call_counts()


def test_stop_and_interrupt(local_cloud: LocalCloud, trainer: Trainer) -> None:
    """Stop ends a job; interrupt is refused for one that is not spot."""
    trainer.create("train-1", f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {SLEEPS}")
    trainer.wait_for_line("train-1", "waiting")
    done = localcloud("interrupt", "train-1", "--no-notice")
    assert (done.exit_code, "not a spot job" in done.stderr) == (1, True)
    assert localcloud("stop", "train-1").exit_code == 0
    assert local_cloud.wait_for_job("train-1")["status"] == "Stopped"


def test_faults(local_cloud: LocalCloud) -> None:
    """Added in either form, listed, removed, cleared."""
    assert localcloud("fault", "add", "throttle:operation=s3:*,count=3").stdout == "1\n"
    assert json.loads(localcloud("fault", "add", '{"kind": "slow_start", "seconds": 2}', "--json").stdout) == {"id": 2}
    assert localcloud("fault", "list").stdout.splitlines() == [
        "   1  throttle:operation=s3:*,count=3",
        "   2  slow_start:seconds=2",
    ]
    assert json.loads(localcloud("fault", "list", "--json").stdout)[0] == {
        "id": 1,
        "kind": "throttle",
        "operation": "s3:*",
        "count": 3,
    }
    assert localcloud("fault", "remove", "1").exit_code == 0
    done = localcloud("fault", "remove", "1")
    assert (done.exit_code, done.stderr) == (1, "Error: There is no fault 1.\n")
    assert localcloud("fault", "clear").exit_code == 0
    assert local_cloud.faults.list() == {}


def test_the_kinds_of_faults() -> None:
    """Without a cloud, what there is to order."""
    assert "spot_interruption" in localcloud("fault", "kinds").stdout
    assert "throttle" in json.loads(localcloud("fault", "kinds", "--json").stdout)["kinds"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fault", "add", "trottle"], "did you mean 'throttle'"),
        (["fault", "add", "throttle:often=1"], "no field 'often'"),
        (["fault", "add", "throttle:count"], "field=value"),
        (["fault", "add", "throttle:count=many"], "count"),
        (["fault", "add", "throttle:notice=perhaps"], "true or false"),
        (["fault", "add", "{"], "not JSON"),
        (["fault", "add", '{"operation": "x"}'], "kind"),
        (["stop", "train-1"], "no training job train-1"),
        (["jobs", "--endpoint", "localhost:5000"], "not the endpoint of a local cloud"),
        (["jobs", "--endpoint", "http://127.0.0.1:9"], "No local cloud answers at"),
    ],
)
def test_errors_are_one_line(local_cloud: LocalCloud, arguments: list[str], said: str) -> None:
    """What is wrong, without a traceback."""
    done = localcloud(*arguments)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--quota", "ml.m5.large"], "NAME=NUMBER"),
        (["up", "--rate", "s3:GetObject=fast"], "NAME=NUMBER"),
        (["up", "--image", "pattern"], "PATTERN=PATH"),
        (["up", "--fault", "trottle"], "did you mean 'throttle'"),
        (["up", "--rate", "s3:GetObject=-1"], "rate"),
        (["run"], "COMMAND"),
        (["status"], "which local cloud"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str) -> None:
    """Exit code 2, and what was expected."""
    done = localcloud(*arguments)
    assert done.exit_code == 2, done.output
    assert said in done.stderr


def test_what_answers_may_be_something_else() -> None:
    """A server that is no local cloud is told apart from one."""
    from cloudtune.localcloud.server.http_server import HttpServer

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"<html>"]

    server = HttpServer(app)
    server.start()
    done = localcloud("status", "--endpoint", server.endpoint)
    server.close()
    assert (done.exit_code, "is not a local cloud of cloudtune" in done.stderr) == (1, True)


def test_options_become_settings(tmp_path: Path) -> None:
    """Each option reaches its setting; an instance type alone stands for its training quota."""
    settings = settings_of(
        quotas=["ml.m5.large=2", "ml.m5.large for spot training job usage=3"],
        rates=["s3:GetObject=5"],
        aws_rates=True,
        faults=["slow_start:seconds=2,job=a=b"],
        images=["*/pytorch:*=/usr/bin/python3"],
        state_folder=tmp_path,
        port=5000,
        time_scale=10.0,
        start_delay=3.0,
        sandbox="folders",
        region="eu-west-1",
    )
    assert settings.quotas == {
        "ml.m5.large for training job usage": 2,
        "ml.m5.large for spot training job usage": 3,
    }
    assert settings.rates == {**AWS_RATES, "s3:GetObject": 5.0}
    assert settings.faults == (Fault("slow_start", seconds=2, job="a=b"),)
    assert settings.images == {"*/pytorch:*": "/usr/bin/python3"}
    assert (settings.state_folder, settings.port, settings.sandbox) == (str(tmp_path), 5000, "folders")


def test_every_command_has_an_example() -> None:
    """--help shows how each is used."""
    for name, command in main.commands["localcloud"].commands.items():  # type: ignore[attr-defined]
        for one in getattr(command, "commands", {"": command}).values():
            assert "Example:" in (one.help or ""), name


def test_the_table_in_a_terminal(local_cloud: LocalCloud, trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the jobs stand in a table with a summary."""
    from rich.console import Console

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    trainer.create("train-1", "print(1)")
    local_cloud.wait_for_job("train-1")
    tables: list[Any] = []
    JobTable(tables.append).show(local_cloud.jobs())
    console = Console(width=120)
    with console.capture() as capture:
        console.print(tables[0])
    assert "1 job (1 Completed)" in capture.get()
    assert "train-1" in capture.get()
    with job_display() as display:
        assert isinstance(display, JobTable)
        display.show(local_cloud.jobs())
