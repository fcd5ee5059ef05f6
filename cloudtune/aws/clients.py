"""Sessions and clients of boto3, and the one way in which cloudtune calls AWS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Aws:
    """AWS as one account and region see it. Thread-safe; may be pickled; a forked child has connections of its own."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        self.profile = profile

    @property
    def region(self) -> str:
        """Such as ``us-east-1``. Raises InvalidRequest where none is set."""
        raise NotImplementedError

    @property
    def account(self) -> str:
        """Twelve digits; asked from STS once."""
        raise NotImplementedError

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn``, ``aws-us-gov``."""
        raise NotImplementedError

    def client(self, service: str, attempts: int | None = None) -> Any:
        """boto3's client, made when it is first wanted, shared by all threads."""
        raise NotImplementedError

    def call(
        self,
        service: str,
        operation: str,
        *,
        patience: float | None = None,
        cancel: threading.Event | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """Calls an operation (``create_training_job``) within the rate budget."""
        raise NotImplementedError

    def attempt(
        self,
        operation: str,
        doing: str,
        do: Callable[[], T],
        *,
        patience: float | None = None,
        cancel: threading.Event | None = None,
    ) -> T:
        """Runs ``do`` as :meth:`call` runs a call: paced, retried, its errors classified."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Throws session and clients away: credentials are read anew."""
        raise NotImplementedError


def aws_for(region: str | None = None, profile: str | None = None) -> Aws:
    """The process's own Aws for a region and profile."""
    raise NotImplementedError
