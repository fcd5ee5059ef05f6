"""Writes generations of a checkpoint directory to S3, each of one moment, and deletes old ones."""

from __future__ import annotations

import os
import time

from cloudtune.agent.checkpoint_pace import NotNow
from cloudtune.agent.checkpoint_staging import Staging
from cloudtune.agent.checkpoint_upload import Upload, put_object, upload_files
from cloudtune.agent.folder_scan import FileState, Scan, scan, state_of
from cloudtune.agent.manifests import complete_generations, generation_of, manifest_bytes
from cloudtune.agent.protocol import FORMAT, Keys, generation_name
from cloudtune.agent.s3_errors import S3Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudtune.agent.checkpoint_pace import Pace
    from cloudtune.agent.forms import Manifest, ManifestFile
    from cloudtune.agent.manifests import Objects
    from cloudtune.agent.s3 import S3


class GenerationWriter:
    """Writes what lies in a checkpoint directory. For one thread at a time.

    Args:
        s3: The bucket.
        keys: Of the experiment.
        trial: Whose checkpoint.
        attempt: The attempt that saves.
        run: Its run.
        folder: The checkpoint directory.
        note: Told what people should know.
    """

    def __init__(
        self, s3: S3, keys: Keys, trial: int, attempt: int, run: int, folder: str, note: Callable[[str], None]
    ) -> None:
        self._s3 = s3
        self._keys = keys
        self._trial = trial
        self._run = (attempt, run)
        self._folder = folder
        self._note = note
        self._number = 0
        # Path -> the file as it was when its object was uploaded.
        self._known: dict[str, tuple[FileState, str]] = {}
        self.newest: Manifest | None = None

    def begin_behind(self, objects: Objects) -> None:
        """Has later names sort behind all that this run has in S3."""
        beginning = generation_name(*self._run, 0)[:-6]
        for key in objects:
            name = generation_of(key, self._keys, self._trial)
            if name.startswith(beginning) and name[len(beginning) :].isdigit():
                self._number = max(self._number, int(name[len(beginning) :]))

    def begin_from(self, manifest: Manifest) -> None:
        """The directory holds a generation: unchanged files need not be uploaded again."""
        self.newest = manifest
        for file in manifest["files"]:
            path = os.path.join(self._folder, *file["path"].split("/"))
            self._known[file["path"]] = state_of(path), file["key"]

    def is_newest(self, found: Scan) -> bool:
        """Whether the newest generation is what was found."""
        if self.newest is None:
            return not found.files and not found.folders
        saved = {file["path"]: (file["key"], file["mode"]) for file in self.newest["files"]}
        now = {path: (self._known_key(path, state), state.mode) for path, state in found.files.items()}
        return saved == now and sorted(self.newest["folders"]) == sorted(found.folders)

    def save(
        self,
        found: Scan,
        shipped: int,
        settle: float,
        await_reports: Callable[[], None],
        pace: Pace,
    ) -> Manifest:
        """Writes a generation.

        Args:
            found: What is to be saved: the directory as it was a moment ago.
            shipped: How many reports were shipped before.
            settle: For so many seconds files must not change.
            await_reports: Returns once all reports made until then are shipped.
            pace: How patiently.

        Raises:
            NotNow: Files are being written, or somebody is in a hurry.
            S3Error: S3 does not do it.
            OSError: A file cannot be read.
        """
        self._number += 1
        generation = generation_name(*self._run, self._number)
        keys = self._choose_keys(found, generation)
        objects = self._upload(found, keys, settle, pace)
        manifest = self._manifest(found, keys, generation, shipped, objects)
        await_reports()
        put_object(self._s3, self._keys.manifest(self._trial, generation), manifest_bytes(manifest), pace)
        self.newest = manifest
        self._delete_old(objects, manifest)
        return manifest

    def _known_key(self, path: str, state: FileState) -> str | None:
        known, key = self._known.get(path, (None, None))
        return key if known == state else None

    def _choose_keys(self, found: Scan, generation: str) -> dict[str, str]:
        """The object of each file: an earlier one if it has not changed; names of one file share one."""
        prefix = self._keys.files(self._trial, generation)
        keys: dict[str, str] = {}
        new: dict[tuple[int, int], str] = {}
        for path, state in found.files.items():
            known = self._known_key(path, state)
            keys[path] = known or new.setdefault((state.device, state.inode), prefix + str(len(new)))
        return keys

    def _upload(self, found: Scan, keys: dict[str, str], settle: float, pace: Pace) -> Objects:
        changed = [path for path in found.files if self._known_key(path, found.files[path]) is None]
        confirmed: set[str] = set()
        whole: list[str] = []
        try:
            with Staging(self._folder) as staging:
                held = {path: staging.hold(found.sources[path], found.files[path]) for path in changed}
                other = scan(self._folder, _nobody).differs_from(found)
                if other is not None:
                    raise NotNow(f"{other} was being written")
                pace.pause(settle)
                _check(staging, held)
                uploads = {keys[path]: Upload(held[path], found.files[path].size) for path in changed}
                try:
                    objects = upload_files(self._s3, self._keys.checkpoints(self._trial), uploads, pace, confirmed)
                except (S3Error, OSError):
                    _check(staging, held)  # a file that is cut while it is read fails in many ways
                    raise
                finally:
                    whole = [path for path in changed if keys[path] in confirmed and not staging.touched(held[path])]
                _check(staging, held)
        finally:
            self._remember(whole, found, keys)
        for path, key in keys.items():
            if objects.get(key, (-1, ""))[0] != found.files[path].size:
                self._known.pop(path, None)
                raise NotNow(f"the object of {path} is lost, it will be uploaded again")
        return objects

    def _remember(self, paths: list[str], found: Scan, keys: dict[str, str]) -> None:
        """Notes files that were uploaded as they are, now that links to them do not change them any more."""
        for path in paths:
            try:
                state = state_of(found.sources[path])
            except OSError:
                continue
            if state.content == found.files[path].content:
                self._known[path] = state, keys[path]

    def _manifest(self, found: Scan, keys: dict[str, str], generation: str, shipped: int, objects: Objects) -> Manifest:
        files: list[ManifestFile] = [
            {
                "path": path,
                "key": keys[path],
                "size": state.size,
                "etag": objects[keys[path]][1],
                "mode": state.mode,
            }
            for path, state in sorted(found.files.items())
        ]
        return {
            "format": FORMAT,
            "generation": generation,
            "files": files,
            "folders": sorted(found.folders),
            "reports": shipped,
            "unix": time.time(),
        }

    def _delete_old(self, objects: Objects, manifest: Manifest) -> None:
        """Deletes what neither this generation nor the one before needs; never what sorts behind: that is another's."""
        older = {
            key: value
            for key, value in objects.items()
            if "" < generation_of(key, self._keys, self._trial) <= manifest["generation"]
        }
        keep = {file["key"] for file in manifest["files"]} | {self._keys.manifest(self._trial, manifest["generation"])}
        try:
            for before in complete_generations(older, self._keys, self._trial, self._body, _nobody):
                keep.add(self._keys.manifest(self._trial, before["generation"]))
                keep |= {file["key"] for file in before["files"]}
                break
            doomed = [key for key in older if key not in keep]
            manifests = self._keys.manifests(self._trial)
            # First the manifests: a file is deleted only when nothing names it any more.
            self._s3.delete([key for key in doomed if key.startswith(manifests)])
            self._s3.delete([key for key in doomed if not key.startswith(manifests)])
        except S3Error as error:
            self._note(f"old generations of the checkpoint are not deleted: {error}")
        kept = {file["key"] for file in manifest["files"]}
        self._known = {path: known for path, known in self._known.items() if known[1] in kept}

    def _body(self, key: str) -> bytes | None:
        got = self._s3.get(key)
        return got.body if got is not None else None


def _check(staging: Staging, held: dict[str, str]) -> None:
    for path, link in held.items():
        if staging.touched(link):
            raise NotNow(f"{path} was written while it was read")


def _nobody(_: str) -> None:
    """For what was said before."""
