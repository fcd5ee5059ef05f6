"""A long experiment again: its tuner is killed while trials run, and another one starts until it decides."""

from __future__ import annotations

import json
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarking.overhead.account import BUCKET, IMAGE, ROLE
from benchmarking.overhead.measurement import Row, seconds
from cloudtune import StoppingCriterion, Tuner
from cloudtune.agent.protocol import Keys, attempt_of_head
from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.backend.sagemaker_backend import SageMakerBackend, TrainingJob
from cloudtune.callbacks import TunerCallback
from cloudtune.config_space import uniform
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.store.s3_log import LogReader, S3LogView
from cloudtune.store.s3_packing import Packer
from cloudtune.store.s3_segments import LogKeys
from cloudtune.store.s3_store import S3Store
from cloudtune.trial import Trial
from cloudtune.tuner import unpickled

NAME = "again"
ROOT = f"cloudtune/{NAME}/{NAME}/"
ID = "again1"
KEYS = Keys(ROOT + ID)
#: Trials that have ended, what they have reported, and how many entries the tuner has put at once: as in eight hours.
ENDED, LEVELS, ENTRIES_PER_SEGMENT = 984, 51, 10
#: Trials that run when the tuner dies.
RUNNING = 16
REPEATS = 3
#: What the issue allows, in seconds and megabytes.
WITH_SNAPSHOT, FROM_THE_LOG, MEMORY = 5.0, 60.0, 250.0
#: Seconds after which something must have gone wrong.
_PATIENCE = 300.0

#: Reports once more whenever there is the next file in a folder.
_TRAIN = """
import argparse, itertools, os, time
from cloudtune import Reporter
parser = argparse.ArgumentParser()
for name in ("x", "st_checkpoint_dir"):
    parser.add_argument("--" + name)
parser.parse_args()
report = Reporter()
for number in itertools.count():
    while not os.path.exists(os.path.join(os.environ["GATES"], str(number))):
        time.sleep(0.2)
    report(loss=1.0, epoch=number + 1)
"""


def measure(repeats: int) -> list[Row]:
    """All rows about taking up a long experiment."""
    del repeats
    with LocalCloud() as cloud, cloud.activate(), tempfile.TemporaryDirectory() as folder:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        os.environ["CLOUDTUNE_FOLDER"] = folder
        Path(folder, "train.py").write_text(_TRAIN)
        return _Experiment(Path(folder)).rows()


def make_tuner(folder: Path, workers: int) -> Tuner:
    """As the user's script does it: random search with trials that are training jobs."""
    job = TrainingJob(
        folder / "train.py",
        instance_type="ml.m5.large",
        image_uri=IMAGE,
        role=ROLE,
        volume_size=1,
        max_run=86_400,
        environment={"GATES": str(folder)},
    )
    return Tuner(
        trial_backend=SageMakerBackend(job, f"s3://{BUCKET}"),
        scheduler=RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=0),
        stop_criterion=StoppingCriterion(max_wallclock_time=1e6),
        n_workers=workers,
        tuner_name=NAME,
        suffix_tuner_name=False,
    )


def long_log(tuner: Tuner) -> Iterator[dict[str, Any]]:
    """The log of an experiment of this tuner's, whose trials have run sixteen at a time and have ended."""
    yield {
        "event": "experiment",
        "name": tuner.name,
        "experiment_id": ID,
        "scheduler": json.loads(json.dumps(tuner.scheduler.metadata())),
        "metadata": {},
        "unix": time.time(),
    }
    for group in range(0, ENDED, RUNNING):
        trials = range(group, min(group + RUNNING, ENDED))
        for trial in trials:
            suggestion = tuner.scheduler.suggest()
            if suggestion is None:
                raise RuntimeError("random search has no suggestion any more")
            suggest = {"event": "suggest", "number": trial, "config": suggestion.config}
            yield {**_at(trial, 0), **suggest, "checkpoint_from": None, "computed_at": 0}
        for number in range(LEVELS):
            for trial in trials:
                metrics = {"loss": 1 / (number + 1), "epoch": number + 1, "st_worker_iter": number}
                report = {"event": "report", "run": 0, "number": number, "metrics": {**metrics, "st_worker_time": 1.0}}
                yield {**_at(trial, number), **report, "decision": "CONTINUE", "status": "InProgress"}
        for trial in trials:
            end = {"event": "end", "outcome": "completed", "reason": "", "exit_code": 0, "status": "Completed"}
            yield {**_at(trial, LEVELS), **end}


