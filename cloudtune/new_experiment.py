"""A name that nobody has, for an experiment that begins."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from cloudtune.errors import ExperimentLocked
from cloudtune.store import places
from cloudtune.store.local_store import LocalStore

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
