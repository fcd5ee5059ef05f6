"""An experiment of the study, as data: what is needed to run it, and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: These go up when the same settings would no longer give the same record: then nothing recorded before counts.
FORM_OF_FUNCTIONS = 1
#: Since 2 methods choose among a table's own configurations.
FORM_OF_TABLES = 2


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
        """Of all settings: records with another one belong to another experiment.

        Args:
            table_digest: Of the table's content; "" where there is no table, but a function.
        """
        form = FORM_OF_TABLES if table_digest else FORM_OF_FUNCTIONS
        settings = {"form": form, "table": table_digest, **dataclasses.asdict(self)}
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
