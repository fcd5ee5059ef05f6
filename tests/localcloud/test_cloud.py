"""A local cloud in a process of its own: how it begins, how it is used from Python, how it ends."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3
import psutil
import pytest

from cloudtune.localcloud import CloudSettings, Fault, LocalCloud
from cloudtune.localcloud.control_client import CloudUnreachable, ControlRefused
from cloudtune.localcloud.fault_plan import FaultCase
from cloudtune.localcloud.server_process import CloudStartFailed
from tests.localcloud.conftest import BUCKET, Trainer, wait_until

SLEEPS = """
import time
print("waiting", flush=True)
time.sleep(600)
"""


def processes_of(cloud_id: str) -> list[psutil.Process]:
    """All processes on this machine that have a cloud's id in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(value == cloud_id for value in process.environ().values()):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def test_nothing_is_left_of_a_cloud() -> None:
    """After the with block there is no process, no folder, and the port is closed."""
    with LocalCloud() as cloud:
        trainer = Trainer(cloud)
        trainer.create("train-1", SLEEPS)
        trainer.wait_for_line("train-1", "waiting")
        pid, log, cloud_id = cloud.pid, cloud.log, cloud.id
        assert processes_of(cloud_id)
    assert not psutil.pid_exists(pid)
    assert not log.parent.exists()
    assert processes_of(cloud_id) == []


def test_a_body_that_raises() -> None:
    """The error comes through, and the cloud is taken down."""
    with pytest.raises(ZeroDivisionError), LocalCloud() as cloud:
        pid = cloud.pid
        raise ZeroDivisionError
    assert not psutil.pid_exists(pid)


def test_clouds_side_by_side() -> None:
    """Two clouds have ports, states and faults of their own."""
    with LocalCloud() as one, LocalCloud(region="eu-west-1") as other:
        assert one.endpoint != other.endpoint
        one.client("s3").create_bucket(Bucket=BUCKET)
        one.faults.add("access_denied", operation="s3:ListBuckets")
        assert other.client("s3").list_buckets()["Buckets"] == []
        assert other.client("sagemaker").meta.region_name == "eu-west-1"
        assert one.call_counts() == {"s3:CreateBucket": 1}


def test_a_taken_port() -> None:
    """The second cloud on a port is refused with a sentence that says what to do."""
    with LocalCloud() as cloud:
        port = int(cloud.endpoint.rpartition(":")[2])
        with pytest.raises(CloudStartFailed, match=rf"Port {port} on 127\.0\.0\.1 is taken.*--port"):
            LocalCloud(port=port).start()


def test_a_server_that_breaks_down_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the end of the server's log."""
    monkeypatch.setattr("cloudtune.localcloud.server_process._PROGRAM", "raise SystemExit('no such luck')")
    with pytest.raises(CloudStartFailed, match="no such luck"):
        LocalCloud().start()


def test_settings_that_do_not_exist() -> None:
    """A misspelt setting is told with the one that was meant."""
    with pytest.raises(TypeError, match="'start_dely'; did you mean 'start_delay'"):
        LocalCloud(start_dely=1)


def test_overrides_and_settings() -> None:
    """Single settings go before those given together."""
    cloud = LocalCloud(CloudSettings(start_delay=3, region="eu-west-1"), start_delay=5)
    assert (cloud.settings.start_delay, cloud.settings.region) == (5, "eu-west-1")


def test_before_and_after() -> None:
    """A cloud that is not up says so, in place of a riddle."""
    cloud = LocalCloud()
    with pytest.raises(RuntimeError, match="with LocalCloud"):
        _ = cloud.endpoint
    with cloud:
        assert cloud.is_up
    with pytest.raises(RuntimeError, match="with LocalCloud"):
        cloud.jobs()
    cloud.close()
    with cloud:
        assert cloud.jobs() == []


