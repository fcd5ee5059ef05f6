"""PID 1 of the chaos jobs: what the agent of a tuner has to do inside a training job, and nothing more.

It unpacks the source that came by a channel, runs the script, forwards SIGTERM to it, writes what the script reports to
S3 as one object per run that is replaced as it grows, and puts an end mark last. Standard library and boto3 only: it
knows nothing of the local cloud.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import uuid

ML = "/opt/ml"
INTERVAL = 0.2


def main() -> int:
    """Runs the script; its exit code."""
    with open(f"{ML}/input/data/config/config.json", encoding="utf-8") as file:
        config = json.load(file)
    try:
        with tarfile.open(f"{ML}/input/data/source/source.tar.gz") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(f"{ML}/code", filter="data")
            else:  # an older Python; the archive is the owner's own
                archive.extractall(f"{ML}/code")
    except (tarfile.TarError, OSError, EOFError) as error:
        with open(f"{ML}/output/failure", "w", encoding="utf-8") as file:
            file.write(f"the source archive cannot be read: {error}")
        return 3
    # What is sent before the script runs ends this process; afterwards the script decides.
    child: list[subprocess.Popen[bytes]] = []
    stopped = []

    def forward(number: int, _frame: object) -> None:
        stopped.append(number)
        if child:
            child[0].send_signal(number)

    signal.signal(signal.SIGTERM, forward)
    outbox = Outbox(config) if config["bucket"] else None
    child.append(
        subprocess.Popen(
            [sys.executable, f"{ML}/code/train.py", str(config["steps"]), str(config["seconds"]), str(config["exit"])],
            cwd=f"{ML}/code",
        )
    )
    if stopped:
        child[0].send_signal(signal.SIGTERM)
    code = None
    while code is None:
        try:
            code = child[0].wait(INTERVAL)
        except subprocess.TimeoutExpired:
            code = None
        if outbox is not None:
            outbox.ship()
    if outbox is not None:
        outbox.end(code, stopped=bool(stopped))
    if code:
        with open(f"{ML}/output/failure", "w", encoding="utf-8") as file:
            file.write(f"the script ended with {code}")
    return code if code >= 0 else 128 - code


class Outbox:
    """The objects of this run below ``<prefix>/<run id>/``."""

    def __init__(self, config: dict[str, object]) -> None:
        import boto3
        from botocore.config import Config

        retries = {"mode": "standard", "max_attempts": 12}
        self._s3 = boto3.client("s3", config=Config(retries=retries, connect_timeout=5, read_timeout=10))
        self._bucket = config["bucket"]
        self._prefix = f"{config['prefix']}/{uuid.uuid4().hex}"
        self._sent = 0
        self._began = time.time()
        self._put("began", {"pid": os.getpid(), "at": self._began})

    def ship(self) -> None:
        """Puts all reports so far, if there are new ones."""
        try:
            with open(f"{ML}/output/data/reports.jsonl", encoding="utf-8") as file:
                lines = [line for line in file.read().split("\n")[:-1] if line]
        except FileNotFoundError:
            return
        if len(lines) > self._sent:
            self._put("reports", {"at": self._began, "reports": [json.loads(line) for line in lines]})
            self._sent = len(lines)

    def end(self, code: int, stopped: bool) -> None:
        """The end mark: the last object of a run, after all its reports."""
        self.ship()
        self._put("end", {"at": self._began, "exit_code": code, "stopped": stopped, "reports": self._sent})

    def _put(self, name: str, value: object) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}.json", Body=json.dumps(value).encode())


if __name__ == "__main__":
    sys.exit(main())
