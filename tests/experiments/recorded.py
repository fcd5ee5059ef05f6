"""Experiments for these tests, written by a real store."""

from __future__ import annotations

from typing import Any

from cloudtune.store.local_store import LocalStore
from cloudtune.store.places import experiment_path
from cloudtune.store.store import Entry

METADATA = {
    "st_tuner_creation_timestamp": 1_700_000_000.0,
    "metric_names": ["loss"],
    "metric_mode": "min",
    "config_space": {"lr": {"type": "uniform"}},
    "tag": "abc",
}


def row(trial: int, time: float, decision: str = "CONTINUE", **metrics: Any) -> Entry:
    """A report entry."""
    return {
        "event": "report",
        "trial": trial,
        "attempt": 0,
        "run": 0,
        "number": 0,
        "time": time,
        "decision": decision,
        "status": "InProgress",
        "metrics": metrics,
    }


def trial(number: int, **config: Any) -> Entry:
    """A suggestion of a new trial."""
    return {"event": "suggest", "number": number, "trial": number, "attempt": 0, "config": config, "time": 0.0}


def record(name: str, *entries: Entry, **metadata: Any) -> LocalStore:
    """Writes an experiment; it is still open, as if its tuner were at work."""
    store = LocalStore(experiment_path(name))
    store.open()
    store.append(list(entries))
    store.write_metadata({**METADATA, **metadata})
    return store


def recorded(name: str, *entries: Entry, **metadata: Any) -> None:
    """Writes an experiment that has ended."""
    record(name, *entries, **metadata).close()


THREE_TRIALS = [
    trial(0, lr=0.1, width=32),
    trial(1, lr=0.2, width=64),
    trial(2, lr=0.3, width=None),
    row(0, 1.0, loss=0.9, epoch=1),
    row(1, 1.5, loss=0.7, epoch=1),
    row(0, 2.0, "STOP", loss=0.8, epoch=2),
    row(2, 2.5, "PAUSE", loss=0.75, epoch=1),
    row(1, 3.0, loss=0.4, epoch=2),
    row(1, 4.5, loss=0.5, epoch=3),
]
