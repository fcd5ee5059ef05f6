"""Which Python and which packages a tuner was pickled with, compared before it is unpickled elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def record(needed: Collection[str] = ()) -> dict[str, str]:
    """Versions here: of Python (``3.11``), cloudtune, dill, numpy, and of torch and botorch where they are needed.

    Args:
        needed: Distributions that the pickle needs.
    """
    raise NotImplementedError


def compare(recorded: Mapping[str, str], here: Mapping[str, str] | None = None) -> str | None:
    """One sentence that says why a tuner pickled there cannot be loaded here, and the remedy; None: it can.

    Args:
        recorded: What :func:`record` gave where it was pickled.
        here: By default what is installed here.
    """
    raise NotImplementedError
