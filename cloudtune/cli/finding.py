"""Finds experiments on this machine and tells how they stand, from their logs alone."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments import list_experiments
from cloudtune.store.entries import EPOCH, EXPERIMENT, FINISH
from cloudtune.store.lease import lease_holder_is_alive
from cloudtune.store.log import LogView, is_experiment
from cloudtune.store.places import experiment_path, experiments_root
from cloudtune.tuning_status import TuningStatus


@dataclass(frozen=True)
class ExperimentSummary:
    """How an experiment stands.

    Args:
        name: Its name.
        state: ``running``, ``finished`` (its criterion was met), ``interrupted`` (by Ctrl-C or SIGTERM), ``failed``
            (too many trials did), or ``unfinished`` (its tuner was killed).
        why: Why it ended, or empty.
        created: Unix seconds.
        seconds: Active tuning time.
        trials: Trials started.
        reports: Reports that count.
        metric: The first metric.
        best: Its best value so far, or None.
    """

    name: str
    state: str
    why: str
    created: float
    seconds: float
    trials: int
    reports: int
    metric: str | None
    best: float | None


def find_experiment(name: str) -> Path:
    """Folder of the experiment ``name``.

    Raises:
        ExperimentNotFound: There is none; the message names one that is called alike, or where it looked.
    """
    path = experiment_path(name)
    if is_experiment(path):
        return path
    alike = difflib.get_close_matches(name, list_experiments(), n=1)
    advice = f"did you mean {alike[0]!r}?" if alike else "`cloudtune list` shows those there are"
    raise ExperimentNotFound(f"there is no experiment {name!r} in {experiments_root()}; {advice}")


def experiment_folders() -> list[Path]:
    """Folders of all experiments on this machine, by name."""
    return [experiments_root() / name for name in list_experiments()]


def summarise(path: Path) -> ExperimentSummary:
    """How the experiment in the folder ``path`` stands.

    Raises:
        NewerFormat: It was written by a newer cloudtune.
        DamagedLog: Its log is not what was written.
    """
    status = TuningStatus()
    created = 0.0
    ended: str | None = None
    for block in LogView(path / "log").blocks():
        for entry in block:
            if entry["event"] == EXPERIMENT:
                method = entry["scheduler"]
                created = entry["unix"]
                status = TuningStatus(
                    metrics=method["metric_names"],
                    mode=method["metric_mode"],
                    resource_attr=method.get("resource_attr"),
                    max_resource_attr=method.get("max_resource_attr"),
                )
                continue
            status.apply(entry)
            if entry["event"] == FINISH:
                ended = entry.get("state", "finished")
            elif entry["event"] == EPOCH:
                ended = None
    state = ended or ("running" if lease_holder_is_alive(path / "lock") else "unfinished")
    return ExperimentSummary(
        name=path.name,
        state=state,
        why=status.finished_why or "",
        created=created,
        seconds=status.wallclock_time,
        trials=status.num_trials_started,
        reports=status.num_evaluations,
        metric=status.metric,
        best=None if status.incumbent is None else status.incumbent[0],
    )
