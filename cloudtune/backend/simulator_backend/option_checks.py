"""What must hold of the simulator's options, one sentence per mistake."""

from __future__ import annotations

import math

from cloudtune.backend.simulator_backend.delays import SimulatedDelays
from cloudtune.blackbox.blackbox import Blackbox
from cloudtune.config_domains import is_number

_NEEDED = ("config_space", "metrics", "resource_attr", "max_resource")


def check_blackbox(blackbox: object) -> None:
    """Raises TypeError for what is no blackbox, or lacks what the contract of one names."""
    if not isinstance(blackbox, Blackbox):
        raise TypeError(
            f"blackbox must be a Blackbox or the name of one, got {blackbox!r}; load a table with load_blackbox(name) "
            "or TabularBlackbox.load(path)"
        )
    for name in _NEEDED:
        if not hasattr(blackbox, name):
            raise TypeError(f"blackbox: {type(blackbox).__name__} has no {name}; a Blackbox sets {', '.join(_NEEDED)}")


def check_seed(seed: object) -> None:
    """Raises ValueError for what cannot number repetitions."""
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"seed must be a whole number, which repetition of each configuration to take, got {seed!r}")


def check_max_resource_attr(key: object) -> None:
    """Raises ValueError for what is no key of a configuration."""
    if key is not None and (not isinstance(key, str) or not key):
        raise ValueError(f"max_resource_attr must be a key of the config space, or None, got {key!r}")


def check_delays(delays: object) -> None:
    """Raises TypeError for what are no delays."""
    if delays is not None and not isinstance(delays, SimulatedDelays):
        raise TypeError(f"delays must be SimulatedDelays(...), in virtual seconds, got {delays!r}")


def check_price(dollars_per_hour: object) -> None:
    """Raises ValueError for what is no price."""
    if dollars_per_hour is None:
        return
    if not is_number(dollars_per_hour) or not (math.isfinite(dollars_per_hour) and dollars_per_hour >= 0):  # type: ignore[arg-type, operator]
        raise ValueError(f"dollars_per_hour must be a number, 0 or more, got {dollars_per_hour!r}")


def check_switches(**given: object) -> None:
    """Raises ValueError for what is neither on nor off: ``"no"`` would count as on."""
    for name, value in given.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")
