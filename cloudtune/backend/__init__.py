"""Backends: where trials run. Names are imported when first used, so that a trial's helper processes stay small."""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would make the fork of every trial dearer

if TYPE_CHECKING:
    from cloudtune.backend.local_backend import LocalBackend as LocalBackend
    from cloudtune.backend.python_backend import PythonBackend as PythonBackend
    from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend as SageMakerBackend

_PUBLIC = {
    "LocalBackend": "cloudtune.backend.local_backend",
    "PythonBackend": "cloudtune.backend.python_backend",
    "SageMakerBackend": "cloudtune.backend.sagemaker_backend.backend",
}

__all__ = ["LocalBackend", "PythonBackend", "SageMakerBackend"]

_LATER = ("SimulatorBackend",)


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _LATER:
        # An AttributeError would lose its message in "from ... import".
        raise ImportError(f"{name} comes with a later version of cloudtune; this one has {' and '.join(__all__)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
