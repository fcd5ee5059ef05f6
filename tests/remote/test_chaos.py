"""The chaos of training jobs with the tuner as a job itself, whose machine is taken away at any time."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.clients import aws_for
from cloudtune.aws.errors import AwsError
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.localcloud.fault import JOB_FAULTS
from cloudtune.remote import RemoteLauncher
from cloudtune.remote.remote_launcher import RemoteExperiment
from cloudtune.store.s3_log import S3LogView
from tests.backend.sagemaker.chaos import program
from tests.backend.sagemaker.chaos.chaos import STRETCH, Chaos, cloud_settings, draw_seed, told_in
from tests.backend.sagemaker.chaos.ordered import Ordered
from tests.backend.sagemaker.chaos.plan import draw
from tests.remote.remote_experiment import wait_until

ROOT = f"cloudtune/{program.NAME}/{program.NAME}/"
TERMINAL = ("Completed", "Failed", "Stopped")
STARTING = ("Interrupted", "Starting", "Pending", "Downloading")
#: Seconds between two looks at the tuner's job.
LOOK = 0.1
TUNER = f"{program.NAME}-tuning-"


@dataclass(frozen=True)
class Instant:
    """When the tuner's job is struck.

    Args:
        when: ``training``: so long after the strike before. ``starting``: so long after it began again, while there is
            no container yet. ``restoring``: so long after its container has begun again, while it reads the log.
        seconds: How long.
    """

    when: str
    seconds: float


def draw_instants(chance: random.Random, count: int) -> list[Instant]:
    """First of all the tuner is given time to start trials."""
    instants = [Instant("training", chance.uniform(2.0, 20.0))]
    while len(instants) < count:
        when = chance.choice(["training", "starting", "restoring"])
        seconds = chance.uniform(5.0, 20.0) if when == "training" else chance.uniform(0.0, 1.0)
        instants.append(Instant(when, round(seconds, 2)))
    return instants


class RemoteChaos(Chaos):
    """The experiment whose command only launches. What it is killed by is the loss of its spot machine."""

    launched: RemoteExperiment
    #: Name and run of the tuner's job that was struck last.
    struck: tuple[str, int]
    #: When the job was struck, or came to where it is to be struck.
    since: float

    def launch(self) -> RemoteExperiment:
        """Gives the command."""
        trials, workers, kind, truth = self.arguments
        tuner = program.make_tuner(int(trials), int(workers), kind, truth)
        return RemoteLauncher(
            tuner,
            image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
            role="arn:aws:iam::123456789012:role/tuner",
            instance_type="ml.m5.large",
            volume_size=1,
            use_spot=True,
            environment={"CLOUDTUNE_AWS_RATES": "sagemaker:*=5"},
        ).run(wait=False)

    def run(self, kills: int, chance: random.Random, patience: float) -> None:
        """Strikes the tuner's job so often; gives the command again wherever the job has ended."""
        until = time.monotonic() + patience
        left = draw_instants(chance, kills)
        print("to be struck:", ", ".join(f"{one.when} {one.seconds:.1f} s" for one in left))
        self.struck = ("", -1)
        self.since = time.monotonic()
        while not self.is_finished():
            assert time.monotonic() < until, f"it did not end:\n{told_in(self.output_of(self.launched.job_name))}"
            self.next_stretch()
            over = time.monotonic() + STRETCH
            while time.monotonic() < over:
                job = next(job for job in self.cloud.jobs() if job["name"] == self.launched.job_name)
                if job["status"] in TERMINAL:
                    if self.is_finished():
                        break
                    print(f"{job['name']} is {job['status']}: {job['failure_reason']}")
                    self.launch_again()
                    break
                if left and self.is_due(left[0], job):
                    self.strike(chance, job)
                    left.pop(0)
                time.sleep(LOOK)
        assert not left, "the experiment was over too soon"
        self.cloud.wait_for_job(self.launched.job_name, timeout=120)

    def is_due(self, instant: Instant, job: dict[str, Any]) -> bool:
        """Whether the job is where it is to be struck, for as long as was drawn."""
        runs, is_new = job["secondary"] == "Training", (job["name"], job["run"]) != self.struck
        if instant.when == "training":  # counted from the strike before
            return runs and time.monotonic() - self.since > instant.seconds
        if not is_new or not (runs or (instant.when == "starting" and job["secondary"] in STARTING)):
            self.since = time.monotonic()  # it is not there yet
            return False
        # One that has begun sooner than was drawn is struck where it is.
        return (runs and instant.when == "starting") or time.monotonic() - self.since > instant.seconds

    def strike(self, chance: random.Random, job: dict[str, Any]) -> None:
        """Takes the machine away, with or without notice, or stops the job as somebody at the console would."""
        what = chance.choice(["notice", "no notice", "no notice", "console"])
        if job["secondary"] != "Training":
            what = "console"  # there is no machine to be taken away
        print(f"{job['name']}, run {job['run']}, {job['secondary']} for {time.monotonic() - self.since:.1f} s: {what}")
        self.struck, self.since = (job["name"], job["run"]), time.monotonic()
        if what == "console":
            self.cloud.stop_job(job["name"])
        else:
            self.cloud.interrupt_job(job["name"], notice=what == "notice")

    def launch_again(self) -> None:
        """Gives the command once more; what AWS refuses now is asked again later."""
        try:
            self.launched = self.launch()
        except AwsError as error:
            print(f"not launched: {error}")

    def begin(self) -> str:
        """Gives the command; the experiment's id, once it is known."""
        self.launched = self.launch()
        wait_until(lambda: len(self.log()) > 1, "the beginning of the log")
        return str(self.log()[1]["experiment_id"])

    def is_finished(self) -> bool:
        """Whether the log says that a tuner has come to the end of the experiment."""
        last = S3LogView(self.bucket, ROOT).last_entry()
        return last is not None and last["event"] == "finish" and last["state"] == "finished"

    @property
    def bucket(self) -> Bucket:
        """Where the experiment lies."""
        return Bucket(aws_for(None, None), program.BUCKET)

    def log(self) -> list[dict[str, Any]]:
        return list(S3LogView(self.bucket, ROOT).entries())

    def is_of_trial(self, job: str) -> bool:
        return not job.startswith(TUNER)

    def output_of(self, job: str) -> str:
        """What a job has written."""
        from cloudtune.aws.logs import JobLogs

        return JobLogs(aws_for(None, None)).text(job)


