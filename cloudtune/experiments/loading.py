"""Finds experiments and reads their results from their event logs: never stale, and nothing is unpickled unasked."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cloudtune.constants import ST_TUNER_CREATION_TIMESTAMP
from cloudtune.errors import CloudtuneError, DamagedLog, ExperimentNotFound, NewerFormat
from cloudtune.experiments.known_metadata import metadata_in_folder, metadata_in_s3
from cloudtune.store.entries import EXPERIMENT
from cloudtune.store.log import LogView, is_experiment
from cloudtune.store.places import experiment_path, experiments_root
from cloudtune.store.results import ResultsTable, read_results

if TYPE_CHECKING:
    import pandas as pd

    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.experiments.s3_finding import S3Experiment
    from cloudtune.store.s3_log import S3LogView
    from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

_MAX_INT = 2**63 - 1

ExperimentFilter = Callable[["ExperimentResult"], bool]


def load_experiment(
    name: str,
    load_tuner: bool = False,
    local_path: str | os.PathLike[str] | None = None,
    download_if_not_found: bool = True,
    s3_path: str | None = None,
) -> ExperimentResult:
    """Reads the results of an experiment, which may still be running, here or remotely.

    Args:
        name: Name of the experiment, or path of its folder. In S3 also ``tag/name`` or ``s3://...``.
        load_tuner: Unpickle the tuner too, into ``.tuner``. That can run any code that is in the file: only do it
            for experiments you trust.
        local_path: Folder to look in, instead of ``$CLOUDTUNE_FOLDER`` or ``~/cloudtune``.
        download_if_not_found: Look in S3 if it is not on this machine. A part of the log that is damaged there, and
            what follows it, is left out with a warning.
        s3_path: Where to look in S3, ``s3://bucket[/prefix]``. Given without ``local_path``, this machine is not
            looked at: there, another experiment may have that name. Default: ``$CLOUDTUNE_S3_PATH``, else the account's
            own bucket.

    Raises:
        ExperimentNotFound: There is no such experiment.
        NewerFormat: It was written by a newer cloudtune.
        DamagedLog: Its log was changed by something else.
        CannotLoad: The tuner was asked for, and was made with other versions than those installed here.
    """
    if s3_path is not None and download_if_not_found and local_path is None:
        from cloudtune.experiments.s3_finding import find_in_s3

        return _load_from_s3(find_in_s3(name, s3_path), load_tuner)
    path = _find(name, local_path)
    if path is not None:
        return _load(path, load_tuner)
    root = _root(local_path)
    if not download_if_not_found:
        raise _not_found(name, root)
    from cloudtune.experiments.s3_finding import find_in_s3

    try:
        found = find_in_s3(name, s3_path)
    except CloudtuneError as error:
        raise _not_found(name, root, f", nor can one be read from S3 ({' '.join(str(error).split())})") from error
    return _load_from_s3(found, load_tuner)


def load_experiments(
    names: str | Iterable[str] | None = None,
    experiment_filter: ExperimentFilter | None = None,
    local_path: str | os.PathLike[str] | None = None,
    load_tuner: bool = False,
) -> list[ExperimentResult]:
    """Reads several experiments, oldest first. One that cannot be read is passed over with a warning.

    Args:
        names: Names, or tags: ``"abc"`` stands for the experiment ``abc`` and for all whose names begin with ``abc-``.
            All experiments if None.
        experiment_filter: Keeps only experiments for which it returns true.
        local_path: Folder to look in, instead of ``$CLOUDTUNE_FOLDER`` or ``~/cloudtune``.
        load_tuner: See :func:`load_experiment`.

    Raises:
        ExperimentNotFound: Nothing fits one of ``names``.
    """
    experiments = []
    for name in list_experiments(names, local_path):
        try:
            experiment = _load(_root(local_path) / name, load_tuner)
        except (DamagedLog, NewerFormat) as error:
            logger.warning("experiment %r is passed over: %s", name, error)
            continue
        if experiment_filter is None or experiment_filter(experiment):
            experiments.append(experiment)
    return sorted(experiments, key=lambda experiment: experiment.metadata.get(ST_TUNER_CREATION_TIMESTAMP, 0.0))


def load_experiments_df(
    names: str | Iterable[str] | None = None,
    experiment_filter: ExperimentFilter | None = None,
    local_path: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """The results of several experiments in one table.

    Columns: those of every experiment, ``experiment_name``, and the metadata that are plain values; a list of them
    becomes ``<key>-0``, ``<key>-1``, and so on. A column of the results is never replaced by metadata of the same name.

    Args:
        names: See :func:`load_experiments`.
        experiment_filter: See :func:`load_experiments`.
        local_path: See :func:`load_experiments`.
    """
    import pandas as pd

    frames = []
    for experiment in load_experiments(names, experiment_filter, local_path):
        added = {"experiment_name": experiment.name, **_plain_values(experiment.metadata)}
        new = {key: value for key, value in added.items() if key not in experiment.results.columns}
        extra = pd.DataFrame(new, index=experiment.results.index)
        frames.append(pd.concat([experiment.results, extra], axis=1))
    # Concatenating an empty table with others would cost the others' columns their types.
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True) if filled else results_frame(read_results([]))


def list_experiments(
    names: str | Iterable[str] | None = None, local_path: str | os.PathLike[str] | None = None
) -> list[str]:
    """Names of the experiments on this machine, in alphabetical order.

    Args:
        names: See :func:`load_experiments`.
        local_path: See :func:`load_experiments`.

    Raises:
        ExperimentNotFound: Nothing fits one of ``names``.
    """
    root = _root(local_path)
    existing = sorted(path.name for path in root.iterdir() if is_experiment(path)) if root.is_dir() else []
    if names is None:
        return existing
    chosen: set[str] = set()
    for wanted in [names] if isinstance(names, str) else names:
        fitting = [name for name in existing if name == wanted or name.startswith(wanted + "-")]
        if not fitting:
            raise _not_found(wanted, root)
        chosen.update(fitting)
    return sorted(chosen)


def results_frame(table: ResultsTable) -> pd.DataFrame:
    """The table of results as a data frame.

    A metric that some reports lack is NaN there. Configurations of which some are None keep their types: their column
    holds Python objects.
    """
    import pandas as pd

    columns = {name: _series(values, keep_none=False) for name, values in table.columns.items()}
    config_of_row = np.array(table.config_of_row, dtype=np.intp)
    for name, values in table.config.items():
        of_configs = _series(values, keep_none=True)
        columns[name] = of_configs.take(config_of_row).reset_index(drop=True)
    frame: pd.DataFrame = pd.DataFrame(columns)
    return frame


def _series(values: list[Any], keep_none: bool) -> pd.Series[Any]:
    import pandas as pd

    kinds = set(map(type, values))
    series: pd.Series[Any]
    if kinds == {float} or (kinds == {int} and max(map(abs, values)) <= _MAX_INT):
        # Several times as fast as letting pandas look at every value.
        series = pd.Series(np.array(values))
    elif keep_none and type(None) in kinds:
        series = pd.Series(values, dtype=object)
    else:
        series = pd.Series(values)
    return series


def _load(path: Path, load_tuner: bool) -> ExperimentResult:
    from cloudtune.experiments.experiment_result import ExperimentResult

    view = LogView(path / "log")
    tuner = None
    if load_tuner:
        from cloudtune.tuner import Tuner

        tuner = Tuner.load(path)
    return ExperimentResult(
        name=path.name,
        results=results_frame(read_results(view.blocks())),
        metadata=_metadata(path, view),
        path=path,
        tuner=tuner,
    )


def _load_from_s3(found: S3Experiment, load_tuner: bool) -> ExperimentResult:
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.store.s3_log import S3LogView

    tuner: Tuner | None = None
    if load_tuner:
        # By name at the call: what knows how a tuner was shipped stands above this.
        tuner = importlib.import_module("cloudtune.remote.taking_over").load_tuner(found)
    view = S3LogView(found.bucket, found.root)
    metadata = metadata_in_s3(found.bucket, found.root)
    return ExperimentResult(
        name=found.name,
        results=results_frame(read_results(view.blocks())),
        metadata=_metadata_of_log(view) if metadata is None else metadata,
        path=experiment_path(found.name),
        tuner=tuner,
        place=found.uri,
    )


def _metadata(path: Path, view: LogView) -> dict[str, Any]:
    """What ``metadata.json`` says or, if the tuner died before it was written or it is damaged, what the log does."""
    metadata = metadata_in_folder(path)
    return _metadata_of_log(view) if metadata is None else metadata


def _metadata_of_log(view: LogView | S3LogView) -> dict[str, Any]:
    header = next((entry for entry in view.entries() if entry["event"] == EXPERIMENT), None)
    if header is None:
        return {}
    return {ST_TUNER_CREATION_TIMESTAMP: header["unix"], **header["scheduler"], **header["metadata"]}


def _root(local_path: str | os.PathLike[str] | None) -> Path:
    return experiments_root() if local_path is None else Path(local_path).expanduser()


def _find(name: str, local_path: str | os.PathLike[str] | None) -> Path | None:
    """The experiment's folder on this machine, if it has one."""
    for path in (_root(local_path) / name, Path(name).expanduser()):
        if is_experiment(path):
            return Path(os.path.abspath(path))
    return None


def _not_found(name: str, root: Path, remark: str = "") -> ExperimentNotFound:
    existing = [path.name for path in root.iterdir() if is_experiment(path)] if root.is_dir() else []
    close = difflib.get_close_matches(name, existing, n=3, cutoff=0.5)
    close += sorted(other for other in existing if other.startswith(name) and other not in close)[:3]
    if close:
        advice = f"did you mean {', '.join(map(repr, close))}?"
    elif existing:
        advice = "list_experiments() names those that are there"
    else:
        advice = "there are no experiments there at all: set CLOUDTUNE_FOLDER or local_path if they are elsewhere"
    return ExperimentNotFound(f"there is no experiment {name!r} in {root}{remark}; {advice}")


def _plain_values(metadata: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in metadata.items():
        if isinstance(value, list):
            plain.update({f"{key}-{index}": item for index, item in enumerate(value) if _is_plain(item)})
        elif _is_plain(value):
            plain[key] = value
    return plain


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
