"""Turns a tuner into bytes that another machine can read, and says what keeps it from travelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudtune.tuner import Tuner


class CannotShip(CloudtuneError):
    """A tuner, or what it needs, cannot be sent to another machine; the message names what, where, and the remedy."""


@dataclass(frozen=True)
class PickledTuner:
    """A tuner as bytes.

    Args:
        data: The pickle.
        imports: Modules that functions sent by value import when they run.
    """

    data: bytes
    imports: frozenset[str]


def pickled(tuner: Tuner, secrets: Mapping[str, str] | None = None) -> PickledTuner:
    """A tuner as bytes, and what its functions import.

    Args:
        tuner: It is not changed.
        secrets: Values that must not travel, by the names to call them in a message.

    Raises:
        CannotShip: Something in it cannot be pickled, or holds a credential or a connection to AWS.
    """
    raise NotImplementedError


def dump(tuner: Tuner, secrets: Mapping[str, str] | None = None) -> bytes:
    """A tuner as bytes. See :func:`pickled`."""
    return pickled(tuner, secrets).data
