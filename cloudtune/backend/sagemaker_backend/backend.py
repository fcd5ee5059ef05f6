"""SageMakerBackend: every trial is a training job of its own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.agent import protocol
from cloudtune.aws.checkpointing_check import seems_to_checkpoint
from cloudtune.aws.clients import aws_for
from cloudtune.aws.job_template import template_of
from cloudtune.aws.training_job_rules import check_instance_type
from cloudtune.backend.default_name import default_name
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.machine_choices import check_choices
from cloudtune.backend.sagemaker_backend.option_checks import (
    check_lists,
    check_s3_path,
    check_source_limit,
    check_stop_grace,
    check_switches,
    check_texts,
)
from cloudtune.backend.sagemaker_backend.same_place import chosen_region
from cloudtune.backend.sagemaker_backend.work import Work
from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend, moved_path
from cloudtune.trial import Trial, TrialEvent

logger = logging.getLogger(__name__)

_CHANNELS = ("auto", "s3", "logs")


class SageMakerBackend(TrialBackend):
    """Runs every trial as a training job. Reports, stop wishes and checkpoints travel through S3. ::

        backend = SageMakerBackend(TrainingJob(entry_point="train.py", instance_type="ml.g4dn.xlarge"))

    A configuration may choose its own machine: ``st_instance_type`` and ``st_instance_count`` in the config space. They
    are not passed to the script.

    Args:
        sm_estimator: What a job is: a :class:`TrainingJob`, an Estimator of the SageMaker SDK v2, or a ModelTrainer of
            its v3. Its image, role, inputs, network, encryption, tags, limits, spot and warm pool settings are kept.
        s3_path: Where experiments lie: ``s3://bucket`` or ``s3://bucket/prefix``. Default: where the experiment's log
            lies if that is in S3 (see :class:`RemoteLauncher`), else the account's ``sagemaker-<region>-<account>``.
        inputs: Further input channels, as the SDK's ``fit`` takes them.
        region: Region of the jobs. Default: that of the environment.
        profile: Of the AWS credentials file.
        fallback_instance_types: Taken in this order where the trial's own type is over quota or without capacity.
        report_channel: ``"s3"``, ``"logs"`` (CloudWatch; slower, for jobs that cannot write to S3), or ``"auto"``: S3
            unless the job has no network or starts without cloudtune's agent, or earlier jobs of the experiment did
            without it.
        keep_own_entry: Let the image start the script in its own way. See :class:`TrainingJob`.
        spot_without_checkpoints: Allow spot instances for a script that does not seem to write checkpoints: each
            interruption then begins it anew.
        delete_checkpoints: Delete a trial's checkpoints when it is stopped, has completed or failed.
        pass_args_as_json: Pass ``--st_config_json_filename``, a JSON file with the configuration, instead of an
            argument per entry. Only for jobs with cloudtune's agent.
        stop_grace: Seconds a script has to end after SIGTERM, before SIGKILL.
        leave_running_when_interrupted: When a signal ends the tuner, its jobs go on; the next tuner takes them over. An
            hour after the tuner's end they pause by themselves.
        metrics_names: Metrics that SageMaker's console is to plot.
        create_bucket: Create the bucket that ``s3_path`` names, or else the account's default one, if it is missing.
        kms_key: Key that encrypts what is written to S3. Default: that of the log in S3, else the bucket's encryption.
        source_limit: Most bytes that the archive of the source may have.
        cadence: How often to look and to write.

    Raises:
        ValueError: Something does not fit together; the message says what to change.
        TypeError: ``sm_estimator`` describes no job.
    """

    start_jobs_without_delay = False
    trials_outlive_tuner = True

    def __init__(
        self,
        sm_estimator: Any,
        s3_path: str | None = None,
        *,
        inputs: Any = None,
        region: str | None = None,
        profile: str | None = None,
        fallback_instance_types: Sequence[str] = (),
        report_channel: str = "auto",
        keep_own_entry: bool | None = None,
        spot_without_checkpoints: bool = False,
        delete_checkpoints: bool = False,
        pass_args_as_json: bool = False,
        stop_grace: float = 60.0,
        leave_running_when_interrupted: bool = False,
        metrics_names: Sequence[str] = (),
        create_bucket: bool = False,
        kms_key: str | None = None,
        source_limit: int | None = None,
        cadence: Cadence | None = None,
    ) -> None:
        if report_channel not in _CHANNELS:
            raise ValueError(f"report_channel must be one of {', '.join(_CHANNELS)}, got {report_channel!r}")
        check_texts(s3_path=s3_path, region=region, profile=profile, kms_key=kms_key)
        check_s3_path(s3_path)
        check_switches(
            spot_without_checkpoints=spot_without_checkpoints,
            delete_checkpoints=delete_checkpoints,
            pass_args_as_json=pass_args_as_json,
            leave_running_when_interrupted=leave_running_when_interrupted,
            create_bucket=create_bucket,
        )
        check_lists(fallback_instance_types=fallback_instance_types, metrics_names=metrics_names)
        check_stop_grace(stop_grace)
        check_source_limit(source_limit)
        if cadence is not None and not isinstance(cadence, Cadence):
            raise ValueError(f"cadence must be a Cadence, such as Cadence(poll=2.0), got {cadence!r}")
        self.template = template_of(sm_estimator, inputs, keep_own_entry)
        if report_channel == "s3" and (self.template.keep_own_entry or not self.template.has_network):
            why = "has no network" if not self.template.has_network else "starts without cloudtune's agent"
            raise ValueError(f"report_channel='s3' is not possible, because the job {why}; leave it out")
        if pass_args_as_json and self.template.keep_own_entry:
            raise ValueError(
                "pass_args_as_json is not possible, because the job starts without cloudtune's agent, which writes the "
                f"file ({self.template.why_own_entry or 'its image starts it'}); leave it out"
            )
        if fallback_instance_types and self.template.has_groups:
            raise ValueError(
                "fallback_instance_types take the place of one instance type, and the job has groups of instances; "
                "leave them out"
            )
        for instance_type in fallback_instance_types:
            check_instance_type(instance_type)
        self.s3_path = s3_path
        self.region = region
        self._region_is_default = False
        self.profile = profile
        self.fallback_instance_types = tuple(fallback_instance_types)
        self.report_channel = report_channel
        self.spot_without_checkpoints = spot_without_checkpoints
        self.delete_checkpoints = delete_checkpoints
        self.pass_args_as_json = pass_args_as_json
        self.stop_grace = stop_grace
        self.leave_running_when_interrupted = leave_running_when_interrupted
        self.metrics_names = tuple(metrics_names)
        self.create_bucket = create_bucket
        self.kms_key = kms_key
        self.source_limit = source_limit
        self.cadence = cadence or Cadence()
        self._check_spot()
        self._work: Work | None = None

    def _check_spot(self) -> None:
        template = self.template
        if not template.is_spot or self.spot_without_checkpoints:
            return
        if not seems_to_checkpoint(template):
            # Without the agent there is only what SageMaker itself keeps.
            folder = template.checkpoint_local_path or "/opt/ml/checkpoints"
            what = f"{folder}, whose files SageMaker keeps" if template.keep_own_entry else "st_checkpoint_dir"
            raise ValueError(
                f"use_spot=True, but nothing in the source of {template.script} mentions {what}: whenever a spot "
                "instance is taken away, its trial would begin anew; write checkpoints (see the guide on training "
                "scripts), or pass spot_without_checkpoints=True"
            )

    @property
    def default_name(self) -> str:  # type: ignore[override]
        """The script's name, as far as an experiment may be called so."""
        script = self.template.script
        stem = "" if script is None else script.rpartition("/")[2].rpartition(".")[0]
        return default_name(stem, fallback="training-job")

    @property
    def uses_s3(self) -> bool:
        """Whether reports come through S3."""
        if self.report_channel == "auto":
            return self.template.has_network and not self.template.keep_own_entry
        return self.report_channel == "s3"

    # ------------------------------------------------------------------ the contract

    @property
    def sign_interval(self) -> float | None:
        """:attr:`Cadence.life`, where agents look at S3."""
        return self.cadence.life if self.uses_s3 else None

    def end_when_silent(self, seconds: float) -> None:
        """Shortens the time after which agents take the tuner for dead (:attr:`Cadence.life_timeout`)."""
        cadence = self.cadence
        shortest = 3 * max(cadence.life, cadence.agent_watch)
        self.cadence = replace(cadence, life_timeout=min(cadence.life_timeout, max(seconds, shortest)))

    def longest_trial(self) -> float | None:
        """That of its template's jobs: ``max_run``, with spot ``max_wait``."""
        return float(self.template.longest_life)

    def open(self, place: ExperimentPlace) -> None:
        if self._work is not None:
            raise RuntimeError("this backend is open already; close it first")
        check_choices(place.config_space, self.template.has_groups)
        region = chosen_region(self.region or self.template.region, self._region_is_default, place)
        aws = aws_for(region, self.profile or self.template.profile)
        work = Work(self, aws, place)
        try:
            work.start()
        except BaseException:
            work.close(stop_running=False)
            raise
        self._work = work

    def use_credentials(self, region: str | None, profile: str | None) -> None:
        """See :meth:`TrialBackend.use_credentials`: a region is taken where neither backend nor job name one."""
        if region is not None and self.region is None and self.template.region is None:
            self.region = region
            self._region_is_default = True
        self.profile = profile or self.profile

    def trials_at(self) -> Mapping[str, str]:
        return self._opened().trials_at

    def attach(self, trials: Sequence[LeftRunning]) -> None:
        self._opened().attach(trials)

    def settle(self, unsettled: Iterable[tuple[int, int]]) -> None:
        self._opened().settle(unsettled)

    def start_trial(self, trial: Trial, checkpoint_trial_id: int | None = None) -> None:
        work = self._opened()
        if checkpoint_trial_id is not None:
            work.copy_checkpoint(checkpoint_trial_id, trial.trial_id)
        work.begin(trial)

    def resume_trial(self, trial: Trial) -> None:
        self._opened().begin(trial)

    def stop_trial(self, trial_id: int) -> None:
        self._opened().ask_to_end(trial_id, protocol.WISH_STOP)

    def pause_trial(self, trial_id: int) -> None:
        self._opened().ask_to_end(trial_id, protocol.WISH_PAUSE)

    def poll(self, timeout: float | None) -> list[TrialEvent]:
        return self._opened().poll(timeout)

    def wake(self) -> None:
        work = self._work
        if work is not None:
            work.desk.bell.ring()

    def busy_workers(self) -> int:
        return 0 if self._work is None else self._work.busy_workers()

    def wind_down(self) -> bool:
        return self._opened().wind_down()

    def hasten(self, seconds: float) -> None:
        self._opened().hasten(seconds)

    def committed_cost(self) -> float:
        return 0.0 if self._work is None else self._work.bills.committed()

    def trial_cost_limit(self) -> float | None:
        return self._opened().trial_cost_limit()

    def copy_checkpoint(self, source_trial_id: int, target_trial_id: int) -> None:
        self._opened().copy_checkpoint(source_trial_id, target_trial_id)

    def delete_checkpoint(self, trial_id: int) -> None:
        self._opened().delete_checkpoint(trial_id)

    def delete_left_checkpoints(self, trial_ids: Collection[int]) -> None:
        self._opened().delete_left_checkpoints(trial_ids)

    def stdout(self, trial_id: int) -> str:
        """What the trial wrote, over all attempts: SageMaker's log holds standard output and error in one."""
        return self._opened().output(trial_id)

    def stderr(self, trial_id: int) -> str:
        """The same as :meth:`stdout`."""
        return self._opened().output(trial_id)

    def close(self, stop_running: bool) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.close(stop_running)

    def source_paths(self) -> Sequence[Path]:
        """What travels to the jobs: the source folder, or the script where there is none, and the dependencies."""
        return self.template.source_paths()

    def relocate(self, moved: Mapping[Path, Path]) -> None:
        self.template = self.template.relocated(lambda path: moved_path(path, moved))

    def _opened(self) -> Work:
        if self._work is None:
            raise RuntimeError("this backend is not open; call open(place) first")
        return self._work

    def __getstate__(self) -> dict[str, Any]:
        if self._work is not None:
            raise RuntimeError("a backend cannot be pickled while it is open; close it first")
        return self.__dict__.copy()
