"""The only place that talks to AWS: sessions, retries and rate budget, S3, training jobs, prices, quotas, roles.

The public names are imported when they are first used (PEP 562): boto3 is loaded by whoever needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.aws.job_template import TrainingJob
    from cloudtune.aws.roles import get_execution_role

_PUBLIC = {
    "TrainingJob": "cloudtune.aws.job_template",
    "get_execution_role": "cloudtune.aws.roles",
}

__all__ = ["TrainingJob", "get_execution_role"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        import importlib

        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
