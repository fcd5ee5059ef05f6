"""Hyperparameter tuning in the cloud and on your own machine.

The public names are imported when they are first used (PEP 562), so that ``import cloudtune`` stays cheap: a training
script that wants nothing but the :class:`Reporter` pays for nothing else. Python 3.8 syntax, for old images.
"""

__version__ = "0.1.0"

_PUBLIC = {
    "Reporter": "cloudtune.report",
    "StoppingCriterion": "cloudtune.stopping_criterion",
    "Tuner": "cloudtune.tuner",
}

__all__ = ["Reporter", "StoppingCriterion", "Tuner", "__version__"]


def __getattr__(name):  # type: ignore[no-untyped-def]
    if name in _PUBLIC:
        import importlib

        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():  # type: ignore[no-untyped-def]
    return sorted([*globals(), *_PUBLIC])
