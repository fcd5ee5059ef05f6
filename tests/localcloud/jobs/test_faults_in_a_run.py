"""Faults of jobs that come, or go, while the job runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.jobs.training_job import TrainingJob
from tests.localcloud.jobs.place import BUCKET, Place, cloud

#: Ends when it is told to, or when the test puts up a sign.
RUNS = """
trap 'echo told; exit 0' TERM
echo up
while ! test -e {sign}; do sleep 0.01; done
"""
CHECKPOINTS: dict[str, Any] = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/ck"}}
SPOT: dict[str, Any] = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 400_000, "MaxWaitTimeInSeconds": 800_000},
}
LONG: dict[str, Any] = {"StoppingCondition": {"MaxRuntimeInSeconds": 400_000}}


def up(place: Place, **request: Any) -> TrainingJob:
    """A job that runs until :func:`let_go`."""
    job = place.create("sh", "-c", RUNS.format(sign=place.folder.parent / "sign"), **{**LONG, **request})
    place.wait_for_line(job, "up")
    return job


def let_go(place: Place) -> None:
    """The jobs of :func:`up` complete."""
    (place.folder.parent / "sign").touch()


def kinds(place: Place) -> list[str]:
    """What has struck."""
    return [fired.kind for fired in place.platform.faults.fired()]


def lasted(job: TrainingJob, secondary: str) -> float:
    """Cloud seconds for which the job had a secondary status, at its first time."""
    states = list(job.states())
    [first, *_] = [index for index, state in enumerate(states) if state.secondary == secondary]
    return next(state.since for state in states[first:] if state.secondary != secondary) - states[first].since


@pytest.mark.parametrize("kind", ["console_stop", "job_internal_error", "spot_interruption"])
def test_a_fault_that_is_added_while_the_job_runs(tmp_path: Path, kind: str) -> None:
    """Nothing looks for it: the job is woken. Its seconds count from its adding, and it strikes this run only once."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        job = up(place, **SPOT)
        added = place.platform.clock.time()
        place.platform.faults.add(Fault(kind, seconds=30, count=1))
        expected = {"console_stop": "Stopped", "job_internal_error": "Failed", "spot_interruption": "Completed"}[kind]
        if kind == "spot_interruption":
            place.wait_for(lambda: job.run == 1)
            let_go(place)
        place.ended(job)
        assert job.status == expected, job.state
        assert kinds(place) == [kind]
        assert place.platform.faults.fired()[0].at >= added + 30


def test_a_fault_whose_time_comes_while_the_job_runs(tmp_path: Path) -> None:
    """``after`` lies in the run's future: the seconds count from there, not from the containers' start."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        after = place.platform.clock.elapsed() + 600
        place.platform.faults.add(Fault("console_stop", after=after, seconds=20))
        job = place.ended(place.create("sh", "-c", RUNS.format(sign=tmp_path / "sign"), **LONG))
        assert job.status == "Stopped"
        [fired] = place.platform.faults.fired()
        assert fired.at - place.platform.clock.began >= after + 20
        assert place.lines(job) == ["up", "told"]


def test_a_fault_that_is_taken_back_before_its_moment(tmp_path: Path) -> None:
    """It does not strike, whether it is removed, cleared, or over by itself; and does not count as fired."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        faults = place.platform.faults
        over = faults.add(Fault("console_stop", seconds=40, until=20))
        removed = faults.add(Fault("console_stop", seconds=500))
        faults.add(Fault("job_internal_error", seconds=500))
        job = up(place)
        faults.remove(removed)
        faults.clear()
        over = faults.add(Fault("console_stop", seconds=20, until=place.platform.clock.elapsed() + 10))
        # What comes later than all of them does strike: their moments have passed by then.
        faults.add(Fault("sync_ceases", seconds=600))
        seen = up(place, **CHECKPOINTS)
        place.wait_for(lambda: kinds(place) == ["sync_ceases"])
        assert faults.remove(over)
        let_go(place)
        assert {place.ended(each).status for each in (job, seen)} == {"Completed"}
        assert kinds(place) == ["sync_ceases"]


def test_slow_stop_that_is_added_after_the_start(tmp_path: Path) -> None:
    """It is asked for when the stop begins; one that is added later is too late for this stop."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        job = up(place)
        place.platform.faults.add(Fault("slow_stop", job=job.name, seconds=60))
        place.stop(job)
        place.ended(job)
        assert (job.status, kinds(place)) == ("Stopped", ["slow_stop"])
        assert lasted(job, "Stopping") >= 60
        place.platform.faults.clear()
        stubborn = place.create("sh", "-c", "trap 'echo told' TERM; echo up; while true; do sleep 0.01; done", **LONG)
        place.wait_for_line(stubborn, "up")
        place.stop(stubborn)
        place.wait_for_line(stubborn, "told")
        place.platform.faults.add(Fault("slow_stop", seconds=100_000))
        place.ended(stubborn)
        assert kinds(place) == ["slow_stop"]


def test_hang_stopping_that_is_added_while_the_job_stops(tmp_path: Path) -> None:
    """It is asked for when the containers of a stopping job have ended; a job that completes has no use for it."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        place.platform.faults.add(Fault("slow_stop", count=1, seconds=100_000))
        job, other = up(place), up(place)
        place.stop(job)
        place.wait_for(lambda: kinds(place) == ["slow_stop"])
        place.platform.faults.add(Fault("hang_stopping", seconds=70, count=1))
        let_go(place)
        assert place.ended(other).status == "Completed"
        assert place.ended(job).status == "Stopped"
        assert kinds(place) == ["slow_stop", "hang_stopping"]
        assert lasted(job, "Stopping") >= 70


