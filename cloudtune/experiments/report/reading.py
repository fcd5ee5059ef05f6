"""Reads of an experiment's log what its table of results does not tell: every trial, its cost, its failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cloudtune.aws.s3 import Bucket
from cloudtune.config_domains import plain
from cloudtune.constants import CONFIG_PREFIX, ST_DECISION, ST_TUNER_TIME, TRIAL_ID
from cloudtune.experiments.course import Course
from cloudtune.experiments.report.study import ReportedExperiment, ReportedTrial
from cloudtune.experiments.values import as_number
from cloudtune.store.lease import lease_holder_is_alive
from cloudtune.store.log import LogView
from cloudtune.store.s3_lease import read_lease
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.store import Entry
from cloudtune.trial import TrialStatus
from cloudtune.trial_record import TrialRecord

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult

RUNNING, UNFINISHED, _FINISHED = "running", "unfinished", "finished"
#: Of a trial of which no more is known.
_UNKNOWN = "Unknown"
#: Of metadata, once an experiment has ended.
_WHY, _COST = "st_finished_why", "st_cost"


def read_in_folder(result: ExperimentResult) -> ReportedExperiment:
    """An experiment on this machine.

    Raises:
        NewerFormat: It was written by a newer cloudtune.
        DamagedLog: Its log is not what was written.
    """
    blocks = LogView(result.path / "log").blocks()
    return _reported(result, blocks, lease_holder_is_alive(result.path / "lock"))


def read_in_s3(result: ExperimentResult, bucket: Bucket, root: str) -> ReportedExperiment:
    """An experiment in S3.

    Args:
        result: What is known of it.
        bucket: Where it lies.
        root: Its prefix, with a slash at its end.

    Raises:
        NewerFormat: It was written by a newer cloudtune.
        AwsError: S3 does not answer.
    """
    lease = read_lease(bucket, root)
    view = S3LogView(bucket, root)
    return _reported(result, view.blocks(), lease is not None and lease.is_alive, view.damage or "")


def read_results_only(result: ExperimentResult, why: str) -> ReportedExperiment:
    """An experiment whose log cannot be read: what its table of results tells, which is not all.

    Args:
        result: What is known of it.
        why: Why the log cannot be read.
    """
    results = result.results
    names = [name for name in results.columns if name.startswith(CONFIG_PREFIX)]
    trials = []
    for trial_id, rows in results.groupby(TRIAL_ID):
        last = rows.iloc[-1]
        config = {name.removeprefix(CONFIG_PREFIX): plain(last[name]) for name in names}
        is_stopped = last[ST_DECISION] == "STOP"
        status = TrialStatus.stopped.value if is_stopped else _UNKNOWN
        trials.append(ReportedTrial(int(str(trial_id)), status, config))
    return ReportedExperiment(
        result=result,
        state=_FINISHED if result.metadata.get(_WHY) else UNFINISHED,
        why=str(result.metadata.get(_WHY) or ""),
        trials=trials,
        seconds=float(results[ST_TUNER_TIME].max()) if len(results) else 0.0,
        cost=as_number(result.metadata.get(_COST)),
        damage=f"its log cannot be read ({why}): trials that have reported nothing are missing",
    )


def _reported(
    result: ExperimentResult, blocks: Iterable[list[Entry]], is_driven: bool, damage: str = ""
) -> ReportedExperiment:
    course = Course()
    course.apply_all(blocks)
    status = course.status
    return ReportedExperiment(
        result=result,
        state=RUNNING if is_driven else status.finished_state or UNFINISHED,
        why="" if is_driven else status.finished_why or "",
        trials=[_trial(record) for record in status.records.values()],
        seconds=status.wallclock_time,
        cost=status.cost or None,
        damage=damage,
    )


def _trial(record: TrialRecord) -> ReportedTrial:
    return ReportedTrial(record.trial.trial_id, record.status.value, record.trial.config, record.cost, record.reason)
