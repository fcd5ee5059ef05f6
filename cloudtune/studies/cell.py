"""One experiment of a study, and what it is called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cloudtune.store.places import MAX_NAME_LENGTH, validate_name

_DIGEST_LENGTH = 6
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, order=True)
class Cell:
    """A method on a benchmark, with so many workers and this seed.

    Args:
        tag: Of the study.
        benchmark: Name of the benchmark.
        method: Name of the method.
        n_workers: Trials at the same time.
        seed: Number of the repetition, from 0.
    """

    tag: str
    benchmark: str
    method: str
    n_workers: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its experiment: ``<tag>-<benchmark>-<method>-w<n>-<seed>``.

        What an experiment's name may not hold becomes a dash. A name that is too long is shortened, and then ends with
        a digest of what was cut, before the number of workers and the seed.
        """
        parts = (self.tag, self.benchmark, self.method)
        words = "-".join(_NOT_IN_NAMES.sub("-", part).strip("-") for part in parts)
        end = f"-w{self.n_workers}-{self.seed}"
        room = MAX_NAME_LENGTH - len(end)
        if len(words) > room:
            digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST_LENGTH]
            words = f"{words[: room - _DIGEST_LENGTH - 1].rstrip('-')}-{digest}"
        return validate_name(words + end)
