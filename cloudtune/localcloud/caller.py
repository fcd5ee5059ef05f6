"""Who makes a call, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """The caller of an API operation, as its signature tells.

    Args:
        account: Twelve digits.
        region: Such as ``us-east-1``.
        who: ``job:<name of the training job>`` for calls from inside a job, ``client`` for all others.
        access_key: The key id of the signature; empty for unsigned requests.
    """

    account: str
    region: str
    who: str = "client"
    access_key: str = ""

    @property
    def job(self) -> str:
        """Name of the training job that calls, or an empty string."""
        return self.who.removeprefix("job:") if self.who.startswith("job:") else ""
