"""Finds experiments and reads their results from their event logs: never stale, and nothing is unpickled unasked."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError, DamagedLog, ExperimentNotFound, NewerFormat
from cloudtune.experiments.frames import LazyFrame, Part, results_frame, stacked_frame
from cloudtune.experiments.known_metadata import metadata_in_folder, metadata_in_s3, metadata_of_log, tag_in_folder
from cloudtune.experiments.metadata_form import begun_at
from cloudtune.experiments.other_studies import is_of_other_study
from cloudtune.experiments.study_copy import COPIES_FOLDER
from cloudtune.experiments.tolerant_filter import TolerantFilter
from cloudtune.store.log import LogView, is_experiment
from cloudtune.store.places import experiment_path, experiments_root
from cloudtune.store.results import read_results
from cloudtune.store.results_object import DamagedResults, PackedTable

if TYPE_CHECKING:
    import pandas as pd

    from cloudtune.experiments.copied import Copied
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.experiments.s3_finding import S3Experiment
    from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

ExperimentFilter = Callable[["ExperimentResult"], bool]
MetadataFilter = Callable[[dict[str, Any]], bool]


def load_experiment(
    name: str,
    load_tuner: bool = False,
    local_path: str | os.PathLike[str] | None = None,
    download_if_not_found: bool = True,
    s3_path: str | None = None,
) -> ExperimentResult:
    """Reads the results of an experiment, which may still be running, here or remotely.

    It is looked for on this machine, in the copies that :func:`sync` has made of studies, and in S3. A copy that was
    made while it ran is brought up to date first; where that cannot be done, it is as old as the copy.

    Args:
        name: Name of the experiment, or path of its folder. In S3 also ``tag/name`` or ``s3://...``.
        load_tuner: Unpickle the tuner too, into ``.tuner``. That can run any code that is in the file: only do it
            for experiments you trust.
        local_path: Folder to look in, instead of ``$CLOUDTUNE_FOLDER`` or ``~/cloudtune``.
        download_if_not_found: Look in S3 if it is not on this machine, or only as a copy that was made while it ran. A
            part of the log that is damaged there, and what follows it, is left out with a warning.
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
        from cloudtune.experiments.s3_finding import aws_in_reach, find_in_s3

        return _load_from_s3(find_in_s3(name, s3_path, aws_in_reach()), load_tuner)
    path = _find(name, local_path)
    experiment = None if path is None else _load(path, load_tuner)
    if experiment is not None:
        return experiment
    root = _root(local_path)
    experiment = _load_copied(name, root, load_tuner, download_if_not_found)
    if experiment is not None:
        return experiment
    if not download_if_not_found:
        raise _not_found(name, root)
    from cloudtune.experiments.s3_finding import aws_in_reach, find_in_s3

    try:
        found = find_in_s3(name, s3_path, aws_in_reach())
    except CloudtuneError as error:
        raise _not_found(name, root, _nor_in_s3(error)) from error
    return _load_from_s3(found, load_tuner)


def _load_copied(name: str, root: Path, load_tuner: bool, may_ask_s3: bool) -> ExperimentResult | None:
    """From the copy of a study, if there is one that has it."""
    if not (root / COPIES_FOLDER).is_dir() or name.startswith("s3://"):
        return None
    from cloudtune.experiments.copied import exactly, warn_of_old
    from cloudtune.experiments.refreshing import refresh

    copied = exactly(root, name)
    if copied is None:
        return None
    experiment = copied.load()
    if may_ask_s3 and copied.was_running:
        copied.is_fresh = bool(refresh([copied], root))
    if copied.is_fresh or load_tuner:
        experiment = copied.load(load_tuner)
    warn_of_old([copied])
    return experiment


def _nor_in_s3(error: CloudtuneError) -> str:
    return f", nor can one be read from S3 ({' '.join(str(error).split())})"


