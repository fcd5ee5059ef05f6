"""Experiments made by hand, as loading would have made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cloudtune.experiments import ExperimentResult

Report = tuple[float, float]


def made(name: str, reports: Sequence[Report], finished: bool = True, **metadata: Any) -> ExperimentResult:
    """An experiment of one trial with these reports (seconds, loss). Metadata that are None are left out."""
    return of_rows(name, [{"st_tuner_time": time, "loss": loss} for time, loss in reports], finished, **metadata)


def of_rows(name: str, rows: Sequence[dict[str, Any]], finished: bool = True, **metadata: Any) -> ExperimentResult:
    """An experiment with these rows of results."""
    usual = {"trial_id": 0, "st_decision": "CONTINUE", "st_status": "InProgress"}
    known: dict[str, Any] = {"metric_names": ["loss"], "metric_mode": "min", "method": "RS", "n_workers": 4}
    if finished:
        known["st_finished_state"] = "finished"
    known = {key: value for key, value in {**known, **metadata}.items() if value is not None}
    frame = pd.DataFrame([{**usual, **row} for row in rows])
    return ExperimentResult(name, frame, known, Path(name))
