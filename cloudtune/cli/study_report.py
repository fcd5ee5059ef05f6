"""Puts together what a report shows of a study."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudtune.aws.training_jobs import JobState
    from cloudtune.cli.study_results import StudyResults
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.experiments.report.study import ReportedExperiment, ReportedStudy
    from cloudtune.store.study_place import StudyPlace
    from cloudtune.studies.cell_standing import CellStanding

logger = logging.getLogger(__name__)

#: Logs that are read at once; the objects of each are read in parallel as well.
_AT_ONCE = 8
#: Of the jobs of so many tuners it is asked what they have cost; SageMaker answers about nine such questions a second.
_MOST_TUNERS = 200
#: Of an experiment whose tuner has not said how it ended; and as the study has it where no tuner has said anything.
_GONE = "unfinished"
_SILENT = frozenset({_GONE, "waiting"})


def reported_study(found: StudyResults, made: float) -> ReportedStudy:
    """The study as a report shows it.

    Args:
        found: Its experiments.
        made: When the report is made, in Unix seconds.
    """
    from cloudtune.cli.launch_lines import launch_lines
    from cloudtune.cli.study_cloud import is_on_this_machine
    from cloudtune.experiments.report.study import ReportedStudy
    from cloudtune.studies.launched_plan import place_flags

    standings, notes = _standings(found)
    asks = len(found.experiments) <= _MOST_TUNERS
    if not asks and found.place is not None:
        notes.append(f"What tuners have cost is not asked for: there are more than {_MOST_TUNERS} experiments.")
    with ThreadPoolExecutor(_AT_ONCE, "cloudtune-report") as threads:
        read = list(threads.map(lambda one: _read(one, found.place, asks), found.experiments))
    experiments = [_as_it_stands(one, standings.get(one.name)) for one in read]
    known = {one.name for one in experiments}
    plans = [] if found.place is None else _plans(found.place)
    flags = {} if found.place is None else place_flags(found.place)
    is_local = is_on_this_machine(os.environ.get("AWS_ENDPOINT_URL"))
    return ReportedStudy(
        name=found.name,
        experiments=experiments,
        made=made,
        place=_where(found),
        plans=plans,
        waiting={name: one.state for name, one in standings.items() if name not in known},
        commands=launch_lines(found.name, plans, experiments, {**flags, **({"local_cloud": 1} if is_local else {})}),
        place_flags=flags,
        notes=notes,
    )


def _where(found: StudyResults) -> str:
    if found.place is not None:
        return f"in {found.place.bucket.uri(found.place.root)}"
    return "in a copy on this machine" if any(one.place for one in found.experiments) else "on this machine"


def _standings(found: StudyResults) -> tuple[Mapping[str, CellStanding], list[str]]:
    """How the experiments stand, as far as that can be told, and what could not be looked at."""
    from cloudtune.errors import CloudtuneError

    notes = list(found.notes)
    if found.study is None:
        return {}, notes
    try:
        standing = found.study.standing()
    except CloudtuneError as error:
        return {}, [*notes, f"How experiments stand is told from their logs alone: {' '.join(str(error).split())}"]
    notes += [note for note in standing.notes if note not in notes]
    notes += [f"{one.name} is damaged: {one.damage}" for one in standing.cells if one.damage]
    return standing.by_name, notes


def _read(result: ExperimentResult, place: StudyPlace | None, asks: bool) -> ReportedExperiment:
    from cloudtune.errors import CloudtuneError
    from cloudtune.experiments.report.reading import read_in_folder, read_in_s3, read_results_only

    try:
        if not result.place:
            return read_in_folder(result)
        if place is None:
            return read_results_only(result, "only its results were copied to this machine")
        root = result.place.removeprefix(place.bucket.uri(""))
        read = read_in_s3(result, place.bucket, root)
        return dataclasses.replace(read, tuner_cost=_tuner_cost(place, root)) if asks else read
    except CloudtuneError as error:
        return read_results_only(result, " ".join(str(error).split()))


def _as_it_stands(experiment: ReportedExperiment, standing: CellStanding | None) -> ReportedExperiment:
    # Where a tuner has said nothing beside its study, as older versions do not, its log may tell how it has ended.
    if standing is None or (standing.state in _SILENT and experiment.state != _GONE):
        return experiment
    return dataclasses.replace(experiment, state=standing.state, why=standing.why or experiment.why)


def _tuner_cost(place: StudyPlace, root: str) -> float | None:
    """What the jobs of a tuner have cost; None where that cannot be told."""
    from cloudtune.aws.prices import cost, price_per_hour
    from cloudtune.errors import CloudtuneError
    from cloudtune.remote.launches import launches
    from cloudtune.remote.tuner_job import TunerPlace

    try:
        costs = []
        for _, job in launches(TunerPlace(place.bucket, root)):
            price = price_per_hour(job.instance_type, place.bucket.aws.region)
            costs.append(cost(None if price is None else price * job.instance_count, _seconds(job)))
    except CloudtuneError as error:  # no right to ask SageMaker, or prices of one's own that cannot be read
        logger.debug("what the tuner of %s has cost is not told: %s", root, error)
        return None
    known = [one for one in costs if one is not None]
    # One that is not known would make the sum a lie.
    return sum(known) if known and len(known) == len(costs) else None


def _seconds(job: JobState) -> float:
    """For which a job is, or so far would be, billed."""
    if job.billable_seconds is not None:
        return float(job.billable_seconds)
    until = time.time() if job.ended is None else job.ended.timestamp()
    return max(0.0, until - job.created.timestamp())


def _plans(place: StudyPlace) -> list[Mapping[str, Any]]:
    """What was launched. What cannot be read of it is passed over with a warning."""
    from cloudtune.errors import CloudtuneError

    plans: list[Mapping[str, Any]] = []
    try:
        bodies = [(one.key, place.bucket.get(one.key)) for one in place.bucket.list(place.plans)]
    except CloudtuneError as error:
        logger.warning("the plans of the study are not shown: %s", " ".join(str(error).split()))
        return []
    for key, got in bodies:
        try:
            plan = json.loads(got.body) if got is not None else None
        except ValueError:
            plan = None
        if isinstance(plan, dict):
            plans.append(plan)
        else:
            logger.warning("%s is damaged and passed over", place.bucket.uri(key))
    return plans
