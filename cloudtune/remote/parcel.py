"""What launches of many tuners have in common, packed, found and uploaded once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudtune.aws.buckets import BucketFound, find_bucket
from cloudtune.aws.packaging import DEFAULT_LIMIT, upload_bundle
from cloudtune.aws.s3 import Bucket
from cloudtune.constants import ENV_S3_PATH
from cloudtune.remote.shipment import Shipment, pack_together

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.tuner import Tuner


@dataclass(frozen=True)
class Parcel:
    """What one tuner is launched with.

    Args:
        shipment: All that travels.
        found: The bucket that it is uploaded to.
        code_uri: Folder of the archive; "" while it is not uploaded.
    """

    shipment: Shipment
    found: BucketFound
    code_uri: str = ""


def bucket_of(aws: Aws, s3_path: str | None, create: bool = False) -> BucketFound:
    """The bucket of experiments that are launched, as commands look for it later: see :func:`find_bucket`."""
    return find_bucket(aws, s3_path or os.environ.get(ENV_S3_PATH), create=create)


def code_prefix(found: BucketFound) -> str:
    """Where archives lie."""
    return f"{found.prefix}/cloudtune/code" if found.prefix else "cloudtune/code"


def make_parcels(aws: Aws, tuners: Sequence[Tuner], found: BucketFound, limit: int = DEFAULT_LIMIT) -> list[Parcel]:
    """Packs tuners into one archive, and uploads it unless it is there already.

    Args:
        aws: Account and region.
        tuners: They must not run.
        found: Where to.
        limit: Largest archive, in bytes.

    Returns:
        The parcel of each tuner.

    Raises:
        CannotShip: A tuner, or what it needs, cannot travel.
        BundleError: Source files cannot be packed, or are too large.
        AwsError: The archive could not be uploaded.
    """
    if not tuners:
        return []
    shipments = pack_together(tuners, limit=limit, aws=aws)
    code_uri = upload_bundle(Bucket(aws, found.name, found.owner), shipments[0].bundle, code_prefix(found))
    return [Parcel(shipment, found, code_uri) for shipment in shipments]
