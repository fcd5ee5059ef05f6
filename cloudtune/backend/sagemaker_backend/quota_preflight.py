"""Whether the account's quotas are enough for all machines that trials may get: told before any trial waits for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.aws.quotas import quota_name, training_quota
from cloudtune.backend.sagemaker_backend.machine_choices import instance_types, most_instances

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.aws.job_template import JobTemplate

#: Instances of a type that may be used; None: unknown.
_Quota = Callable[[str], int | None]


@dataclass(frozen=True)
class _Wish:
    """What one trial may ask for.

    Args:
        types: Of instance; the first is asked for, the others take its place where there is none.
        count: How many.
    """

    types: tuple[str, ...]
    count: int


def what_is_short(
    aws: Aws, template: JobTemplate, space: Mapping[str, Any], fallback_types: Sequence[str], workers: int
) -> Iterator[str]:
    """A sentence about each quota that makes trials wait, or that SageMaker silently keeps no machine beyond.

    Of a quota that is not known nothing is said.

    Args:
        aws: The account and region.
        template: Of the trials' jobs.
        space: The config space, which may choose machines.
        fallback_types: In place of what a trial asks for.
        workers: Trials at the same time.

    Raises:
        AwsError: AWS does not answer for another reason than that it tells no quotas.
    """
    wishes = _wishes(template, space, fallback_types)
    spot = template.is_spot
    for wish in wishes:
        yield from _of_running(wish, lambda one: training_quota(aws, one, spot=spot), workers, spot)
    if template.keep_alive_period:
        yield from _of_pools(wishes, lambda one: training_quota(aws, one, warm_pool=True), workers)


def _wishes(template: JobTemplate, space: Mapping[str, Any], fallback_types: Sequence[str]) -> list[_Wish]:
    if template.has_groups:  # there is nothing to choose then, and nothing to fall back on
        counts: dict[str, int] = {}
        for instance_type, count in template.machines:
            counts[instance_type] = counts.get(instance_type, 0) + count
        return [_Wish((instance_type,), count) for instance_type, count in counts.items()]
    count = most_instances(space, template.instance_count)
    asked_for = dict.fromkeys(instance_types(space, template.instance_type))
    return [_Wish(tuple(dict.fromkeys([one, *fallback_types])), count) for one in asked_for]


def _of_running(wish: _Wish, quota: _Quota, workers: int, spot: bool) -> Iterator[str]:
    known = _known(wish.types, quota)
    needed = workers * wish.count
    if known is None or sum(known.values()) >= needed:
        return
    if max(known.values()) < wish.count:
        machines = f"{wish.count} machines" if wish.count > 1 else "one"
        consequence = f"no trial that wants {machines} can start"
    else:
        consequence = "some trials will wait"
    name = quota_name(wish.types[0], spot=spot)
    yield (
        f"the account may use {_listed(known)} at once, and {workers} workers may want {needed}: {consequence}; ask "
        f"for more of '{name}' with AWS Service Quotas, or use fewer workers"
    )


def _of_pools(wishes: Sequence[_Wish], quota: _Quota, workers: int) -> Iterator[str]:
    needed: dict[str, int] = {}
    for wish in wishes:
        for one in wish.types:
            needed[one] = max(needed.get(one, 0), workers * wish.count)
    for one, wanted in needed.items():
        known = _known((one,), quota)
        if known is not None and known[one] < wanted:
            yield (
                f"the account may keep {_listed(known)} in warm pools, and {wanted} are wanted: SageMaker keeps no "
                f"more than that, without saying so; ask for '{quota_name(one, warm_pool=True)}' with AWS Service "
                "Quotas"
            )


def _known(types: Sequence[str], quota: _Quota) -> dict[str, int] | None:
    """The quotas of all types; None: that of one is not known."""
    found = {one: quota(one) for one in types}
    known = {one: instances for one, instances in found.items() if instances is not None}
    return known if len(known) == len(found) else None


def _listed(quotas: Mapping[str, int]) -> str:
    *others, last = [f"{instances} {one}" for one, instances in quotas.items()]
    return f"{', '.join(others)} and {last}" if others else last
