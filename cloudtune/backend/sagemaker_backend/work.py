"""One run of a SageMaker backend, from its opening to its end: the threads, and what the tuner asks of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cloudtune.agent import protocol
from cloudtune.aws.buckets import find_bucket
from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AwsError
from cloudtune.aws.experiment_place import check_length, experiment_prefix
from cloudtune.aws.job_names import job_name, job_name_prefix
from cloudtune.aws.logs import JobLogs
from cloudtune.aws.own_source import upload_source
from cloudtune.aws.packaging import DEFAULT_LIMIT, build_bundle, upload_bundle
from cloudtune.aws.prices import cost
from cloudtune.aws.s3 import Bucket, Got
from cloudtune.aws.synced_checkpoints import SyncedCheckpoints
from cloudtune.aws.training_jobs import STOP_GRACE, TrainingJobs
from cloudtune.aws.trial_request import resolve
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.bills import Bills
from cloudtune.backend.sagemaker_backend.creator import Creator
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.ending import Ending
from cloudtune.backend.sagemaker_backend.errands import Errands
from cloudtune.backend.sagemaker_backend.final_stops import FinalStops
from cloudtune.backend.sagemaker_backend.inbox import Inbox
from cloudtune.backend.sagemaker_backend.last_words import LastWords
from cloudtune.backend.sagemaker_backend.life import LifeWriter
from cloudtune.backend.sagemaker_backend.log_reader import LogReader
from cloudtune.backend.sagemaker_backend.machines import Machines
from cloudtune.backend.sagemaker_backend.outcome import never_began
from cloudtune.backend.sagemaker_backend.quota_preflight import what_is_short
from cloudtune.backend.sagemaker_backend.same_place import PLACE, REGION, check_same_place, chosen_path
from cloudtune.backend.sagemaker_backend.saved_checkpoints import SavedCheckpoints
from cloudtune.backend.sagemaker_backend.service import Service, now
from cloudtune.backend.sagemaker_backend.source_archive import SourceArchive
from cloudtune.backend.sagemaker_backend.trial_requests import TrialRequests, told_to_use_s3
from cloudtune.backend.sagemaker_backend.warm_pools import WarmPools
from cloudtune.backend.sagemaker_backend.watcher import Watcher
from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning
from cloudtune.trial import Trial, TrialEvent

if TYPE_CHECKING:
    from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend

logger = logging.getLogger(__name__)

#: So many jobs in a row that could not write to S3 mean that the next cannot either: it is told to use its log, and
#: SageMaker itself keeps its checkpoints.
_GIVE_UP_S3_AFTER = 2
#: Seconds before the oldest job that may still run, from where its log is read: clocks differ.
_LOG_MARGIN = 86_400.0


class Work:
    """Holds the threads together. All methods but those of the bell are called by the tuner's thread.

    Args:
        settings: The backend, for its settings.
        aws: Account and region.
        place: The experiment.
    """

    def __init__(self, settings: SageMakerBackend, aws: Aws, place: ExperimentPlace) -> None:
        self._settings = settings
        self._told_without_s3 = False
        self._aws = aws
        self._place = place
        template, cadence = settings.template, settings.cadence
        kms_key = settings.kms_key or place.kms_key
        found = find_bucket(aws, chosen_path(settings.s3_path, aws.region, place), create=settings.create_bucket)
        self._bucket = Bucket(aws, found.name, found.owner, kms_key)
        within = f"{found.prefix}/" if found.prefix else ""
        self._keys = protocol.Keys(experiment_prefix(found.prefix, place.tag, place.name) + place.experiment_id)
        where = self._bucket.uri(self._keys.prefix)
        check_length(where)
        check_same_place(place, where)
        self.trials_at = {PLACE: where, REGION: aws.region}
        self._job_prefix = job_name_prefix(place.name, place.experiment_id)
        output = f"{self._keys.prefix}output"
        resolved = resolve(template, aws, bucket=found.name, output_prefix=output, kms_key=kms_key)
        archive = self._upload_source(f"{within}cloudtune/code")
        self.desk = Desk()
        self.bills = Bills(self.desk, aws.region, template.keep_alive_period)
        self._requests = TrialRequests(
            resolved,
            self._bucket,
            self._keys,
            place,
            archive,
            self.bills,
            cadence,
            settings.stop_grace,
            settings.fallback_instance_types,
            settings.pass_args_as_json,
            settings.metrics_names,
        )
        self._logs = JobLogs(aws)
        self._ending = Ending(self.desk)
        # Their threads wait by themselves where S3 does not answer, so that closing is never kept waiting.
        impatient = self._bucket.with_patience(0)
        self._life = LifeWriter(self.desk, impatient, self._keys, cadence.life, place.confirm)
        self._jobs = TrainingJobs(aws, cancel=self.desk.closing, confirm=self._life.confirm_unless_certain)
        self._errands = Errands(self.desk, self._life.confirm_if_possible)
        self._saved = SavedCheckpoints(
            self.desk,
            self._errands,
            TrialCheckpoints(self._bucket, self._keys),
            SyncedCheckpoints(aws, self._bucket, self._requests.checkpoint_uri),
            agents_save=settings.uses_s3,
        )
        self._inbox = Inbox(self.desk, impatient, self._keys, self._ending, cadence.poll)
        self._log_reader = LogReader(
            self.desk,
            aws,
            self._job_prefix,
            self._ending,
            cadence.logs,
            may_restart=template.may_restart,
            oldest=template.longest_life + _LOG_MARGIN,
        )
        machines = Machines(cadence.first_wait, cadence.longest_wait)
        self._creator = Creator(self.desk, self._jobs, self._requests, self._errands, self._ending, machines)
        last_words = LastWords(self._inbox, self._log_reader, self._logs, cadence.logs)
        self._watcher = Watcher(
            self.desk,
            self._jobs,
            self._job_prefix,
            self._creator,
            self._ending,
            last_words,
            self.bills,
            cadence,
            self._life.confirm,
            archive,
        )
        self._pools = WarmPools(self.desk, self._jobs, self.bills, self._errands, self._watcher.ask, place.name)
        self._final_stops = FinalStops(
            self.desk,
            self._life,
            self._watcher,
            self.ask_to_end,
            self._s3_works,
            settings.stop_grace,
            template.max_run,
            cadence,
            place.name,
        )
        self._services: list[Service] = [self._life, self._inbox, self._log_reader, self._creator, self._watcher]
        self._ending.listeners.append(self._has_ended)
        self._creator.found_listeners.append(self._was_found)
        self._creator.created_listeners.append(self._was_created)
        self._errands.done_listeners.append(self._creator.wake)

    def _upload_source(self, prefix: str) -> SourceArchive | None:
        template = self._settings.template
        if not template.needs_source:
            return None
        limit = DEFAULT_LIMIT if self._settings.source_limit is None else self._settings.source_limit
        bundle = build_bundle(
            None if template.source_dir is None else Path(template.source_dir),
            template.entry_point or "",
            [Path(one) for one in template.dependencies],
            limit,
        )
        upload = upload_source if template.keep_own_entry else upload_bundle
        return SourceArchive(self._bucket, lambda: upload(self._bucket, bundle, prefix))

    # ------------------------------------------------------------------ beginning

    def start(self) -> None:
        """Gives the first sign of life, says how trials report, and starts the threads."""
        settings, template = self._settings, self._settings.template
        self._life.begin(self._bucket)
        logger.info("training jobs of this experiment: %s…, files: s3://%s/%s", self._job_prefix, *self._where())
        if not settings.uses_s3:
            logger.info(
                "reports come from CloudWatch, because %s: stopping a trial takes longer, and no sign of life of the "
                "tuner reaches it (max_run=%d seconds ends it in any case)",
                template.why_own_entry or ("the jobs have no network" if not template.has_network else "it was asked"),
                template.max_run,
            )
        if self._life.has_taken_over and self._saved.find_earlier() and settings.report_channel == "auto":
            self._stay_without_s3()
        self._errands.run("reading the account's quotas", self._check_quotas, trials=())
        for service in self._services:
            service.start()

    def _stay_without_s3(self) -> None:
        """What an earlier tuner has found out about the jobs' rights need not cost more trials their checkpoints."""
        if self._settings.uses_s3:
            self.desk.jobs_without_s3 = _GIVE_UP_S3_AFTER
            self._told_without_s3 = True
            logger.warning(
                "earlier jobs of this experiment did without S3, and so do further ones: they report by their logs, "
                "and SageMaker itself keeps their checkpoints; report_channel='s3' has new trials try S3 again"
            )

    def _where(self) -> tuple[str, str]:
        return self._bucket.name, self._keys.prefix

    def _check_quotas(self) -> None:
        """Warns of quotas that will make trials wait, and of warm pools that SageMaker silently will not keep."""
        settings, place = self._settings, self._place
        try:
            for sentence in what_is_short(
                self._aws, settings.template, place.config_space, settings.fallback_instance_types, place.n_workers
            ):
                logger.warning("%s", sentence)
        except AwsError as error:
            logger.info("quotas could not be read: %s", error)

    def attach(self, trials: Sequence[LeftRunning]) -> None:
        """Takes over the jobs of trials that an earlier tuner left; whether they exist is found out by asking."""
        tasks = self._read_tasks((left.trial.trial_id, left.trial.attempt) for left in trials)
        with self.desk.lock:
            for left in trials:
                attempt = self._left_attempt(left.trial, tasks, left.delivered)
                attempt.phase = Phase.EXISTS
                attempt.describe_at = now()  # which machine it got: what it may cost depends on that
                self._requests.expect(attempt)
                self.desk.add(attempt)
                # Without a task it need not have a job: its log is read when one is seen.
                if not attempt.use_s3 and (attempt.has_agent or not self._requests.has_agent):
                    self._log_reader.watch(attempt)
            self._watcher.list_now()
        self._wake()

    def settle(self, unsettled: Iterable[tuple[int, int]]) -> None:
        """Takes over attempts that have ended and have no final bill."""
        with self.desk.lock:
            keys = [key for key in unsettled if key not in self.desk.attempts]
        tasks = self._read_tasks(keys)
        with self.desk.lock:
            for trial_id, number in keys:
                attempt = self._left_attempt(Trial(trial_id, {}, number), tasks)
                attempt.phase = Phase.EXISTS
                attempt.end_delivered = True
                attempt.describe_at = now()
                self._requests.expect(attempt, config_is_known=False)
                self.desk.add(attempt)
        self._wake()

    def _new_attempt(self, trial: Trial, delivered: Mapping[int, int] | None = None) -> Attempt:
        place = self._place
        name = job_name(place.name, place.experiment_id, trial.trial_id, trial.attempt)
        job_id = f"{place.experiment_id}-{trial.trial_id}-{trial.attempt}"
        attempt = Attempt(trial, name, job_id, delivered)
        attempt.use_s3 = self._settings.uses_s3
        attempt.has_agent = self._requests.has_agent
        return attempt

    def _read_tasks(self, attempts: Iterable[tuple[int, int]]) -> dict[str, Got]:
        return self._bucket.get_many(self._keys.task(*key) for key in attempts)

    def _left_attempt(
        self, trial: Trial, tasks: Mapping[str, Got], delivered: Mapping[int, int] | None = None
    ) -> Attempt:
        """An attempt of an earlier tuner. However jobs report today, its job reports as it was told to."""
        attempt = self._new_attempt(trial, delivered)
        task = tasks.get(self._keys.task(*attempt.key))
        attempt.has_agent = task is not None
        attempt.use_s3 = task is not None and told_to_use_s3(task.body)
        if attempt.has_agent:
            self._saved.runs(attempt.trial_id, attempt.use_s3)
        return attempt

    def _uses_s3(self) -> bool:
        """Whether jobs that are created now report and save through S3: until they turn out not to be able to."""
        if not self._settings.uses_s3 or self.desk.jobs_without_s3 < _GIVE_UP_S3_AFTER:
            return self._settings.uses_s3
        if not self._told_without_s3:
            self._told_without_s3 = True
            logger.warning(
                "%d jobs in a row could not write to S3: further trials report by their logs, and SageMaker itself "
                "keeps their checkpoints; `cloudtune doctor` tells what is missing",
                self.desk.jobs_without_s3,
            )
        return False

    def _wake(self) -> None:
        for service in self._services:
            service.wake()

    # ------------------------------------------------------------------ trials

    def begin(self, trial: Trial) -> None:
        """Queues an attempt."""
        attempt = self._new_attempt(trial)
        with self.desk.lock:
            before = self.desk.current.get(trial.trial_id)
            had_s3 = before is None or before.use_s3 or before.had_no_job
            attempt.use_s3 = self._uses_s3() and had_s3 and not self._saved.are_synced(trial.trial_id)
            if not attempt.use_s3:
                self._saved.begins_without_s3(trial.trial_id)
            self._requests.expect(attempt)
            self.desk.add(attempt)
            self.desk.forget_settled()
        self._creator.wake()

    def _was_found(self, attempt: Attempt) -> None:
        """Its job has run before this tuner wanted it: what it has told, and whether it is over, is asked at once."""
        self._inbox.read_again(attempt)
        with self.desk.lock:
            self._watcher.ask(attempt)

    def _was_created(self, attempt: Attempt) -> None:
        with self.desk.lock:
            self.bills.machines_known(attempt)
        if not attempt.use_s3:
            self._log_reader.watch(attempt)
        self._inbox.wake()
        self._watcher.wake()

    def ask_to_end(self, trial_id: int, wish: str) -> None:
        """Wishes the trial's newest attempt to end; a stop wins over a pause."""
        with self.desk.lock:
            attempt = self.desk.current.get(trial_id)
            if attempt is None or attempt.end_delivered or attempt.wish in (wish, protocol.WISH_STOP):
                return
            first = attempt.wish is None
            attempt.wish = wish
            if attempt.phase is Phase.QUEUED:
                if not attempt.is_being_created and not attempt.may_exist:
                    self._ending.free(attempt)
                    self.desk.deliver(self._ending.tell(attempt, never_began(attempt, "")))
                else:
                    self._creator.wake()
                return
            if attempt.has_agent and attempt.use_s3:
                self._life.wish(*attempt.key, wish)
            if first:
                grace = self._settings.stop_grace + self._settings.cadence.stop_margin
                # A job whose agent was not heard of yet still starts: SageMaker stops it sooner than a wish would.
                attempt.stop_job_at = now() + (grace if attempt.reads_wishes else 0.0)
        self._watcher.wake()

    def _has_ended(self, attempt: Attempt) -> None:
        """The end of an attempt is told; the desk's lock is held."""
        self._life.forget(*attempt.key)
        self._log_reader.forget(attempt)
        if attempt.use_s3:
            self._inbox.has_ended(attempt)

    def poll(self, timeout: float | None) -> list[TrialEvent]:
        """Events, as soon as there are any, a worker became free, the bell was rung, or the time is over."""
        if self._final_stops.are_hastened:
            self._pools.give_back()  # while others still end: nobody will come to it afterwards
        events, freed = self.desk.take_events()
        if not events and not freed:
            self.desk.bell.wait(timeout)
            events, _ = self.desk.take_events()
        return events

    def busy_workers(self) -> int:
        """Attempts that occupy a machine, or wait for one."""
        with self.desk.lock:
            busy = {attempt.key for attempt in self.desk.attempts.values() if attempt.occupies_worker}
            return len(busy | self.desk.ends_on_their_way())

    # ------------------------------------------------------------------ checkpoints and output

    def copy_checkpoint(self, source: int, target: int) -> None:
        """Copies within S3, beside the tuner; the target's next attempt waits for it."""
        with self.desk.lock:
            newest = self.desk.current.get(target)
            coming = 0 if newest is None else newest.number + (0 if newest.phase is Phase.QUEUED else 1)
        self._saved.copy(source, target, coming, self._uses_s3())

    def delete_checkpoint(self, trial_id: int) -> None:
        """Deletes beside the tuner."""
        self._saved.delete(trial_id)

    def delete_left_checkpoints(self, trials: Collection[int]) -> None:
        """Deletes, beside the tuner, what is left of trials, most of whose checkpoints are gone already."""
        self._saved.delete_left(trials)

    def output(self, trial_id: int) -> str:
        """The logs of all attempts of a trial, also of those under earlier tuners, in their order."""
        prefix = f"{self._job_prefix}{trial_id}-"
        numbers = (name.removeprefix(prefix) for name in self._logs.jobs(prefix))
        attempts = sorted(int(number) for number in numbers if number.isdecimal())
        return "".join(self._logs.text(f"{prefix}{number}") for number in attempts)

    # ------------------------------------------------------------------ ending

    def trial_cost_limit(self) -> float | None:
        """What one more attempt may cost at most, with as many of the dearest instance type as it may get."""
        template = self._settings.template
        prices = [self.bills.hourly_price(machines) for machines in self._requests.any_machines()]
        known = [price for price in prices if price is not None]
        if len(known) < len(prices):
            return None
        return cost(max(known), template.max_run + STOP_GRACE, retained_seconds=template.keep_alive_period)

    def wind_down(self) -> bool:
        """Gives warm pools back; True when no machine is held, and all bills and errands are done.

        Machines that may not be given back are not waited for, nor are their bills: that costs a remote tuner its own.
        """
        self._pools.give_back()
        with self.desk.lock:
            waited_for = [a for a in self.desk.attempts.values() if not a.is_settled and not self._pools.is_refused(a)]
            # The last bill may have come since the tuner has polled.
            if self.desk.has_events() or waited_for:
                return False
        if not self._errands.are_all_done():
            return False
        if self.bills.jobs_ended and self._settings.template.keep_alive_period:
            logger.info(
                "warm pools: the machines of %d of %d jobs were used again",
                self.bills.pools_reused,
                self.bills.jobs_ended,
            )
        return True

    def hasten(self, seconds: float) -> None:
        """The trials were told to end, and the tuner's process ends in so many seconds."""
        self._final_stops.hasten(seconds)
        self._errands.hasten()

    def close(self, stop_running: bool) -> None:
        """Ends the threads; before, where asked, what still runs and what is kept, in a bounded time."""
        try:
            if stop_running:
                self._final_stops.stop_all()
                self._pools.give_back_now()
            elif self._final_stops.are_hastened:
                self._final_stops.tell_of_left()
        finally:
            self.desk.closing.set()
            until = self._final_stops.to_be_closed_by
            for service in self._services:
                service.join(until)
            self._errands.close(until)
            self._pools.warn_of_kept()
            self.desk.bell.close()

    def _s3_works(self) -> bool:
        """Whether the threads that wishes and answers need still work."""
        return self._life.is_alive() and self._inbox.is_alive()