def _chaos(tmp_path: Path, trials: int, workers: int, kills: int, patience: float) -> None:
    seed = draw_seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    plan = draw(seed, "spot", trials)
    settings = replace(
        cloud_settings(tmp_path / "jobs"), spot_restart_delay=1.5
    )  # so that a job can be met without one
    with LocalCloud(settings, seed=seed) as cloud, cloud.activate():
        cloud.client("s3").create_bucket(Bucket=program.BUCKET)
        chaos = RemoteChaos(cloud, tmp_path / "run", trials, workers, "spot")
        prefix = f"{program.NAME}-{chaos.begin()}-"

        def aimed(fault: Fault) -> Fault:
            """Faults of jobs meet those of trials, for the tuner's own is struck here; its calls are a job's."""
            if fault.who == "client":
                fault = replace(fault, who=f"job:{TUNER}*")
            return replace(fault, job=f"{prefix}{fault.job.removeprefix('*-')}") if fault.kind in JOB_FAULTS else fault

        ordered = Ordered(cloud, plan, aimed)
        chaos.next_stretch = ordered.next_stretch
        chaos.run(kills, random.Random(seed), patience)
        fired = cloud.faults.fired()
        cloud.faults.clear()
        print(ordered.account(fired))
        problems = chaos.problems()
        assert not problems, f"seed {seed}, {len(problems)} problems:\n" + "\n".join(problems)
        assert sorted(chaos.configs()) == list(range(trials))
        running = [job["name"] for job in cloud.jobs() if job["status"] not in TERMINAL]
        assert running == []
        assert not list((tmp_path / "run").glob("experiments/*")), "something of the experiment lies on this machine"


@pytest.mark.timeout(900)
def test_a_tuner_whose_machine_is_taken_away_again_and_again(tmp_path: Path) -> None:
    """Every report once and in order, no job twice, none left, costs as billed; all from what stands in S3."""
    _chaos(tmp_path, trials=20, workers=6, kills=3, patience=700)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_hundred_trials_of_a_remote_tuner_under_all_faults(tmp_path: Path) -> None:
    """The same with 100 trials, 16 workers and five losses of the tuner's machine."""
    _chaos(tmp_path, trials=100, workers=16, kills=5, patience=3000)
