"""Who has put money aside for a tuner that is not there yet: what a launcher that has died left can be given back."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from cloudtune.store.lease import ourselves
from cloudtune.store.processes import is_same_space, lives, process_identity

#: Seconds after which a launcher of another machine has died, or has withdrawn what it has put aside: a launch takes
#: three minutes at most; the others are for clocks that differ, which AWS bears for so long.
_LONGEST = 1200.0
_UNIX, NONCE = "unix", "nonce"


def new_nonce() -> str:
    """Tells one launcher from all others."""
    return os.urandom(8).hex()


def make_claim(nonce: str) -> dict[str, Any]:
    """What this process leaves in the ledger while it launches a tuner.

    Args:
        nonce: Of the launcher.
    """
    return {**ourselves(), **process_identity(), _UNIX: time.time(), NONCE: nonce}


def is_left(claim: Mapping[str, Any]) -> bool:
    """Whether nobody is about to launch any more: its process has died, or it was long ago."""
    if is_same_space(claim):
        return not lives(claim)
    made = claim.get(_UNIX)
    return not isinstance(made, int | float) or time.time() - made > _LONGEST
