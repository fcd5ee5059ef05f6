"""Trials as training jobs, on the local cloud: how many calls they cost, and how long a tuner waits for what."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarking.overhead.account import BUCKET, IMAGE, ROLE
from benchmarking.overhead.measurement import Row
from cloudtune.agent import protocol
from cloudtune.aws.job_names import job_name
from cloudtune.backend.sagemaker_backend import Cadence, SageMakerBackend, TrainingJob
from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning
from cloudtune.callbacks import TunerCallback
from cloudtune.config_space import uniform
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.trial import Trial
from cloudtune.tuner import Tuner

#: Seconds over which idle trials are watched.
WATCHED = 200.0

#: What AWS limits to a few calls a second.
RATE_LIMITED = ("sagemaker:", "logs:")

#: What the agent of a trial has written that has nothing to say.
SILENT: dict[str, Any] = {
    "format": protocol.FORMAT,
    "run": 0,
    "state": protocol.RUNNING,
    "beat": 1,
    "chunks": [],
    "first": 0,
    "reports": [],
    "checkpoint": None,
    "ended_runs": {},
    "end": None,
    "host": "algo-1",
    "unix": 0.0,
}

#: Seconds after which nothing is waited for any longer: something is wrong then.
_LONGEST = 600.0

REPORTING = """
import sys, time
from cloudtune import Reporter
report = Reporter()
for step in range(int(sys.argv[sys.argv.index("--reports") + 1])):
    time.sleep(float(sys.argv[sys.argv.index("--seconds") + 1]))
    report(step=step, loss=1.0)
"""


def measure(repeats: int) -> list[Row]:
    """All rows about trials as training jobs; measured once whatever ``repeats`` says, for they take minutes."""
    del repeats
    return [
        *_polls(),
        *_idle_hour(),
        *_reports_to_decisions(),
        *_ends_to_starts(),
        *_creating(),
        *_start_cost(),
    ]


@contextmanager
def cloud_with_bucket(**settings: Any) -> Iterator[LocalCloud]:
    """A local cloud with the bucket of the benchmarks, which this process and its children use."""
    with LocalCloud(**settings) as cloud, cloud.activate():
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        yield cloud


def make_backend(script: Path, cadence: Cadence | None = None, **options: Any) -> SageMakerBackend:
    """A backend whose jobs run a script."""
    job = TrainingJob(script, instance_type="ml.g4dn.xlarge", image_uri=IMAGE, role=ROLE, volume_size=1, max_run=3600)
    return SageMakerBackend(job, f"s3://{BUCKET}", cadence=cadence, stop_grace=5.0, **options)


@contextmanager
def script(text: str) -> Iterator[Path]:
    """A file with this text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.py")
        path.write_text(text)
        yield path


# ---------------------------------------------------------------------------------------------- trials that are silent


