"""From an attempt to its task in S3 and its request for CreateTrainingJob."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune import constants
from cloudtune.agent import protocol
from cloudtune.agent.forms import Task
from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.aws.trial_request import ResolvedTemplate, digest
from cloudtune.backend.arguments import command_line, config_json, plain
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Machines
from cloudtune.backend.sagemaker_backend.bills import Bills
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.machine_choices import (
    chosen_count,
    chosen_type,
    instance_types,
    most_instances,
    what_is_wrong,
)
from cloudtune.backend.sagemaker_backend.source_archive import SourceArchive
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.trial import Config


class TrialRequests:
    """Makes everything that a job is told.

    Args:
        resolved: What all jobs have in common.
        bucket: Where the experiment lies.
        keys: Of the experiment.
        place: Name, id and tag of the experiment.
        archive: Of agent and source; None where jobs need none of ours.
        bills: Knows prices.
        cadence: Intervals of the agents.
        stop_grace: Seconds between SIGTERM and SIGKILL for a script.
        fallbacks: Instance types to take where a trial's own cannot be had.
        pass_args_as_json: Pass the configuration as a file.
        metrics: Names of metrics that SageMaker's console is to show.
    """

    def __init__(
        self,
        resolved: ResolvedTemplate,
        bucket: Bucket,
        keys: protocol.Keys,
        place: ExperimentPlace,
        archive: SourceArchive | None,
        bills: Bills,
        cadence: Cadence,
        stop_grace: float,
        fallbacks: Sequence[str],
        pass_args_as_json: bool,
        metrics: Sequence[str],
    ) -> None:
        self._resolved = resolved
        self._bucket = bucket
        self._keys = keys
        self._place = place
        self._archive = archive
        self._bills = bills
        self._cadence = cadence
        self._stop_grace = stop_grace
        self._fallbacks = tuple(fallbacks)
        self._pass_args_as_json = pass_args_as_json
        self._metrics = tuple(metrics)

    @property
    def has_agent(self) -> bool:
        """Whether our agent runs the script."""
        return not self._resolved.template.keep_own_entry

    def instance_types(self, attempt: Attempt) -> Sequence[str]:
        """The type that the configuration or the template asks for, then those to fall back on."""
        wanted = chosen_type(attempt.trial.config, self._resolved.template.instance_type)
        return [wanted, *(one for one in self._fallbacks if one != wanted)]

    def any_machines(self) -> list[Machines]:
        """All machines that a trial of this experiment may get, whatever its configuration."""
        template, space = self._resolved.template, self._place.config_space
        if template.has_groups:  # there is nothing to choose
            return [template.machines]
        count = most_instances(space, template.instance_count)
        return [[(one, count)] for one in (*instance_types(space, template.instance_type), *self._fallbacks)]

    def expect(self, attempt: Attempt, config_is_known: bool = True) -> None:
        """Notes on the attempt what it may cost, as long as nobody knows which machines its job has."""
        types = self.instance_types(attempt)
        self.set_costs(attempt, types[0])
        if config_is_known and not self._resolved.template.has_groups:
            attempt.may_get = [[(one, attempt.instance_count)] for one in types]
        else:
            attempt.may_get = self.any_machines()

    def set_costs(self, attempt: Attempt, instance_type: str) -> None:
        """Notes on the attempt what it may cost with machines of a type."""
        template = self._resolved.template
        attempt.instance_type = instance_type
        attempt.instance_count = chosen_count(attempt.trial.config) or template.instance_count
        # Groups of instances cannot be chosen by the configuration, nor have they anything to fall back on.
        machines = template.machines if template.has_groups else [(instance_type, attempt.instance_count)]
        attempt.hourly_price = self._bills.hourly_price(machines)
        attempt.max_seconds = template.max_run + STOP_GRACE

    def prepare(self, attempt: Attempt, instance_type: str) -> dict[str, Any]:
        """Writes the attempt's task to S3, and returns the request for its job.

        Raises:
            InvalidRequest: There cannot be a job with its configuration.
        """
        wrong = what_is_wrong(attempt.trial.config, self._resolved.template.has_groups)
        if wrong is not None:
            raise InvalidRequest(wrong)
        self.set_costs(attempt, instance_type)
        if self._archive is not None:
            self._archive.keep()
        key = self._keys.task(*attempt.key)
        if self.has_agent:
            self._bucket.put(key, json.dumps(self._task(attempt)).encode())
        config = attempt.trial.config
        own_entry = not self.has_agent
        request = self._resolved.request(
            attempt.job_name,
            code_uri=None if self._archive is None else self._archive.uri,
            task_uri=self._uri(self._keys.task_folder(*attempt.key)) if self.has_agent else None,
            environment=self._environment(attempt),
            tags={
                "cloudtune:experiment": self._place.name,
                "cloudtune:tag": self._place.tag or self._place.name,
                "cloudtune:trial": str(attempt.trial_id),
                "cloudtune:place": self._uri(self._keys.prefix),
            },
            instance_type=instance_type if self._resolved.template.instance_type != instance_type else None,
            instance_count=chosen_count(config),
            checkpoint_uri=None if attempt.use_s3 else self.checkpoint_uri(attempt.trial_id),
            config=_for_script(config) if own_entry else None,
            metrics=self._metrics,
        )
        # The configuration lies in the task, and another tuner of the same experiment may have suggested another.
        suggested = config_json({name: config[name] for name in sorted(config)})
        request["Environment"][protocol.ENV_JOB_DIGEST] = hashlib.sha256(
            f"{digest(request)} {suggested}".encode()
        ).hexdigest()
        return request

    def checkpoint_uri(self, trial_id: int) -> str:
        """Where SageMaker itself keeps the checkpoints of a trial: the same for all its attempts."""
        users = self._resolved.template.checkpoint_s3_uri
        if users is not None:
            return f"{users.rstrip('/')}/{self._place.marker}/{trial_id}/"
        return self._uri(self._keys.synced(trial_id))

    def _environment(self, attempt: Attempt) -> dict[str, str]:
        variables = {
            constants.ENV_EXPERIMENT: self._place.marker,
            constants.ENV_TRIAL: str(attempt.trial_id),
            constants.ENV_ATTEMPT: str(attempt.number),
            protocol.ENV_JOB_ID: attempt.job_id,
            protocol.ENV_PLACE: self._uri(self._keys.prefix),
        }
        if attempt.hourly_price is not None:
            variables[constants.ENV_PRICE_PER_SECOND] = repr(attempt.hourly_price / 3600)
        return variables

    def _task(self, attempt: Attempt) -> Task:
        config = {name: plain(value) for name, value in _for_script(attempt.trial.config).items()}
        constants_of_all: Mapping[str, Any] = self._resolved.template.hyperparameters
        config = {**constants_of_all, **config}
        cadence = self._cadence
        return {
            "format": protocol.FORMAT,
            "bucket": self._bucket.name,
            "owner": self._bucket.owner or "",
            "prefix": self._keys.prefix,
            "region": self._resolved.region,
            "kms_key": self._bucket.kms_key,
            "trial": attempt.trial_id,
            "attempt": attempt.number,
            "config": config,
            "arguments": command_line(config),
            "pass_args_as_json": self._pass_args_as_json,
            "entry_point": self._resolved.template.script or "",
            "environment": self._environment(attempt),
            "use_s3": attempt.use_s3,
            "checkpoint_dir": self._resolved.template.checkpoint_local_path or "",
            "put_interval": cadence.agent_put,
            "watch_interval": cadence.agent_watch,
            "heartbeat": cadence.agent_heartbeat,
            "life_timeout": cadence.life_timeout,
            "stop_grace": self._stop_grace,
            "checkpoint_interval": cadence.checkpoint,
        }

    def _uri(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{key}"


def told_to_use_s3(task: bytes) -> bool:
    """Whether a task, as it lies in S3, has its agent report and save there."""
    try:
        return bool(json.loads(task)["use_s3"])
    except (ValueError, KeyError, TypeError):  # not what we have written: no agent has begun with it
        return True


def _for_script(config: Config) -> Config:
    """The configuration without what chooses the machine."""
    return {
        name: value
        for name, value in config.items()
        if name not in (constants.ST_INSTANCE_TYPE, constants.ST_INSTANCE_COUNT)
    }
