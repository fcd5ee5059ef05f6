"""As much of a platform as the services beside SageMaker's need, with a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cloudtune.localcloud.caller import Caller
from cloudtune.localcloud.fault_plan import FaultPlan
from cloudtune.localcloud.services.logs import LogStore
from cloudtune.localcloud.services.quotas import Quotas
from cloudtune.localcloud.settings import CloudSettings
from tests.localcloud.hand_clock import HandClock

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

CALLER = Caller("123456789012", "us-east-1")
GROUP = "/aws/sagemaker/TrainingJobs"


class SmallPlatform:
    """What ``Platform`` is to the services under test."""

    def __init__(self, **settings: Any) -> None:
        self.settings = CloudSettings(**settings)
        self.clock = HandClock()
        self.faults = FaultPlan(self.clock, self.settings.seed)
        self.quotas = Quotas(self.whole)
        self.logs = LogStore(self.whole)

    @property
    def whole(self) -> Platform:
        """This, for those who ask for a platform."""
        return cast("Platform", self)

    def write(self, stream: str, *lines: tuple[int, str]) -> None:
        """Lines of a job: milliseconds and text."""
        self.logs.put(CALLER.account, CALLER.region, GROUP, stream, lines)
