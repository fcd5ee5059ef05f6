"""``tuner.dill``: a tuner as it was made. With the log it is all it takes to build the tuner as it is at any time."""

from __future__ import annotations

import logging
import pickle
from typing import TypeVar

import dill

from cloudtune.errors import ExperimentNotFound

logger = logging.getLogger(__name__)

_Tuner = TypeVar("_Tuner")


def pickled(tuner: object, name: str) -> bytes | None:
    """The pickle of a tuner before it has run, which is small; None, and a warning, where it cannot be pickled.

    Nothing depends on it but ``cloudtune resume``.

    Args:
        tuner: That has not run.
        name: Of its experiment.
    """
    try:
        state: bytes = _by_reference(tuner) or dill.dumps(tuner, recurse=True)
    except Exception as error:  # noqa: BLE001 - whatever a user's object raises while it is pickled
        logger.warning(
            "tuner.dill was not written (%s: %s): `cloudtune resume %s` will not work, the script itself will; "
            "make backend, scheduler, criterion and callbacks picklable, or pass save_tuner=False",
            type(error).__name__,
            error,
            name,
        )
        return None
    return state


def _by_reference(tuner: object) -> bytes | None:
    """As the standard library pickles it, many times as fast; None where that is not enough.

    It knows no functions without a name, and for what the program itself defines it notes the name only, under which
    another program finds nothing.
    """
    try:
        state = pickle.dumps(tuner, protocol=dill.settings["protocol"])
    except Exception as error:  # noqa: BLE001 - dill tries next, and its error is told
        logger.debug("not pickled by the standard library: %s", error)
        return None
    return None if b"__main__" in state else state


def read_pickle(state: bytes, where: str, kind: type[_Tuner]) -> _Tuner:
    """The tuner that was pickled. Unpickles: only for what is trusted.

    Args:
        state: The pickle.
        where: It lies, for messages.
        kind: What it has to be.

    Raises:
        ExperimentNotFound: It holds no tuner, or cannot be read here.
    """
    try:
        tuner = dill.loads(state)
    except Exception as error:  # what a broken pickle, or one of other modules, raises may be anything
        raise ExperimentNotFound(
            f"{where} cannot be read ({type(error).__name__}: {error}): run the script that began the experiment, "
            "which continues from the log"
        ) from error
    if not isinstance(tuner, kind):
        raise ExperimentNotFound(f"{where} holds no tuner; run the script that began the experiment again")
    return tuner
