"""The training job that runs a tuner: its place, its task, its request.

To the agent a tuner is a script like any other. Its folder in S3, below that of the experiment, is one of
:class:`~cloudtune.agent.protocol.Keys`: "trial" 0, with an attempt for each launch.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

from cloudtune import constants
from cloudtune.agent import protocol
from cloudtune.agent.forms import Life, Task
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import Conflict
from cloudtune.aws.job_names import job_name
from cloudtune.aws.our_jobs import TAG_EXPERIMENT, TAG_PLACE, TAG_TAG, TAG_TRIAL, TUNER
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.trial_request import ResolvedTemplate, digest
from cloudtune.remote.cargo import ENTRY_POINT

#: In place of the six characters that names of trials' jobs have.
NAME_PART = "tuning"
#: Of the only "trial" there is.
TRIAL = 0
#: Beside ``task.json``: what was shipped.
PICKLE = "tuner.dill"
MANIFEST = "shipment.json"
#: Variable of the job: :func:`launch_digest` of what it was created for.
ENV_LAUNCH = "CLOUDTUNE_LAUNCH"
#: Seconds after SIGTERM when a tuner is killed that has not ended: SageMaker kills the container after 120.
_STOP_GRACE = 113.0
#: Seconds of them that it has to end its trials: what is left is for its last entries. A hundred jobs that only
#: StopTrainingJob reaches, of which AWS takes about one a second, just fit behind the time that finding out takes why
#: the job is to end.
TIME_TO_END = 107.0
#: Of an image with another Python.
_OTHER_PYTHON = (
    "the tuner was pickled with Python {wanted}, and the image has Python {here}: launch it with an image_uri that has "
    "Python {wanted} (`cloudtune image build` makes one), or run the launching program with Python {here}"
)
_ATTEMPT = re.compile(r"(\d+)/")


@dataclass(frozen=True)
class Settings:
    """What the program in the job is told. Plain data: it travels as the configuration of the job's "trial".

    Args:
        name: Of the experiment.
        tag: What experiments of one study have in common, or "".
        root: Prefix of the experiment in the bucket.
        max_run: Seconds that the job may run.
        log_level: Of cloudtune's messages.
        store_logs: Keep logs and checkpoints of trials that run in the job itself in S3.
        publish_metrics: Print lines from which SageMaker's console draws the course of the tuning.
        leave_trials: When the job is stopped, its trials' jobs go on.
        takeover_from: Take the experiment over from the owner of the lease with this nonce.
        changes: What is other than in the pickled tuner, see :func:`cloudtune.remote.changes.change`.
        longest: Seconds of active tuning time that the experiment takes at most, from its beginning on; None: nothing
            limits it, or nobody has told.
        last_trials: Seconds of these that trials may run on once the stopping criterion is met; None: as long as they
            like.
    """

    name: str
    tag: str
    root: str
    max_run: int
    log_level: str = "INFO"
    store_logs: bool = False
    publish_metrics: bool = True
    leave_trials: bool = False
    takeover_from: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    longest: float | None = None
    last_trials: float | None = 0.0


@dataclass(frozen=True)
class TunerPlace:
    """Where what the tuner's jobs of an experiment say and hear lies.

    Args:
        bucket: Of the experiment.
        root: Prefix of the experiment, with a slash at its end.
    """

    bucket: Bucket
    root: str

    @property
    def keys(self) -> protocol.Keys:
        """Names of the objects."""
        return protocol.Keys(self.root + "remote/")

    @property
    def uri(self) -> str:
        """``s3://...`` of the folder."""
        return self.bucket.uri(self.keys.prefix)

    @property
    def experiment(self) -> str:
        """Name of the experiment that lies there."""
        return self.root.rstrip("/").rpartition("/")[2]

    def attempts(self) -> list[int]:
        """Numbers of the launches so far."""
        folder = f"{self.keys.prefix}trials/{TRIAL}/"
        found = {_ATTEMPT.match(one.key[len(folder) :]) for one in self.bucket.list(folder)}
        return sorted({int(match[1]) for match in found if match})

    def job_name(self, experiment: str, attempt: int) -> str:
        """Of the job of a launch."""
        return job_name(experiment, NAME_PART, TRIAL, attempt)

    def task_of(self, attempt: int) -> dict[str, Any] | None:
        """What the job of a launch was told; None where that is missing, or damaged."""
        got = self.bucket.get(self.keys.task(TRIAL, attempt))
        return None if got is None else _object(got.body) or None

    def settings_of(self, attempt: int) -> Settings | None:
        """What the program of a launch was told; None where that is missing, or damaged."""
        told = (self.task_of(attempt) or {}).get("config")
        if not isinstance(told, dict):
            return None
        try:
            return Settings(**{one.name: told[one.name] for one in fields(Settings) if one.name in told})
        except TypeError:  # not all of it is there
            return None

    def wish_of(self, attempt: int) -> str | None:
        """What somebody has asked the job to do: to stop or to pause."""
        got = self.bucket.get(self.keys.life)
        life = _object(got.body) if got is not None else {}
        wish = _wishes(life).get(protocol.wish_key(TRIAL, attempt)) or life.get("stop_all")
        return str(wish) if wish else None

    def put_wish(self, attempt: int, wish: str) -> None:
        """Asks the job of a launch to end."""
        self._renew_life({protocol.wish_key(TRIAL, attempt): wish})

    def _renew_life(self, wishes: Mapping[str, str]) -> None:
        """Writes the object with wishes, those that stand there and these. No wish for all stays in it."""
        while True:
            got = self.bucket.get(self.keys.life)
            life = _object(got.body) if got is not None else {}
            beat = life.get("beat")
            both = {**_wishes(life), **wishes}
            body = json.dumps(_life(beat + 1 if isinstance(beat, int) else 1, both)).encode()
            condition: dict[str, Any] = {"if_none_match": True} if got is None else {"if_match": got.etag}
            try:
                self.bucket.put_own(self.keys.life, body, **condition)
            except Conflict:
                continue  # somebody else has wished something at the same moment
            return

    def write_task(
        self,
        attempt: int,
        settings: Settings,
        shipped: Mapping[str, bytes],
        claim: Mapping[str, Any] | None = None,
    ) -> str:
        """Puts what the job of a launch reads at its start: its input channel, and the object with wishes.

        The task is put first, where there is none: whoever has put it writes the rest.

        Args:
            attempt: Number of the launch.
            settings: For the program.
            shipped: Further files of the channel, by name.
            claim: Who launches it, with a nonce.

        Returns:
            What :func:`launch_digest` gives for it.

        Raises:
            Conflict: There is a task of this number already.
        """
        folder = self.keys.task_folder(TRIAL, attempt)
        described = self._task(attempt, settings)
        described["launched_by"] = dict(claim or {})
        python = _object(shipped.get(MANIFEST, b"")).get("versions", {}).get("python")
        if python is not None:
            # Told by the agent before pip, which would only say what it does not find for the other Python.
            described["python"], described["python_note"] = python, _OTHER_PYTHON
        task = json.dumps(described).encode()
        put_task: Callable[[], object] = partial(self.bucket.put_own, folder + protocol.TASK, task, if_none_match=True)
        in_parallel(self.bucket.aws.threads, [put_task, self._make_life])
        puts: list[Callable[[], str]] = [
            partial(self.bucket.put, folder + name, body) for name, body in shipped.items()
        ]
        in_parallel(self.bucket.aws.threads, puts)
        return launch_digest(task, shipped.get(MANIFEST, b""))

    def _make_life(self) -> None:
        try:
            self.bucket.put_own(self.keys.life, json.dumps(_life(0, {})).encode(), if_none_match=True)
        except Conflict:  # it is there, with wishes for earlier launches
            got = self.bucket.get(self.keys.life)
            if got is None or _object(got.body).get("stop_all"):
                self._renew_life({})  # who called off all that there was did not mean this launch

    def _task(self, attempt: int, settings: Settings) -> Task:
        return {
            "format": protocol.FORMAT,
            "bucket": self.bucket.name,
            "owner": self.bucket.owner or "",
            "prefix": self.keys.prefix,
            "region": self.bucket.aws.region,
            "kms_key": self.bucket.kms_key,
            "trial": TRIAL,
            "attempt": attempt,
            "config": asdict(settings),
            "arguments": [],
            "pass_args_as_json": True,
            "entry_point": ENTRY_POINT,
            "environment": {constants.ENV_EXPERIMENT: settings.name, protocol.ENV_PLACE: self.uri},
            "use_s3": True,
            "checkpoint_dir": "",
            "put_interval": 1.0,
            "watch_interval": 2.0,
            "heartbeat": 60.0,
            "life_timeout": 0.0,  # nobody has to be there for it
            "stop_grace": _STOP_GRACE,
            "checkpoint_interval": 60.0,
            "termination_grace": _STOP_GRACE,
        }

    def request(
        self,
        attempt: int,
        settings: Settings,
        resolved: ResolvedTemplate,
        code_uri: str,
        metrics: list[str],
        launched: str,
    ) -> dict[str, Any]:
        """For CreateTrainingJob.

        Args:
            attempt: Number of the launch.
            settings: As they were written.
            resolved: What the account decides.
            code_uri: Folder of the archive.
            metrics: Names of metrics that SageMaker's console is to show.
            launched: What :meth:`write_task` gave: the job runs nothing else.
        """
        name = self.job_name(settings.name, attempt)
        request = resolved.request(
            name,
            code_uri=code_uri,
            task_uri=self.bucket.uri(self.keys.task_folder(TRIAL, attempt)),
            environment={
                constants.ENV_EXPERIMENT: settings.name,
                protocol.ENV_JOB_ID: f"{NAME_PART}-{TRIAL}-{attempt}",
                protocol.ENV_PLACE: self.uri,
                ENV_LAUNCH: launched,
            },
            tags={
                TAG_EXPERIMENT: settings.name,
                TAG_TAG: settings.tag or settings.name,
                TAG_TRIAL: TUNER,
                TAG_PLACE: self.uri,
            },
            metrics=metrics,
        )
        request["Environment"][protocol.ENV_JOB_DIGEST] = _digest_of_job(request)
        return request