def test_activate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside, plain boto3 speaks to the cloud whatever the environment was; outside, all is as before."""
    monkeypatch.setenv("AWS_PROFILE", "of-the-user")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere.invalid")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    before = dict(os.environ)
    with LocalCloud() as cloud:
        with cloud.activate():
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            assert boto3.client("sagemaker").meta.region_name == "us-east-1"
        assert dict(os.environ) == before
        assert [one["Name"] for one in cloud.client("s3").list_buckets()["Buckets"]] == [BUCKET]
    assert boto3.DEFAULT_SESSION is None


def test_the_environment_of_a_program() -> None:
    """A program that gets the environment reaches the cloud; what is in it is no secret."""
    with LocalCloud() as cloud:
        environment = cloud.environment()
        assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint
        assert "not-a-secret" in environment["AWS_SECRET_ACCESS_KEY"]
        program = f"import boto3; boto3.client('s3').create_bucket(Bucket='{BUCKET}')"
        subprocess.run([sys.executable, "-c", program], env={**os.environ, **environment}, check=True)
        assert cloud.call_counts() == {"s3:CreateBucket": 1}


def test_faults_are_added_listed_and_ended() -> None:
    """Faults by kind or as objects; what fired is told with what it struck."""
    with LocalCloud(faults=(Fault("slow_start", seconds=1),)) as cloud:
        s3 = cloud.client("s3")
        number = cloud.faults.add("access_denied", operation="s3:ListBuckets")
        other = cloud.faults.add(Fault("slow_down"), operation="s3:PutObject")
        assert [fault.kind for fault in cloud.faults.list().values()] == ["slow_start", "access_denied", "slow_down"]
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.list_buckets()
        (fired,) = cloud.faults.fired()
        assert (fired.fault_id, fired.kind) == (number, "access_denied")
        assert fired.case == FaultCase(operation="s3:ListBuckets", who="client")
        cloud.faults.remove(number)
        s3.list_buckets()
        with pytest.raises(ControlRefused, match=f"no fault {number}"):
            cloud.faults.remove(number)
        assert other in cloud.faults.list()
        cloud.faults.clear()
        assert cloud.faults.list() == {}


def test_rates_and_quotas_while_it_runs(trainer: Trainer, local_cloud: LocalCloud) -> None:
    """Limits that are set take effect with the next call."""
    errors = trainer.sagemaker.exceptions
    local_cloud.set_quota("ml.m5.large for training job usage", 0)
    with pytest.raises(errors.ResourceLimitExceeded, match=r"ml\.m5\.large for training job usage"):
        trainer.create("train-1")
    local_cloud.set_rates({"s3:ListBuckets": 0.001})
    s3 = local_cloud.client("s3", config=boto3.session.Config(retries={"mode": "standard", "total_max_attempts": 1}))
    s3.list_buckets()
    with pytest.raises(s3.exceptions.ClientError, match="SlowDown"):
        s3.list_buckets()
    local_cloud.set_rates({})
    s3.list_buckets()
    with pytest.raises(ControlRefused, match="rate"):
        local_cloud.set_rates({"s3:ListBuckets": -1})
    with pytest.raises(ControlRefused, match="number of instances"):
        local_cloud.set_quota("ml.m5.large for training job usage", -1)


def test_a_stop_from_the_console(trainer: Trainer, local_cloud: LocalCloud) -> None:
    """The job is stopped, and no API call is on record for it."""
    # Without a handler SIGTERM would do nothing: the script is the first process of its container.
    ends_at_sigterm = f"import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n{SLEEPS}"
    trainer.create("train-1", ends_at_sigterm)
    trainer.wait_for_line("train-1", "waiting")
    local_cloud.stop_job("train-1")
    assert local_cloud.wait_for_job("train-1")["status"] == "Stopped"
    assert "sagemaker:StopTrainingJob" not in local_cloud.call_counts()
    with pytest.raises(ControlRefused, match="Stopped already"):
        local_cloud.stop_job("train-1")
    with pytest.raises(ControlRefused, match="not a spot job"):
        local_cloud.interrupt_job("train-1")
    with pytest.raises(ControlRefused, match="no training job train-2"):
        local_cloud.stop_job("train-2")


def test_waiting_for_a_job_that_does_not_end(trainer: Trainer, local_cloud: LocalCloud) -> None:
    """The error says what the job is doing."""
    trainer.create("train-1", SLEEPS)
    with pytest.raises(TimeoutError, match=r"train-1 has not ended within 0\.2 s; it is InProgress"):
        local_cloud.wait_for_job("train-1", timeout=0.2)


def test_reset(trainer: Trainer, local_cloud: LocalCloud) -> None:
    """Everything is gone, running jobs too, and the cloud goes on under the same address and id."""
    trainer.create("train-1", SLEEPS)
    trainer.wait_for_line("train-1", "waiting")
    local_cloud.faults.add("slow_down")
    cloud_id = local_cloud.id
    local_cloud.reset()
    assert [process.pid for process in processes_of(cloud_id) if "train.py" in " ".join(process.cmdline())] == []
    assert local_cloud.jobs() == []
    assert local_cloud.faults.list() == {}
    assert local_cloud.faults.fired() == []
    assert local_cloud.call_counts() == {}
    assert local_cloud.client("s3").list_buckets()["Buckets"] == []
    trainer = Trainer(local_cloud)
    trainer.create("train-1", "print('again')")
    assert local_cloud.wait_for_job("train-1")["status"] == "Completed"
    assert trainer.lines("train-1") == ["again"]
    assert local_cloud.id == cloud_id


def test_a_killed_server() -> None:
    """Its jobs die with it, calls say what happened, and the cloud can still be closed."""
    with LocalCloud() as cloud:
        trainer = Trainer(cloud)
        trainer.create("train-1", SLEEPS)
        trainer.wait_for_line("train-1", "waiting")
        cloud_id, folder = cloud.id, cloud.log.parent
        cloud.kill()
        assert not cloud.is_up
        with pytest.raises(CloudUnreachable, match="ended"):
            cloud.jobs()
        wait_until(lambda: not processes_of(cloud_id), "the end of the job's processes")
    assert not folder.exists()


def test_folders_without_rights() -> None:
    """What a killed server's job has locked is removed all the same."""
    with LocalCloud() as cloud:
        trainer = Trainer(cloud)
        locks = "import os; os.makedirs('/opt/ml/model/a/b'); os.chmod('/opt/ml/model/a', 0)"
        trainer.create("train-1", f"{locks}\n{SLEEPS}")
        trainer.wait_for_line("train-1", "waiting")
        folder = cloud.log.parent
        cloud.kill()
    assert not folder.exists()


