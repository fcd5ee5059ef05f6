"""The checkpoints of all trials, on the tuner's side: found, copied between trials within S3, deleted."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING

from cloudtune.agent.manifests import complete_generations, manifest_bytes
from cloudtune.agent.protocol import FORMAT, generation_name
from cloudtune.aws.errors import NotFound, ServiceFailure

if TYPE_CHECKING:
    from cloudtune.agent.forms import Manifest, ManifestFile
    from cloudtune.agent.protocol import Keys
    from cloudtune.aws.s3 import Bucket

logger = logging.getLogger(__name__)

# How often what S3 has confirmed and lost is done again, and how often a copy begins anew from a newer generation.
_ROUNDS = 5


class TrialCheckpoints:
    """What the trials of one experiment have saved.

    Args:
        bucket: Where the experiment lies.
        keys: Of the experiment.
    """

    def __init__(self, bucket: Bucket, keys: Keys) -> None:
        self._bucket = bucket
        self._keys = keys

    def newest(self, trial: int) -> Manifest | None:
        """The generation that an agent would restore: the newest complete one. None: there is none."""
        objects = self._objects(self._keys.checkpoints(trial))
        return next(complete_generations(objects, self._keys, trial, self._body, logger.warning), None)

    def copy(self, source_trial: int, target_trial: int, attempt: int) -> str | None:
        """Has the target's coming attempt begin from the source's newest generation, whatever the target has saved.

        Objects are copied within S3. Cut short, nothing of it is visible; it may be repeated.

        Args:
            source_trial: If it has no checkpoint, the target has none either. It may run, and save meanwhile.
            target_trial: Must not run.
            attempt: The target's coming attempt. The copy's name sorts behind those of earlier attempts, and before all
                that this attempt will save.

        Returns:
            Name of the target's new generation; None if the source has no checkpoint.

        Raises:
            AwsError: The copy could not be made.
        """
        for _ in range(_ROUNDS):
            source = self.newest(source_trial)
            if source is None:
                self.delete(target_trial)
                return None
            # A place of its own for each content: one copy never writes over what the manifest of another names.
            origin = hashlib.sha256(manifest_bytes(source)).hexdigest()[:16]
            prefix = f"{self._keys.files(target_trial, generation_name(attempt, 0, 0))}{origin}/"
            try:
                files = self._copy_files(source, prefix)
            except NotFound:  # the source has saved twice meanwhile, and deleted what was being copied
                logger.info("trial %d goes on saving while its checkpoint is copied; starting anew", source_trial)
                continue
            return self._make_newest(target_trial, attempt, source, files)
        raise ServiceFailure(
            f"The checkpoint of trial {source_trial} changes faster than it can be copied to trial {target_trial}; "
            "let its script save less often."
        )

    def trials(self) -> set[int]:
        """Those that have saved anything that was not deleted, by one listing. Raises AwsError."""
        return {int(name) for name in self._bucket.folders(self._keys.all_checkpoints) if name.isdecimal()}

    def delete(self, trial: int) -> None:
        """Removes everything that a trial has saved.

        Raises:
            AwsError: Something is left.
        """
        # First the manifests: what is cut short leaves no checkpoint rather than an older one.
        for prefix in (self._keys.manifests(trial), self._keys.checkpoints(trial)):
            for _ in range(_ROUNDS):
                if not self._bucket.delete_prefix(prefix):
                    break
            else:
                raise ServiceFailure(
                    f"Objects below s3://{self._bucket.name}/{prefix} are deleted and still there; "
                    "is somebody writing them, or is the trial running?"
                )

    def _copy_files(self, source: Manifest, prefix: str) -> list[ManifestFile]:
        """Copies the objects of a generation, and lists until all are there."""
        targets: dict[str, str] = {}
        for file in source["files"]:  # names of one file share an object
            targets.setdefault(file["key"], prefix + str(len(targets)))
        sizes = {file["key"]: file["size"] for file in source["files"]}
        there = self._objects(prefix) if targets else {}
        for _ in range(_ROUNDS):
            missing = [key for key in targets if there.get(targets[key], (-1, ""))[0] != sizes[key]]
            if not missing:
                break
            self._bucket.copy_many([(key, targets[key], sizes[key]) for key in missing])
            there = self._objects(prefix)
        else:
            raise ServiceFailure(
                f"s3://{self._bucket.name}/{targets[missing[0]]} was copied and is not there; try again."
            )
        return [
            {
                "path": file["path"],
                "key": targets[file["key"]],
                "size": file["size"],
                "etag": there[targets[file["key"]]][1],
                "mode": file["mode"],
            }
            for file in source["files"]
        ]

    def _make_newest(self, trial: int, attempt: int, source: Manifest, files: list[ManifestFile]) -> str:
        generation = generation_name(attempt, 0, 0)
        key = self._keys.manifest(trial, generation)
        manifest: Manifest = {
            "format": FORMAT,
            "generation": generation,
            "files": files,
            "folders": source["folders"],
            "reports": 0,
            "unix": time.time(),
        }
        body = manifest_bytes(manifest)
        for _ in range(_ROUNDS):
            self._bucket.put(key, body)
            if self._body(key) == body:
                break
        else:
            raise ServiceFailure(f"s3://{self._bucket.name}/{key} was written and is not there; try again.")
        keep = {key, *(file["key"] for file in files)}
        manifests = self._keys.manifests(trial)
        others = [other for other in self._objects(self._keys.checkpoints(trial)) if other not in keep]
        self._bucket.delete([other for other in others if other.startswith(manifests)])
        self._bucket.delete([other for other in others if not other.startswith(manifests)])
        return generation

    def _objects(self, prefix: str) -> dict[str, tuple[int, str]]:
        return {listed.key: (listed.size, listed.etag) for listed in self._bucket.list(prefix)}

    def _body(self, key: str) -> bytes | None:
        got = self._bucket.get(key)
        return got.body if got is not None else None
