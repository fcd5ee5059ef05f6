"""What it costs to end an experiment with many trials: one object for all, and no word to those that are over."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.job_names import job_name
from cloudtune.aws.rate_budget import AWS_RATES, ENV_RATES
from cloudtune.backend.sagemaker_backend import SageMakerBackend
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.localcloud import InProcessCloud
from cloudtune.trial import Bill, Report, Trial, TrialEvent
from tests.backend.sagemaker.failures.experiment import SCRIPT, wait_until
from tests.backend.sagemaker.harness import BUCKET, HURRY, make_backend, training_job
from tests.backend.sagemaker.heads import end_mark, head_of

OVER = range(20)
RUNNING = range(20, 120)


class Agents:
    """The agents of all jobs of an experiment, played by a test on a cloud without processes."""

    def __init__(self, cloud: InProcessCloud, place: ExperimentPlace) -> None:
        self._cloud = cloud
        self._place = place
        self._s3 = cloud.client("s3")
        self._keys = protocol.Keys(f"cloudtune/{place.name}/{place.name}/{place.experiment_id}")

    def put(self, trial: int, end: str | None = None) -> None:
        """Puts the head of an attempt, with one report; where it ends, the end mark too, and its job is over."""
        job = job_name(self._place.name, self._place.experiment_id, trial, 0)
        if end is None:
            head = head_of(trial, job=job, reports=[{"epoch": 1}])
        else:
            head = head_of(trial, job=job, reports=[{"epoch": 1}], beat=2, end=end_mark(end))
        keys = [self._keys.head(trial, 0)] if end is None else [self._keys.end(trial, 0), self._keys.head(trial, 0)]
        for key in keys:
            self._s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(head).encode())
        if end is None:
            self._cloud.job(job).move("Training")
        else:
            self._cloud.job(job).finish("Completed", "Completed", "Training job completed")

    def obey(self, trials: Sequence[int]) -> None:
        """Waits until the life object tells all to end, and ends them."""
        wait_until(lambda: self._life()["stop_all"] == protocol.WISH_PAUSE, "the wish")
        for trial in trials:
            self.put(trial, protocol.PAUSED)

    def _life(self) -> dict[str, object]:
        life: dict[str, object] = json.loads(
            self._s3.get_object(Bucket=BUCKET, Key=self._keys.life)["Body"].read(),
        )
        return life


def _start(backend: SageMakerBackend, trials: Sequence[int], cloud: InProcessCloud, agents: Agents) -> None:
    for trial in trials:
        backend.start_trial(Trial(trial, {}))
    wait_until(lambda: len(cloud.jobs()) == trials[-1] + 1, "all jobs")
    for trial in trials:
        agents.put(trial)


@pytest.mark.defect("E6")
def test_a_hundred_trials_are_stopped_by_one_object(
    in_process_cloud: InProcessCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No log is read and no job stopped by a call of its own; of those that are over nobody asks anything."""
    monkeypatch.setenv(ENV_RATES, ",".join(f"{operation}=1000" for operation in AWS_RATES))
    cloud = in_process_cloud
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    place = ExperimentPlace("many", "abc123", tmp_path, len(RUNNING))
    agents = Agents(cloud, place)
    backend = make_backend(training_job(SCRIPT), cadence=replace(HURRY, life=600.0, status=600.0))
    events: list[TrialEvent] = []

    def have_come(kind: type, number: int) -> bool:
        events.extend(backend.poll(0.1))
        return sum(isinstance(event, kind) for event in events) >= number

    backend.open(place)
    try:
        backend.attach([])
        _start(backend, OVER, cloud, agents)
        for trial in OVER:
            agents.put(trial, protocol.COMPLETED)
        wait_until(lambda: have_come(Bill, len(OVER)), "the bills of what is over")
        _start(backend, RUNNING, cloud, agents)
        wait_until(lambda: have_come(Report, len(OVER) + len(RUNNING)), "the reports of what runs")
        known = len(cloud.calls())
        obedience = threading.Thread(target=agents.obey, args=(RUNNING,))
        obedience.start()
    finally:
        backend.close(stop_running=True)
    obedience.join()

    calls = cloud.calls()[known:]
    counts = Counter(f"{call.service}:{call.operation}" for call in calls)
    lives = [call for call in calls if call.operation == "PutObject" and call.resource.endswith("/life.json")]
    assert 1 <= len(lives) <= 2
    assert counts["sagemaker:StopTrainingJob"] == counts["sagemaker:ListTrainingJobs"] == 0
    assert not any(call.service == "logs" for call in calls)
    asked = Counter(call.job for call in calls if call.operation == "DescribeTrainingJob")
    assert set(asked) == {job_name(place.name, place.experiment_id, trial, 0) for trial in RUNNING}
    assert max(asked.values()) <= 5
    assert {job.status for job in cloud.jobs()} == {"Completed"}
