"""Blackboxes: tables of learning curves, and surrogates for what is not in them. The simulator's trials come from them.

Names are imported when first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.blackbox.blackbox import Blackbox as Blackbox
    from cloudtune.blackbox.blackbox import Curve as Curve
    from cloudtune.blackbox.blackbox import NotInTable as NotInTable
    from cloudtune.blackbox.registry import add_blackbox as add_blackbox
    from cloudtune.blackbox.registry import load_blackbox as load_blackbox
    from cloudtune.blackbox.surrogate import add_surrogate as add_surrogate
    from cloudtune.blackbox.table import TabularBlackbox as TabularBlackbox
    from cloudtune.blackbox.time_model import ConstantTime as ConstantTime

_PUBLIC = {
    "Blackbox": "cloudtune.blackbox.blackbox",
    "ConstantTime": "cloudtune.blackbox.time_model",
    "Curve": "cloudtune.blackbox.blackbox",
    "NotInTable": "cloudtune.blackbox.blackbox",
    "TabularBlackbox": "cloudtune.blackbox.table",
    "add_blackbox": "cloudtune.blackbox.registry",
    "add_surrogate": "cloudtune.blackbox.surrogate",
    "load_blackbox": "cloudtune.blackbox.registry",
}

__all__ = [
    "Blackbox",
    "ConstantTime",
    "Curve",
    "NotInTable",
    "TabularBlackbox",
    "add_blackbox",
    "add_surrogate",
    "load_blackbox",
]


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        import importlib

        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