def test_uploads_that_cease_while_the_job_runs(tmp_path: Path) -> None:
    """What was uploaded before stays; nothing comes after."""
    script = "cd /opt/ml/checkpoints; echo 1 > early; while ! test -e {sign}; do sleep 0.01; done; echo 2 > late"
    with cloud(tmp_path / "c", sync_interval=0.01) as place:
        job = place.create("sh", "-c", script.format(sign=tmp_path / "sign"), **CHECKPOINTS)
        place.wait_for(lambda: place.objects("ck") == ["ck/early"])
        place.platform.faults.add(Fault("sync_ceases"))
        place.wait_for(lambda: kinds(place) == ["sync_ceases"])
        let_go(place)
        assert place.ended(job).status == "Completed"
        assert place.objects("ck") == ["ck/early"]


def test_no_warm_pool_that_is_added_while_the_job_runs(tmp_path: Path) -> None:
    """It is asked for in the end, and only where the request wants instances kept."""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    usage = "ml.m5.large for training warm pool usage"
    with cloud(tmp_path / "c", quotas={usage: 5}) as place:
        kept = up(place, ResourceConfig={**resources, "KeepAlivePeriodInSeconds": 3600})
        plain = up(place)
        place.platform.faults.add(Fault("no_warm_pool"))
        let_go(place)
        assert {place.ended(job).status for job in (kept, plain)} == {"Completed"}
        assert "WarmPoolStatus" not in kept.describe()
        assert [(fired.kind, fired.case.job) for fired in place.platform.faults.fired()] == [
            ("no_warm_pool", kept.name)
        ]


def test_faults_before_the_start(tmp_path: Path) -> None:
    """They are asked for when the instances are there, so they may be added while the job waits for them."""
    with cloud(tmp_path / "c", time_scale=100.0, start_delay=30) as place:
        slow, fails = place.create("true", **LONG), place.create("true", name="fails", **LONG)
        place.platform.faults.add(Fault("slow_start", seconds=50))
        place.platform.faults.add(Fault("capacity", job="fails"))
        assert place.ended(slow).status == "Completed"
        assert lasted(slow, "Starting") >= 80
        assert (place.ended(fails).state.failure_reason or "").startswith("CapacityError")
        assert sorted(kinds(place)) == ["capacity", "slow_start", "slow_start"]


def test_each_fault_is_drawn_once_in_a_run(tmp_path: Path) -> None:
    """However often faults change while a job runs, one that was not drawn stays so; the next run draws anew."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        faults = place.platform.faults
        faults.add(Fault("spot_interruption", skip=1, count=1, notice=False))
        job = up(place, **SPOT)
        for _ in range(20):
            faults.remove(faults.add(Fault("console_stop", job="another")))
        done = faults.add(Fault("sync_ceases"))  # not for this job: it has no checkpoints
        faults.add(Fault("spot_interruption", seconds=10, count=1, notice=False))
        place.wait_for(lambda: job.run == 2)
        faults.clear()
        assert not faults.remove(done)
        let_go(place)
        assert place.ended(job).status == "Completed"
        assert [(fired.kind, fired.run) for fired in faults.fired()] == [
            ("spot_interruption", 0),
            ("spot_interruption", 1),
        ]


def test_a_fault_that_would_change_nothing_is_not_used_up(tmp_path: Path) -> None:
    """A stop of a job that is being stopped, an interruption of one that is not spot: the count is left for others."""
    with cloud(tmp_path / "c", time_scale=100.0) as place:
        place.platform.faults.add(Fault("slow_stop", seconds=100, count=1))
        place.platform.faults.add(Fault("spot_interruption", seconds=10, count=1))
        stopping = up(place)
        place.stop(stopping)
        place.wait_for(lambda: kinds(place) == ["slow_stop"])
        place.platform.faults.add(Fault("console_stop", count=1, seconds=20))
        assert place.ended(stopping).status == "Stopped"
        assert kinds(place) == ["slow_stop"]
        assert place.ended(up(place)).status == "Stopped"
        assert kinds(place) == ["slow_stop", "console_stop"]


def test_nobody_listens_when_all_jobs_have_ended(tmp_path: Path) -> None:
    """Listeners that many jobs put up at once are all heard, and all gone when the jobs are."""
    with cloud(tmp_path / "c", max_running_jobs=20) as place:
        faults = place.platform.faults
        before = len(faults._listeners)
        jobs = [up(place) for _ in range(8)]
        assert len(faults._listeners) == before + len(jobs)
        adding = [threading.Thread(target=faults.add, args=[Fault("console_stop", job=job.name)]) for job in jobs]
        for thread in adding:
            thread.start()
        assert {place.ended(job).status for job in jobs} == {"Stopped"}
        for thread in adding:
            thread.join()
        assert len(faults._listeners) == before
