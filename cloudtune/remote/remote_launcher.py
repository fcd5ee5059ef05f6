"""RemoteLauncher: the tuning loop as a training job of its own."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.errors import Conflict
from cloudtune.aws.experiment_place import check_length
from cloudtune.aws.images import tuning_image
from cloudtune.aws.job_template import TrainingJob, template_of
from cloudtune.aws.packaging import DEFAULT_LIMIT, upload_bundle
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.aws.trial_request import resolve
from cloudtune.backend.sagemaker_backend.option_checks import check_source_limit
from cloudtune.callbacks.console_metrics import metric_names
from cloudtune.continuing import check_same, check_same_backend
from cloudtune.errors import ExperimentLocked, ExperimentMismatch
from cloudtune.remote import program, time_limit
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.launches import newest_launch
from cloudtune.remote.launching import Checks, LaunchedElsewhere, check_none_under_way, confirm, launch
from cloudtune.remote.new_names import NameTaken, Unfinished, reserve_name, take_next_name
from cloudtune.remote.parcel import Parcel, bucket_of, code_prefix
from cloudtune.remote.secret_values import check_text, secret_values
from cloudtune.remote.shipment import pack
from cloudtune.remote.shipped import shipped_scheduler
from cloudtune.remote.successor_quota import what_is_short
from cloudtune.remote.tuner_job import MANIFEST, PICKLE, Settings, TunerPlace, is_ours
from cloudtune.store.entries import EXPERIMENT
from cloudtune.store.s3_lease import check_free, read_lease
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_place import S3Place
from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

#: Names of jobs are never given twice in an account: so many are tried.
_NAMES = 50


@dataclass(frozen=True)
class RemoteExperiment:
    """An experiment whose tuner runs as a training job.

    Args:
        name: Of the experiment: ``load_experiment(name)``, ``cloudtune status NAME``.
        job_name: Of the tuner's job.
        place: ``s3://bucket/prefix`` of the experiment.
    """

    name: str
    job_name: str
    place: str


class RemoteLauncher:
    """Ships a tuner, with all it needs, to a machine of its own, where it runs as a SageMaker training job. ::

        RemoteLauncher(tuner=Tuner(...), instance_type="ml.m5.large").run(wait=False)

    Trials run on that machine (:class:`LocalBackend`, :class:`PythonBackend`) or as training jobs of their own
    (:class:`SageMakerBackend`). What the tuner decides and learns stands in S3 and nowhere else: the machine may be
    taken away, and the same command continues. The tuner given is left as it is, but for
    the time in its name, which moves on by milliseconds where another experiment has it.

    Args:
        tuner: What is run. It must be picklable; lambdas and closures are.
        role: ARN or name of the role that the job, and the jobs of its trials, run under. Default: as for trials.
        instance_type: Of the tuner's machine.
        image_uri: Its image. Default: one that has this Python's version, see ``cloudtune image``.
        dependencies: Further files and folders that the tuner needs there. What the pickled tuner imports from beside
            the script is found without.
        requirements: What pip is to install there. Default: what the tuner imports, in the versions installed here.
        s3_path: Where experiments lie, ``s3://bucket`` or ``s3://bucket/prefix``, with the trials of a SageMakerBackend
            that names no place of its own. Default: that backend's, else ``$CLOUDTUNE_S3_PATH``, else the account's own
            ``sagemaker-<region>-<account>``.
        tag: What experiments of one study have in common.
        region: Of the job. Default: that of the backend, else of the environment.
        profile: Of the AWS credentials file, for this machine; it does not travel.
        max_run: Seconds that the job may run. Default: as long as the stopping criterion allows, with a margin. An
            experiment that takes longer is carried on by a successor.
        use_spot: Run the tuner on spot capacity: it continues after each interruption. Before ``max_wait`` is over,
            which counts its waits for machines too, a successor carries on.
        store_logs_localbackend: Keep logs and checkpoints of trials that run on the tuner's machine in S3.
        leave_trials_when_stopped: When the tuner's job is stopped, the jobs of its trials go on; the next launch takes
            them over. By default they are stopped, with their checkpoints saved.
        log_level: Of the messages that the job writes.
        no_tuner_logging: Write no messages but warnings.
        publish_tuning_metrics: SageMaker's console draws the best value, the trials and the cost.
        source_limit: Most bytes that the archive of all that travels may have. Default: that of the tuner's
            SageMakerBackend, else 50 MiB.
        create_bucket: Create the account's default bucket if it is missing.
        kms_key: Key that encrypts what is written to S3, by trials too unless their backend has a key of its own.
            Default: that key, else the bucket's own encryption.
        **job_options: Further members of :class:`TrainingJob`, such as ``subnets``, ``tags``, ``environment``.

    Raises:
        TypeError: There is no such option.
        ValueError: Something does not fit together.
    """

    def __init__(
        self,
        tuner: Tuner,
        role: str | None = None,
        instance_type: str = "ml.m5.large",
        image_uri: str | None = None,
        *,
        dependencies: Sequence[str | Path] = (),
        requirements: Sequence[str] | None = None,
        s3_path: str | None = None,
        tag: str = "",
        region: str | None = None,
        profile: str | None = None,
        max_run: int | None = None,
        use_spot: bool = False,
        store_logs_localbackend: bool = False,
        leave_trials_when_stopped: bool = False,
        log_level: str = "INFO",
        no_tuner_logging: bool = False,
        publish_tuning_metrics: bool = True,
        source_limit: int | None = None,
        create_bucket: bool = False,
        kms_key: str | None = None,
        **job_options: Any,
    ) -> None:
        if not isinstance(tuner, Tuner):
            raise TypeError(f"RemoteLauncher ships a Tuner, got {type(tuner).__name__}")
        backend = tuner.trial_backend
        self.tuner = tuner
        self.role = role
        self.image_uri = image_uri
        self.dependencies = tuple(Path(one) for one in dependencies)
        self.requirements = requirements
        self.s3_path = getattr(backend, "s3_path", None) if s3_path is None else s3_path
        self.tag = tag
        self.region = region or getattr(backend, "region", None)
        self.profile = profile or getattr(backend, "profile", None)
        self.store_logs_localbackend = store_logs_localbackend
        self.leave_trials_when_stopped = leave_trials_when_stopped
        self.log_level = "WARNING" if no_tuner_logging else log_level
        self.publish_tuning_metrics = publish_tuning_metrics
        self.source_limit = getattr(backend, "source_limit", None) if source_limit is None else source_limit
        check_source_limit(self.source_limit)
        self.create_bucket = create_bucket or bool(getattr(backend, "create_bucket", False))
        self.kms_key = kms_key or getattr(backend, "kms_key", None)
        self._hands_over = time_limit.will_hand_over(tuner, max_run)
        self.job = TrainingJob(
            entry_point=Path(program.__file__),
            instance_type=instance_type,
            image_uri=image_uri,
            role=role,
            max_run=time_limit.max_run(tuner, max_run),
            use_spot=use_spot,
            **job_options,
        )

    def run(self, wait: bool = True, takeover: bool = False) -> RemoteExperiment:
        """Launches the job, or continues its experiment if the last one has ended.

        Args:
            wait: Follow the experiment as if it ran here, until it ends. Ctrl-C stops following, not the experiment.
            takeover: Take the experiment over from a tuner elsewhere that seems to drive it; that one stops.

        Raises:
            CloudtuneError: The job cannot be launched; the message says what is missing.
            ExperimentLocked: A tuner elsewhere drives the experiment, its job is being stopped, or another launch has
                just been made.
            ExperimentMismatch: There is another experiment of this name.
        """
        launched = self._launch(takeover)
        if wait:
            from cloudtune.remote.following import follow

            follow(self._aws(), launched.place, launched.job_name)
        return launched

    def run_with(self, parcel: Parcel, checks: Checks | None = None) -> RemoteExperiment:
        """Launches the job, or continues its experiment, with what was packed and uploaded for many; does not wait.

        Args:
            parcel: Of this launcher's tuner, whose name is a fixed one.
            checks: What may come up while the job is created, and keep it from running.

        Raises:
            CloudtuneError: As :meth:`run`, or as the checks have it.
            ValueError: The tuner's name has a time stamp, which may have to move on.
        """
        if self.tuner.is_unclaimed:
            raise ValueError("what is packed has its tuner's name: make that with suffix_tuner_name=False")
        return self._launch(takeover=False, parcel=parcel, checks=checks)

    # ------------------------------------------------------------------ launching

    def _aws(self) -> Aws:
        return aws_for(self.region, self.profile)

    def _launch(self, takeover: bool, parcel: Parcel | None = None, checks: Checks | None = None) -> RemoteExperiment:
        aws, tuner = self._aws(), self.tuner
        if tuner.scheduler.num_suggestions:
            raise ExperimentMismatch(
                f"the tuner of '{tuner.name}' has run here already; make tuner and scheduler anew, as the script does, "
                "to launch them"
            )
        # What a job is described with can be read by whoever may describe it.
        described = json.dumps(asdict(self.job), default=str)
        check_text(described, "the description of the tuner's job", secret_values(os.environ, aws))
        while tuner.is_unclaimed:
            reserve_name(tuner)
            try:
                return self._launch_as_named(aws, takeover, parcel, checks)
            except (NameTaken, LaunchedElsewhere) as taken:
                if not tuner.is_unclaimed:
                    raise
                logger.debug("%s", taken)
                take_next_name(tuner)
        return self._launch_as_named(aws, takeover, parcel, checks)

    def _launch_as_named(
        self, aws: Aws, takeover: bool, parcel: Parcel | None, checks: Checks | None
    ) -> RemoteExperiment:
        """Raises NameTaken: a new experiment was to have the name of another one."""
        tuner, is_new = self.tuner, self.tuner.is_unclaimed
        parcel = self._packed(aws) if parcel is None else parcel
        found = parcel.found
        bucket = Bucket(aws, found.name, found.owner, self.kms_key)
        root = S3Place(found.name, found.prefix).root(tuner.name, self.tag or None)
        place = TunerPlace(bucket, root)
        check_length(place.uri)
        attempts = place.attempts()
        lease = read_lease(bucket, root)
        if is_new and (attempts or lease is not None):
            raise NameTaken(f"there is an experiment '{tuner.name}'")
        has_begun = bool(attempts or lease is not None) and self._check_same(bucket, root)
        newest = newest_launch(place, attempts=attempts)
        if newest is not None and not newest[1].is_terminal:
            running = newest[1].name
            shipped = None if has_begun else shipped_scheduler(place, newest[0])
            if shipped is not None:
                check_same(tuner.scheduler, shipped, tuner.name)
            if newest[1].status == "Stopping":
                raise ExperimentLocked(
                    f"training job {running}, which runs the tuner of '{tuner.name}', is being stopped: launch again "
                    f"once `cloudtune status {tuner.name}` says that it has ended"
                )
            logger.info("the tuner of '%s' runs already, as training job %s", tuner.name, running)
            return RemoteExperiment(tuner.name, running, bucket.uri(root))
        check_none_under_way(place, attempts, None if newest is None else newest[0])
        if lease is not None and not takeover:
            check_free(lease, root, JobEnded(aws), "RemoteLauncher.run(takeover=True)")
        settings = Settings(
            name=tuner.name,
            tag=self.tag,
            root=root,
            max_run=self.job.max_run,
            longest=time_limit.whole_time(self.tuner),
            last_trials=time_limit.last_trials(self.tuner),
            log_level=self.log_level,
            store_logs=self.store_logs_localbackend,
            publish_metrics=self.publish_tuning_metrics,
            leave_trials=self.leave_trials_when_stopped,
            takeover_from=lease.nonce if takeover and lease is not None else "",
        )
        unfinished = Unfinished(bucket, found.prefix, self.tag, tuner) if is_new else None
        name = self._create(aws, place, settings, parcel, max(attempts, default=-1) + 1, checks)
        if unfinished is not None:
            unfinished.mention()
        logger.info("the tuner of '%s' runs as training job %s; results: %s", tuner.name, name, bucket.uri(root))
        return RemoteExperiment(tuner.name, name, bucket.uri(root))

    def _packed(self, aws: Aws) -> Parcel:
        limit = DEFAULT_LIMIT if self.source_limit is None else self.source_limit
        shipment = pack(self.tuner, self.dependencies, self.requirements, limit, aws)
        return Parcel(shipment, bucket_of(aws, self.s3_path, self.create_bucket))

    def _check_same(self, bucket: Bucket, root: str) -> bool:
        """Whether an experiment has begun there. Raises ExperimentMismatch if it is another one."""
        view = S3LogView(bucket, root)
        header = next((entry for entry in view.entries() if entry["event"] == EXPERIMENT), None)
        if header is not None:
            check_same(self.tuner.scheduler, header["scheduler"], self.tuner.name)
            check_same_backend(self.tuner.trial_backend, header, self.tuner.name)
        return header is not None

    def _create(
        self,
        aws: Aws,
        place: TunerPlace,
        settings: Settings,
        parcel: Parcel,
        attempt: int,
        checks: Checks | None,
    ) -> str:
        """Uploads what the job needs and is not there yet, and creates it; its name."""
        template, shipment = template_of(self.job), parcel.shipment
        shipped = {PICKLE: shipment.tuner_pickle, MANIFEST: json.dumps(shipment.manifest).encode()}
        asking = None
        if self._hands_over:
            asking = aws.threads.submit(what_is_short, aws, self.job.instance_type, self.job.use_spot, settings.name)
        uploading = None
        if not parcel.code_uri:
            uploading = aws.threads.submit(upload_bundle, place.bucket, shipment.bundle, code_prefix(parcel.found))
        image = tuning_image(aws.region, given=self.image_uri, aws=aws, instance_type=self.job.instance_type)
        if image.note:
            logger.info("%s", image.note)
        resolved = resolve(
            template,
            aws,
            bucket=place.bucket.name,
            image=image.uri,
            output_prefix=f"{settings.root}remote/output",
            kms_key=place.bucket.kms_key,
        )
        code_uri = parcel.code_uri if uploading is None else uploading.result()
        if asking is not None and (short := asking.result()) is not None:
            logger.warning("%s", short)
        metrics = metric_names(self.tuner) if self.publish_tuning_metrics else []
        for number in range(attempt, attempt + _NAMES):
            with launch(place, number, settings, shipped) as launched:
                self.tuner.is_unclaimed = False  # launched again, it continues
                request = place.request(number, settings, resolved, code_uri, metrics, launched)
                if checks is not None:
                    checks.before()
                try:
                    TrainingJobs(aws).create(request, patience=None)
                except Conflict:
                    if not is_ours(aws, request["TrainingJobName"], request):
                        logger.debug("the name %s is another job's", request["TrainingJobName"])
                        continue
            job = str(request["TrainingJobName"])
            if checks is not None:
                confirm(aws, job, checks)
            return job
        raise ExperimentMismatch(
            f"{_NAMES} training jobs are called as the tuner of '{settings.name}' would be; choose another tuner_name"
        )


__all__ = ["RemoteExperiment", "RemoteLauncher"]
