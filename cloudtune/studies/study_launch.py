"""What a launch of a study has done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloudtune.errors import CloudtuneError
from cloudtune.remote.tuner_job import NAME_PART, TRIAL
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell_records import listed

#: Of a tuner's job.
_JOB = re.compile(rf"\S+-{NAME_PART}-{TRIAL}-\d+")


@dataclass(frozen=True)
class StudyLaunch:
    """What a launch has done. Experiments by their names, in the plan's order.

    Args:
        place: Of the study.
        launched: Begun by this launch.
        continued: Continued by it: interrupted, or left by their tuners.
        running: Those that somebody else drives; after waiting, nobody does.
        finished: Those that have reached their end.
        failed: Those that have ended because too many trials have failed: name -> why.
        refused: Those that could not be launched: name -> why.
        unfinished: After waiting: those whose tuner is gone or was told to end: name -> why.
    """

    place: StudyPlace
    launched: tuple[str, ...] = ()
    continued: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    unfinished: Mapping[str, str] = field(default_factory=dict)


class NotAllLaunched(CloudtuneError):
    """Some experiments of a plan could not be launched; the others were. The message names each, and why.

    Args:
        launch: What was done.
        count: Experiments of the plan.
    """

    def __init__(self, launch: StudyLaunch, count: int) -> None:
        reasons: dict[str, list[str]] = {}
        for name, why in launch.refused.items():
            reasons.setdefault(_JOB.sub("", why).replace(name, ""), []).append(name)
        # Of those that were refused for the same reason, the first one's tells it.
        told = (f"{listed(names)}: {launch.refused[names[0]]}" for names in reasons.values())
        super().__init__(
            f"{len(launch.refused)} of {count} experiments of study '{launch.place.tag}' could not be launched: "
            f"{'; '.join(told)}"
        )
        self.launch = launch
