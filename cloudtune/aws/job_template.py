"""What every trial's training job has in common: our own description of it, and the plain template made of it.

Whatever the user has, a :class:`TrainingJob`, an Estimator of AWS's SDK v2 or a ModelTrainer of its v3, becomes a
:class:`JobTemplate`: data only, which can be pickled and logged, and needs no SDK to be used.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")

#: How the image's own launcher reads hyperparameters: each value as JSON (AWS's training toolkit), as JSON but strings
#: as they are (the launcher of SDK v3), or as ``str()`` writes it (algorithms in images of their own).
HyperparameterForm = Literal["json", "json_but_strings", "text"]

# Stand in a template for what is known only later. They look like what they stand for, for SDKs look at them.
OUTPUT_TO_COME = "s3://cloudtune-output-to-come"
SOURCE_TO_COME = "s3://cloudtune-source-to-come/sourcedir.tar.gz"
ROLE_TO_COME = "arn:aws:iam::000000000000:role/cloudtune-role-to-come"
NAME_TO_COME = "cloudtune-job-name-to-come"
REGION_TO_COME = "cloudtune-region-to-come"


def _answers_typos(made: type[T]) -> type[T]:
    """Lets a dataclass answer a misspelt field with the name that is probably meant."""
    names = [one.name for one in fields(made)]  # type: ignore[arg-type]
    init: Callable[..., None] = made.__init__

    @functools.wraps(init)
    def answering(self: T, *args: Any, **given: Any) -> None:
        for name in given:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
                raise TypeError(f"{made.__name__} has no field {name!r}; {hint}")
        init(self, *args, **given)

    made.__init__ = answering  # type: ignore[assignment]
    return made


@_answers_typos
@dataclass(frozen=True)
class TrainingJob:
    """A training job on SageMaker, as every trial gets one. Only the entry point is required. ::

        TrainingJob("train.py", source_dir="src", instance_type="ml.g5.xlarge", inputs={"train": "s3://bucket/data"})

    What AWS makes of each member: `CreateTrainingJob
    <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>`_.

    Args:
        entry_point: The script that is run: ``.py`` by Python, ``.sh`` by sh. Relative to ``source_dir``; without a
            ``source_dir`` a path on this machine.
        source_dir: Folder that travels to the job, with all below it that ``.gitignore`` and ``.cloudtuneignore`` do
            not exclude. Its ``requirements.txt`` is installed. By default only the entry point travels.
        instance_type: Machine that it runs on, as in `SageMaker's price list
            <https://aws.amazon.com/sagemaker/pricing/>`_.
        instance_count: Machines of that type per job.
        image_uri: Docker image. By default AWS's own, for the framework and the instance type.
        framework: Of AWS's images: ``pytorch``, ``tensorflow``, ``huggingface``, ``sklearn`` or ``xgboost``.
        framework_version: Such as ``2.8``. By default one whose Python is near to that of this machine.
        py_version: Python in AWS's image, such as ``3.12`` or ``py312``. By default the newest that there is.
        role: ARN or name of the IAM role that the job runs as. By default it is looked for, see
            :func:`cloudtune.aws.roles.get_execution_role`.
        dependencies: Further files and folders of this machine that travel; they stand beside the entry point.
        inputs: Input channels by name: an ``s3://`` prefix, or a `Channel
            <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Channel.html>`_ without its name. A job
            finds ``train`` in ``/opt/ml/input/data/train`` and ``$SM_CHANNEL_TRAIN``.
        environment: Environment variables of the job.
        hyperparameters: Constants that every trial gets besides its configuration, which wins.
        max_run: Seconds after which SageMaker stops the job. AWS allows 432,000 (5 days) by default.
        use_spot: Run on spare capacity, cheaper and at times `interrupted
            <https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html>`_.
        max_wait: With ``use_spot``: seconds after which SageMaker gives the job up, its training included. By default
            a day more than ``max_run``.
        max_retries: How often, from 0 to 30, SageMaker itself starts a job again that a failure of AWS has ended.
        keep_alive_period: Seconds that the machine is kept `warm
            <https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html>`_ for the next trial, and paid
            for. At most 3,600 by default.
        volume_size: Size of the machine's disk in GB; ignored by AWS where a type has disks of its own.
        volume_kms_key: KMS key that encrypts this disk.
        output_path: ``s3://`` prefix for models and output. By default a prefix in the experiment's bucket.
        output_kms_key: KMS key that encrypts what is written there.
        subnets: Of a VPC that the job is to run in; with ``security_group_ids``.
        security_group_ids: See ``subnets``.
        enable_network_isolation: No network in the job, S3 included: reports come from its log then.
        encrypt_inter_container_traffic: Encrypt what several machines of a job tell each other.
        instance_groups: In place of type and count: `InstanceGroup
            <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InstanceGroup.html>`_ for each kind.
        tags: On every job; ``cloudtune:...`` are ours.
        metric_definitions: Further `metrics
            <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_MetricDefinition.html>`_ that SageMaker reads
            from the log.
        checkpoint_s3_uri: ``s3://`` prefix below which SageMaker itself keeps each trial's checkpoints. Only for jobs
            with an entry of their own or without network; otherwise cloudtune keeps them, whole ones only.
        checkpoint_local_path: Folder in the job that is kept, by SageMaker or by cloudtune, and that a script gets as
            ``st_checkpoint_dir``. By default ``/opt/ml/checkpoints``.
        keep_own_entry: Let the image start the script in its own way, as torchrun and MPI need it, without
            cloudtune's agent. Hyperparameters then obey AWS's limits, reports come from the log, and stopping takes
            longer.
        extra: Further members of CreateTrainingJob, verbatim.

    Raises:
        ValueError: A member is wrong.
        TypeError: There is no such member.
    """

    entry_point: str | Path
    source_dir: str | Path | None = None
    instance_type: str = "ml.g4dn.xlarge"
    instance_count: int = 1
    image_uri: str | None = None
    framework: str = "pytorch"
    framework_version: str | None = None
    py_version: str | None = None
    role: str | None = None
    dependencies: Sequence[str | Path] = ()
    inputs: Mapping[str, str | Mapping[str, Any]] | None = None
    environment: Mapping[str, str] | None = None
    hyperparameters: Mapping[str, Any] | None = None
    max_run: int = 86_400
    use_spot: bool = False
    max_wait: int | None = None
    max_retries: int = 0
    keep_alive_period: int = 0
    volume_size: int = 30
    volume_kms_key: str | None = None
    output_path: str | None = None
    output_kms_key: str | None = None
    subnets: Sequence[str] = ()
    security_group_ids: Sequence[str] = ()
    enable_network_isolation: bool = False
    encrypt_inter_container_traffic: bool = False
    instance_groups: Sequence[Mapping[str, Any]] = ()
    tags: Mapping[str, str] | None = None
    metric_definitions: Sequence[Mapping[str, str]] = ()
    checkpoint_s3_uri: str | None = None
    checkpoint_local_path: str | None = None
    keep_own_entry: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from cloudtune.aws.training_job_rules import check

        check(self)


@dataclass(frozen=True)
class JobTemplate:
    """The training job that each trial gets, without what is the trial's own. Plain data.

    Args:
        origin: What it was made of, for messages: ``sagemaker.pytorch.estimator.PyTorch``.
        request: Members of CreateTrainingJob, as JSON has them. Texts that end in ``to-come`` stand for what is known
            later. ``HyperParameters`` are there only where ``keep_own_entry`` is set, encoded.
        entry_point: The user's script: relative to ``source_dir``, else an absolute path. None: the image has it.
        source_dir: Folder of this machine that travels to the jobs.
        dependencies: Further paths of this machine that do.
        is_uploaded: An SDK has uploaded the source already.
        hyperparameters: Constants that each trial gets besides its configuration.
        keep_own_entry: The image starts the script in its own way; there is no agent.
        why_own_entry: Why, as ``it is distributed by torch_distributed``; empty where ``keep_own_entry`` is not set.
        distributed: Names of what distributes it, such as ``torch_distributed``; empty if nothing does.
        form: How its own entry reads hyperparameters.
        role: ARN or name of the role, where the user gave one.
        images: URIs for instances of the kinds ``cpu`` and ``gpu``, where they differ; else ``*``. Empty where they
            follow from the framework.
        region: Of the SDK's session, if there is one: images and data are there.
        profile: Of the SDK's session, if the user chose one.
        framework: See :class:`TrainingJob`.
        framework_version: See :class:`TrainingJob`.
        py_version: See :class:`TrainingJob`.
    """

    origin: str
    request: dict[str, Any]
    entry_point: str | None = None
    source_dir: str | None = None
    dependencies: tuple[str, ...] = ()
    is_uploaded: bool = False
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    keep_own_entry: bool = False
    why_own_entry: str = ""
    distributed: tuple[str, ...] = ()
    form: HyperparameterForm = "json"
    role: str | None = None
    images: dict[str, str] = field(default_factory=dict)
    region: str | None = None
    profile: str | None = None
    framework: str = "pytorch"
    framework_version: str | None = None
    py_version: str | None = None

    def __post_init__(self) -> None:
        for name, value in {**self.request, **self.hyperparameters}.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                raise ValueError(
                    f"{name} of {self.origin} holds something that is no plain data, such as a variable of a pipeline: "
                    f"{value!r}; give its value"
                ) from None

    @property
    def script(self) -> str | None:
        """The entry point as it stands in the source folder that travels; None if nothing travels."""
        if self.entry_point is None:
            return None
        return self.entry_point if self.source_dir is not None else Path(self.entry_point).name

    def source_paths(self) -> tuple[Path, ...]:
        """Files and folders of this machine that travel to the jobs."""
        if self.is_uploaded:
            return ()
        source = self.entry_point if self.source_dir is None else self.source_dir
        return tuple(Path(one) for one in (source, *self.dependencies) if one is not None)

    def relocated(self, moved: Callable[[Path], Path]) -> JobTemplate:
        """The same template where the files that travel to the jobs are elsewhere.

        Args:
            moved: From a former path to the present one.
        """
        if self.is_uploaded:
            return self

        def there(path: str) -> str:
            return str(moved(Path(path)))

        entry = self.entry_point
        return replace(
            self,
            entry_point=there(entry) if entry is not None and self.source_dir is None else entry,
            source_dir=None if self.source_dir is None else there(self.source_dir),
            dependencies=tuple(there(one) for one in self.dependencies),
        )

    @property
    def needs_source(self) -> bool:
        """Whether the jobs need an archive that cloudtune makes: with the agent always."""
        return not self.keep_own_entry or (self.entry_point is not None and not self.is_uploaded)

    @property
    def is_spot(self) -> bool:
        """Whether jobs run on spot capacity."""
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def may_restart(self) -> bool:
        """Whether SageMaker may start a job again by itself."""
        return self.is_spot or bool(self.request.get("RetryStrategy"))

    @property
    def has_network(self) -> bool:
        """Whether a job can reach S3."""
        return not self.request.get("EnableNetworkIsolation")

    @property
    def keep_alive_period(self) -> int:
        """Seconds that a job's machine is kept warm; 0: not at all."""
        return int(self.request["ResourceConfig"].get("KeepAlivePeriodInSeconds") or 0)

    @property
    def max_run(self) -> int:
        """Seconds that a job may run."""
        return int(self.request["StoppingCondition"]["MaxRuntimeInSeconds"])

    @property
    def longest_life(self) -> int:
        """Seconds after which a job of this kind has certainly ended."""
        return int(self.request["StoppingCondition"].get("MaxWaitTimeInSeconds") or self.max_run)

    @property
    def instance_type(self) -> str:
        """Type of the job's machines; of the first group where there are several."""
        return self.machines[0][0]

    @property
    def instance_count(self) -> int:
        """Machines per job, those of all groups together."""
        return sum(count for _, count in self.machines)

    @property
    def has_groups(self) -> bool:
        """Whether the job has groups of instances, be it one."""
        return bool(self.request["ResourceConfig"].get("InstanceGroups"))

    @property
    def machines(self) -> tuple[tuple[str, int], ...]:
        """Type and number of the machines of each group; of the job where there are no groups."""
        resources = self.request["ResourceConfig"]
        groups = resources.get("InstanceGroups") or [resources]
        return tuple((str(one["InstanceType"]), int(one["InstanceCount"])) for one in groups)

    @property
    def checkpoint_s3_uri(self) -> str | None:
        """Prefix that the user gave for checkpoints that SageMaker keeps. All trials would share it: add to it."""
        uri = (self.request.get("CheckpointConfig") or {}).get("S3Uri")
        return str(uri) if uri else None

    @property
    def checkpoint_local_path(self) -> str | None:
        """Folder in the job that the user's script keeps its checkpoints in, where that is another than the usual."""
        path = (self.request.get("CheckpointConfig") or {}).get("LocalPath")
        return str(path) if path else None


def template_of(given: Any, inputs: Any = None, keep_own_entry: bool | None = None) -> JobTemplate:
    """The template for whatever describes a job. Nothing is uploaded, save what SDK v3 alone can upload.

    Args:
        given: A :class:`TrainingJob`; an Estimator of the SageMaker SDK v2, of any class; a ModelTrainer of the SDK
            v3; or a template, which is given back.
        inputs: Input channels by name, or what the SDK's ``fit`` or ``train`` take; added to those that ``given`` has.
        keep_own_entry: Whether the image starts the script in its own way. By default only where there is no other
            way: the job is distributed, has no script of this machine, or a start command of its own.

    Raises:
        TypeError: ``given`` describes no job.
        ValueError: It describes one that cannot be a trial; the message says what to change.
    """
    if not isinstance(keep_own_entry, (bool, type(None))):
        raise ValueError(f"keep_own_entry must be True or False, or be left out, got {keep_own_entry!r}")
    if isinstance(given, JobTemplate):
        if inputs is not None or keep_own_entry is not None:
            raise ValueError("a job template is taken as it is; give inputs and keep_own_entry when it is made")
        return given
    if isinstance(given, TrainingJob):
        from cloudtune.aws.plain_template import template_of_description

        return template_of_description(given, inputs, keep_own_entry)
    if is_estimator(given):
        from cloudtune.aws.sdk_v2 import template_of_estimator

        return template_of_estimator(given, inputs, keep_own_entry)
    if is_model_trainer(given):
        from cloudtune.aws.sdk_v3 import template_of_trainer

        return template_of_trainer(given, inputs, keep_own_entry)
    raise TypeError(
        f"{given!r} describes no job: give a TrainingJob(entry_point='train.py'), an Estimator of the SageMaker SDK v2 "
        "or a ModelTrainer of its v3"
    )


def is_estimator(given: object) -> bool:
    """Whether this is an Estimator of the SageMaker SDK v2; tells it without importing the SDK."""
    return _descends_from(given, "sagemaker.estimator", "EstimatorBase")


def is_model_trainer(given: object) -> bool:
    """Whether this is a ModelTrainer of the SageMaker SDK v3 (or of 2.x, where it was in ``sagemaker.modules``)."""
    return _descends_from(given, "sagemaker.train.model_trainer", "ModelTrainer") or _descends_from(
        given, "sagemaker.modules.train.model_trainer", "ModelTrainer"
    )


def _descends_from(given: object, module: str, name: str) -> bool:
    return any(one.__module__ == module and one.__qualname__ == name for one in type(given).__mro__)
