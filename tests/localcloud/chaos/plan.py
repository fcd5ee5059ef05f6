"""Which troubles meet in which chaos job: every pair of kinds in one job, drawn from a seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.localcloud.fault import Fault

#: Troubles that the local cloud makes, by the fault's name.
OF_JOBS = (
    "capacity",
    "job_internal_error",
    "slow_start",
    "slow_stop",
    "hang_stopping",
    "spot_interruption",
    "console_stop",
    "sync_ceases",
    "no_warm_pool",
    "late_logs",
    "shuffled_logs",
)
OF_CALLS = (
    "throttle",
    "internal_error",
    "slow_down",
    "access_denied",
    "resource_limit",
    "answer_lost",
    "request_lost",
    "write_lost",
    "slow_answer",
)
#: Troubles that lie in the job itself or come from its owner.
OWN = (
    "client_stop",
    "max_runtime",
    "max_wait",
    "bad_exit",
    "broken_archive",
    "isolated",
    "spot_without_notice",
    "warm_pool",
)
KINDS = (*OF_JOBS, *OF_CALLS, *OWN)

#: Kinds that may keep a job from completing; all others must not.
DISRUPTIVE = frozenset(
    {
        "capacity",
        "job_internal_error",
        "console_stop",
        "access_denied",
        "client_stop",
        "slow_stop",
        "hang_stopping",
        "max_runtime",
        "max_wait",
        "bad_exit",
        "broken_archive",
    }
)
#: Jobs with these are stopped by their owner.
STOPPED_BY_OWNER = frozenset({"client_stop", "slow_stop", "hang_stopping"})


@dataclass(frozen=True)
class JobPlan:
    """A chaos job: its troubles and what it is asked to do. Seconds of faults are cloud seconds."""

    name: str
    kinds: tuple[str, ...]
    steps: int
    step_seconds: float  # real
    exit_code: int
    retries: int
    faults: tuple[Fault, ...] = field(repr=False)

    @property
    def is_spot(self) -> bool:
        return bool({"spot_interruption", "spot_without_notice", "max_wait"} & set(self.kinds))

    @property
    def keeps_instances(self) -> bool:
        return not self.is_spot and bool({"warm_pool", "no_warm_pool"} & set(self.kinds))

    def request(self, bucket: str, places: Mapping[str, str]) -> dict[str, Any]:
        """Of CreateTrainingJob; ``places`` holds the URIs of the channels agent, source, broken and config."""
        source = places["broken" if "broken_archive" in self.kinds else "source"]
        request: dict[str, Any] = {
            "TrainingJobName": self.name,
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:latest",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "/opt/ml/input/data/agent/agent_like.py"],
                "MetricDefinitions": [{"Name": "loss", "Regex": r"loss=([0-9.]+);"}],
            },
            "RoleArn": "arn:aws:iam::123456789012:role/chaos",
            "InputDataConfig": [
                channel("agent", places["agent"]),
                channel("source", source),
                channel("config", f"{places['config']}/{self.name}/"),
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
            "CheckpointConfig": {"S3Uri": f"s3://{bucket}/checkpoints/{self.name}"},
            "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 20 if self._is_limited else 36_000},
            "Tags": [{"Key": "cloudtune:experiment", "Value": "chaos"}],
        }
        if self.is_spot:
            request["EnableManagedSpotTraining"] = True
            request["StoppingCondition"]["MaxWaitTimeInSeconds"] = 22 if "max_wait" in self.kinds else 72_000
        elif self.keeps_instances:
            request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = 60
        if self.retries:
            request["RetryStrategy"] = {"MaximumRetryAttempts": self.retries}
        if "isolated" in self.kinds:
            request["EnableNetworkIsolation"] = True
        return request

    @property
    def _is_limited(self) -> bool:
        return bool({"max_runtime", "max_wait"} & set(self.kinds))

    def config(self, bucket: str) -> dict[str, Any]:
        """What the agent reads from its channel."""
        return {
            "bucket": "" if "isolated" in self.kinds else bucket,
            "prefix": f"inbox/{self.name}",
            "steps": self.steps,
            "seconds": self.step_seconds,
            "exit": self.exit_code,
        }


def channel(name: str, uri: str) -> dict[str, Any]:
    """A channel of files."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def draw(seed: int, jobs: int) -> list[JobPlan]:
    """So many jobs, each with another pair of kinds; all pairs if there are enough jobs."""
    random_state = random.Random(seed)
    pairs = list(itertools.combinations(KINDS, 2))
    random_state.shuffle(pairs)
    return [_plan(f"chaos-{seed}-{number:03d}", pair, random_state) for number, pair in enumerate(pairs[:jobs])]


def _plan(name: str, pair: tuple[str, str], random_state: random.Random) -> JobPlan:
    # A job that is to be stopped must live long enough for it.
    is_long = bool({"max_runtime", "max_wait", *STOPPED_BY_OWNER} & set(pair))
    return JobPlan(
        name=name,
        kinds=pair,
        steps=100 if is_long else random_state.randint(3, 12),
        step_seconds=0.1 if is_long else random_state.choice([0.02, 0.1, 0.25]),
        exit_code=random_state.choice([5, 7, 42]) if "bad_exit" in pair else 0,
        retries=random_state.choice([0, 1, 2]) if "job_internal_error" in pair else 0,
        faults=tuple(fault for kind in pair for fault in _faults(kind, name, random_state)),
    )


def _faults(kind: str, name: str, random_state: random.Random) -> list[Fault]:
    """Seconds are cloud seconds, of which the chaos cloud has 20 in a real one."""
    some = random_state.uniform(0, 30)
    if kind in ("throttle", "internal_error", "slow_answer", "answer_lost", "request_lost"):
        operation = random_state.choice(["sagemaker:*", "s3:*", "*"])
        count = random_state.randint(1, 3)
        return [Fault(kind, operation, job=name, count=count, skip=random_state.randint(0, 3), seconds=some)]
    if kind in ("slow_down", "access_denied", "write_lost"):
        return [Fault(kind, "s3:PutObject", who=f"job:{name}", count=1, skip=random_state.randint(0, 4))]
    if kind == "resource_limit":
        return [Fault(kind, "sagemaker:CreateTrainingJob", job=name, count=random_state.randint(1, 2))]
    if kind == "spot_without_notice":
        return [Fault("spot_interruption", job=name, count=random_state.randint(1, 2), seconds=some, notice=False)]
    if kind == "spot_interruption":
        return [Fault(kind, job=name, count=random_state.randint(1, 2), seconds=some)]
    if kind == "job_internal_error":
        return [Fault(kind, job=name, count=random_state.randint(1, 2), seconds=some)]
    if kind in OWN:
        return []
    # Lines come in many deliveries; instances are kept by the last run of several.
    is_lasting = kind.endswith("_logs") or kind == "no_warm_pool"
    return [Fault(kind, job=name, count=None if is_lasting else 1, seconds=some)]
