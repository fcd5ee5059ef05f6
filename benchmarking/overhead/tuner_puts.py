"""How often a whole remote tuner writes to S3: its log, its wishes, its tasks, and what is derived from them.

A real tuner with the S3 store and the SageMaker backend runs against a cloud in this process, whose jobs are played:
they report once a minute and heed wishes as agents do. Some minutes are watched and taken for an hour.

A decision that acts is a stop or a start: a trial is stopped every twenty seconds, and the next one takes its place.
What twice as many cost is shown, too.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarking.overhead.account import BUCKET, IMAGE, ROLE
from benchmarking.overhead.measurement import Row
from benchmarking.overhead.sagemaker import SILENT
from cloudtune.agent import protocol
from cloudtune.aws.clients import Aws
from cloudtune.aws.s3 import Bucket
from cloudtune.backend.sagemaker_backend import SageMakerBackend, TrainingJob
from cloudtune.config_space import uniform
from cloudtune.localcloud import InProcessCloud
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store.s3_packing import RUN
from cloudtune.store.s3_store import S3Store
from cloudtune.trial import Trial
from cloudtune.tuner import Tuner

NAME = "puts"
ROOT = f"cloudtune/{NAME}/{NAME}/"
HOUR = 3600.0
TRIALS, EVERY, ACT_EVERY = 100, 60.0, 10.0
#: Seconds that are watched once all trials run: with an act every ten seconds, and with two.
WATCHED, WATCHED_TWICE = 240.0, 120.0
#: What the issue allows in an hour.
MOST = 2000
#: Between two looks of the played agents at the life object, as of real ones.
_LOOK = 1.0
#: What agents put, and not the tuner.
_OF_AGENTS = ("/inbox/", "/end.json")
_RESULTS = "results.csv.zip"
#: By how much results grow before they are written again.
_GROWTH = 1.1


def measure(repeats: int) -> list[Row]:
    """Measured once whatever ``repeats`` says, for it takes minutes."""
    del repeats
    os.environ["CLOUDTUNE_AWS_RATES"] = "*=inf"
    try:
        with InProcessCloud(kept_calls=1_000_000) as cloud, tempfile.TemporaryDirectory() as folder:
            cloud.client("s3").create_bucket(Bucket=BUCKET)
            return _rows(*_watch(cloud, Path(folder)))
    finally:
        del os.environ["CLOUDTUNE_AWS_RATES"]


class Acts(TrialScheduler):
    """Stops a trial every twenty seconds, or as often as it is told, by the number of reports."""

    def __init__(self) -> None:
        super().__init__({"x": uniform(0, 1)}, random_seed=0)
        self.reports = self.stopped = 0
        #: Trials to stop per report.
        self.rate = EVERY / TRIALS / (2 * ACT_EVERY)
        self._due = 0.0

    def _suggest(self) -> TrialSuggestion:
        return TrialSuggestion.start_suggestion({"x": float(self.random_generator().uniform())})

    def on_trial_result(self, trial: Trial, result: dict[str, Any]) -> str:
        self.reports += 1
        self._due += self.rate
        if self._due < 1.0:
            return SchedulerDecision.CONTINUE
        self._due -= 1.0
        self.stopped += 1
        return SchedulerDecision.STOP

    def metric_names(self) -> list[str]:
        return ["loss"]


class Agents(threading.Thread):
    """Plays the jobs of all trials: what their agents put, and how they end."""

    def __init__(self, cloud: InProcessCloud) -> None:
        super().__init__(daemon=True)
        self._cloud = cloud
        self._s3 = cloud.client("s3")
        self.over = threading.Event()
        #: Trial -> its job, when it reports next, how often it has.
        self.running: dict[int, list[Any]] = {}
        self._known: set[str] = set()
        self._keys = protocol.Keys(ROOT)

    def run(self) -> None:
        """Until :attr:`over` is set."""
        while not self.over.wait(_LOOK / 4):
            self._begin()
            self._report()
            self._heed()

    def _begin(self) -> None:
        for job in self._cloud.jobs():
            if job.name in self._known:
                continue
            self._known.add(job.name)
            environment = job.request["Environment"]
            self._keys = protocol.Keys(environment[protocol.ENV_PLACE].removeprefix(f"s3://{BUCKET}/"))
            trial = int(environment[protocol.ENV_JOB_ID].split("-")[1])
            job.move("Training")
            # Spread evenly, as trials are that began one after another.
            self.running[trial] = [job, time.monotonic() + EVERY * (trial * 0.618034 % 1), 0]
            self._put(trial)

    def _report(self) -> None:
        for trial, state in self.running.items():
            if time.monotonic() >= state[1]:
                state[1] += EVERY
                state[2] += 1
                self._put(trial)

    def _heed(self) -> None:
        got = self._s3.get_object(Bucket=BUCKET, Key=self._keys.life) if self.running else None
        life = {"wishes": {}, "stop_all": None} if got is None else json.loads(got["Body"].read())
        for trial in list(self.running):
            if life["stop_all"] or protocol.wish_key(trial, 0) in life["wishes"]:
                self._put(trial, protocol.STOPPED)
                self.running.pop(trial)[0].finish("Completed", "Completed", "Training job completed")

    def _put(self, trial: int, outcome: str | None = None) -> None:
        job, _, count = self.running[trial]
        reports = [{"loss": 1.0, "epoch": number} for number in range(count)]
        head = {**SILENT, "trial": trial, "attempt": 0, "job": job.name, "beat": count + 1, "reports": reports}
        if outcome is not None:
            mark = {"outcome": outcome, "exit_code": 0, "signal": None, "reason": "", "output": ""}
            head |= {"state": protocol.ENDED, "beat": count + 2, "end": mark}
        body = json.dumps(head).encode()
        if outcome is not None:
            self._s3.put_object(Bucket=BUCKET, Key=self._keys.end(trial, 0), Body=body)
        self._s3.put_object(Bucket=BUCKET, Key=self._keys.head(trial, 0), Body=body)


@dataclass
class Phase:
    """What was put in a time that was watched, and how many trials were stopped."""

    puts: Counter[str]
    stopped: int
    seconds: float


def _watch(cloud: InProcessCloud, folder: Path) -> tuple[Counter[str], list[Phase], int]:
    """What was put until all trials ran; then with an act every ten seconds, and with two; reports after the first."""
    script = folder / "train.py"
    script.write_text("from cloudtune import Reporter\n")
    job = TrainingJob(script, instance_type="ml.g4dn.xlarge", image_uri=IMAGE, role=ROLE, volume_size=1, max_run=86_400)
    scheduler = Acts()
    tuner = Tuner(
        SageMakerBackend(job),
        scheduler,
        StoppingCriterion(max_wallclock_time=10 * HOUR),
        n_workers=TRIALS,
        tuner_name=NAME,
        suffix_tuner_name=False,
        callbacks=[],
    )
    tuner.keep_in(S3Store(Bucket(Aws("us-east-1"), BUCKET, cloud.settings.account), ROOT))
    agents = Agents(cloud)
    agents.start()
    run = threading.Thread(target=tuner.run, daemon=True)
    run.start()
    while len(agents.running) < TRIALS:
        if not run.is_alive():
            raise RuntimeError("the tuner has ended")
        time.sleep(0.5)
    time.sleep(EVERY)  # until everybody reports
    starting, reports, phases = _puts(cloud), 0, []
    for wanted in (WATCHED, WATCHED_TWICE):
        before, stopped, begin = _puts(cloud), scheduler.stopped, time.monotonic()
        time.sleep(wanted)
        phases.append(Phase(_puts(cloud) - before, scheduler.stopped - stopped, time.monotonic() - begin))
        reports = reports or scheduler.reports
        scheduler.rate *= 2
    if not run.is_alive():
        raise RuntimeError("the tuner has ended")
    tuner.interrupt("measured")
    run.join()
    agents.over.set()
    agents.join()
    return starting, phases, reports


def _puts(cloud: InProcessCloud) -> Counter[str]:
    """How often the tuner has put what, so far."""
    kinds: Counter[str] = Counter()
    for call in cloud.calls("s3:PutObject"):
        if call.status == 200 and not any(part in call.resource for part in _OF_AGENTS):
            name = call.resource.partition(ROOT)[2]
            kinds[
                name if "/" not in name else name.split("/")[0] if name.startswith("log/") else name.split("/")[-1]
            ] += 1
    return kinds


def _rows(starting: Counter[str], phases: list[Phase], reports: int) -> list[Row]:
    """Hours that begin with starting all trials."""
    once, twice = phases
    hour = HOUR / once.seconds
    names = {"log": "segments of the log", "life.json": "signs of life and wishes", "task.json": "tasks of trials"}
    parts = [Row(f"... {what}", once.puts[kind] * hour, MOST, "puts", None, "") for kind, what in names.items()]
    acts = Row("... stops and starts", 2 * once.stopped * hour, HOUR / ACT_EVERY, "acts", None, "one every 10 s")
    rewritten = once.puts[_RESULTS] + math.log(HOUR / EVERY * TRIALS / reports) / math.log(_GROWTH)
    return [
        Row(
            "S3 puts of a tuner per hour, 100 trials", _hour(starting, once, rewritten), MOST, "puts", 1.0, "the target"
        ),
        acts,
        *parts,
        Row("... with twice as many acts", _hour(starting, twice, rewritten), MOST, "puts", None, "the target"),
    ]


def _hour(starting: Counter[str], phase: Phase, rewritten: float) -> float:
    """Puts in an hour.

    What comes with time, reports and decisions goes on as it was watched. Results are written when they have grown by a
    tenth, which becomes rarer, and each time what waits for the log is put before. Segments are packed by the hundred.
    """
    hour = HOUR / phase.seconds
    steady = (sum(phase.puts.values()) - 2 * phase.puts[_RESULTS]) * hour
    return sum(starting.values()) + steady + 2 * rewritten + phase.puts["log"] * hour / RUN
