"""Shipping the whole tuning loop to a machine of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.remote.remote_launcher import RemoteLauncher

__all__ = ["RemoteLauncher"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from cloudtune.remote import remote_launcher

        return getattr(remote_launcher, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
