"""What it costs to gather the results of a study from S3, against fetching the same bytes with boto3 alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarking.overhead.measurement import Row, peak_megabytes, seconds
from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.constants import CONFIG_PREFIX, ST_DECISION, ST_STATUS, ST_TUNER_TIME, TRIAL_ID
from cloudtune.experiments import load_experiments, load_experiments_df, sync
from cloudtune.localcloud import LocalCloud
from cloudtune.store.results import ResultsTable
from cloudtune.store.results_object import Heading, PackedTable, table_object
from cloudtune.store.study_place import StudyPlace

BUCKET, TAG = "bench", "study"
EXPERIMENTS, ROWS, TRIALS = 1_000, 500, 40
#: What the issue allows.
FACTOR = 1.5
#: Threads and connections that cloudtune has for reading objects.
THREADS, CONNECTIONS = 32, 64


def measure(repeats: int) -> list[Row]:
    """All rows about gathering."""
    with LocalCloud() as cloud, cloud.activate(), tempfile.TemporaryDirectory() as folder:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        os.environ["CLOUDTUNE_S3_PATH"] = f"s3://{BUCKET}"
        os.environ["CLOUDTUNE_AWS_RATES"] = "*=inf"
        try:
            return [*_gathering(cloud, Path(folder), min(repeats, 5)), *_memory(Path(folder))]
        finally:
            del os.environ["CLOUDTUNE_S3_PATH"], os.environ["CLOUDTUNE_AWS_RATES"]


def _gathering(cloud: LocalCloud, folder: Path, repeats: int) -> list[Row]:
    objects = _fill()
    data = sum(map(len, objects.values()))
    sync(TAG, local_path=folder)  # imports, and connections

    def cold() -> float:
        shutil.rmtree(folder / "_synced")
        return seconds(lambda: sync(TAG, local_path=folder))

    def cold_frame() -> float:
        shutil.rmtree(folder / "_synced")
        return seconds(lambda: _frame(folder))

    taken = [(_fetch(list(objects)), cold(), cold_frame()) for _ in range(repeats)]
    # The least of each: what else the machine does meanwhile meets so long a work on one side or the other.
    fetching, gathering, framing = (min(times) for times in zip(*taken, strict=True))
    before = cloud.call_counts()
    again = seconds(lambda: sync(TAG, local_path=folder))
    after = cloud.call_counts()
    new = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    loading = seconds(lambda: load_experiments(TAG, local_path=folder, download_from_s3=False))
    one_frame = seconds(lambda: load_experiments_df(TAG, local_path=folder, download_from_s3=False))
    size = f"{EXPERIMENTS:,} experiments of {ROWS} rows, {data / 1e6:.0f} MB"
    floor = f"boto3 alone, {THREADS} threads"
    return [
        Row(f"gathering {size}", gathering, fetching, "s", FACTOR, floor),
        Row("... and one DataFrame of them", framing, fetching, "s", None, floor),
        Row("... again, nothing changed", again, fetching, "s", None, floor),
        Row("... listings of that", new.get("s3:ListObjectsV2", 0), 1, "calls", 1.0, "one"),
        Row("... objects that are fetched then", new.get("s3:GetObject", 0) + 1, 1, "calls + 1", 1.0, "none"),
        Row("... loading them from the copy", loading, fetching, "s", None, floor),
        Row("... one DataFrame of them from the copy", one_frame, fetching, "s", None, floor),
    ]


def _frame(folder: Path) -> None:
    frame = load_experiments_df(TAG, local_path=folder, download_from_s3=True)
    if len(frame) != EXPERIMENTS * ROWS:
        raise RuntimeError(f"{len(frame)} rows came back, not {EXPERIMENTS * ROWS}")


def _fetch(keys: list[str]) -> float:
    """Seconds for reading the objects with as many threads and connections as cloudtune has."""
    client = boto3.client("s3", config=Config(max_pool_connections=CONNECTIONS))
    client.list_objects_v2(Bucket=BUCKET, Prefix="none")

    def get(key: str) -> bytes:
        body: bytes = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    with ThreadPoolExecutor(THREADS) as threads:
        return seconds(lambda: list(threads.map(get, keys)))


def _fill() -> dict[str, bytes]:
    """Puts the results of many experiments into the bucket, as the store does when each ends."""
    bucket = Bucket(Aws(budget=RateBudget({})), BUCKET)
    place = StudyPlace(bucket, "", TAG)
    objects = {}
    for number in range(EXPERIMENTS):
        name = f"{TAG}-digits-asha-w4-{number}"
        table = PackedTable.of(_table(random.Random(number)))
        heading = Heading(name, "finished", 1, ROWS + 2 * TRIALS, table.rows)
        objects[place.results_of(name)] = table_object(heading, table, _metadata(number))
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(bucket.put, objects, objects.values()))
    return objects


def _table(rng: random.Random) -> ResultsTable:
    times = sorted(round(rng.uniform(0, 3600), 6) for _ in range(ROWS))
    trials = [number % TRIALS for number in range(ROWS)]
    return ResultsTable(
        {
            TRIAL_ID: trials,
            ST_DECISION: [rng.choice(("CONTINUE", "CONTINUE", "STOP")) for _ in range(ROWS)],
            ST_STATUS: ["InProgress"] * ROWS,
            ST_TUNER_TIME: times,
            "validation_error": [rng.random() for _ in range(ROWS)],
            "epoch": [number // TRIALS + 1 for number in range(ROWS)],
            "st_worker_timestamp": [1.79e9 + time for time in times],
            "st_worker_time": [time / 7 for time in times],
            "st_worker_iter": [number // TRIALS for number in range(ROWS)],
            "st_worker_cost": [time / 7 * 0.526 / 3600 for time in times],
        },
        {
            CONFIG_PREFIX + "lr": [rng.uniform(1e-6, 1e-1) for _ in range(TRIALS)],
            CONFIG_PREFIX + "width": [rng.randrange(16, 512) for _ in range(TRIALS)],
            CONFIG_PREFIX + "activation": [rng.choice(("relu", "tanh")) for _ in range(TRIALS)],
            CONFIG_PREFIX + "max_epochs": [27] * TRIALS,
        },
        trials,
    )


def _metadata(number: int) -> dict[str, Any]:
    domain = {"type": "uniform", "lower": 1e-6, "upper": 1e-1, "log": True}
    return {
        "st_tuner_creation_timestamp": 1.79e9 + number,
        "st_tuner_start_timestamp": 1.79e9 + number + 2,
        "metric_names": ["validation_error"],
        "metric_mode": "min",
        "resource_attr": "epoch",
        "scheduler_name": "ASHA",
        "config_space": json.dumps({f"x{index}": domain for index in range(12)}),
        "tag": TAG,
        "benchmark": "digits",
        "method": "asha",
        "n_workers": 4,
        "seed": number,
        **{f"extra_{index}": f"value {index}" for index in range(8)},
    }


# ---------------------------------------------------------------------------------------------- memory

_GATHER = """
from cloudtune.experiments import load_experiments, load_experiments_df, sync
import pandas, boto3
"""
_SYNC = f"sync({TAG!r}, local_path={{folder!r}})\n"
_FROM_COPY = f"({TAG!r}, local_path={{folder!r}}, download_from_s3=False)"
_LOAD = f"one = load_experiments{_FROM_COPY}\nassert len(one) == {EXPERIMENTS}\n"
_FRAME = f"one = load_experiments_df{_FROM_COPY}\nassert len(one) == {EXPERIMENTS * ROWS}\n"


def _memory(folder: Path) -> list[Row]:
    imports = peak_megabytes(_GATHER)

    def peak(code: str, there: Path) -> float:
        return peak_megabytes(_GATHER + code.format(folder=str(there)))

    fresh = folder / "fresh"
    gathered = peak(f"import shutil; shutil.rmtree({str(fresh)!r}, ignore_errors=True)\n" + _SYNC, fresh)
    return [
        Row("memory of gathering", gathered, imports, "MB", None, "the imports"),
        Row("... of loading the experiments from the copy", peak(_LOAD, folder), imports, "MB", None, "the imports"),
        Row("... of one DataFrame of them", peak(_FRAME, folder), imports, "MB", None, "the imports"),
    ]
