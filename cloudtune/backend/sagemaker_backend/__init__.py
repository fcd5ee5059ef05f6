"""Every trial a SageMaker training job. Names are imported when first used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.aws.job_template import TrainingJob as TrainingJob
    from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend as SageMakerBackend
    from cloudtune.backend.sagemaker_backend.cadence import Cadence as Cadence

_PUBLIC = {
    "Cadence": "cloudtune.backend.sagemaker_backend.cadence",
    "SageMakerBackend": "cloudtune.backend.sagemaker_backend.backend",
    "TrainingJob": "cloudtune.aws.job_template",
}

__all__ = ["Cadence", "SageMakerBackend", "TrainingJob"]


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
