"""Random numbers keyed by (seed, number of the suggestion), never by history.

Two runs that make the same suggestion draw the same numbers for it, whatever happened in between; an experiment that
continues from its log therefore goes on exactly as it would have. Streams follow numpy's ``SeedSequence`` (O'Neill's
``seed_seq`` design), so that neighbouring seeds do not overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.optimizer.argument_checks import is_comparable, whole_number

#: Rows of uniform numbers are made this many at a time: making a generator costs twenty times as much as a row.
_BLOCK = 64


def checked_seed(random_seed: Any) -> int:
    """A seed that a user has given, as it may be.

    Raises:
        ValueError: It is no integer of at least 0.
    """
    if is_comparable(random_seed) and random_seed < 0:
        raise ValueError(f"random_seed must not be negative, got {random_seed}; use a seed of 0 or more")
    return whole_number("random_seed", random_seed, 0, "use a seed of 0 or more")


def draw_seed() -> int:
    """A seed from the operating system, below 2**32."""
    entropy = np.random.SeedSequence().entropy
    assert isinstance(entropy, int)
    return entropy % 2**32


class KeyedRandom:
    """Random numbers of one component.

    Args:
        seed: Non-negative seed.
        stream: Name of the component, so that two components with one seed draw different numbers.
    """

    def __init__(self, seed: int, stream: str = "") -> None:
        self._key = [checked_seed(seed), *stream.encode()]
        self._blocks: dict[int, tuple[int, list[list[float]]]] = {}

    def generator(self, number: int, attempt: int = 0) -> np.random.Generator:
        """A fresh generator for suggestion ``number``; ``attempt`` gives further independent ones."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self._key, spawn_key=(0, number, attempt))))

    def uniform_row(self, number: int, dimension: int) -> list[float]:
        """``dimension`` numbers, uniform in [0, 1), for suggestion ``number``. Amortised cost: about a microsecond."""
        block, row = divmod(number, _BLOCK)
        kept = self._blocks.get(dimension)
        if kept is None or kept[0] != block:
            sequence = np.random.SeedSequence(self._key, spawn_key=(1, dimension, block))
            table: npt.NDArray[np.float64] = np.random.Generator(np.random.PCG64(sequence)).random((_BLOCK, dimension))
            kept = self._blocks[dimension] = (block, table.tolist())
        return kept[1][row]
