"""The local cloud against stock moto and a bare process: start, calls, a job's first line, a crowd, a thousand jobs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import psutil

from benchmarking.overhead.measurement import Row, in_turn, seconds
from cloudtune.localcloud import LocalCloud

BUCKET = "bench-bucket"
NUM_CALLS = 100
CROWD = 100
#: Seconds over which the crowd is watched.
WATCHED = 15.0
NUM_JOBS = 1_000

#: Prints when it printed: the first line of a user's script.
FIRST_LINE = "import time; print(f'first line at {time.time()!r}', flush=True)"
#: One small object a second, as an agent does.
CROWD_MEMBER = f"""
import os, time, boto3
s3 = boto3.client("s3")
while True:
    s3.put_object(Bucket="{BUCKET}", Key="crowd/" + os.environ["TRAINING_JOB_NAME"], Body=b"x" * 200)
    time.sleep(1)
"""


def measure(repeats: int) -> list[Row]:
    """All rows about the local cloud."""
    return [
        *_start(repeats),
        *_calls(repeats),
        _first_line(repeats),
        *_crowd(),
        *_many_jobs(),
    ]


def _request(name: str, command: list[str]) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": "any",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": command,
        },
        "RoleArn": "arn:aws:iam::123456789012:role/bench",
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


@contextmanager
def _stock_moto() -> Iterator[str]:
    """Moto's own server, as it comes; its endpoint, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while True:
                try:
                    urllib.request.urlopen(f"{endpoint}/moto-api/data.json").read()  # noqa: S310 - our own server
                    break
                except urllib.error.URLError:
                    time.sleep(0.005)
            yield endpoint
        finally:
            server.kill()


def _start(repeats: int) -> list[Row]:
    def stock() -> None:
        with _stock_moto():
            pass

    def ours() -> float:
        begin = time.perf_counter()
        with LocalCloud() as cloud:
            cloud.client("s3")  # the client's own start is not the server's
            return time.perf_counter() - begin

    value, floor = in_turn(repeats, ours, lambda: seconds(stock))
    # The target is 1 s where stock moto takes 0.4 s.
    return [Row("local cloud: up and answering", value, floor, "s", 2.5, "stock moto's server")]


def _calls(repeats: int) -> list[Row]:
    keys = {"aws_access_key_id": "A" * 20, "aws_secret_access_key": "none", "region_name": "us-east-1"}
    with LocalCloud() as cloud, _stock_moto() as stock:
        works: dict[str, list[Callable[[], Any]]] = {}
        for endpoint in (cloud.endpoint, stock):
            s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
            sagemaker = boto3.client("sagemaker", endpoint_url=endpoint, **keys)
            s3.create_bucket(Bucket=BUCKET)
            s3.put_object(Bucket=BUCKET, Key="key", Body=b"x" * 1000)
            request = _request("bench", ["python", "-c", "pass"])
            sagemaker.create_training_job(**request)
            for name, work in (
                ("PutObject, 1 kB", lambda s3=s3: s3.put_object(Bucket=BUCKET, Key="key", Body=b"x" * 1000)),
                ("GetObject, 1 kB", lambda s3=s3: s3.get_object(Bucket=BUCKET, Key="key")["Body"].read()),
                ("ListObjectsV2", lambda s3=s3: s3.list_objects_v2(Bucket=BUCKET)),
                ("DescribeTrainingJob", lambda sm=sagemaker: sm.describe_training_job(TrainingJobName="bench")),
                ("ListTrainingJobs", lambda sm=sagemaker: sm.list_training_jobs(MaxResults=100)),
            ):
                works.setdefault(name, []).append(work)
        cloud.wait_for_job("bench")
        rows = []
        for name, (ours, theirs) in works.items():

            def many(work: Callable[[], Any]) -> float:
                for _ in range(5):
                    work()
                return seconds(lambda: [work() for _ in range(NUM_CALLS)]) / NUM_CALLS * 1000

            value, floor = in_turn(repeats, lambda f=ours: many(f), lambda f=theirs: many(f))  # type: ignore[misc]
            # At least 90 % of stock moto's rate.
            rows.append(Row(f"local cloud: {name}", value, floor, "ms", 1 / 0.9, "stock moto's server"))
    return rows


