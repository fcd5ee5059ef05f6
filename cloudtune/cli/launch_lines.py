"""The command lines that launch a study again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudtune.experiments.report.study import ReportedExperiment
    from cloudtune.studies.flags import Flag
    from cloudtune.studies.plan import Plan


def launch_lines(
    tag: str,
    plans: Sequence[Mapping[str, Any]],
    experiments: Sequence[ReportedExperiment],
    place: Mapping[str, Any] | None = None,
) -> list[str]:
    """A line for each plan; without any, what the experiments' metadata tell.

    Args:
        tag: Of the study.
        plans: As :func:`cloudtune.studies.launched_plan.launched_plan` has written them.
        experiments: Of the study.
        place: Flags, by name, that say where it lies.
    """
    import json

    from cloudtune.studies.launched_plan import LAUNCH
    from cloudtune.studies.plan import Plan

    lines = []
    for one in plans:
        try:
            launch = one.get(LAUNCH)
            flags = {**(launch if isinstance(launch, dict) else {}), **(place or {})}
            lines.append(launch_line(Plan.from_json(json.dumps(one)), flags))
        except (ValueError, TypeError, KeyError) as error:
            lines.append(f"# a plan that this version of cloudtune cannot read: {' '.join(str(error).split())}")
    return lines or _derived(tag, experiments, place or {})


def launch_line(plan: Plan, launch: Mapping[str, Any] | None = None) -> str:
    """What launches a plan, with every flag whose default it does not have.

    Args:
        plan: Which.
        launch: The flags, by name, that are no part of a plan.
    """
    from cloudtune.studies.flags import FLAGS

    words = ["cloudtune", "launch"]
    for flag in FLAGS:
        if flag.owner in ("plan", "settings"):
            value = getattr(plan if flag.owner == "plan" else plan.settings, flag.member)
            words += _words(flag, value)
        elif launch and flag.name in launch:
            words += _words(flag, launch[flag.name])
    for name, value in plan.settings.extra.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _words(flag: Flag, value: Any) -> list[str]:
    if flag.several:
        values = [str(one) for one in value if one is not None]
        return [f"--{flag.name}", *values] if values else []
    if value is None or value == flag.default or value is False:
        return []
    return [f"--{flag.name}", "1" if value is True else str(value)]


def _derived(tag: str, experiments: Sequence[ReportedExperiment], place: Mapping[str, Any]) -> list[str]:
    """One line for all experiments that differ in method and seed only."""
    seeds: dict[tuple[str, int], dict[str, set[int]]] = {}
    for one in experiments:
        if one.repeats:
            continue
        metadata = one.result.metadata
        keys = [metadata.get(name) for name in ("benchmark", "method")]
        workers, seed = metadata.get("n_workers"), metadata.get("seed")
        if metadata.get("tag") != tag or not all(isinstance(key, str) for key in keys):
            return []
        if not isinstance(workers, int) or not isinstance(seed, int):
            return []
        seeds.setdefault((str(keys[0]), workers), {}).setdefault(str(keys[1]), set()).add(seed)
    lines = []
    for (benchmark, workers), of_methods in seeds.items():
        alike: dict[tuple[int, ...], list[str]] = {}
        for method, of_method in of_methods.items():
            alike.setdefault(tuple(sorted(of_method)), []).append(method)
        for numbers, methods in alike.items():
            words = ["cloudtune", "launch", "--experiment_tag", tag, "--benchmark", benchmark, "--method", *methods]
            words += ["--n_workers", str(workers), "--num_seeds", str(numbers[-1] - numbers[0] + 1)]
            words += ["--start_seed", str(numbers[0])] if numbers[0] else []
            words += [word for name, value in place.items() for word in (f"--{name}", str(value))]
            lines.append(shlex.join(words))
    note = "# No plan was recorded: these flags are those that the experiments' metadata tell."
    return [note, *lines] if lines else []
