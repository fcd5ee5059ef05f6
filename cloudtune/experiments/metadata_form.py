"""What metadata say of an experiment, whoever has written them. What has another form than usual is said by none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune.constants import ST_TUNER_CREATION_TIMESTAMP
from cloudtune.errors import CloudtuneError
from cloudtune.experiments.values import as_number

_NAMES, _MODES = "metric_names", "metric_mode"
_KNOWN_MODES = ("min", "max")


class UnusualMetadata(CloudtuneError):
    """Metadata do not say what was optimised; the message says why, as the rest of a sentence."""


def begun_at(metadata: Mapping[str, Any]) -> float:
    """When the experiment was begun, in Unix seconds; 0 where that is not said."""
    return as_number(metadata.get(ST_TUNER_CREATION_TIMESTAMP)) or 0.0


def said_text(metadata: Mapping[str, Any], key: str) -> str:
    """A text; "" where there is none, or something else."""
    value = metadata.get(key)
    return value if isinstance(value, str) else ""


def said_names(metadata: Mapping[str, Any]) -> list[str]:
    """The metrics that were optimised; a single one may stand there without a list.

    Raises:
        UnusualMetadata: They are not named.
    """
    names = metadata.get(_NAMES)
    if names is None:
        raise UnusualMetadata(f"they have no {_NAMES!r}")
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list) or not listed or not all(isinstance(name, str) for name in listed):
        raise UnusualMetadata(f"{_NAMES!r} is no list of names: {_short(names)}")
    return list(listed)


def said_modes(metadata: Mapping[str, Any]) -> list[str]:
    """For each metric whether it was minimised or maximised: ``"min"`` or ``"max"``.

    Raises:
        UnusualMetadata: That is not said, or the metrics are not named.
    """
    names, modes = said_names(metadata), metadata.get(_MODES)
    if modes is None:
        raise UnusualMetadata(f"they have no {_MODES!r}")
    of_each = modes if isinstance(modes, list) else [modes] * len(names)
    if len(of_each) != len(names) or not all(mode in _KNOWN_MODES for mode in of_each):
        raise UnusualMetadata(
            f"{_MODES!r} is neither 'min' nor 'max', nor a list of these for each metric: {_short(modes)}"
        )
    return list(of_each)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
