"""Locks and connections do not outlive a fork: what holds some is told to begin anew in the child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """Something that must not be used in a forked child as it was in its parent."""

    def _after_fork(self) -> None:
        """Called in the child, while it has only one thread."""


_renewed: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_after_fork(one: Renewable) -> None:
    """Has ``one._after_fork()`` called in every child that is forked from now on, as long as ``one`` lives."""
    _renewed.add(one)


def _renew_all() -> None:
    for one in list(_renewed):
        one._after_fork()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_all)
