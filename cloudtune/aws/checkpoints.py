"""The checkpoints of all trials, on the tuner's side: found, copied between trials within S3, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudtune.agent.forms import Manifest
    from cloudtune.agent.protocol import Keys
    from cloudtune.aws.s3 import Bucket


class TrialCheckpoints:
    """What the trials of one experiment have saved.

    Args:
        bucket: Where the experiment lies.
        keys: Of the experiment.
    """

    def __init__(self, bucket: Bucket, keys: Keys) -> None:
        raise NotImplementedError

    def newest(self, trial: int) -> Manifest | None:
        """The generation that an agent would restore: the newest complete one. None: there is none."""
        raise NotImplementedError

    def copy(self, source_trial: int, target_trial: int, attempt: int) -> str | None:
        """Has the target's coming attempt begin from the source's newest generation, whatever the target has saved.

        Objects are copied within S3. Cut short, nothing of it is visible; it may be repeated.

        Args:
            source_trial: If it has no checkpoint, the target has none either.
            target_trial: Must not run.
            attempt: The target's coming attempt.

        Returns:
            Name of the target's new generation; None if the source has no checkpoint.
        """
        raise NotImplementedError

    def delete(self, trial: int) -> None:
        """Removes everything that a trial has saved."""
        raise NotImplementedError