def load_experiments(
    names: str | Iterable[str] | None = None,
    experiment_filter: ExperimentFilter | None = None,
    local_path: str | os.PathLike[str] | None = None,
    load_tuner: bool = False,
    *,
    metadata_filter: MetadataFilter | None = None,
    s3_path: str | None = None,
    download_from_s3: bool | None = None,
) -> list[ExperimentResult]:
    """Reads several experiments, oldest first. One that cannot be read is passed over with a warning.

    They are looked for on this machine, and in the copies that :func:`sync` has made of studies in S3. Of two that have
    one name, the one of this machine is taken. Tables of results are made when they are first looked at.

    Args:
        names: Names, or tags: ``"abc"`` stands for the experiment ``abc`` and for all whose names begin with ``abc-``,
            but not for those of a study with a longer tag, such as ``abc-2``; of studies in S3 it is the tag, a name,
            or ``TAG/NAME``. All experiments of this machine if None.
        experiment_filter: Keeps only experiments for which it returns true. One that lacks a key it asks for (it raises
            KeyError) does not fit, which is warned of.
        local_path: Folder to look in, instead of ``$CLOUDTUNE_FOLDER`` or ``~/cloudtune``.
        load_tuner: See :func:`load_experiment`.
        metadata_filter: The same, of the metadata; the results of the others are not read.
        s3_path: Where to look in S3, ``s3://bucket[/prefix]``. Given, the experiments of this machine are not looked
            at: there, others may have these names. Default: ``$CLOUDTUNE_S3_PATH``, else the account's own bucket.
        download_from_s3: Whether S3 is asked first, as by :func:`sync`. By default it is for names that copies fit, or
            nothing here does: where nothing has changed that is one listing, and where S3 cannot be read, the copy is
            taken with a warning that tells its age. False: the copies are read as they are, without a network.

    Raises:
        ExperimentNotFound: Nothing fits one of ``names``.
        ValueError: There are no ``names``, which S3 cannot be searched without.
    """
    if names is None and (s3_path is not None or download_from_s3):
        raise ValueError("load_experiments() was asked to look in S3 without names: name the tags of the studies")
    experiments = []
    chosen = _chosen(names, _root(local_path), s3_path, download_from_s3)
    by_metadata, by_experiment = TolerantFilter(metadata_filter), TolerantFilter(experiment_filter)
    for found in chosen:
        wants = partial(_wants, found.name, by_metadata)
        try:
            if isinstance(found, Path):
                experiment = _load(found, load_tuner, wants)
            else:
                experiment = found.load(load_tuner, wants)
        except (DamagedLog, NewerFormat) as error:
            logger.warning("experiment %r is passed over: %s", found.name, error)
            continue
        if experiment is not None and by_experiment.wants(found.name, experiment):
            experiments.append(experiment)
    by_metadata.warn("metadata_filter")
    by_experiment.warn("experiment_filter")
    copied = [found for found in chosen if not isinstance(found, Path)]
    if copied:
        from cloudtune.experiments.copied import warn_of_old

        warn_of_old(copied)
    return sorted(experiments, key=lambda experiment: begun_at(experiment.metadata))


def _wants(name: str, metadata_filter: TolerantFilter, metadata: dict[str, Any]) -> bool:
    """Whether an experiment is to be read, by its metadata: there are none as long as its log does not begin."""
    if not metadata:
        logger.warning("experiment %r is passed over: its tuner has not begun, or never came to begin", name)
        return False
    return metadata_filter.wants(name, metadata)


def load_experiments_df(
    names: str | Iterable[str] | None = None,
    experiment_filter: ExperimentFilter | None = None,
    local_path: str | os.PathLike[str] | None = None,
    *,
    metadata_filter: MetadataFilter | None = None,
    s3_path: str | None = None,
    download_from_s3: bool | None = None,
) -> pd.DataFrame:
    """The results of several experiments in one table.

    Columns: those of every experiment, ``experiment_name``, and the metadata that are plain values; a list of them
    becomes ``<key>-0``, ``<key>-1``, and so on. A column of the results is never replaced by metadata of the same name.

    Args:
        names: See :func:`load_experiments`.
        experiment_filter: See :func:`load_experiments`.
        local_path: See :func:`load_experiments`.
        metadata_filter: See :func:`load_experiments`.
        s3_path: See :func:`load_experiments`.
        download_from_s3: See :func:`load_experiments`.
    """
    experiments = load_experiments(
        names,
        experiment_filter,
        local_path,
        metadata_filter=metadata_filter,
        s3_path=s3_path,
        download_from_s3=download_from_s3,
    )
    parts = []
    for one in experiments:
        try:
            parts.append(Part(one.packed_table(), {"experiment_name": one.name, **_plain_values(one.metadata)}))
        except DamagedResults as error:
            logger.warning("experiment %r is passed over: %s", one.name, error)
    return stacked_frame(parts) if parts else results_frame(read_results([]))


