"""Groups of experiments: which setup each is a run of, and in which subplot that is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError
from cloudtune.experiments.comparison.notes import Notes, listed

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult

MetadataToSetup = Callable[[dict[str, Any]], "str | None"]
MetadataToSubplot = Callable[[dict[str, Any]], "int | str | None"]

# Keys of the metadata of a study's experiments.
_METHOD, _N_WORKERS, _SEED = "method", "n_workers", "seed"


@dataclass
class Group:
    """The runs of a setup in a subplot."""

    subplot: int | str
    setup: str
    experiments: list[ExperimentResult] = field(default_factory=list)


def grouped(
    experiments: Sequence[ExperimentResult],
    metadata_to_setup: MetadataToSetup | None,
    metadata_to_subplot: MetadataToSubplot | None,
    setups: Sequence[str] | None,
    notes: Notes,
) -> list[Group]:
    """The groups, in the order of their subplots and setups. For the arguments see :func:`compare`.

    Raises:
        CloudtuneError: ``setups`` names one twice, or there is none of them; or a subplot's number is negative.
    """
    if setups is not None and len(set(setups)) != len(setups):
        raise CloudtuneError(f"setups={list(setups)} names a setup twice; leave one of them out")
    if metadata_to_setup is None:
        setup_of, subplot_of = usual_grouping(experiments, metadata_to_subplot)
    else:
        setup_of, subplot_of = metadata_to_setup, metadata_to_subplot or _only_subplot
    groups: dict[tuple[int | str, str], Group] = {}
    without_key: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for experiment in experiments:
        try:
            setup, subplot = setup_of(experiment.metadata), subplot_of(experiment.metadata)
        except KeyError as error:
            without_key.setdefault(str(error.args[0] if error.args else "?"), []).append(experiment.name)
            continue
        except (ValueError, IndexError) as error:
            # Such as a method that is not in a list.
            refused.setdefault(str(error), []).append(experiment.name)
            continue
        if setup is None or subplot is None:
            continue
        setup, subplot = str(setup), _place(subplot)
        groups.setdefault((subplot, setup), Group(subplot, setup)).experiments.append(experiment)
    for key, names in without_key.items():
        notes.add(f"passed over, because their metadata have no {key!r}: {listed(names)}")
    for why, names in refused.items():
        notes.add(f"passed over, because metadata_to_setup= or metadata_to_subplot= says {why!r}: {listed(names)}")
    return _ordered(list(groups.values()), setups, notes)


def usual_grouping(
    experiments: Sequence[ExperimentResult], metadata_to_subplot: MetadataToSubplot | None = None
) -> tuple[MetadataToSetup, MetadataToSubplot]:
    """Setups (and subplots, if they are not given) by method and number of workers, as far as these differ.

    Where both do, and some method ran with several numbers of workers: a subplot for each method, in which a setup is
    a number of workers.
    """
    pairs = {(_method(experiment.metadata), _workers(experiment.metadata)) for experiment in experiments}
    methods, workers = ({pair[place] for pair in pairs} for place in (0, 1))
    if len(workers) < 2:
        return _method, metadata_to_subplot or _only_subplot
    if len(methods) < 2:
        return _workers, metadata_to_subplot or _only_subplot
    if metadata_to_subplot is None and len(pairs) > len(methods):
        return _workers, _method
    return _method_and_workers, metadata_to_subplot or _only_subplot


def warn_of_numbers(groups: Iterable[Group], num_runs: int | None, notes: Notes) -> None:
    """Names setups with fewer or more runs than they should have, and seeds that ran twice.

    Args:
        groups: To look at.
        num_runs: How many each should have; None: as many as the others.
        notes: Where that is said.
    """
    groups = list(groups)
    expected = _expected_seeds(groups, num_runs)
    for group in groups:
        count = len(group.experiments)
        runs = f"{_name(group)} has {count} run{'s' * (count != 1)}"
        seeds = [experiment.metadata.get(_SEED) for experiment in group.experiments]
        if num_runs is not None and count < num_runs:
            known = sorted({seed for seed in seeds if isinstance(seed, int)})
            of_seeds = f" (seeds {', '.join(map(str, known))})" if len(known) == count else ""
            missing = sorted(expected.difference(known)) if len(known) == count else []
            which = f", seed{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}" if missing else ""
            notes.add(f"{runs}{of_seeds} where {num_runs} are expected: {num_runs - count} missing{which}")
        elif num_runs is not None and count > num_runs:
            names = listed(experiment.name for experiment in group.experiments)
            notes.add(f"{runs} where {num_runs} are expected: {count - num_runs} too many among {names}")
        twice = [seed for seed in seeds if seed is not None and seeds.count(seed) > 1]
        if twice:
            names = listed(one.name for one in group.experiments if one.metadata.get(_SEED) in twice)
            notes.add(f"{_name(group)} has several runs with the same seed: {names}")
    counts = {len(group.experiments) for group in groups}
    if num_runs is None and len(counts) > 1:
        told = [f"{_name(group)} {len(group.experiments)}" for group in groups]
        notes.add(f"setups have different numbers of runs: {', '.join(told)}")


def _expected_seeds(groups: Sequence[Group], num_runs: int | None) -> set[int]:
    """Numbers of the repetitions, as far as they can be told: as many as are expected, from the first that any has."""
    seeds = [one.metadata.get(_SEED) for group in groups for one in group.experiments]
    known = {seed for seed in seeds if isinstance(seed, int)}
    if num_runs is None or not known:
        return set()
    expected = set(range(min(known), min(known) + num_runs))
    # Where the first repetition is missing everywhere, or seeds were chosen, nothing tells which are missing.
    return expected if known <= expected else set()


def _ordered(groups: list[Group], setups: Sequence[str] | None, notes: Notes) -> list[Group]:
    if setups is None:
        return sorted(groups, key=lambda group: (natural(group.subplot), natural(group.setup)))
    found = {group.setup for group in groups}
    missing = [setup for setup in setups if setup not in found]
    others = sorted(found.difference(setups), key=natural)
    if len(missing) == len(setups):
        raise CloudtuneError(
            f"no experiment belongs to the setups {listed(setups)}: there are {listed(others) if others else 'none'}; "
            "look at setups= and metadata_to_setup="
        )
    if missing:
        notes.add(f"no experiment belongs to the setups {listed(missing)}")
    if others:
        notes.add(f"left out, because setups= does not name them: {listed(others)}")
    place = {setup: number for number, setup in enumerate(setups)}
    kept = [group for group in groups if group.setup in place]
    return sorted(kept, key=lambda group: (natural(group.subplot), place[group.setup]))


def natural(name: int | str) -> list[tuple[int, float, str]]:
    """Key by which numbers within names sort as numbers: 2 workers, 4 workers, 10 workers."""
    parts = re.split(r"(\d+)", str(name))
    return [(0, float(part), "") if part.isdigit() else (1, 0.0, part.lower()) for part in parts if part]


def _place(subplot: object) -> int | str:
    if not isinstance(subplot, Integral):
        return str(subplot)
    if subplot < 0:
        raise CloudtuneError(f"metadata_to_subplot= gives the number {subplot}; subplots are numbered from 0")
    return int(subplot)


def _name(group: Group) -> str:
    place = f" in subplot {group.subplot!r}" if group.subplot != _only_subplot({}) else ""
    return f"setup {group.setup!r}{place}"


def _only_subplot(_: dict[str, Any]) -> str:
    return ""


def _method(metadata: dict[str, Any]) -> str:
    return str(metadata.get(_METHOD) or metadata.get("scheduler_name") or "method unknown")


def _workers(metadata: dict[str, Any]) -> str:
    number = metadata.get(_N_WORKERS)
    if number is None:
        return "workers unknown"
    return f"{number} worker{'s' * (number != 1)}"


def _method_and_workers(metadata: dict[str, Any]) -> str:
    return f"{_method(metadata)}, {_workers(metadata)}"
