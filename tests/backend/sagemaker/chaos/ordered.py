"""The plan of a chaos run at work: orders its faults of the cloud, and tells afterwards what has struck."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.localcloud.fault_plan import Fired
from tests.backend.sagemaker.chaos.plan import Plan
from tests.backend.sagemaker.chaos.troubles import TROUBLES

_BETWEEN = "now and then"


class Ordered:
    """Has the troubles of a plan in force in a cloud.

    Args:
        cloud: Where they strike.
        plan: What is to strike.
        aimed: Aims each fault before it is ordered.
    """

    def __init__(self, cloud: LocalCloud, plan: Plan, aimed: Callable[[Fault], Fault] = lambda fault: fault) -> None:
        self._cloud = cloud
        self._aimed = aimed
        self._plan = plan
        #: Number of a fault -> what it was ordered for: a place, and the name of a trouble.
        self._meant: dict[int, tuple[str, str]] = {}
        self._of_stretch: list[int] = []
        self._stretches = 0
        self._add(_BETWEEN, plan.between)
        for meeting in plan.trials:
            self._add(meeting.place, meeting.faults)

    def next_stretch(self) -> None:
        """Ends the pair of the last stretch of time, and begins the next one."""
        for number in self._of_stretch:
            self._cloud.faults.remove(number)
        meeting = self._plan.stretches[self._stretches % len(self._plan.stretches)]
        self._stretches += 1
        self._of_stretch = self._add(meeting.place, meeting.faults)

    def _add(self, place: str, faults: Mapping[str, Sequence[Fault]]) -> list[int]:
        added = []
        for name, of_name in faults.items():
            for fault in of_name:
                number = self._cloud.faults.add(self._aimed(fault))
                added.append(number)
                if fault.kind == TROUBLES[name].kind:  # not the stop that another trouble needs to show
                    self._meant[number] = (place, name)
        return added

    def struck(self, fired: Sequence[Fired]) -> dict[str, int]:
        """How often each trouble of the plan has struck."""
        count = Counter(name for _, name in self._strikes(fired))
        return {name: count[name] for name in self._plan.between}

    def met(self, fired: Sequence[Fired]) -> set[str]:
        """Places where both of the pair have struck."""
        found: dict[str, set[str]] = defaultdict(set)
        for place, name in self._strikes(fired):
            found[place].add(name)
        return {place for place, names in found.items() if len(names) == 2 and place != _BETWEEN}

    def account(self, fired: Sequence[Fired]) -> str:
        """The plan and what has become of it, for people."""
        met = self.met(fired)
        begun = self._plan.stretches[: self._stretches]
        lines = [
            f"{meeting.place}: {' + '.join(meeting.pair)}{'' if meeting.place in met else ' (did not meet)'}"
            for meeting in (*self._plan.trials, *begun)
        ]
        strikes = ", ".join(f"{name} {count}" for name, count in self.struck(fired).items())
        counts = ", ".join(
            f"{sum(meeting.place in met for meeting in meetings)} of {len(meetings)} in a {where}"
            for where, meetings in (("trial", self._plan.trials), ("stretch of time", begun))
        )
        return "\n".join([*lines, f"struck: {strikes}", f"pairs that met: {counts}"])

    def _strikes(self, fired: Sequence[Fired]) -> Iterator[tuple[str, str]]:
        return (self._meant[one.fault_id] for one in fired if one.fault_id in self._meant)