def test_folders_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested deeper than any path may be long: removed by whoever's turn it is, with the other clouds undisturbed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    nests = "import os; os.chdir('/opt/ml/model')\nfor _ in range(3000): os.mkdir('a' * 9); os.chdir('a' * 9)"
    with LocalCloud() as cloud:
        trainer = Trainer(cloud)
        trainer.create("train-1", f"{nests}\n{SLEEPS}")
        trainer.wait_for_line("train-1", "waiting")
        cloud.kill()
    assert list(tmp_path.iterdir()) == []


def test_the_fault_that_kills_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """The server kills itself at the call that matches; what called sees a broken connection; the log tells."""
    with LocalCloud() as cloud:
        s3 = cloud.client("s3", config=boto3.session.Config(retries={"mode": "standard", "total_max_attempts": 1}))
        cloud.faults.add("kill_server", operation="s3:ListBuckets")
        with pytest.raises(Exception, match=r"closed|refused|reset"):
            s3.list_buckets()
        assert cloud.wait(30) == -signal.SIGKILL
    assert "has ended (exit code -9)" in caplog.text


def test_attach() -> None:
    """A cloud that is up is used like one's own, and stays up."""
    with LocalCloud(region="eu-west-1") as cloud:
        with LocalCloud.attach(cloud.endpoint) as attached:
            assert attached.id == cloud.id
            assert attached.pid == cloud.pid
            assert attached.environment()["AWS_REGION"] == "eu-west-1"
            attached.client("s3").list_buckets()
            with pytest.raises(RuntimeError, match="not started here"):
                attached.kill()
        assert cloud.call_counts() == {"s3:ListBuckets": 1}
    with pytest.raises(CloudUnreachable, match="No local cloud answers at"):
        LocalCloud.attach("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="not the endpoint"):
        LocalCloud.attach("127.0.0.1:5000")


def test_a_cloud_that_is_forgotten_is_taken_down() -> None:
    """Without a with block, the end comes with the object's, or with the program's."""
    cloud = LocalCloud().start()
    pid = cloud.pid
    del cloud
    gc.collect()
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    "ending",
    ["sys.exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", "raise ValueError"],
)
def test_the_cloud_ends_with_its_program(ending: str) -> None:
    """However a program ends that has a cloud open, the server ends too, and their folder goes away."""
    program = f"""
import os, signal, sys
from cloudtune.localcloud import LocalCloud
cloud = LocalCloud().start()
print(cloud.pid, cloud.log.parent, flush=True)
{ending}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid, folder = int(done.stdout.split()[0]), Path(done.stdout.split()[1])
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "the server's end")
    assert not folder.exists()


def test_the_next_cloud_removes_what_killed_ones_have_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Program and server killed at once leave their folder with a job's files; that of a cloud that is up stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = f"""
import os, signal, sys
from cloudtune.localcloud import LocalCloud
from tests.localcloud.conftest import Trainer
cloud = LocalCloud(sandbox="namespaces").start()
trainer = Trainer(cloud)
trainer.create("train-1", {SLEEPS!r})
trainer.wait_for_line("train-1", "waiting")
print(cloud.id, cloud.log.parent, flush=True)
os.kill(cloud.pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    cloud_id, folder = done.stdout.split()
    assert list(Path(folder).glob("cloudtune-jobs-*/*/*/ml/input/data/code/train.py"))
    wait_until(lambda: not processes_of(cloud_id), "the end of the job's processes")
    with LocalCloud() as living:
        assert not Path(folder).exists()
        with LocalCloud():
            assert living.log.exists()
        living.reset()
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_child_that_keeps_the_pipe_open_does_not_keep_the_server_up(tmp_path: Path) -> None:
    """A fork inherits the pipe whose end means the end of the owner; the server sees the owner's death all the same."""
    program = f"""
import os, signal, time
from cloudtune.localcloud import LocalCloud
cloud = LocalCloud().start()
print(cloud.pid, flush=True)
child = os.fork()
if child == 0:
    os.close(1)
    os.close(2)
    while not os.path.exists({str(tmp_path / "end")!r}):
        time.sleep(0.02)
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    try:
        wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "the server's end")
    finally:
        (tmp_path / "end").touch()


def test_what_is_imported_to_use_a_cloud() -> None:
    """Who only talks to a cloud needs neither moto nor boto3 in its process."""
    program = "import sys; from cloudtune.localcloud import LocalCloud; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"moto", "boto3", "botocore", "werkzeug", "flask"} & set(done.stdout.split())


def test_a_server_in_use_does_not_grow() -> None:
    """Jobs, resets and connections that come and go leave no thread, descriptor or process in the server."""
    with LocalCloud() as cloud:
        server = psutil.Process(cloud.pid)

        def work() -> None:
            trainer = Trainer(cloud)
            for number in range(3):
                trainer.create(f"train-{number}", "print(1)")
            for number in range(3):
                cloud.wait_for_job(f"train-{number}")
            trainer.create("train-3", SLEEPS)
            trainer.wait_for_line("train-3", "waiting")
            for client in (trainer.s3, trainer.sagemaker, trainer.logs):
                client.close()
            cloud.reset()

        def size() -> tuple[int, int, int]:
            return server.num_threads(), server.num_fds(), len(server.children(recursive=True))

        work()
        before = size()
        for _ in range(5):
            work()
        # The sandbox opens in the background after a reset: one thread more, or one process and descriptor.
        wait_until(lambda: all(now <= then + 2 for now, then in zip(size(), before, strict=True)), f"{before} again")
        assert cloud.is_up