def _attached(cloud: LocalCloud, backend: SageMakerBackend, trials: int, folder: Path) -> None:
    """Opens the backend for so many trials that an earlier tuner has left running, and that have nothing to say.

    Their jobs sleep, without an agent; what their agents would have written stands in S3.
    """
    place = ExperimentPlace("bench", f"id{trials:04d}", folder, trials)
    sagemaker, s3 = cloud.client("sagemaker"), cloud.client("s3")
    keys = protocol.Keys(f"cloudtune/{place.name}/{place.name}/{place.experiment_id}")
    for trial in range(trials):
        sagemaker.create_training_job(
            TrainingJobName=job_name(place.name, place.experiment_id, trial, 0),
            AlgorithmSpecification={
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["sleep", "100000"],
            },
            RoleArn=ROLE,
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
            ResourceConfig={"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 86_400},
        )
        head = {**SILENT, "trial": trial, "attempt": 0, "job": job_name(place.name, place.experiment_id, trial, 0)}
        s3.put_object(Bucket=BUCKET, Key=keys.head(trial, 0), Body=json.dumps(head).encode())
        s3.put_object(Bucket=BUCKET, Key=keys.task(trial, 0), Body=json.dumps({"use_s3": True}).encode())
    backend.open(place)
    backend.attach([LeftRunning(Trial(trial, {}), {}) for trial in range(trials)])
    # Listing the jobs once, asking each for its machine, reading all heads and the account's quotas is how it begins.
    _wait_for(lambda: cloud.call_counts().get("sagemaker:DescribeTrainingJob", 0) >= trials)
    _wait_for(lambda: cloud.call_counts().get("sagemaker:ListTrainingJobs", 0) >= 1)
    _wait_for(lambda: cloud.call_counts().get("s3:GetObject", 0) >= 2 * trials)  # a task and a head each
    before = -1
    while before != (before := cloud.call_counts().get("servicequotas:ListServiceQuotas", 0)):
        time.sleep(2.0)


def _polls() -> list[Row]:
    rows = []
    for trials in (4, 25, 100):
        with cloud_with_bucket() as cloud, script(REPORTING) as path, tempfile.TemporaryDirectory() as folder:
            backend = make_backend(path)
            _attached(cloud, backend, trials, Path(folder))
            before = cloud.call_counts()
            _wait_for(lambda: _grown(cloud, before, "s3:ListObjectsV2") >= 5)  # noqa: B023 - called at once
            after = cloud.call_counts()
            listings = after["s3:ListObjectsV2"] - before["s3:ListObjectsV2"]
            life = after["s3:PutObject"] - before["s3:PutObject"]
            others = sum(after.values()) - sum(before.values()) - listings - life
            limited = sum(_grown(cloud, before, name) for name in after if name.startswith(RATE_LIMITED))
            backend.close(stop_running=False)
        name = f"{trials} running trials, nothing new: "
        rows.append(Row(f"{name}calls per poll", (listings + others) / listings, 1, "calls", 1.0, "one S3 listing"))
        rows.append(Row(f"{name}rate-limited calls per poll", limited / listings, 1, "calls", 0.0, "one call"))
    return rows


def _idle_hour() -> list[Row]:
    with cloud_with_bucket() as cloud, script(REPORTING) as path, tempfile.TemporaryDirectory() as folder:
        backend = make_backend(path)
        _attached(cloud, backend, 100, Path(folder))
        before = cloud.call_counts()
        begun = _of_sagemaker(before) - before["sagemaker:CreateTrainingJob"]
        end = time.monotonic() + WATCHED
        while time.monotonic() < end:
            backend.poll(end - time.monotonic())
        asked = _of_sagemaker(cloud.call_counts()) - _of_sagemaker(before)
        backend.close(stop_running=False)
    hour = asked * 3600 / WATCHED
    return [
        Row("100 running trials: SageMaker calls per hour", hour, 150, "calls", 1.0, "the target"),
        Row("100 running trials: SageMaker calls to take them over, once", begun, 100, "calls", 1.05, "one a trial"),
    ]


def _of_sagemaker(counts: Mapping[str, int]) -> int:
    return sum(count for name, count in counts.items() if name.startswith("sagemaker:"))


def _grown(cloud: LocalCloud, before: dict[str, int], name: str) -> int:
    return cloud.call_counts().get(name, 0) - before.get(name, 0)


def _wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + _LONGEST
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"what the benchmark waits for has not happened within {_LONGEST:.0f} seconds")
        time.sleep(0.05)


# ---------------------------------------------------------------------------------------------- how long things take


class _Decisions(TunerCallback):
    """Notes how old each report is when the scheduler has decided on it."""

    def __init__(self) -> None:
        self.ages: list[float] = []

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        self.ages.append(time.time() - result["st_worker_timestamp"])


def _tune(
    path: Path, space: dict[str, Any], trials: int, workers: int, callbacks: Sequence[TunerCallback], **options: Any
) -> None:
    Tuner(
        trial_backend=make_backend(path),
        scheduler=RandomSearch({"x": uniform(0, 1), **space}, metric="loss", random_seed=0),
        stop_criterion=StoppingCriterion(max_num_trials_started=trials),
        n_workers=workers,
        callbacks=callbacks,
        **options,
    ).run()


def _reports_to_decisions() -> list[Row]:
    decisions = _Decisions()
    with cloud_with_bucket() as cloud, script(REPORTING) as path:
        _tune(path, {"reports": 25, "seconds": 1.7}, 6, 3, [decisions])
        uploads = sum(call.resource.endswith(protocol.BUNDLE) for call in cloud.calls(operation="s3:PutObject"))
    ages = sorted(decisions.ages)
    floor = "one put a second"
    return [
        Row("report to decision, median", statistics.median(ages), 1.0, "s", 2.0, floor),
        Row("report to decision, 95 %", ages[int(0.95 * len(ages))], 1.0, "s", 4.0, floor),
        Row("uploads of the source for all trials", uploads, 1, "uploads", 1.0, "one"),
    ]


def _ends_to_starts() -> list[Row]:
    rows = []
    for without_delay in (False, True):
        with cloud_with_bucket() as cloud, script(REPORTING) as path:
            _tune(path, {"reports": 1, "seconds": 1.5}, 24, 2, [], start_jobs_without_delay=without_delay)
            creates = sorted(call.at for call in cloud.calls(operation="sagemaker:CreateTrainingJob"))
            if without_delay:
                ends = sorted(
                    call.at for call in cloud.calls(operation="s3:PutObject") if call.resource.endswith("/end.json")
                )
                what = "end mark to next job created, median"
            else:
                sagemaker = cloud.client("sagemaker")
                described = [sagemaker.describe_training_job(TrainingJobName=job["name"]) for job in cloud.jobs()]
                ends = sorted(one["TrainingEndTime"].timestamp() for one in described)
                what = "job terminal to next job created, median"
        waits = [created - ended for ended, created in zip(ends, creates[2:], strict=False)]
        rows.append(Row(what, max(0.001, statistics.median(waits)), 1.0, "s", 2.0, "one listing a second"))
    return rows


