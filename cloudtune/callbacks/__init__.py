"""Callbacks: what is told of an experiment's events."""

from __future__ import annotations

from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.callbacks.tuner_callback import TunerCallback

__all__ = ["ProgressCallback", "TunerCallback"]
