"""The exceptions cloudtune raises on purpose: each message is one plain sentence naming the thing and the remedy."""

from __future__ import annotations


class CloudtuneError(Exception):
    """Base of all errors that cloudtune raises on purpose."""


class Fenced(CloudtuneError):
    """Another tuner has taken the experiment over: this one must stop without touching a trial."""


class ExperimentLocked(CloudtuneError):
    """Another tuner drives this experiment right now; the message says who, since when and how to take over."""


class NewerFormat(CloudtuneError):
    """The experiment was written by a newer version of cloudtune than this one."""


class ExperimentMismatch(CloudtuneError):
    """A continued experiment differs from its log in something that must not change (config space, seed, method)."""


class ExperimentNotFound(CloudtuneError):
    """No experiment of that name exists where cloudtune looks for experiments."""


class StorageFull(CloudtuneError):
    """The event log could not be written: the disk or quota is full. What was received before is kept."""


class TooManyFailures(CloudtuneError):
    """More trials failed than ``max_failures`` allows; the message tells why the first of them failed."""


class BackendBroken(CloudtuneError):
    """The backend itself (not a trial of it) failed and could not be restarted."""


class DamagedLog(CloudtuneError):
    """The event log of an experiment was changed by something other than cloudtune; the message names file and line."""