def _chosen(
    names: str | Iterable[str] | None, root: Path, s3_path: str | None, download: bool | None
) -> list[Path | Copied]:
    """The experiments that are meant: folders of this machine, and those in copies."""
    existing = _existing(root)
    if names is None:
        return [root / name for name in existing]
    from cloudtune.experiments.copied import fitting
    from cloudtune.experiments.refreshing import bring_here, refresh

    chosen: dict[str, Path | Copied] = {}
    for wanted in [names] if isinstance(names, str) else names:
        of_folders = [] if s3_path is not None else _fitting(root, existing, wanted)
        asked, place = download or (download is None and s3_path is not None), s3_path
        if asked:
            try:
                place = bring_here(wanted, root, s3_path)
            except ExperimentNotFound as error:
                if not of_folders:
                    raise
                logger.info("what is on this machine is taken for %r: %s", wanted, error)
        copied = fitting(root, wanted, place)
        fresh = {one.copy.path for one in copied} if asked else set()
        if copied and download is None and not asked:
            fresh = refresh(copied, root)
            copied = fitting(root, wanted)
        elif not copied and not of_folders and download is None and not asked:
            try:
                place = bring_here(wanted, root, None)
            except CloudtuneError as error:
                raise _not_found(wanted, root, _nor_in_s3(error)) from error
            copied = fitting(root, wanted, place)
            fresh = {one.copy.path for one in copied}
        if not of_folders and not copied:
            raise _not_found(wanted, root, "" if s3_path is None else f", nor a copy of one in {s3_path}")
        for one in copied:
            one.is_fresh = one.copy.path in fresh
        chosen = {one.name: one for one in copied} | chosen | {name: root / name for name in of_folders}
    return list(chosen.values())


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
    existing = _existing(root)
    if names is None:
        return existing
    chosen: set[str] = set()
    for wanted in [names] if isinstance(names, str) else names:
        fitting = _fitting(root, existing, wanted)
        if not fitting:
            raise _not_found(wanted, root)
        chosen.update(fitting)
    return sorted(chosen)


def _existing(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if is_experiment(path)) if root.is_dir() else []


def _fitting(root: Path, existing: list[str], wanted: str) -> list[str]:
    begin_so = [name for name in existing if name == wanted or name.startswith(wanted + "-")]
    return [name for name in begin_so if not is_of_other_study(wanted, name, tag_in_folder(root / name))]


def _load(path: Path, load_tuner: bool, metadata_filter: MetadataFilter | None = None) -> ExperimentResult | None:
    """An experiment of this machine; None where the filter does not want it."""
    from cloudtune.experiments.experiment_result import ExperimentResult

    view = LogView(path / "log")
    metadata = _metadata(path, view)
    if metadata_filter is not None and not metadata_filter(metadata):
        return None
    tuner = None
    if load_tuner:
        from cloudtune.tuner import Tuner

        tuner = Tuner.load(path)
    # Read now, as it stands: only the data frame is made later.
    table = PackedTable.of(read_results(view.blocks()))
    return ExperimentResult(name=path.name, results=LazyFrame(lambda: table), metadata=metadata, path=path, tuner=tuner)


def _load_from_s3(found: S3Experiment, load_tuner: bool) -> ExperimentResult:
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.store.s3_log import S3LogView

    tuner: Tuner | None = None
    if load_tuner:
        # By name at the call: what knows how a tuner was shipped stands above this.
        tuner = importlib.import_module("cloudtune.remote.taking_over").load_tuner(found)
    view = S3LogView(found.bucket, found.root)
    metadata = metadata_in_s3(found.bucket, found.root)
    table = PackedTable.of(read_results(view.blocks()))
    return ExperimentResult(
        name=found.name,
        results=LazyFrame(lambda: table),
        metadata=metadata_of_log(view.entries()) if metadata is None else metadata,
        path=experiment_path(found.name),
        tuner=tuner,
        place=found.uri,
    )


def _metadata(path: Path, view: LogView) -> dict[str, Any]:
    """What ``metadata.json`` says or, if the tuner died before it was written or it is damaged, what the log does."""
    metadata = metadata_in_folder(path)
    return metadata_of_log(view.entries()) if metadata is None else metadata


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
