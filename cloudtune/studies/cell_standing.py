"""How the experiments of a study stand, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cloudtune.remote.standing import Limit
from cloudtune.studies.cell import Cell
from cloudtune.trial import Config

#: A launcher has recorded it; no job of a tuner was created yet.
WAITING = "waiting"
#: Its tuner's job is there, the tuner has not begun.
STARTING = "starting"
RUNNING = "running"
#: Its stopping criterion was met.
FINISHED = "finished"
#: Too many trials did, or its tuner.
FAILED = "failed"
#: Its tuner was told to end before it had finished.
INTERRUPTED = "interrupted"
#: Its tuner is gone, and has not said why.
UNFINISHED = "unfinished"
STATES = (RUNNING, STARTING, WAITING, FINISHED, INTERRUPTED, UNFINISHED, FAILED)
#: States in which somebody drives the experiment, or is about to.
DRIVEN = frozenset({STARTING, RUNNING})


@dataclass(frozen=True)
class CellStanding:
    """How one experiment of a study stands.

    Args:
        name: Of the experiment.
        cell: Its cell; None where neither launcher nor tuner has said so: it may be no cell of a plan.
        state: One of :data:`STATES`.
        why: Why it is in this state, where there is something to say.
        trials: How many there are, by status (``InProgress``, ``Completed``, ...).
        reports: Reports that count.
        best: The best value of the first metric; None while there is none.
        best_trial: Which trial has reported it.
        best_config: That trial's configuration.
        metric: The first metric; None while it is not known.
        mode: ``"min"`` or ``"max"``.
        seconds: Active tuning time.
        cost: US dollars, as far as known.
        limits: What of the stopping criterion can be told.
        left: Seconds of tuning until its time limit, at most; None where there is none, or nobody drives it.
        tuner_job: Newest training job of its tuner that is known.
        last_sign: Seconds since its tuner has said anything, by S3's clock; None where it never has.
        place: ``s3://...`` of the experiment, or its folder on this machine.
        metadata: What its tuner says of it: tag, benchmark, method and a user's own.
        damage: What is wrong with what is said of it in S3; "" if nothing is.
    """

    name: str
    cell: Cell | None
    state: str
    why: str = ""
    trials: dict[str, int] = field(default_factory=dict)
    reports: int = 0
    best: float | None = None
    best_trial: int | None = None
    best_config: Config | None = None
    metric: str | None = None
    mode: str = "min"
    seconds: float = 0.0
    cost: float = 0.0
    limits: list[Limit] = field(default_factory=list)
    left: float | None = None
    tuner_job: str | None = None
    last_sign: float | None = None
    place: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ""

    @property
    def is_driven(self) -> bool:
        """Whether a tuner drives it, or is about to."""
        return self.state in DRIVEN

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class StudyStanding:
    """How a study stands.

    Args:
        tag: Of the study.
        cells: Its experiments, by name.
        stop_mark: ETag of the mark that `cloudtune stop` has left; "" if there is none. A launcher notes it when it
            begins, and launches nothing more once it is another one.
        notes: What could not be looked at, in sentences.
    """

    tag: str
    cells: list[CellStanding]
    stop_mark: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def by_name(self) -> dict[str, CellStanding]:
        """Name -> experiment."""
        return {one.name: one for one in self.cells}

    @property
    def counts(self) -> dict[str, int]:
        """How many experiments are in which state; states that none is in are left out."""
        counted = Counter(one.state for one in self.cells)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def cost(self) -> float:
        """US dollars over all experiments, as far as known."""
        return sum(one.cost for one in self.cells)

    @property
    def best(self) -> CellStanding | None:
        """The experiment with the best value; None where there is none, or values of several metrics."""
        valued = [one for one in self.cells if one.best is not None]
        if len({(one.metric, one.mode) for one in valued}) != 1:
            return None
        sign = -1.0 if valued[0].mode == "max" else 1.0
        return min(valued, key=lambda one: sign * (one.best or 0.0))

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        best = self.best
        return {
            "tag": self.tag,
            "counts": self.counts,
            "cost": self.cost,
            "best": None if best is None else best.name,
            "cells": [one.as_object() for one in self.cells],
            "notes": self.notes,
        }
