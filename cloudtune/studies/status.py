"""How the experiments of a study stand, from a few calls to AWS, from any machine.

One listing of what is said of the study tells what is there and how old it is; of that, what is new is read, a small
object for each experiment. One list of tuners' jobs, or a few, tells whose tuner is on its way, and whose is gone.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from cloudtune.aws.errors import AwsError
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.s3 import Got, Listed
from cloudtune.aws.training_jobs import JobSummary
from cloudtune.errors import CloudtuneError
from cloudtune.remote.overview_form import Overview
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell_standing import FINISHED, RUNNING, UNFINISHED, CellStanding, StudyStanding
from cloudtune.studies.known_cell import known_cell
from cloudtune.studies.standing_rules import Known, speaks_of_another_job, standing_of
from cloudtune.studies.stop_mark import stop_mark_key
from cloudtune.studies.tuner_jobs import launched_from, newest_jobs, running_among, why_ended

__all__ = ["CellStanding", "StudyStanding", "StudyWatch", "study_standing"]

_SUFFIX = ".json"
#: Of results.
_TABLE = ".table"
logger = logging.getLogger(__name__)

#: Beyond the age of the oldest record: no clock that AWS takes our calls from is so far off its own.
_CLOCKS = dt.timedelta(hours=1)


def study_standing(place: StudyPlace, names: Iterable[str] | None = None) -> StudyStanding:
    """How the experiments of a study stand.

    Args:
        place: Of the study.
        names: Only of these experiments, also of those of which nothing is recorded. Default: all that are recorded.

    Raises:
        AwsError: S3 cannot be read. Where SageMaker cannot, a note says so, and what tuners have said decides.
    """
    return StudyWatch(place, names).look()


class StudyWatch:
    """Looks again and again; what has not changed is not read again. For one thread.

    Args:
        place: Of the study.
        names: As :func:`study_standing` has it.
    """

    def __init__(self, place: StudyPlace, names: Iterable[str] | None = None) -> None:
        self._place = place
        self._names = None if names is None else list(dict.fromkeys(names))
        self._read: dict[str, Got] = {}
        #: Job of a tuner -> whether it was launched from here, as far as that was looked up.
        self._launches: dict[str, bool] = {}
        #: Jobs of tuners that were asked for by their names, and have ended.
        self._ended: set[str] = set()
        #: Key and ETag of results -> whether they say that their experiment has finished.
        self._ends: dict[tuple[str, str], bool] = {}

    def look(self) -> StudyStanding:
        """How it stands now.

        Raises:
            AwsError: As :func:`study_standing`.
        """
        place = self._place
        listed = {one.key: one for one in place.bucket.list(place.folder)}
        said, recorded = _of_experiments(listed, place.status), _of_experiments(listed, place.cells)
        names = sorted({*said, *recorded}) if self._names is None else self._names
        self._fetch([said[name] for name in names if name in said])
        every = [self._known(name, said.get(name)) for name in names]
        self._fetch([recorded[one.name] for one in every if one.cell is None and one.name in recorded])
        every = [self._with_record(one, recorded.get(one.name)) for one in every]
        notes: list[str] = []
        jobs, reasons = self._jobs([one for one in every if not one.is_finished], recorded, notes)
        every = self._with_ends(every, jobs, _of_experiments(listed, place.results, _TABLE))
        cells = [standing_of(one, jobs.get(one.name), reasons.get(one.name, "")) for one in every]
        mark = listed.get(stop_mark_key(place))
        return StudyStanding(place.tag, cells, "" if mark is None else mark.etag, notes)

    # ------------------------------------------------------------------ what S3 tells

    def _fetch(self, objects: Iterable[Listed]) -> None:
        """Reads those that are new, or another than when they were read."""
        new = [one.key for one in objects if one.key not in self._read or self._read[one.key].etag != one.etag]
        self._read.update(self._place.bucket.get_many(new))

    def _known(self, name: str, said: Listed | None) -> Known:
        known = Known(name, self._place.bucket.uri(self._place.experiment(name)))
        if said is None or said.key not in self._read:
            return known
        known = replace(known, has_said=True, age=said.age_seconds)
        try:
            overview = Overview.from_json(self._read[said.key].body)
        except CloudtuneError as error:
            where = self._place.bucket.uri(said.key)
            return replace(known, damage=f"what its tuner says cannot be read from {where}: {error}")
        return replace(known, overview=overview, cell=known_cell(overview.metadata, name))

    def _with_record(self, known: Known, recorded: Listed | None) -> Known:
        """With the cell that a launcher has recorded, where the tuner has not said which it is."""
        if known.cell is not None or recorded is None or recorded.key not in self._read:
            return known
        try:
            record = json.loads(self._read[recorded.key].body)
        except ValueError:
            record = None
        cell = known_cell(record.get("cell"), known.name) if isinstance(record, dict) else None
        if cell is not None:
            return replace(known, cell=cell)
        damage = f"its record cannot be read from {self._place.bucket.uri(recorded.key)}"
        return replace(known, damage=f"{known.damage}; {damage}" if known.damage else damage)

    def _with_ends(
        self, every: Iterable[Known], jobs: Mapping[str, JobSummary], results: Mapping[str, Listed]
    ) -> list[Known]:
        """With the end of those whose last word has not arrived: their tuners write the results before it."""
        told = [(one, results.get(one.name) if _lacks_an_end(one, jobs.get(one.name)) else None) for one in every]
        new = [one.key for _, one in told if one is not None and (one.key, one.etag) not in self._ends]
        for key, got in self._place.bucket.get_many(new).items():
            self._ends[key, got.etag] = self._has_finished(key, got.body)
        return [
            replace(known, results_tell_end=self._ends.get((one.key, one.etag), False) and _is_newer(one, known))
            if one is not None
            else known
            for known, one in told
        ]

    def _has_finished(self, key: str, body: bytes) -> bool:
        from cloudtune.store.results_object import ResultsObject

        try:
            name = key.removeprefix(self._place.results).removesuffix(_TABLE)
            read = ResultsObject(body, name, self._place.bucket.uri(key))
        except CloudtuneError as error:
            logger.debug("%s does not tell how its experiment has ended: %s", key, error)
            return False
        return read.is_whole and read.heading.state == FINISHED

    # ------------------------------------------------------------------ what SageMaker tells

    def _jobs(
        self, every: Collection[Known], recorded: Mapping[str, Listed], notes: list[str]
    ) -> tuple[dict[str, JobSummary], dict[str, str]]:
        """The newest jobs of tuners, and why they have ended where only they tell; what cannot be known is noted."""
        if not every:
            return {}, {}
        bucket = self._place.bucket
        places = {one.name: TunerPlace(bucket, self._place.experiment(one.name)) for one in every}
        try:
            found = newest_jobs(bucket.aws, places.keys(), _since([recorded.get(one.name) for one in every]))
            jobs = self._ours(every, places, found)
            jobs.update(self._older_that_drive(every, jobs))
            silent = {
                one.name: jobs[one.name] for one in every if one.name in jobs and _tells_no_end(one, jobs[one.name])
            }
            return jobs, why_ended(places, silent)
        except AwsError as error:
            said = " ".join(str(error).split())
            notes.append(f"tuners' training jobs are not looked at, what tuners have said decides: {said}")
            return {}, {}

    def _ours(
        self, every: Collection[Known], places: Mapping[str, TunerPlace], found: Mapping[str, Sequence[JobSummary]]
    ) -> dict[str, JobSummary]:
        """Of the newest jobs that are called after each experiment, the first that was launched from here."""
        ours: dict[str, JobSummary] = {}
        for turn in range(max(map(len, found.values()), default=0)):
            jobs = {name: those[turn] for name, those in found.items() if name not in ours and turn < len(those)}
            self._check_launches(places, [job for one in every if (job := _unknown_job(one, jobs)) is not None])
            ours.update((name, job) for name, job in jobs.items() if self._launches.get(job.name, True))
        return ours

    def _older_that_drive(self, every: Collection[Known], newest: Mapping[str, JobSummary]) -> dict[str, JobSummary]:
        """Jobs that drive experiments for which a later one was refused."""
        said = {one.name: job for one in every if (job := speaks_of_another_job(one, newest.get(one.name)))}
        asked = {name: job for name, job in said.items() if job not in self._ended}
        running = running_among(self._place.bucket.aws, asked.values())
        self._ended.update(job for job in asked.values() if job not in running)
        return {name: running[job] for name, job in asked.items() if job in running}

    def _check_launches(self, places: Mapping[str, TunerPlace], unknown: Collection[tuple[str, JobSummary]]) -> None:
        """Looks once whether jobs of which tuners have said nothing were launched from here."""
        new = [(name, job) for name, job in unknown if not self._launches.get(job.name)]
        ours = in_parallel(
            self._place.bucket.aws.threads, [partial(launched_from, places[name], job) for name, job in new]
        )
        self._launches.update((job.name, is_ours) for (_, job), is_ours in zip(new, ours, strict=True))


def _unknown_job(known: Known, jobs: Mapping[str, JobSummary]) -> tuple[str, JobSummary] | None:
    """Name and job of an experiment whose tuner has not spoken of that job."""
    job = jobs.get(known.name)
    if job is None or (known.overview is not None and known.overview.job == job.name):
        return None
    return known.name, job


def _of_experiments(listed: Mapping[str, Listed], folder: str, suffix: str = _SUFFIX) -> dict[str, Listed]:
    """Objects in a folder, by the names of experiments."""
    return {
        key[len(folder) : -len(suffix)]: one
        for key, one in listed.items()
        if key.startswith(folder) and key.endswith(suffix)
    }


def _since(records: Collection[Listed | None]) -> dt.datetime | None:
    """No job is older: each was recorded before it was launched. None: that is not known of all."""
    ages = [one.age_seconds for one in records if one is not None and one.age_seconds is not None]
    if len(ages) < len(records):
        return None
    return dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=max(ages)) - _CLOCKS


def _lacks_an_end(known: Known, job: JobSummary | None) -> bool:
    """Whether its tuner is gone, and the last that it has said, if anything, is that it runs."""
    if known.overview is not None and known.overview.state != RUNNING:
        return False
    return standing_of(known, None).state == UNFINISHED if job is None else job.is_terminal


def _is_newer(results: Listed, known: Known) -> bool:
    """Whether results were written after what the tuner has said: no other tuner has begun since."""
    return known.age is None or (results.age_seconds is not None and results.age_seconds <= known.age)


def _tells_no_end(known: Known, job: JobSummary) -> bool:
    """Whether a job has ended of which the tuner has not said how."""
    said = known.overview
    return job.is_terminal and (said is None or said.job != job.name or said.state == RUNNING)
