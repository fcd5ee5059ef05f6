"""Who has put money aside for a tuner that is not there yet: what a launcher that has died left can be given back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from cloudtune.store.lease import ourselves
from cloudtune.store.processes import is_same_space, lives, process_identity

#: Seconds after which a launcher of another machine has died, or has withdrawn what it has put aside: a launch takes
#: three minutes at most; the others are for clocks that differ, which AWS bears for so long.
_LONGEST = 1200.0
_UNIX, NONCE = "unix", "nonce"

#: Nonce of a launcher and name of a cell, of the launches of this process that put money aside and are not over.
_under_way: set[tuple[str, str]] = set()
_lock = threading.Lock()


def new_nonce() -> str:
    """Tells one launcher from all others."""
    return os.urandom(8).hex()


def make_claim(nonce: str) -> dict[str, Any]:
    """What this process leaves in the ledger while it launches a tuner.

    Args:
        nonce: Of the launcher.
    """
    return {**ourselves(), **process_identity(), _UNIX: time.time(), NONCE: nonce}


def begin_launch(nonce: str, name: str) -> None:
    """This process puts money aside for a cell; until :func:`end_launch`, nobody gives it back."""
    with _lock:
        _under_way.add((nonce, name))


def end_launch(nonce: str, name: str) -> None:
    """The launch is over: there is a job, or none will be created."""
    with _lock:
        _under_way.discard((nonce, name))


def is_left(claim: Mapping[str, Any], name: str) -> bool:
    """Whether nobody is about to launch any more: its process has died or given up, or it was long ago.

    Args:
        claim: Of the launcher.
        name: Of the cell.
    """
    if is_same_space(claim):
        with _lock:
            return not lives(claim) or (claim.get("pid") == os.getpid() and (claim[NONCE], name) not in _under_way)
    made = claim.get(_UNIX)
    return not isinstance(made, int | float) or time.time() - made > _LONGEST
