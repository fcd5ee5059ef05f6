"""Synchronous Hyperband written down naively: where a bracket stands is found out anew from all that has happened.

Li et al. 2017, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18, algorithm 1: with
s_max + 1 levels, bracket s begins n = ceil((s_max + 1) / (s + 1) eta^s) configurations; its rung i holds
floor(n / eta^i) of them, the best of rung i - 1 once all of these have been evaluated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

#: Rank value, order of arrival, and the resource of the report.
Result = tuple[float, int, int]


@dataclass
class Run:
    """One trial: up to which rung it was sent, where it has waited with which result, and what it has done."""

    sent_to: int = 0
    waited: dict[int, Result] = field(default_factory=dict)
    at_maximum: bool = False
    gone: bool = False


@dataclass
class Bracket:
    """One bracket: levels, sizes of its rungs, and its trials in the order in which they began."""

    levels: list[int]
    sizes: list[int]
    runs: dict[int, Run] = field(default_factory=dict)

    def stand(self) -> tuple[int, list[int]] | None:
        """The rung that is being evaluated and its trials, best first; None if the bracket is over."""
        rung, members = 0, list(self.runs)
        while True:
            is_full = rung > 0 or len(members) == self.sizes[0]
            if not is_full or not all(self.runs[one].gone or rung in self.runs[one].waited for one in members):
                return rung, members
            waiting = [one for one in members if rung in self.runs[one].waited]
            waiting.sort(key=lambda one: self.runs[one].waited[rung])
            if not waiting:
                return None
            rung += 1
            members = waiting[: self.sizes[rung]]
            for waited in (self.runs[one].waited for one in members):
                if waited[rung - 1][2] >= self.levels[rung]:
                    waited.setdefault(rung, waited[rung - 1])

    def cut(self) -> None:
        """There will be no further configuration."""
        self.sizes = [max(1, len(self.runs) * self.levels[0] // level) for level in self.levels]


class SynchronousReference:
    """Follows a course of events, and says what a scheduler must answer.

    Args:
        levels: All levels, the maximum resource last.
        brackets: Number of brackets that take turns.
        ends_itself: Whether scripts end by themselves at the maximum resource.
        maximize: Whether larger is better.
    """

    def __init__(self, levels: list[int], brackets: int, ends_itself: bool, maximize: bool) -> None:
        self.levels = levels
        self.turns = brackets
        self.ends_itself = ends_itself
        self.maximize = maximize
        self.brackets: list[Bracket] = []
        self.bracket_of: dict[int, Bracket] = {}
        self.pausing: dict[int, Result] = {}
        self.num_results = 0

    def _new_bracket(self) -> Bracket:
        levels = self.levels[len(self.brackets) % self.turns :]
        first = math.ceil(Fraction(len(self.levels), len(levels)) * Fraction(levels[-1], levels[0]))
        return Bracket(levels, [math.floor(Fraction(first * levels[0], level)) for level in levels])

    def next(self, exhausted: bool) -> tuple[int | None, int] | None:
        """The trial to resume (None: a new one) and its level, or None if there is nothing to do."""
        for bracket in self.brackets:
            stand = bracket.stand()
            if stand is not None and stand[0] > 0:
                rung, members = stand
                for one in members:
                    run = bracket.runs[one]
                    if run.sent_to < rung and rung not in run.waited and not run.gone:
                        run.sent_to = rung
                        return one, bracket.levels[rung]
        last = self.brackets[-1] if self.brackets else None
        if not exhausted:
            if last is None or len(last.runs) == last.sizes[0]:
                last = self._new_bracket()
                self.brackets.append(last)
            return None, last.levels[0]
        if last is None or len(last.runs) == last.sizes[0]:
            return None
        if not all(run.gone or 0 in run.waited for run in last.runs.values()):
            return None
        if all(run.gone for run in last.runs.values()):
            return None
        last.cut()
        return self.next(exhausted)

    def began(self, trial: int) -> None:
        """The new trial of the last suggestion has this id."""
        self.bracket_of[trial] = self.brackets[-1]
        self.brackets[-1].runs[trial] = Run()

    def reported(self, trial: int, resource: int, value: Any) -> str:
        """The decision on a report of a running trial."""
        bracket = self.bracket_of[trial]
        run = bracket.runs[trial]
        if resource >= self.levels[-1]:
            run.at_maximum = True
            return "CONTINUE" if self.ends_itself and resource == self.levels[-1] else "STOP"
        if resource < bracket.levels[run.sent_to]:
            return "CONTINUE"
        rank = value if math.isfinite(value) else math.inf
        self.num_results += 1
        self.pausing[trial] = (-rank if self.maximize and rank != math.inf else rank, self.num_results, resource)
        return "PAUSE"

    def script_ended(self, trial: int, value: Any) -> str:
        """The decision on a script that has ended by itself, with this value in its last report."""
        bracket = self.bracket_of[trial]
        run = bracket.runs[trial]
        level = bracket.levels[run.sent_to]
        if run.at_maximum or not self.ends_itself or level == self.levels[-1]:
            return "CONTINUE"
        return self.reported(trial, level, value)

    def ended(self, trial: int, failed: bool = False) -> None:
        """The trial's process has ended."""
        run = self.bracket_of[trial].runs[trial]
        result = self.pausing.pop(trial, None)
        if failed or result is None:
            run.gone = True
        else:
            run.waited[run.sent_to] = result