def launch_digest(task: bytes, manifest: bytes) -> str:
    """Tells whether what lies in a job's channel is what its launch has put there.

    Args:
        task: Of the launch.
        manifest: Of the shipment, which has the digests of the rest.
    """
    return hashlib.sha256(
        f"{hashlib.sha256(task).hexdigest()} {hashlib.sha256(manifest).hexdigest()}".encode()
    ).hexdigest()


def _digest_of_job(request: Mapping[str, Any]) -> str:
    """Tells whether two requests are for the same job of the same launch."""
    launched = request["Environment"][ENV_LAUNCH]
    return hashlib.sha256(f"{digest(request)} {launched}".encode()).hexdigest()


def successor_of(described: Mapping[str, Any], name: str, task_uri: str, attempt: int, launched: str) -> dict[str, Any]:
    """The request for the job that carries on for another one.

    Args:
        described: The other job, as DescribeTrainingJob tells of it.
        name: Of the new one.
        task_uri: Its channel.
        attempt: Number of the new launch.
        launched: What :meth:`TunerPlace.write_task` gave.
    """
    kept = (
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "VpcConfig",
        "StoppingCondition",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
        "RetryStrategy",
        "Environment",
        "HyperParameters",
        # What a user may have named as `extra`.
        "CheckpointConfig",
        "DebugHookConfig",
        "ExperimentConfig",
        "InfraCheckConfig",
        "RemoteDebugConfig",
        "TensorBoardOutputConfig",
    )
    request = json.loads(json.dumps({member: described[member] for member in kept if described.get(member)}))
    request["TrainingJobName"] = name
    for channel in request["InputDataConfig"]:
        if channel["ChannelName"] == protocol.CHANNEL_TASK:
            channel["DataSource"]["S3DataSource"]["S3Uri"] = task_uri
    request["Environment"][protocol.ENV_JOB_ID] = f"{NAME_PART}-{TRIAL}-{attempt}"
    request["Environment"][ENV_LAUNCH] = launched
    request["Environment"][protocol.ENV_JOB_DIGEST] = _digest_of_job(request)
    algorithm = request["AlgorithmSpecification"]
    if not algorithm.get("MetricDefinitions"):
        algorithm.pop("MetricDefinitions", None)
    return dict(request)


def is_ours(aws: Aws, name: str, request: Mapping[str, Any]) -> bool:
    """Whether a job of this name is the one that was asked for: its answer may have been lost."""
    from cloudtune.aws.training_jobs import TrainingJobs

    there = TrainingJobs(aws).describe(name).environment
    ours = request["Environment"]
    return all(there.get(one) == ours[one] for one in (protocol.ENV_JOB_ID, protocol.ENV_JOB_DIGEST))


def _life(beat: int, wishes: Mapping[str, str]) -> Life:
    return {
        "format": protocol.FORMAT,
        "nonce": uuid.uuid4().hex,
        "beat": beat,
        "stop_all": None,
        "wishes": dict(wishes),
        "unix": time.time(),
    }


def _wishes(life: Mapping[str, Any]) -> dict[str, Any]:
    wishes = life.get("wishes")
    return wishes if isinstance(wishes, dict) else {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
