"""From the template of all trials to the CreateTrainingJob request of one."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.agent.protocol import CHANNEL_CODE, CHANNEL_TASK, ENV_JOB_DIGEST, ENV_JOB_ID, ENV_PLACE
from cloudtune.aws.console_metrics import with_console_metrics
from cloudtune.aws.entry_point import agent_entry_point
from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.job_template import (
    NAME_TO_COME,
    OUTPUT_TO_COME,
    REGION_TO_COME,
    ROLE_TO_COME,
    SOURCE_TO_COME,
    JobTemplate,
)
from cloudtune.aws.own_entry import RESERVED_PREFIX, encoded
from cloudtune.aws.request_limits import LONGEST_TAG, first_problem, is_allowed_in_tag
from cloudtune.aws.request_model import check_members
from cloudtune.constants import ENV_ATTEMPT, ENV_EXPERIMENT, ENV_PRICE_PER_SECOND, ENV_TRIAL

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

#: What every job gets besides the user's.
OUR_VARIABLES = (
    ENV_EXPERIMENT,
    ENV_TRIAL,
    ENV_ATTEMPT,
    ENV_PRICE_PER_SECOND,
    ENV_JOB_ID,
    ENV_JOB_DIGEST,
    ENV_PLACE,
)
OUR_TAGS = ("cloudtune:experiment", "cloudtune:tag", "cloudtune:trial", "cloudtune:place")


@dataclass(frozen=True)
class ResolvedTemplate:
    """A template with all that the account decides: role, image, output path. Plain data.

    Args:
        template: What it was made of.
        members: Of CreateTrainingJob, the same for all trials.
        image: URI of the image for all instance types; None: it follows from the instance type.
        region: Of the jobs.
    """

    template: JobTemplate
    members: dict[str, Any]
    image: str | None
    region: str

    def request(
        self,
        job_name: str,
        *,
        code_uri: str | None = None,
        task_uri: str | None = None,
        environment: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        instance_type: str | None = None,
        instance_count: int | None = None,
        checkpoint_uri: str | None = None,
        config: Mapping[str, Any] | None = None,
        metrics: Sequence[str] = (),
    ) -> dict[str, Any]:
        """What ``create_training_job`` takes for one attempt of a trial.

        Args:
            job_name: At most 63 characters.
            code_uri: With the agent: prefix that holds ``bundle.zip``. With the image's own entry: of the archive of
                the user's source, see :mod:`cloudtune.aws.own_source`.
            task_uri: Prefix that holds ``task.json``; with the agent only.
            environment: Variables added to the user's; these win.
            tags: Added to the user's; these win, and what AWS does not allow in a value is replaced.
            instance_type: In place of the template's.
            instance_count: In place of the template's.
            checkpoint_uri: Prefix that SageMaker keeps the trial's checkpoints in; None: it keeps none.
            config: The trial's configuration, as hyperparameters; with the image's own entry only.
            metrics: Names of metrics that SageMaker's console is to show.

        Raises:
            InvalidRequest: AWS would refuse it; the message names what is too long or too many.
        """
        template = self.template
        to_come = {NAME_TO_COME: job_name}
        if template.keep_own_entry and template.needs_source:
            if code_uri is None:
                raise ValueError("a job with its image's own entry and a script of ours needs code_uri; pass it")
            to_come[SOURCE_TO_COME] = code_uri
        request: dict[str, Any] = filled(self.members, to_come)
        request["TrainingJobName"] = job_name
        _set_instances(request, instance_type, instance_count)
        algorithm = request["AlgorithmSpecification"]
        if "AlgorithmName" not in algorithm:
            algorithm["TrainingImage"] = self.image_for(instance_type or template.instance_type)
        if template.keep_own_entry:
            told: dict[str, str] = request.get("HyperParameters") or {}
            if instance_type is not None and "sagemaker_instance_type" in told:
                told["sagemaker_instance_type"] = json.dumps(instance_type)
            request["HyperParameters"] = {**told, **encoded(config or {}, template.form)}
        else:
            if code_uri is None or task_uri is None:
                raise ValueError("a job with our agent needs code_uri and task_uri; pass both")
            algorithm["ContainerEntrypoint"] = agent_entry_point(code_uri)
            request.setdefault("InputDataConfig", []).extend(
                _our_channel(request, name, uri) for name, uri in ((CHANNEL_CODE, code_uri), (CHANNEL_TASK, task_uri))
            )
        algorithm["MetricDefinitions"] = with_console_metrics(algorithm.get("MetricDefinitions") or [], metrics)
        request["Environment"] = {**(request.get("Environment") or {}), **(environment or {})}
        request["Tags"] = _tags(request.get("Tags") or (), tags or {})
        checkpoints = request.pop("CheckpointConfig", None) or {}
        if checkpoint_uri is not None:
            request["CheckpointConfig"] = {**checkpoints, "S3Uri": checkpoint_uri}
        problem = first_problem(request)
        if problem is not None:
            raise InvalidRequest(problem, "ValidationException", "sagemaker:CreateTrainingJob")
        for empty in ("Environment", "Tags", "HyperParameters"):
            if not request.get(empty):
                request.pop(empty, None)
        if not algorithm["MetricDefinitions"]:
            del algorithm["MetricDefinitions"]
        return request

    def image_for(self, instance_type: str) -> str:
        """URI of the image for machines of a type."""
        if self.image is not None:
            return self.image
        template = self.template
        if template.images:
            kind = "gpu" if instance_type.removeprefix("ml.").startswith(("g", "p")) else "cpu"
            return template.images.get(kind) or next(iter(template.images.values()))
        from cloudtune.aws.images import default_image, image_uri

        if template.framework_version is None:
            return default_image(instance_type, self.region)
        return image_uri(
            template.framework, template.framework_version, instance_type, self.region, template.py_version
        )


def resolve(
    template: JobTemplate,
    aws: Aws,
    *,
    bucket: str,
    image: str | None = None,
    output_prefix: str = "cloudtune/output",
    kms_key: str | None = None,
) -> ResolvedTemplate:
    """Finds what the template leaves open.

    Args:
        template: See :func:`cloudtune.aws.job_template.template_of`.
        aws: Account and region of the jobs.
        bucket: Where output goes if the user has not said.
        image: URI, in place of the template's.
        output_prefix: Of output in the bucket.
        kms_key: Key that encrypts output there, unless the template names one.

    Raises:
        NoExecutionRole: There is no such role, or none was found.
        NoSuchImage: AWS has no image for the framework and its version.
        InvalidRequest: AWS or boto3 would refuse the request of any trial.
        ValueError: The SDK's session is in another region.
    """
    if template.region is not None and template.region != aws.region:
        raise ValueError(
            f"the session of the {template.origin} is in {template.region} and the tuner's in {aws.region}; give both "
            "the same region"
        )
    from cloudtune.aws.roles import get_execution_role

    arn = get_execution_role(template.role, aws)
    prefix = output_prefix.strip("/")
    to_come = {
        OUTPUT_TO_COME: f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}",
        ROLE_TO_COME: arn,
        REGION_TO_COME: aws.region,
    }
    members = filled(template.request, to_come)
    members["RoleArn"] = arn
    is_ours = str(template.request["OutputDataConfig"]["S3OutputPath"]).startswith(OUTPUT_TO_COME)
    if kms_key and is_ours and not members["OutputDataConfig"].get("KmsKeyId"):
        members["OutputDataConfig"]["KmsKeyId"] = kms_key
    resolved = ResolvedTemplate(template, members, image or template.images.get("*"), aws.region)
    # What is wrong with all trials, a missing image included, is to be known before the first.
    place = f"s3://{bucket}/{prefix}"
    request = resolved.request(
        "check",
        code_uri=place,
        task_uri=place,
        environment=dict.fromkeys(OUR_VARIABLES, ""),
        tags=dict.fromkeys(OUR_TAGS, ""),
    )
    check_members(aws.client("sagemaker"), request)
    return resolved


def digest(request: Mapping[str, Any]) -> str:
    """Tells whether two requests are for the same attempt of the same trial: SHA-256, in hexadecimal.

    It counts what makes the attempt: the job's name and id, the experiment's place, the task, and in jobs with the
    image's own entry the trial's hyperparameters. Image, machine, source, role and tags do not count: a tuner that was
    started again in a newer version, or tries another instance type, still knows the job as its own.
    """
    environment = request.get("Environment") or {}
    task = [
        channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request.get("InputDataConfig") or ()
        if channel["ChannelName"] == CHANNEL_TASK
    ]
    own = {
        name: value
        for name, value in (request.get("HyperParameters") or {}).items()
        if not name.startswith(RESERVED_PREFIX)
    }
    counts = [request["TrainingJobName"], environment.get(ENV_JOB_ID), environment.get(ENV_PLACE), task, own]
    return hashlib.sha256(json.dumps(counts, sort_keys=True).encode()).hexdigest()


def filled(value: Any, to_come: Mapping[str, str]) -> Any:
    """A deep copy in which texts that were to come stand in place of their signs."""
    if isinstance(value, str):
        for sign, text in to_come.items():
            value = value.replace(sign, text)
        return value
    if isinstance(value, Mapping):
        return {name: filled(member, to_come) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(member, to_come) for member in value]
    return copy.copy(value)


def _set_instances(request: dict[str, Any], instance_type: str | None, instance_count: int | None) -> None:
    resources = request["ResourceConfig"]
    if instance_type is None and instance_count is None:
        return
    if resources.get("InstanceGroups"):
        raise ValueError(
            "a job of instance groups takes no other instance type or count per trial; leave st_instance_type and "
            "st_instance_count out of the config space"
        )
    if instance_type is not None:
        resources["InstanceType"] = instance_type
    if instance_count is not None:
        resources["InstanceCount"] = instance_count


def _our_channel(request: Mapping[str, Any], name: str, uri: str) -> dict[str, Any]:
    place: dict[str, Any] = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    # AWS wants all channels assigned to instance groups, or none.
    sources = [one["DataSource"].get("S3DataSource") or {} for one in request.get("InputDataConfig") or ()]
    if any(source.get("InstanceGroupNames") for source in sources):
        groups = request["ResourceConfig"].get("InstanceGroups") or ()
        place["InstanceGroupNames"] = [group["InstanceGroupName"] for group in groups]
    return {"ChannelName": name, "DataSource": {"S3DataSource": place}, "InputMode": "File", "CompressionType": "None"}


def _tags(users: Sequence[Mapping[str, str]], ours: Mapping[str, str]) -> list[dict[str, str]]:
    kept = [dict(tag) for tag in users if tag["Key"] not in ours]
    return kept + [{"Key": key, "Value": tag_value(value)} for key, value in ours.items()]


def tag_value(value: str) -> str:
    """A text as the value of a tag: what AWS does not allow becomes a dash, and what is too long is cut."""
    return "".join(character if is_allowed_in_tag(character) else "-" for character in str(value)[:LONGEST_TAG])
