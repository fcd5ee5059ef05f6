"""Trials as SageMaker training jobs. Names are imported when first used."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from cloudtune.aws.job_template import TrainingJob as TrainingJob

__all__ = ["TrainingJob"]

_PUBLIC = {"TrainingJob": "cloudtune.aws.job_template"}


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
