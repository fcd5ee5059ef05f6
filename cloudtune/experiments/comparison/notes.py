"""What is to be known of a comparison beside its curves: told once, and kept with it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

logger = logging.getLogger(__name__)

_NAMED = 5


class Notes:
    """Collects remarks; each is logged as a warning."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Takes a sentence."""
        if text not in self._texts:
            self._texts.append(text)
            logger.warning("%s", text)

    def all(self) -> tuple[str, ...]:
        """What was said, in order."""
        return tuple(self._texts)


def listed(names: Iterable[object]) -> str:
    """Names in a sentence: the first five, and how many more there are."""
    texts = [repr(name) for name in names]
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
