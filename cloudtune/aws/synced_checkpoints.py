"""Checkpoints that SageMaker itself keeps, file by file, for jobs whose agent does not reach S3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cloudtune.aws.buckets import parse_bucket
from cloudtune.aws.errors import NotFound, ServiceFailure
from cloudtune.aws.s3 import Bucket

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

#: How often a copy begins anew because its source changes meanwhile.
_ROUNDS = 5


class SyncedCheckpoints:
    """What the trials of one experiment have saved where SageMaker syncs their checkpoint directory.

    There are no generations: a copy of what a running trial saves may hold files of different moments.

    Args:
        aws: Account and region.
        bucket: Where the experiment lies.
        uri_of: The ``s3://`` prefix of a trial's checkpoint directory; it may be in another bucket of the
            same account.
    """

    def __init__(self, aws: Aws, bucket: Bucket, uri_of: Callable[[int], str]) -> None:
        self._aws = aws
        self._bucket = bucket
        self._uri_of = uri_of

    def copy(self, source_trial: int, target_trial: int) -> None:
        """Has the target begin from what the source has saved, whatever the target has saved. It may be repeated.

        Args:
            source_trial: If it has saved nothing, the target has nothing either.
            target_trial: Must not run.

        Raises:
            AwsError: The copy could not be made.
        """
        bucket, source = self._place(source_trial)
        _, target = self._place(target_trial)
        for _ in range(_ROUNDS):
            bucket.delete_prefix(target)
            files = bucket.list(source)
            try:
                bucket.copy_many([(file.key, target + file.key.removeprefix(source), file.size) for file in files])
            except NotFound:
                continue
            return
        raise ServiceFailure(
            f"The checkpoint of trial {source_trial} changes faster than it can be copied to trial {target_trial}; "
            "let its script save less often."
        )

    def replace(self, trial: int, files: Mapping[str, tuple[str, int]]) -> None:
        """Has the trial begin from these files, whatever it has saved. It may be repeated.

        Args:
            trial: Must not run.
            files: Path in the checkpoint directory -> key in the experiment's bucket, and size.

        Raises:
            NotFound: One of them is not there any more.
            AwsError: They could not be copied.
        """
        bucket, prefix = self._place(trial)
        bucket.delete_prefix(prefix)
        pairs = [(key, prefix + path, size) for path, (key, size) in files.items()]
        bucket.copy_many(pairs, source=self._bucket)

    def trials(self) -> set[int]:
        """Those that have saved anything that was not deleted, by one listing. Raises AwsError."""
        bucket, prefix = self._place(0)
        return {int(name) for name in bucket.folders(prefix.removesuffix("0/")) if name.isdecimal()}

    def delete(self, trial: int) -> None:
        """Removes everything that a trial has saved.

        Raises:
            AwsError: Something is left.
        """
        bucket, prefix = self._place(trial)
        bucket.delete_prefix(prefix)

    def _place(self, trial: int) -> tuple[Bucket, str]:
        name, prefix = parse_bucket(self._uri_of(trial))
        ours = self._bucket
        bucket = ours if name == ours.name else Bucket(self._aws, name, ours.owner, ours.kms_key)
        return bucket, f"{prefix}/"
