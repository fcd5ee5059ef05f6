"""The contract of a blackbox: what a configuration would show if it were trained, known without training it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.config_domains import plain
from cloudtune.errors import CloudtuneError


class NotInTable(CloudtuneError):
    """A configuration is asked for that the table does not have, and no surrogate stands in for it."""


@dataclass(frozen=True)
class Curve:
    """What a trial of one configuration reports, from its first step to its last.

    Args:
        resources: Resource (epochs) used at each report, whole numbers from 1 on, increasing; n of them.
        metrics: Name -> value at each report, n each. NaN and infinities are what real runs give, and stay.
            None: that report lacks the metric.
        elapsed: Seconds of training until each report, from the start of training, finite and increasing; n of them.
        failure: Why the trial fails after the last of them; "": it ends well, and there is one report at least.
        is_sound: Whoever made it vouches for all of the above, and for lists of Python's own numbers: nobody checks it.
    """

    resources: Sequence[int]
    metrics: Mapping[str, Sequence[float | None]]
    elapsed: Sequence[float]
    failure: str = ""
    is_sound: bool = field(default=False, repr=False, compare=False)


class Blackbox(ABC):
    """Learning curves of the configurations of a space.

    Attributes:
        config_space: Hyperparameter domains of what can be asked for; no constants.
        metrics: Names of what is reported.
        resource_attr: Key under which a report counts the resource.
        max_resource: At the last report of a curve.
        min_resource: At the first report of a curve, at the earliest.
        num_seeds: How many repetitions of each configuration there are.
    """

    config_space: Mapping[str, Any]
    metrics: Sequence[str]
    resource_attr: str
    max_resource: int
    min_resource: int = 1
    num_seeds: int = 1

    @abstractmethod
    def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
        """The curve of a configuration; the same for the same arguments, on every machine.

        It need not be checked here: the simulator does so for every blackbox, and a table for what it is made of.

        Args:
            config: A value for each parameter of the config space; further keys are ignored.
            seed: Which repetition, modulo ``num_seeds``.

        Raises:
            NotInTable: The configuration is not known.
        """

    def identity(self) -> dict[str, Any]:
        """What tells it from other blackboxes (JSON values): an experiment is continued only with the same.

        One of one's own whose curves depend on further settings should add them.
        """
        from cloudtune.config_space import config_space_to_json

        return {
            "kind": type(self).__name__,
            "config_space": config_space_to_json(self.config_space),
            "metrics": list(self.metrics),
            "resource_attr": self.resource_attr,
            "max_resource": plain(self.max_resource),
        }
