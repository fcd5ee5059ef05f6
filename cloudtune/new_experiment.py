"""An experiment that begins: a name that nobody has, and the first entry of its log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cloudtune.errors import ExperimentLocked, ExperimentMismatch
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.store import entries, places
from cloudtune.store.local_store import LocalStore
from cloudtune.store.store import Store

logger = logging.getLogger(__name__)


class Claimed(NamedTuple):
    """A new experiment.

    Args:
        store: Opened.
        name: Of the experiment.
        path: Its folder.
        created: The time in its name, seconds since 1970.
    """

    store: LocalStore
    name: str
    path: Path
    created: float


def claim(base: str, created: float, path: Path, results_update_interval: float) -> Claimed:
    """Opens the store of a new experiment. A name that was just taken gives way to the next.

    Args:
        base: The name without its time.
        created: The time that it is to have, seconds since 1970.
        path: Folder of the experiment of that name.
        results_update_interval: Of the store.
    """
    name = places.suffixed_name(base, created)
    while True:
        store = LocalStore(path, results_update_interval)
        try:
            if not store.exists():
                _mention_unfinished(base)
                store.open()
                if store.length() == 1:
                    return Claimed(store, name, path, created)
                # Somebody has begun one, and ended, since we looked: the log holds more than that it is ours now.
                store.close()
        except ExperimentLocked:
            logger.debug("the name %s was just taken", name)
        created += 0.001
        name = places.suffixed_name(base, created)
        path = places.experiment_path(name)


def begin_log(
    store: Store,
    name: str,
    created: float,
    scheduler: TrialScheduler,
    metadata: Mapping[str, Any],
    backend_settings: Mapping[str, Any],
) -> str:
    """Writes down what must not change from now on; returns the id that was drawn for the experiment.

    Args:
        store: Open, and empty.
        name: Of the experiment.
        created: When it began, seconds since 1970.
        scheduler: What chooses its trials; not used before.
        metadata: The user's.
        backend_settings: What must not change of the backend.

    Raises:
        ExperimentMismatch: The scheduler has made suggestions already.
    """
    if scheduler.num_suggestions:
        raise ExperimentMismatch(
            f"the scheduler of experiment '{name}' has made suggestions already; make a new one for every experiment"
        )
    experiment_id = places.new_experiment_id()
    entry = {
        "event": entries.EXPERIMENT,
        "name": name,
        "experiment_id": experiment_id,
        "scheduler": scheduler.metadata(),
        "metadata": dict(metadata),
        "unix": created,
    }
    if backend_settings:
        entry[entries.BACKEND_SETTINGS] = dict(backend_settings)
    store.append([entry])
    store.flush()
    return experiment_id


def _mention_unfinished(base: str) -> None:
    unfinished = places.latest_unfinished(base)
    if unfinished is not None:
        logger.info(
            "experiment '%s' is not finished; to continue it, run `cloudtune resume %s` "
            "or use tuner_name='%s', suffix_tuner_name=False",
            unfinished,
            unfinished,
            unfinished,
        )
