"""Buckets and objects of moto's S3, as JSON can hold them, and back.

Kept of a bucket: its name, region, versioning, tags, policy and the time of its creation. Of an object: content,
versions, delete markers, metadata (content type included), tags, entity tag, checksum, storage class, time of its last
change. Not kept: uploads in parts that were not completed, access lists, lifecycle rules, notifications.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, cast

from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends

from cloudtune.localcloud.state.state_folder import StateFolder


class S3State:
    """Reads and writes S3 for one cloud.

    Args:
        folder: Where the contents of objects go.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        # Content is read and hashed once for as long as the object stays the same.
        self._digests: dict[tuple[str, ...], str] = {}

    def to_json(self) -> tuple[list[dict[str, Any]], set[str]]:
        """All buckets, and the digests of the pieces they use."""
        digests: dict[tuple[str, ...], str] = {}
        buckets = [
            self._bucket(account, partition, backend, bucket, digests)
            for account, partition, backend in _backends()
            for bucket in list(backend.buckets.values())
        ]
        self._digests = digests
        return buckets, set(digests.values())

    def from_json(self, buckets: list[dict[str, Any]]) -> None:
        """Puts the buckets into moto, which must not have them."""
        for values in buckets:
            backend = s3_backends[values["account"]][values["partition"]]
            bucket = backend.create_bucket(values["name"], values["region"])
            bucket.versioning_status = values["versioning"]
            bucket.creation_date = _moment(values["created"])
            if values["policy"] is not None:
                bucket.policy = values["policy"].encode()
            if values["tags"]:
                backend.tagger.tag_resource(bucket.arn, _pairs(values["tags"]))
            for name, versions in values["objects"].items():
                restored = [self._restored(backend, bucket, name, version) for version in versions]
                bucket.keys.setlist(name, restored)

    def _bucket(
        self, account: str, partition: str, backend: S3Backend, bucket: FakeBucket, digests: dict[tuple[str, ...], str]
    ) -> dict[str, Any]:
        objects: dict[str, list[dict[str, Any]]] = {}
        for name in list(bucket.keys):
            versions = list(self._versions(backend, bucket, name, digests))
            if versions:
                objects[name] = versions
        return {
            "account": account,
            "partition": partition,
            "name": bucket.name,
            "region": bucket.region_name,
            "versioning": bucket.versioning_status,
            "created": bucket.creation_date.isoformat(),
            "policy": bucket.policy.decode() if bucket.policy is not None else None,
            "tags": backend.tagger.get_tag_dict_for_resource(bucket.arn),
            "objects": objects,
        }

    def _versions(
        self, backend: S3Backend, bucket: FakeBucket, name: str, digests: dict[tuple[str, ...], str]
    ) -> Iterator[dict[str, Any]]:
        for version in list(bucket.keys.getlist(name, [])):
            changed = version.last_modified.isoformat()
            if isinstance(version, FakeDeleteMarker):
                yield {"deleted": changed, "version": version.version_id}
                continue
            try:
                digest = self._digest(bucket, version, changed, digests)
            except ValueError:  # replaced or deleted by a call since we began, and its content with it
                if version.disposed:
                    continue
                raise
            yield {
                "piece": digest,
                "changed": changed,
                "version": version._version_id,
                "versioned": version._is_versioned,
                "etag": version.etag.strip('"'),
                "metadata": dict(version.metadata),
                "storage_class": version.storage_class,
                "checksum": [version.checksum_algorithm, version.checksum_value, version.checksum_type],
                "encryption": version.encryption,
                "tags": backend.tagger.get_tag_dict_for_resource(version.arn),
            }

    def _digest(self, bucket: FakeBucket, version: FakeKey, changed: str, digests: dict[tuple[str, ...], str]) -> str:
        key = (bucket.name, version.name, version.version_id, changed, version.etag)
        digest = self._digests.get(key)
        if digest is None or not self._folder.holds(digest):
            digest = self._folder.put_piece(version.value)
        digests[key] = digest
        return digest

    def _restored(
        self, backend: S3Backend, bucket: FakeBucket, name: str, values: dict[str, Any]
    ) -> FakeKey | FakeDeleteMarker:
        if "deleted" in values:
            # moto makes a marker from the key that it hides, of which it only takes the name.
            marker = FakeDeleteMarker.__new__(FakeDeleteMarker)
            marker.key, marker.name = None, name  # type: ignore[attr-defined]
            marker.last_modified, marker._version_id = _moment(values["deleted"]), values["version"]  # type: ignore[attr-defined]
            assert isinstance(marker, FakeDeleteMarker)
            return marker
        key = FakeKey(
            name=name,
            bucket_name=bucket.name,
            value=self._folder.piece(values["piece"]),
            account_id=bucket.account_id,
            region_name=bucket.region_name,
            storage=values["storage_class"],
            etag=values["etag"],
            is_versioned=values["versioned"],
            version_id=values["version"],
            encryption=values["encryption"],
        )
        key.last_modified = _moment(values["changed"])
        key.set_metadata(values["metadata"], replace=False)
        key.checksum_algorithm, key.checksum_value, key.checksum_type = values["checksum"]
        if values["tags"]:
            backend.tagger.tag_resource(key.arn, _pairs(values["tags"]))
        return key


def _backends() -> list[tuple[str, str, S3Backend]]:
    return cast("list[tuple[str, str, S3Backend]]", list(s3_backends.iter_backends()))


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
