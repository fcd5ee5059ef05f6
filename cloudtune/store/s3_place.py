"""Where the event log of an experiment lies in S3."""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune.aws.buckets import parse_bucket
from cloudtune.aws.clients import Aws
from cloudtune.aws.experiment_place import experiment_prefix
from cloudtune.aws.s3 import Bucket


@dataclass(frozen=True)
class S3Place:
    """A bucket, and what stands before ``cloudtune/`` in it.

    Args:
        bucket_name: Of the bucket.
        prefix: Without slashes at its ends; may be empty.
    """

    bucket_name: str
    prefix: str = ""

    @classmethod
    def of(cls, s3_path: str) -> S3Place:
        """The place that ``s3://bucket[/prefix]`` names. Raises BucketUnusable: no bucket can be called so."""
        return cls(*parse_bucket(s3_path))

    def root(self, name: str, tag: str | None = None) -> str:
        """Prefix of all that belongs to an experiment, with a slash at its end.

        Raises:
            InvalidRequest: Name or tag would lead out of the prefix.
        """
        return experiment_prefix(self.prefix, tag, name)

    def uri(self, name: str, tag: str | None = None) -> str:
        """``s3://bucket/<root>``."""
        return f"s3://{self.bucket_name}/{self.root(name, tag)}"

    def bucket(self, aws: Aws, owner: str | None = None, kms_key: str | None = None) -> Bucket:
        """The bucket, for the readers and stores of the experiments in it."""
        return Bucket(aws, self.bucket_name, owner, kms_key)
