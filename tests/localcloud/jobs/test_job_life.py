"""Jobs that run to their end in the ordinary way."""

from __future__ import annotations

import json
from pathlib import Path

from tests.localcloud.jobs.place import BUCKET, ROLE, cloud


def test_credentials_while_a_job_runs(tmp_path: Path) -> None:
    """The token in a job's environment gives credentials of that job, until it ends."""
    with cloud(tmp_path / "c", endpoint="http://127.0.0.1:1") as place:
        job = place.create("sh", "-c", "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; sleep 600")
        place.wait_for(lambda: place.lines(job))
        token = place.lines(job)[0].rpartition("/")[2]
        credentials = place.platform.identities.credentials(token)
        assert credentials is not None
        assert place.platform.identities.who(credentials["AccessKeyId"]) == f"job:{job.name}"
        place.platform.forget_jobs()
        assert place.platform.identities.credentials(token) is None
        assert place.platform.identities.who(credentials["AccessKeyId"]) == "client"


def test_a_job_that_completes(tmp_path: Path) -> None:
    """A job goes through all its states, its output is in the log, its times and its model are told."""
    with cloud(tmp_path / "c") as place:
        job = place.run("sh", "-c", "echo hello; echo there >&2; echo 7 > /opt/ml/model/weights")
        assert job.status == "Completed", job.state
        assert place.secondaries(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
        described = job.describe()
        assert described["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/{job.name}/output/model.tar.gz"
        assert described["CreationTime"] <= described["TrainingStartTime"] <= described["TrainingEndTime"]
        # Begun seconds of the cloud, all of which are billed.
        lasted = described["TrainingEndTime"] - described["TrainingStartTime"]
        assert max(1, lasted) <= described["TrainingTimeInSeconds"] < lasted + 1.001
        assert described["BillableTimeInSeconds"] == described["TrainingTimeInSeconds"]
        [(stream, lines)] = place.streams(job).items()
        assert stream.startswith(f"{job.name}/algo-1-")
        assert lines == ["hello", "there"]
        assert place.archive(f"out/{job.name}/output/model.tar.gz") == {"weights": b"7\n"}


def test_the_container_contract(tmp_path: Path) -> None:
    """A job finds its configuration and its channels where AWS has them, and is told who it is and where S3 is."""
    script = """
import json, os, pathlib
config = pathlib.Path("/opt/ml/input/config")
print(json.dumps({
    "files": {path.name: json.loads(path.read_text()) for path in config.iterdir()},
    "environment": dict(os.environ),
    "cwd": os.getcwd(),
    "tree": sorted(str(path) for path in pathlib.Path("/opt/ml").rglob("*")),
}))
"""
    with cloud(tmp_path / "c", endpoint="http://127.0.0.1:1") as place:
        place.put("data/train/x.csv", "1,2")
        job = place.python(
            script,
            HyperParameters={"lr": "0.1"},
            Environment={"MINE": "yes", "TRAINING_JOB_NAME": "another"},
            InputDataConfig=[
                {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/data/train"}}}
            ],
            CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints"},
        )
        place.ended(job)
        assert job.status == "Completed", job.state
        told = json.loads(place.lines(job)[0])
        assert told["files"]["hyperparameters.json"] == {"lr": "0.1"}
        assert told["files"]["resourceconfig.json"]["hosts"] == ["algo-1"]
        assert told["files"]["inputdataconfig.json"] == {
            "train": {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            }
        }
        environment = told["environment"]
        assert environment["MINE"] == "yes"
        assert environment["TRAINING_JOB_NAME"] == job.name
        assert environment["TRAINING_JOB_ARN"] == job.arn
        assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
        assert environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith(
            "http://127.0.0.1:1/cloudtune-localcloud/credentials/"
        )
        assert environment["CURRENT_HOST"] == "algo-1"
        token = environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"].rpartition("/")[2]
        assert place.platform.identities.credentials(token) is None  # it is good only as long as the job runs
        assert told["cwd"] == "/opt/ml/code"
        for path in ("checkpoints", "input/data/train/x.csv", "model", "output/data", "code"):
            assert f"/opt/ml/{path}" in told["tree"]
        assert ROLE not in environment