# ---------------------------------------------------------------------------------------------- creating


CREATE = """
import sys, tempfile, time
from pathlib import Path
from benchmarking.overhead.sagemaker import create
create(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
"""


def create(name: str, path: Path, trials: int, begin: float) -> None:
    """A tuner's backend that creates so many jobs, beginning at a time of day; runs in a process of its own."""
    backend = make_backend(path)
    with tempfile.TemporaryDirectory() as folder:
        backend.open(ExperimentPlace(name, "idcrea", Path(folder), trials))
        backend.attach([])
        time.sleep(max(0.0, begin - time.time()))
        for trial in range(trials):
            backend.start_trial(Trial(trial, {"reports": 0, "seconds": 0}))
        while backend.busy_workers():
            backend.poll(1.0)
        backend.close(stop_running=False)


def _creating() -> list[Row]:
    return [
        _create_by(1, 32, 36.0),
        _create_by(20, 8, 240.0),
    ]


def _create_by(tuners: int, trials: int, most: float) -> Row:
    """Seconds from the first call to the last job, at the rate that AWS allows."""
    total = tuners * trials
    with cloud_with_bucket(rates={"sagemaker:CreateTrainingJob": 1.0}) as cloud, script(REPORTING) as path:
        begin = time.time() + 3.0 + tuners
        processes = [
            subprocess.Popen([sys.executable, "-c", CREATE, f"tuner{number}", str(path), str(trials), str(begin)])
            for number in range(tuners)
        ]
        failed = sum(process.wait() != 0 for process in processes)
        calls = cloud.calls(operation="sagemaker:CreateTrainingJob")
        done = [call.at for call in calls if call.status == 200]
    assert not failed, f"{failed} tuners failed"
    assert len(done) == total, f"{len(done)} jobs were created, not {total}"
    took = max(done) - min(call.at for call in calls)
    by = "one tuner" if tuners == 1 else f"{tuners} tuners at once"
    return Row(f"{total} jobs created by {by} at 1/s", took, total, "s", most / total, "one a second")


def _start_cost() -> list[Row]:
    """CPU that starting a trial takes, beside that of the two calls which nobody can avoid.

    It is that of the two threads that start it. What it takes to follow a trial that runs is not counted.
    """
    trials = 60
    os.environ["CLOUDTUNE_AWS_RATES"] = "sagemaker:*=inf"
    with cloud_with_bucket() as cloud, script(REPORTING) as path, tempfile.TemporaryDirectory() as folder:
        quiet = Cadence(poll=1000.0, status=1000.0, life=1000.0)
        backend = make_backend(path, cadence=quiet)
        backend.open(ExperimentPlace("bench", "idcost", Path(folder), trials))
        backend.attach([])
        time.sleep(3.0)  # the account's quotas are read
        creating = next(one for one in threading.enumerate() if one.name == "cloudtune creating training jobs")
        clock = time.pthread_getcpuclockid(creating.ident or 0)
        begin, begin_here = time.clock_gettime(clock), time.thread_time()
        for trial in range(trials):
            backend.start_trial(Trial(trial, {"reports": 0, "seconds": 0}))
        here = time.thread_time() - begin_here
        _wait_for(lambda: cloud.call_counts().get("sagemaker:CreateTrainingJob", 0) >= trials)
        ours = (here + time.clock_gettime(clock) - begin) / trials
        backend.close(stop_running=False)
        request = cloud.client("sagemaker").describe_training_job(TrainingJobName=job_name("bench", "idcost", 0, 0))
        bare = _bare_cost(cloud, request, trials)
    del os.environ["CLOUDTUNE_AWS_RATES"]
    return [
        Row("CPU to start a trial, beside the calls", max(0.0, ours - bare) * 1000, bare * 1000, "ms", 1.0, "the calls")
    ]


def _bare_cost(cloud: LocalCloud, described: dict[str, Any], trials: int) -> float:
    sagemaker, s3 = cloud.client("sagemaker"), cloud.client("s3")
    names = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig")
    request = {name: described[name] for name in (*names, "StoppingCondition", "Environment")}
    request["AlgorithmSpecification"].pop("MetricDefinitions", None)
    begin = time.thread_time()
    for number in range(trials):
        s3.put_object(Bucket=BUCKET, Key=f"bare/{number}", Body=b"x" * 1000)
        sagemaker.create_training_job(TrainingJobName=f"bare-{number}", **request)
    return (time.thread_time() - begin) / trials
