"""Which troubles meet where in a chaos run: two in the jobs of each trial, two in each stretch of time."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cloudtune.localcloud import Fault
from tests.backend.sagemaker.chaos import troubles

Pair = tuple[str, str]


@dataclass(frozen=True)
class Meeting:
    """Two troubles that are to strike the same.

    Args:
        place: What they strike, in words.
        pair: Their names.
        faults: What orders them, by name.
    """

    place: str
    pair: Pair
    faults: Mapping[str, tuple[Fault, ...]] = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What goes wrong in a run.

    Args:
        trials: A pair for each trial, in force all the time.
        stretches: A pair for each stretch of time, one after the other; they begin anew after the last.
        between: What strikes by chance all the time: every trouble at once, but seldom.
    """

    trials: tuple[Meeting, ...]
    stretches: tuple[Meeting, ...]
    between: Mapping[str, tuple[Fault, ...]]


def draw(seed: int, kind: str, trials: int) -> Plan:
    """A plan; the same for the same seed.

    Args:
        seed: All is drawn from it.
        kind: ``spot`` or ``pool``: what the jobs of the run are.
        trials: How many there are.
    """
    chance = random.Random(seed)
    table = troubles.of(kind)
    of_jobs = itertools.cycle(pairs([name for name, one in table.items() if one.in_a_job], chance))
    of_trials = tuple(
        Meeting(f"trial {trial}", pair, {name: table[name].for_trial(trial, chance) for name in pair})
        for trial, pair in enumerate(itertools.islice(of_jobs, trials))
    )
    of_stretches = tuple(
        Meeting(f"stretch {number}", pair, {name: table[name].for_stretch(chance) for name in pair})
        for number, pair in enumerate(pairs(list(table), chance))
    )
    between = {name: trouble.now_and_then(chance) for name, trouble in table.items()}
    return Plan(of_trials, of_stretches, between)


def pairs(names: Sequence[str], chance: random.Random) -> list[Pair]:
    """All pairs of names, in an order in which every name comes before any comes for the second time, and so on.

    As in a tournament where everybody meets everybody, round by round: one stays, the others move on by one place.
    """
    players: list[str | None] = chance.sample(list(names), len(names))
    if len(players) % 2:
        players.append(None)  # who meets it has a round off
    found: list[Pair] = []
    for _ in range(len(players) - 1):
        found += _of_round(players)
        players = [players[0], players[-1], *players[1:-1]]
    return found


def _of_round(players: Sequence[str | None]) -> Iterator[Pair]:
    half = len(players) // 2
    for one, other in zip(players[:half], reversed(players[half:]), strict=True):
        if one is not None and other is not None:
            yield (one, other)
