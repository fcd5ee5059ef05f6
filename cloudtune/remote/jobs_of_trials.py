"""Which training jobs run the trials of an experiment, and in which region: told by its log, also by a damaged one."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator

from cloudtune.aws.clients import aws_for
from cloudtune.aws.job_names import job_name_prefix
from cloudtune.aws.our_jobs import OurJob, find_our_jobs
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.store.entries import EXPERIMENT, PLACE, SUGGEST
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.s3_segments import LogKeys, NotWhatWasWritten, read_segment
from cloudtune.store.store import Entry

logger = logging.getLogger(__name__)

#: Of a damaged log so many segments are looked through one by one: what is sought stands before the first trial.
_LOOKED_THROUGH = 64
#: Statuses of jobs that have not ended.
_RUNNING = ("InProgress", "Stopping")
#: Of trials' files: .../<experiment's id>/
_ID = re.compile(r"(?P<root>.+/)(?P<id>[a-z0-9]{6})/?")


class JobsOfTrials:
    """The jobs of an experiment's trials, by their names, which hold the experiment's id.

    Args:
        experiment: Which.

    Raises:
        AwsError: S3 or SageMaker does not answer.
    """

    def __init__(self, experiment: S3Experiment) -> None:
        self._experiment = experiment
        self._prefixes: set[str] = set()
        #: Account and region of the jobs: trials may be in another region than their experiment's log.
        self.aws = experiment.bucket.aws
        view = S3LogView(experiment.bucket, experiment.root)
        self._learn(_first_entries(view.entries()))
        if view.damage:
            # A tuner that went on from there may have begun anew, with another id: the jobs of both are ours.
            self._learn(_readable_entries(experiment))
            self._learn_from_tags()
        self._training = TrainingJobs(self.aws)

    @property
    def are_known(self) -> bool:
        """Whether anything is known of them: a tuner that has just begun has not noted it yet."""
        return bool(self._prefixes)

    def are_ours(self, job: OurJob) -> bool:
        """Whether it is one of them."""
        return not job.is_tuner and job.name.startswith(tuple(self._prefixes))

    def running(self) -> set[str]:
        """Names of those that have not ended. Raises AwsError."""
        asked = [(prefix, status) for prefix in sorted(self._prefixes) for status in _RUNNING]
        found = {job.name for prefix, status in asked for job in self._training.list(prefix, status)}
        return {name for name in found if name.startswith(tuple(self._prefixes))}

    def _learn(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry["event"] == EXPERIMENT:
                self._prefixes.add(job_name_prefix(self._experiment.name, entry["experiment_id"]))
            elif entry["event"] == PLACE:
                at = entry["trials_at"]
                self._learn_place(at.get("place", ""))
                region = at.get("region", self.aws.region)
                self.aws = self.aws if region == self.aws.region else aws_for(region, self.aws.profile)

    def _learn_place(self, place: str) -> None:
        parts = _ID.fullmatch(place)
        if parts is not None:
            self._prefixes.add(job_name_prefix(self._experiment.name, parts["id"]))

    def _learn_from_tags(self) -> None:
        """From jobs whose trials lie beside the log; those that lie elsewhere may be those of another experiment."""
        wanted = self._experiment
        for job in find_our_jobs(self.aws).jobs:
            if job.is_tuner or (job.experiment, job.tag) != (wanted.name, wanted.tag or wanted.name):
                continue
            parts = _ID.fullmatch(job.place)
            if parts is not None and parts["root"] == wanted.uri:
                self._learn_place(job.place)
            elif not self.are_ours(job):
                logger.warning(
                    "%s runs for an experiment of this name, with its files in %s: whether for this one, whose log is "
                    "damaged, is not known; `cloudtune reap %s` ends it",
                    job.name,
                    job.place,
                    job.name,
                )


def _first_entries(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Those up to the first that tells of a trial, or of their place: what is sought is among them."""
    for entry in entries:
        yield entry
        if entry["event"] in (PLACE, SUGGEST):
            return


def _readable_entries(experiment: S3Experiment) -> Iterator[Entry]:
    """Entries of the first segments that are what was written, whether or not what they continue is."""
    keys, bucket = LogKeys(experiment.root), experiment.bucket
    names = {seq: keys.segment(seq) for seq in range(1, _LOOKED_THROUGH + 1)}
    got = bucket.get_many(names.values())
    for seq, name in names.items():
        if name not in got:
            continue
        try:
            segment = read_segment(seq, got[name].body, bucket.uri(name))
        except NotWhatWasWritten as error:
            logger.debug("%s %s", bucket.uri(name), error)
            continue
        yield from map(json.loads, segment.data.splitlines()[1:])
