"""A client of SageMaker, S3 and CloudWatch Logs that knows boto3 only: it would run the same on the real AWS.

It creates jobs, describes, lists with filters and by pages, follows logs, stops a job and resumes one from its
checkpoint, and prints one line of JSON: what it saw.
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET = "truth-bucket"
GROUP = "/aws/sagemaker/TrainingJobs"
ROLE = "arn:aws:iam::123456789012:role/cloudtune-local-role"
SCRIPT = """
import json, os, signal, sys, time
hyperparameters = json.load(open("/opt/ml/input/config/hyperparameters.json"))
signal.signal(signal.SIGTERM, lambda *_: (print("stopping", flush=True), sys.exit(0)))
path = "/opt/ml/checkpoints/state.json"
start = json.load(open(path))["epoch"] if os.path.exists(path) else 0
print(f"start={start} pid={os.getpid()} channels={sorted(os.listdir('/opt/ml/input/data'))}", flush=True)
for epoch in range(start + 1, start + 1 + int(hyperparameters["epochs"])):
    print(f"epoch={epoch} loss={1 / epoch};", flush=True)
    json.dump({"epoch": epoch}, open(path, "w"))
    time.sleep(float(hyperparameters.get("seconds", 0)))
if hyperparameters.get("fail"):
    open("/opt/ml/output/failure", "w").write(hyperparameters["fail"])
    sys.exit(9)
open("/opt/ml/model/weights.txt", "w").write(str(epoch))
"""

config = Config(retries={"mode": "standard", "max_attempts": 10})
sagemaker = boto3.client("sagemaker", config=config)
s3 = boto3.client("s3", config=config)
logs = boto3.client("logs", config=config)


def create(name: str, checkpoints: str, **hyperparameters: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/code/", "S3DataDistributionType": "FullyReplicated"}
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/training:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "/opt/ml/input/data/code/train.py"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
        },
        RoleArn=ROLE,
        InputDataConfig=[{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/{checkpoints}"},
        HyperParameters=hyperparameters,
        Tags=[{"Key": "study", "Value": "truth"}],
    )


def finished(name: str) -> dict[str, Any]:
    """Waits with boto3's own waiter; what Describe says then, as far as JSON can hold it."""
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    try:
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    except Exception as error:  # noqa: BLE001 - the waiter raises for a failed job
        print(f"waiter: {error}", flush=True)
    described: dict[str, Any] = json.loads(
        json.dumps(sagemaker.describe_training_job(TrainingJobName=name), default=str)
    )
    return described


def lines(name: str) -> list[str]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")
    return [event["message"] for page in pages for event in page["events"]]


def until_line(name: str, beginning: str) -> None:
    """Until the job has printed such a line."""
    for _ in range(600):
        try:
            if any(line.startswith(beginning) for line in lines(name)):
                return
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
        time.sleep(0.1)
    raise TimeoutError(name)


s3.create_bucket(Bucket=BUCKET)
s3.put_object(Bucket=BUCKET, Key="code/train.py", Body=SCRIPT.encode())
create("truth-ok", "a", epochs="3")
create("truth-fails", "b", epochs="1", fail="the disk is on fire")
create("truth-stopped", "c", epochs="1000", seconds="0.1")
seen: dict[str, Any] = {"ok": finished("truth-ok"), "fails": finished("truth-fails")}
until_line("truth-stopped", "epoch=1 ")
sagemaker.stop_training_job(TrainingJobName="truth-stopped")
seen["stopped"] = finished("truth-stopped")
create("truth-resumed", "a", epochs="2")
seen["resumed"] = finished("truth-resumed")
seen["lines"] = {name: lines(f"truth-{name}") for name in ("ok", "fails", "stopped", "resumed")}

pages = sagemaker.get_paginator("list_training_jobs").paginate(
    NameContains="truth-", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 3}
)
seen["pages"] = [[row["TrainingJobName"] for row in page["TrainingJobSummaries"]] for page in pages]
failed = sagemaker.list_training_jobs(StatusEquals="Failed")["TrainingJobSummaries"]
seen["failed"] = [row["TrainingJobName"] for row in failed]
found = sagemaker.search(
    Resource="TrainingJob",
    SearchExpression={
        "Filters": [
            {"Name": "Tags.study", "Operator": "Equals", "Value": "truth"},
            {"Name": "TrainingJobStatus", "Operator": "Equals", "Value": "Completed"},
        ]
    },
)["Results"]
seen["found"] = sorted(row["TrainingJob"]["TrainingJobName"] for row in found)
model = s3.get_object(Bucket=BUCKET, Key="out/truth-ok/output/model.tar.gz")["Body"].read()
with tarfile.open(fileobj=io.BytesIO(model)) as archive:
    seen["model"] = [name for name in archive.getnames() if name.endswith(".txt")]
try:
    create("truth-ok", "a", epochs="1")
except ClientError as error:
    seen["again"] = error.response["Error"]["Code"]
print("SEEN " + json.dumps(seen), flush=True)
