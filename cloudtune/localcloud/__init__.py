"""AWS on this machine: SageMaker training jobs that really run, S3, CloudWatch Logs, IAM, and faults to order.

Nothing of the product imports this package; the command line and tests do. Needs the extra ``local``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.localcloud.cloud import LocalCloud
    from cloudtune.localcloud.fault import Fault
    from cloudtune.localcloud.in_process import InProcessCloud
    from cloudtune.localcloud.settings import CloudSettings

__all__ = ["CloudSettings", "Fault", "InProcessCloud", "LocalCloud"]

_WHERE = {
    "CloudSettings": "cloudtune.localcloud.settings",
    "Fault": "cloudtune.localcloud.fault",
    "InProcessCloud": "cloudtune.localcloud.in_process",
    "LocalCloud": "cloudtune.localcloud.cloud",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
