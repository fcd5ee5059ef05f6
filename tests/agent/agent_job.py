"""Training jobs whose first process is the agent, on the local cloud, and the tuner's side of what they say."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

import cloudtune
from cloudtune.agent.forms import EndForm, Head, Life, Task
from cloudtune.agent.protocol import BUNDLE, CHANNEL_CODE, CHANNEL_TASK, ENDED, FORMAT, SOURCE_FOLDER, TASK, Keys
from cloudtune.localcloud import LocalCloud
from tests.localcloud.conftest import LOG_GROUP, ROLE, wait_until

BUCKET = "trials"
ACCOUNT = "123456789012"
PREFIX = "cloudtune/tag/exp/abc123"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"
ENTRY_POINT = [
    "/bin/sh",
    "-c",
    "exec $(command -v python3 || command -v python) ${SAGEMAKER_BASE_DIR:-/opt/ml}/input/data/cloudtune/bundle.zip",
]
_LEFT_OUT = ("localcloud", "cli", "__pycache__", "optimizer", "experiments", "store", "backend", "callbacks")


def bundle(source: Mapping[str, str], executable: tuple[str, ...] = ()) -> bytes:
    """An archive with the agent and a source folder.

    Args:
        source: Path -> text.
        executable: Paths of those that may be executed.
    """
    content = io.BytesIO()
    package = Path(cloudtune.__file__).parent
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", "from cloudtune.agent.main import main\n\nmain()\n")
        for path in sorted(package.rglob("*.py")):
            relative = path.relative_to(package)
            if relative.parts[0] not in _LEFT_OUT:
                archive.write(path, f"cloudtune/{relative.as_posix()}")
        for name, text in source.items():
            member = zipfile.ZipInfo(f"{SOURCE_FOLDER}/{name}")
            member.external_attr = (stat.S_IFREG | (0o755 if name in executable else 0o644)) << 16
            archive.writestr(member, text)
    return content.getvalue()


def task(**members: Any) -> Task:
    """A task of trial 7, attempt 2, quick enough for tests."""
    plain: Task = {
        "format": FORMAT,
        "bucket": BUCKET,
        "owner": ACCOUNT,
        "prefix": PREFIX,
        "region": "us-east-1",
        "kms_key": None,
        "trial": 7,
        "attempt": 2,
        "config": {},
        "arguments": [],
        "pass_args_as_json": False,
        "entry_point": "train.py",
        "environment": {"CLOUDTUNE_EXPERIMENT": "exp-abc123", "CLOUDTUNE_TRIAL": "7", "CLOUDTUNE_ATTEMPT": "2"},
        "use_s3": True,
        "checkpoint_dir": "",
        "put_interval": 0.1,
        "watch_interval": 0.1,
        "heartbeat": 60.0,
        "life_timeout": 0.0,
        "stop_grace": 10.0,
        "checkpoint_interval": 0.2,
    }
    plain.update(members)  # type: ignore[typeddict-item]
    return plain


class AgentJobs:
    """Creates jobs, and looks at what their agents put.

    Args:
        cloud: Where.
    """

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.s3 = cloud.client("s3")
        self.sagemaker = cloud.client("sagemaker")
        self.logs = cloud.client("logs")
        self.keys = Keys(PREFIX)
        self.s3.create_bucket(Bucket=BUCKET)
        self._beat = 0
        self.write_life()

    def create(
        self,
        name: str,
        script: str = "",
        source: Mapping[str, str] | None = None,
        request: Mapping[str, Any] | None = None,
        executable: tuple[str, ...] = (),
        **members: Any,
    ) -> Task:
        """Starts a job.

        Args:
            name: Its name.
            script: ``train.py``.
            source: Further files of the source folder.
            request: Members for CreateTrainingJob, in place of ours.
            executable: Files of the source that may be executed.
            **members: Of the task.
        """
        given = task(**members)
        code = f"cloudtune/code/{name}/"
        self.s3.put_object(
            Bucket=BUCKET,
            Key=code + BUNDLE,
            Body=bundle({**({"train.py": script} if script else {}), **(source or {})}, executable),
        )
        folder = self.keys.task_folder(given["trial"], given["attempt"])
        self.s3.put_object(Bucket=BUCKET, Key=folder + TASK, Body=json.dumps(given).encode())
        self.sagemaker.create_training_job(
            **{
                "TrainingJobName": name,
                "RoleArn": ROLE,
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE,
                    "TrainingInputMode": "File",
                    "ContainerEntrypoint": ENTRY_POINT,
                },
                "InputDataConfig": [channel(CHANNEL_CODE, code), channel(CHANNEL_TASK, folder)],
                "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
                **(request or {}),
            }
        )
        return given

    def write_life(self, stop_all: str | None = None, **wishes: str) -> None:
        """Writes the life object: a sign of life, and wishes (``t7_2="stop"`` for trial 7, attempt 2)."""
        self._beat += 1
        life: Life = {
            "format": FORMAT,
            "nonce": "tuner",
            "beat": self._beat,
            "stop_all": stop_all,
            "wishes": {key[1:].replace("_", "-"): wish for key, wish in wishes.items()},
            "unix": 0.0,
        }
        self.s3.put_object(Bucket=BUCKET, Key=self.keys.life, Body=json.dumps(life).encode())

    def read(self, key: str) -> Any:
        """A JSON object of the bucket; None if it is not there."""
        try:
            return json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    def head(self) -> Head:
        """The head of trial 7, attempt 2, which is there."""
        found = self.read(self.keys.head(7, 2))
        assert found is not None, "there is no head"
        head: Head = found
        return head

    def reports(self) -> list[tuple[int, int, dict[str, Any]]]:
        """All reports as a tuner reads them: (run, number, report), in order; each number is there once."""
        head = self.read(self.keys.head(7, 2))
        if head is None:
            return []
        found: list[tuple[int, int, dict[str, Any]]] = []
        for run, first, count in head["chunks"]:
            body = self.s3.get_object(Bucket=BUCKET, Key=self.keys.chunk(7, 2, run, first))["Body"].read()
            lines = body.decode().splitlines()
            assert len(lines) == count, (run, first)
            found += [(run, first + number, json.loads(line)) for number, line in enumerate(lines)]
        found += [(head["run"], head["first"] + number, one) for number, one in enumerate(head["reports"])]
        assert len({(run, number) for run, number, _ in found}) == len(found), "a report is there twice"
        return found

    def values(self, name: str = "epoch") -> list[Any]:
        """One metric of all reports, in order."""
        return [report[name] for _, _, report in self.reports()]

    def wait_for_reports(self, count: int) -> None:
        """Returns once so many reports arrived."""
        wait_until(lambda: len(self.reports()) >= count, f"{count} reports")

    def end(self, name: str) -> EndForm:
        """The end mark, once the job has ended: the same in the inbox and where it stays."""
        self.cloud.wait_for_job(name)
        head, kept = self.read(self.keys.head(7, 2)), self.read(self.keys.end(7, 2))
        assert head is not None, "\n".join(self.lines(name))
        assert kept is not None, "\n".join(self.lines(name))
        assert head["state"] == kept["state"] == ENDED
        assert head["end"] == kept["end"] is not None
        end: EndForm = head["end"]
        return end

    def describe(self, name: str) -> dict[str, Any]:
        """What SageMaker says of a job."""
        answer: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return answer

    def lines(self, name: str) -> list[str]:
        """The log of a job."""
        found: list[str] = []
        try:
            streams = self.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        for stream in streams["logStreams"]:
            pages = self.logs.get_paginator("filter_log_events").paginate(
                logGroupName=LOG_GROUP, logStreamNames=[stream["logStreamName"]]
            )
            found += [event["message"] for page in pages for event in page["events"]]
        return found


def channel(name: str, prefix: str) -> dict[str, Any]:
    """An input channel of the bucket."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}
