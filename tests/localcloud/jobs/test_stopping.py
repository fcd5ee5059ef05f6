"""Jobs that are stopped, by somebody or by a limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloudtune.localcloud.fault import Fault
from tests.localcloud.jobs.place import BUCKET, Place, cloud

HANDLES_SIGTERM = """
import signal, sys, time
def end(*_):
    print("terminated")
    open("/opt/ml/model/saved", "w").write("x")
    sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
signal.signal(signal.SIGTERM, end)
print("up")
time.sleep(600)
"""
#: The same of a shell, which listens long before any time limit of these tests, however busy the machine is.
LISTENS = "trap 'echo terminated; exit 0' TERM; echo up; while true; do sleep 0.05; done"
IGNORES_SIGTERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)"


def test_a_stop_is_a_sigterm(tmp_path: Path) -> None:
    """The first process gets SIGTERM and may save; the job ends as Stopped whatever its exit code, with its model."""
    with cloud(tmp_path / "c") as place:
        for code in ("0", "3"):
            job = place.python(HANDLES_SIGTERM, code)
            place.wait_for_line(job, "up")
            place.stop(job)
            place.ended(job)
            assert (job.status, job.state.secondary) == ("Stopped", "Stopped")
            assert place.lines(job) == ["up", "terminated"]
            assert job.state.failure_reason is None
            assert place.objects(f"out/{job.name}/") == [f"out/{job.name}/output/model.tar.gz"]
            assert place.secondaries(job)[-2:] == ["Stopping", "Stopped"]
            assert job.state.training_seconds


def test_after_the_grace_comes_sigkill(tmp_path: Path) -> None:
    """A job that does not listen lives for the grace of so many cloud seconds, and no longer."""
    with cloud(tmp_path / "c", time_scale=500.0) as place:
        job = place.python(IGNORES_SIGTERM, StoppingCondition={"MaxRuntimeInSeconds": 400_000})
        place.wait_for_line(job, "up")
        place.stop(job)
        place.ended(job)
        assert job.status == "Stopped"
        assert job.stop_wanted_at is not None
        assert job.state.since - job.stop_wanted_at >= 120


def test_a_stop_before_the_start(tmp_path: Path) -> None:
    """A job that waits for its instances, or for a place on this machine, ends at once; it is not billed."""
    with cloud(tmp_path / "c", start_delay=3600, max_running_jobs=1) as place:
        starting, pending = place.create("true"), place.create("true")
        place.wait_for(lambda: pending.state.secondary == "Pending")
        for job in (pending, starting):
            place.stop(job)
            place.ended(job)
            assert job.status == "Stopped"
            assert "BillableTimeInSeconds" not in job.describe()
            assert "TrainingStartTime" not in job.describe()
            assert "TrainingEndTime" not in job.describe()


def test_max_runtime(tmp_path: Path) -> None:
    """A job that runs for too long is stopped as by somebody, with a secondary status of its own."""
    with cloud(tmp_path / "c", time_scale=50.0) as place:
        job = place.create("sh", "-c", LISTENS, StoppingCondition={"MaxRuntimeInSeconds": 100})
        place.ended(job)
        assert (job.status, job.state.secondary) == ("Stopped", "MaxRuntimeExceeded")
        assert place.lines(job)[-1:] == ["terminated"]
        assert (job.state.training_seconds or 0) >= 100


def test_max_wait(tmp_path: Path) -> None:
    """A spot job that has not ended in time is stopped, whether it waits for an instance or runs."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        limits = {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100}
        place.platform.faults.add(Fault("slow_start", job="waits", seconds=1e6))
        waits = place.create("true", name="waits", EnableManagedSpotTraining=True, StoppingCondition=limits)
        limits = {"MaxRuntimeInSeconds": 400_000, "MaxWaitTimeInSeconds": 300}
        runs = place.create("sh", "-c", LISTENS, EnableManagedSpotTraining=True, StoppingCondition=limits)
        for job in (waits, runs):
            place.ended(job)
            assert (job.status, job.state.secondary) == ("Stopped", "MaxWaitTimeExceeded")
        assert place.lines(runs)[-1:] == ["terminated"]


def test_max_pending_time(tmp_path: Path) -> None:
    """A job that finds no place on this machine in its time is stopped."""
    with cloud(tmp_path / "c", time_scale=10_000.0, max_running_jobs=1) as place:
        limits = {"MaxRuntimeInSeconds": 4_000_000}
        running = place.python(HANDLES_SIGTERM, StoppingCondition=limits)
        place.wait_for_line(running, "up")
        pending = place.create("true", StoppingCondition={**limits, "MaxPendingTimeInSeconds": 7200})
        place.ended(pending)
        assert pending.status == "Stopped"
        assert "MaxPendingTimeInSeconds" in pending.state.message


def test_faults_of_stopping(tmp_path: Path) -> None:
    """The console stops a job; the stop reaches the container late; the job hangs in Stopping when that has ended."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        for fault in (Fault("slow_stop", seconds=60), Fault("hang_stopping", seconds=70)):
            place.platform.faults.add(fault)
        job = place.python(HANDLES_SIGTERM, StoppingCondition={"MaxRuntimeInSeconds": 400_000})
        place.wait_for_line(job, "up")
        place.platform.faults.add(Fault("console_stop", seconds=50))
        place.ended(job)
        assert job.status == "Stopped"
        assert place.lines(job)[-1:] == ["terminated"]
        states = {state.secondary: state for state in reversed(job.states())}
        assert states["Stopping"].since - states["Training"].since >= 49
        assert states["Stopped"].since - states["Stopping"].since >= 129


def test_a_stop_while_inputs_are_downloaded(tmp_path: Path) -> None:
    """The download ends with the next object, and the job as Stopped, without a container."""
    with cloud(tmp_path / "c") as place:
        for number in range(3):
            place.put(f"data/{number}", "x")
        stop_at_first_download(place)
        source = {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/data"}}
        job = place.run("true", InputDataConfig=[{"ChannelName": "a", "DataSource": source}])
        assert job.status == "Stopped"
        assert place.secondaries(job) == ["Starting", "Downloading", "Stopping", "Stopped"]


def stop_at_first_download(place: Place) -> None:
    """The job is stopped from within its first download."""
    storage = place.platform.storage
    download = storage.download

    def and_stop(bucket: str, key: str, path: str, between: Callable[[], None] = lambda: None) -> None:
        download(bucket, key, path, between)
        for job in place.platform.jobs:
            if job.want_stop():
                place.platform.stop_wanted(job)

    storage.download = and_stop  # type: ignore[method-assign]
