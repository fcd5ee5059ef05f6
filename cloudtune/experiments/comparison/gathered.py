"""The experiments that are asked for, by name or as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cloudtune.experiments.experiment_result import ExperimentResult
from cloudtune.experiments.loading import load_experiments

if TYPE_CHECKING:
    from cloudtune.experiments.loading import ExperimentFilter


def experiments_of(
    wanted: str | ExperimentResult | Sequence[str | ExperimentResult],
    experiment_filter: ExperimentFilter | None,
    download_from_s3: bool | None,
    s3_path: str | None,
    local_path: str | os.PathLike[str] | None,
) -> list[ExperimentResult]:
    """Loads what are names, and takes the others as they are; none twice.

    Raises:
        ExperimentNotFound: Nothing fits one of the names.
    """
    items: Iterable[str | ExperimentResult] = [wanted] if isinstance(wanted, (str, ExperimentResult)) else list(wanted)
    names = [item for item in items if isinstance(item, str)]
    given = [item for item in items if isinstance(item, ExperimentResult)]
    kept = [one for one in given if experiment_filter is None or experiment_filter(one)]
    if names:
        kept += load_experiments(
            names, experiment_filter, local_path, s3_path=s3_path, download_from_s3=download_from_s3
        )
    of_name: dict[tuple[str, str], ExperimentResult] = {}
    for one in kept:
        of_name.setdefault((one.name, one.place), one)
    return list(of_name.values())