def _first_line(repeats: int) -> Row:
    def bare() -> float:
        begin = time.time()
        done = subprocess.run([sys.executable, "-c", FIRST_LINE], check=True, capture_output=True, text=True)
        return float(done.stdout.rpartition(" ")[2]) - begin

    with LocalCloud() as cloud:
        sagemaker, logs, s3 = cloud.client("sagemaker"), cloud.client("logs"), cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        count = iter(range(1_000_000))

        def job() -> float:
            name = f"first-line-{next(count)}"
            begin = time.time()
            sagemaker.create_training_job(**_request(name, ["python", "-c", FIRST_LINE]))
            cloud.wait_for_job(name)
            events = logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/")[
                "events"
            ]
            return float(events[0]["message"].rpartition(" ")[2]) - begin

        job()
        value, floor = in_turn(3 * repeats, job, bare)
    # The target is 150 ms beyond a bare process on a machine where that takes about 15 ms.
    return Row("local cloud: CreateTrainingJob to first line", value * 1000, floor * 1000, "ms", 11.0, "bare Popen")


def _crowd() -> list[Row]:
    with LocalCloud() as cloud:
        sagemaker, s3 = cloud.client("sagemaker"), cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        alone = sorted(seconds(lambda: sagemaker.list_training_jobs(MaxResults=100)) for _ in range(100))
        s3.put_object(Bucket=BUCKET, Key="code/member.py", Body=CROWD_MEMBER.encode())
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/code/"}
        for number in range(CROWD):
            request = _request(f"crowd-{number}", ["python", "/opt/ml/input/data/code/member.py"])
            request["InputDataConfig"] = [{"ChannelName": "code", "DataSource": {"S3DataSource": source}}]
            sagemaker.create_training_job(**request)
        while s3.list_objects_v2(Bucket=BUCKET, Prefix="crowd/").get("KeyCount", 0) < CROWD:
            time.sleep(0.5)
        counts = cloud.call_counts().get("s3:PutObject", 0)
        taken: list[float] = []
        begin = time.monotonic()
        while time.monotonic() < begin + WATCHED:
            taken.append(seconds(lambda: sagemaker.list_training_jobs(MaxResults=100)))
            time.sleep(0.05)
        elapsed = time.monotonic() - begin
        puts = (cloud.call_counts()["s3:PutObject"] - counts) / elapsed
    p95 = sorted(taken)[int(len(taken) * 0.95)] * 1000
    # The target is a p95 of 300 ms where a call takes about 4 ms on an idle cloud.
    return [
        Row(f"local cloud: list, p95, {CROWD} jobs busy", p95, alone[50] * 1000, "ms", 75.0, "the same when idle"),
        Row("local cloud: objects put by them per second", puts, float(CROWD), "1/s", None, "one a second each"),
    ]


def _many_jobs() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, LocalCloud(folder=folder, max_running_jobs=8) as cloud:
        sagemaker = cloud.client("sagemaker")
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        server = psutil.Process(cloud.pid)

        def run(first: int, last: int) -> None:
            names = [f"short-{number}" for number in range(first, last)]
            for name in names:
                sagemaker.create_training_job(**_request(name, ["sh", "-c", "echo one line"]))
            for name in names:
                cloud.wait_for_job(name, timeout=600)

        def look() -> dict[str, float]:
            children = [child for child in server.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
            return {
                "memory": server.memory_info().rss / 2**20,
                "descriptors": server.num_fds(),
                "threads": server.num_threads(),
                "processes": len(children),
                "folders": sum(len(folders) for _, folders, _ in os.walk(folder)),
            }

        run(0, NUM_JOBS // 5)
        before = look()
        begin = time.perf_counter()
        run(NUM_JOBS // 5, NUM_JOBS)
        elapsed = (time.perf_counter() - begin) / (NUM_JOBS - NUM_JOBS // 5)
        after = look()
    rows = [
        Row(
            f"local cloud: {what} after {NUM_JOBS:,} jobs",
            after[what] or 1,
            before[what] or 1,
            "MB" if what == "memory" else "",
            1.25 if what == "memory" else 1.1,
            f"after {NUM_JOBS // 5} jobs",
        )
        for what in before
    ]
    bare = seconds(lambda: subprocess.run(["sh", "-c", "echo one line"], check=True, capture_output=True))
    return [*rows, Row("local cloud: a short job, 8 at once", elapsed * 1000, bare * 1000, "ms", None, "bare Popen")]
