"""What a pickled tuner needs on the other machine: which distributions, in which versions, and whose local modules."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Needs:
    """What a tuner needs.

    Args:
        distributions: Name of each installed distribution -> its version here.
        local: Name of each module that no index has -> the files and folders that it consists of.
    """

    distributions: dict[str, str] = field(default_factory=dict)
    local: dict[str, list[Path]] = field(default_factory=dict)


def needs_of(
    pickle: bytes, imports: Collection[str] = (), scripts: Sequence[Path] = (), given: Collection[str] = ()
) -> Needs:
    """Finds what a pickle needs, without unpickling it.

    Args:
        pickle: The tuner's.
        imports: Further modules: those that functions sent by value import.
        scripts: Scripts that run where the tuner runs: what they import is needed too.
        given: Names of modules that travel anyway.

    Raises:
        CannotShip: A module cannot be found.
    """
    raise NotImplementedError


def requirements(needs: Needs, further: Sequence[str] = ()) -> list[str]:
    """Lines of a requirements file: what cloudtune itself needs to run a tuner, and what the pickle needs, pinned.

    Args:
        needs: See :func:`needs_of`.
        further: The user's lines; a line for a distribution takes the place of ours.
    """
    raise NotImplementedError
