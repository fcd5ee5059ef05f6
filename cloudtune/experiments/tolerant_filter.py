"""Filters of users, which ask experiments for what not all of them have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

_NAMED = 3


class TolerantFilter:
    """A filter that an experiment without a key it asks for does not fit.

    Args:
        wanted: The user's; None lets everything through.
    """

    def __init__(self, wanted: Callable[[Any], bool] | None) -> None:
        self._wanted = wanted
        self._lacking: dict[str, list[str]] = {}

    def wants(self, name: str, what: Any) -> bool:
        """Whether an experiment fits.

        Args:
            name: Of the experiment.
            what: What the filter is asked about.
        """
        if self._wanted is None:
            return True
        try:
            return bool(self._wanted(what))
        except KeyError as error:
            self._lacking.setdefault(str(error.args[0] if error.args else "?"), []).append(name)
            return False

    def warn(self, called: str) -> None:
        """Says which experiments lack a key, once for all.

        Args:
            called: The filter, for the message.
        """
        for key, names in self._lacking.items():
            shown = ", ".join(map(repr, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
            logger.warning(
                "%d of the experiments (%s) do not fit: they have no %r, which %s asks for",
                len(names),
                shown,
                key,
                called,
            )
