"""Every trial a learning curve of a blackbox, on a virtual clock. Names are imported when first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.backend.simulator_backend.backend import SimulatorBackend as SimulatorBackend
    from cloudtune.backend.simulator_backend.delays import SimulatedDelays as SimulatedDelays

_PUBLIC = {
    "SimulatedDelays": "cloudtune.backend.simulator_backend.delays",
    "SimulatorBackend": "cloudtune.backend.simulator_backend.backend",
}

__all__ = ["SimulatedDelays", "SimulatorBackend"]


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
