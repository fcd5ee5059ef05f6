"""Backends: where trials run. Names are imported when first used, so that a trial's helper processes stay small."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would make the fork of every trial dearer

if TYPE_CHECKING:
    from cloudtune.backend.local_backend import LocalBackend as LocalBackend
    from cloudtune.backend.python_backend import PythonBackend as PythonBackend
    from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend as SageMakerBackend
    from cloudtune.backend.simulator_backend.backend import SimulatorBackend as SimulatorBackend

_PUBLIC = {
    "LocalBackend": "cloudtune.backend.local_backend",
    "PythonBackend": "cloudtune.backend.python_backend",
    "SageMakerBackend": "cloudtune.backend.sagemaker_backend.backend",
    "SimulatorBackend": "cloudtune.backend.simulator_backend.backend",
}

__all__ = ["LocalBackend", "PythonBackend", "SageMakerBackend", "SimulatorBackend"]


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
