"""The end of a tuner's work with its store, also where that cannot take in the last of what was received."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cloudtune.errors import CloudtuneError
from cloudtune.store.store import Store

logger = logging.getLogger(__name__)


@contextmanager
def closed(store: Store, trials_at: Callable[[], Mapping[str, str]], path: Path) -> Iterator[None]:
    """Closes the store in the end; if that fails, says where those reports lie that are not in the log.

    Args:
        store: Open.
        trials_at: Where jobs of trials report to, if trials are jobs.
        path: Folder of trials that run on this machine.
    """
    try:
        yield
    finally:
        try:
            store.close()
        except CloudtuneError:
            logger.warning(
                "what trials have reported, and the log does not have, still lies in %s: whoever continues the "
                "experiment takes it in from there; where that is gone by then, its trials go on from their last "
                "checkpoints and report again",
                trials_at().get("place", f"{path} on this machine"),
            )
            raise
