"""An experiment of the study, as data: what is needed to run it, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Goes up when the same settings would no longer give the same record: then nothing recorded before counts.
FORM = 1


@dataclass(frozen=True)
class Setup:
    """A method with its workers and limits; times are in units of one whole trial of the table.

    Args:
        name: As figures and tables have it; one name is one setup in a claim.
        method: Name of a class in :mod:`cloudtune.optimizer.baselines`, or of a searcher of Optuna's or BoTorch's loop
            where the table is a function of :mod:`benchmarking.regret`.
        n_workers: Trials at the same time.
        options: Further arguments of the method.
        limits: Of the stopping criterion, but for the time.
        whole_trials: Limit on the virtual time: so many times what a trial of median length takes. None: no limit.
        slow_share: Share of the configurations that are stragglers.
        slow_factor: How many times longer these take.
    """

    name: str
    method: str
    n_workers: int = 4
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    whole_trials: float | None = None
    slow_share: float = 0.0
    slow_factor: float = 1.0


@dataclass(frozen=True)
class Experiment:
    """One setup on one table with one seed, for one claim."""

    claim: str
    table: str
    setup: Setup
    seed: int

    @property
    def key(self) -> str:
        """What names it among all experiments of a study."""
        return f"{self.claim}/{self.table}/{self.setup.name}/{self.seed}"

    def digest(self, table_digest: str) -> str:
        """Of all settings, and of the table's content: records with another one belong to another experiment."""
        settings = {"form": FORM, "table": table_digest, **dataclasses.asdict(self)}
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