def _at(trial: int, level: int) -> dict[str, Any]:
    return {"trial": trial, "attempt": 0, "time": 600.0 * (trial // RUNNING) + level}


class Decides(TunerCallback):
    """Tells on standard output when all trials that ran were heard of, and a new one was decided on.

    Args:
        running: How many trials run.
    """

    def __init__(self, running: int) -> None:
        self._running = running
        self._heard: set[int] = set()
        self._has_started = False

    def on_start_trial(self, trial: Trial) -> None:
        self._has_started = True
        self._look()

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        self._heard.add(trial.trial_id)
        self._look()

    def _look(self) -> None:
        if self._has_started and len(self._heard) >= self._running:
            self._running = sys.maxsize  # once
            with Path("/proc/self/status").open() as file:
                peak = next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
            told = {"seconds": time.time() - float(os.environ["BENCH_BEGAN"]), "megabytes": peak}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


def run(folder: str, workers: int, running: int, from_snapshot: bool) -> None:
    """What a process does that is started again: it drives the experiment, from all that stands in S3."""
    logging.getLogger("cloudtune").setLevel(logging.ERROR)
    bucket = Bucket(aws_for(None, None), BUCKET)
    store = S3Store(bucket, ROOT)
    if from_snapshot:
        state = store.load_snapshot()
        if state is None:
            raise RuntimeError("there is no snapshot")
        tuner = unpickled(state, ROOT)
        tuner.n_workers = workers
    else:
        tuner = make_tuner(Path(folder), workers)
    tuner.keep_in(store)
    tuner.callbacks.append(Decides(running))
    tuner.run()


class _Experiment:
    """A long experiment whose tuner dies again and again.

    Args:
        folder: For the script, and for the files that have trials report.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bucket = Bucket(Aws(budget=RateBudget({})), BUCKET)
        self._running = 0
        self._gates = 0

    def rows(self) -> list[Row]:
        """Writes the long log, begins what is to run, and then kills and starts as often as needed."""
        self._write_log()
        self._open_gate()
        self._start(RUNNING, from_snapshot=False)
        with_snapshot = [self._start(1, from_snapshot=True) for _ in range(REPEATS)]
        lines = [json.dumps(entry) for entry in S3LogView(self._bucket, ROOT).entries()]
        parsing = min(seconds(lambda: [json.loads(line) for line in lines]) for _ in range(3))
        from_log = []
        for _ in range(REPEATS):
            self._bucket.delete_prefix(ROOT + "packed/")
            self._bucket.delete([ROOT + "tuner.dill"])
            from_log.append(self._start(1, from_snapshot=False))
        keys = [listed.key for listed in self._bucket.list(LogKeys(ROOT).log)]
        getting = seconds(lambda: self._bucket.get_many(keys[:500])) * len(keys) / 500
        quick, slow = _median(with_snapshot, "seconds"), _median(from_log, "seconds")
        work = f"killed with 1,000 trials, {len(lines):,} entries, {RUNNING} running: decides again"
        return [
            Row(f"{work}, snapshot and packed log", quick, WITH_SNAPSHOT, "s", 1.0, "the target"),
            Row("... against parsing the log's lines", quick, parsing, "s", None, "json.loads of each"),
            Row(f"... from {len(keys):,} segments alone", slow, FROM_THE_LOG, "s", 1.0, "the target"),
            Row("... against getting them", slow, getting, "s", None, "as many GETs at once"),
            Row("memory of that tuner", _median(with_snapshot, "megabytes"), MEMORY, "MB", 1.0, "the target"),
        ]

    def _write_log(self) -> None:
        """Puts it to S3 as a tuner does in hours, and packs it as its owner would have."""
        store = S3Store(self._bucket, ROOT)
        store.open()
        for number, entry in enumerate(long_log(make_tuner(self._folder, RUNNING)), start=1):
            store.append([entry])
            if number % ENTRIES_PER_SEGMENT == 0:
                store.flush()
        store.close()
        reader = LogReader(self._bucket, ROOT)
        reader.read_on()
        packer = Packer(self._bucket, reader.keys, reader.chain, reader.packs)
        while packer.is_due:
            packer.pack_next()

    def _open_gate(self) -> None:
        """Has all trials report once more."""
        (self._folder / str(self._gates)).touch()
        self._gates += 1

    def _start(self, new: int, from_snapshot: bool) -> dict[str, float]:
        """Starts a process that begins so many trials, and kills it when they and the others have reported.

        What trials report meanwhile waits in S3 for the next one. Its times count from the start of the process.
        """
        workers = self._running + new
        call = f"restart.run({str(self._folder)!r}, {workers}, {self._running}, {from_snapshot})"
        process = subprocess.Popen(
            [sys.executable, "-c", f"from benchmarking.overhead import restart; {call}"],
            env={**os.environ, "BENCH_BEGAN": repr(time.time())},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            told: dict[str, float] = json.loads(process.stdout.readline())
            self._running = workers
            self._wait_for_reports()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._open_gate()
        self._wait_for_reports()
        return told

    def _wait_for_reports(self) -> None:
        """Returns when every trial that runs has made all the reports that it may."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            heads = [one.key for one in self._bucket.list(KEYS.inbox) if attempt_of_head(one.key)]
            made = [json.loads(got.body) for got in self._bucket.get_many(heads).values()]
            if sum(head["first"] + len(head["reports"]) >= self._gates for head in made) == self._running:
                return
            time.sleep(0.5)
        raise RuntimeError("trials do not report")


def _median(runs: Sequence[dict[str, float]], what: str) -> float:
    return statistics.median(one[what] for one in runs)
