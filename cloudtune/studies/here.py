"""Experiments of a study that ran, or run, on this machine."""

from __future__ import annotations

import re
from pathlib import Path

from cloudtune.errors import CloudtuneError, ExperimentMismatch
from cloudtune.experiments.known_metadata import metadata_in_folder
from cloudtune.remote.standing import standing_of_folder
from cloudtune.store.log import is_experiment
from cloudtune.store.places import experiments_root
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_standing import RUNNING, UNFINISHED, CellStanding
from cloudtune.studies.known_cell import known_cell
from cloudtune.studies.standing_rules import time_left

_TAG = "tag"
#: Names of cells begin with their tag, in which this becomes a dash; of a long one the end may be cut off.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_BEGINNING = 30


def folders_of(tag: str) -> dict[str, Path]:
    """Folders of the experiments on this machine that are called after a tag and have it in their metadata, by name."""
    root = experiments_root()
    begins = _NOT_IN_NAMES.sub("-", tag).strip("-")[:_LONGEST_BEGINNING]
    if not root.is_dir():
        return {}
    paths = sorted(path for path in root.iterdir() if path.name.startswith(begins) and is_experiment(path))
    return {path.name: path for path in paths if (metadata_in_folder(path) or {}).get(_TAG) == tag}


def check_cell_here(cell: Cell) -> None:
    """Checks that no other cell has an experiment of this name on this machine: tags that differ only in punctuation.

    Raises:
        ExperimentMismatch: One has; the message shows in what it differs.
    """
    path = experiments_root() / cell.name
    metadata = (metadata_in_folder(path) or {}) if is_experiment(path) else {}
    for key, now in vars(cell).items():
        if key in metadata and metadata[key] != now:
            raise ExperimentMismatch(
                f"experiment '{cell.name}' on this machine began with {key} = {metadata[key]!r}, now it is {now!r}, "
                "and both would be called the same; choose another --experiment_tag"
            )


def standing_here(path: Path) -> CellStanding:
    """How the experiment in a folder of this machine stands; what cannot be read of it is told as damage."""
    try:
        standing = standing_of_folder(path)
    except (CloudtuneError, OSError) as error:
        return CellStanding(path.name, None, UNFINISHED, place=str(path), damage=" ".join(str(error).split()))
    metadata = metadata_in_folder(path) or {}
    best = standing.best
    modes = metadata.get("metric_mode")
    return CellStanding(
        name=path.name,
        cell=known_cell(metadata, path.name),
        state=standing.state,
        why=standing.why,
        trials=standing.trials,
        reports=standing.reports,
        best=None if best is None else best.value,
        best_trial=None if best is None else best.trial,
        best_config=None if best is None else best.config,
        metric=None if best is None else best.metric,
        mode="max" if modes == "max" or (isinstance(modes, list) and modes[:1] == ["max"]) else "min",
        seconds=standing.seconds,
        cost=standing.cost,
        limits=standing.limits,
        left=time_left(standing.limits, 0.0) if standing.state == RUNNING else None,
        place=str(path),
        metadata=metadata,
        damage=standing.damage,
    )
