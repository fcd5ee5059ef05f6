"""Which generation of a checkpoint is the newest complete one: the same rule for the agent and for the tuner."""

from __future__ import annotations

import json
from typing import Any

from cloudtune.agent.protocol import FORMAT, Keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudtune.agent.forms import Manifest

    # Key -> size and ETag, of all objects below Keys.checkpoints(trial).
    Objects = Mapping[str, "tuple[int, str]"]


class BadManifest(Exception):
    """A manifest that cannot be used; the text says why."""


def manifest_bytes(manifest: Manifest) -> bytes:
    """The manifest as it is put."""
    return json.dumps(manifest, separators=(",", ":")).encode("ascii")


def parse_manifest(body: bytes, keys: Keys, trial: int) -> Manifest:
    """A manifest from S3. What it names lies inside the checkpoint directory, and among the trial's own objects.

    Raises:
        BadManifest: It is damaged, of another format, or names something outside.
    """
    try:
        manifest: Any = json.loads(body)
        if manifest["format"] != FORMAT:
            raise BadManifest("its format is {!r}, this cloudtune knows {}".format(manifest["format"], FORMAT))
        str(manifest["generation"]), int(manifest["reports"])
        files = [str(file["path"]) for file in manifest["files"]]
        folders = [str(folder) for folder in manifest["folders"]]
        for file in manifest["files"]:
            int(file["size"]), int(file["mode"]), str(file["etag"])
            if not str(file["key"]).startswith(keys.checkpoints(trial)):
                raise BadManifest("it refers to {}, which is no object of the trial".format(file["key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadManifest(f"it is damaged ({type(error).__name__}: {error})") from error
    _check_paths(files, folders)
    checked: Manifest = manifest
    return checked


def _check_paths(files: list[str], folders: list[str]) -> None:
    taken = set(files)
    if len(taken) != len(files):
        raise BadManifest("it names a file twice")
    for path in files + folders:
        parts = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise BadManifest(f"the path {path!r} does not lie in the checkpoint directory")
        above = {"/".join(parts[:end]) for end in range(1, len(parts))}
        if above & taken:
            raise BadManifest(f"the path {path!r} lies below a file")
    if taken & set(folders):
        raise BadManifest("a folder has the name of a file")


def first_lacking(manifest: Manifest, objects: Objects) -> str | None:
    """The first file whose object is not there as it was verified; None if the generation is complete."""
    for file in manifest["files"]:
        size, etag = objects.get(file["key"], (-1, ""))
        if size != file["size"] or etag != file["etag"]:
            return file["path"]
    return None


def generations(objects: Objects, keys: Keys, trial: int) -> list[str]:
    """Names of the generations that have a manifest, newest first."""
    prefix = keys.manifests(trial)
    names = [key[len(prefix) : -len(".json")] for key in objects if key.startswith(prefix) and key.endswith(".json")]
    return sorted(names, reverse=True)


def generation_of(key: str, keys: Keys, trial: int) -> str:
    """The generation that has uploaded an object, or whose manifest it is; "" if it is neither."""
    for prefix in (keys.manifests(trial), keys.checkpoints(trial) + "files/"):
        if key.startswith(prefix):
            return key[len(prefix) :].partition("/")[0].partition(".")[0]
    return ""


def complete_generations(
    objects: Objects,
    keys: Keys,
    trial: int,
    get: Callable[[str], bytes | None],
    note: Callable[[str], None],
) -> Iterator[Manifest]:
    """The manifests whose objects are all there, newest first; each is read only when it is asked for.

    Args:
        objects: A listing of what the trial has saved.
        keys: Of the experiment.
        trial: Whose generations.
        get: Reads an object; None if it is gone.
        note: Told of each generation that is passed over.
    """
    for name in generations(objects, keys, trial):
        body = get(keys.manifest(trial, name))
        if body is None:  # deleted since the listing
            continue
        try:
            manifest = parse_manifest(body, keys, trial)
        except BadManifest as error:
            note(f"generation {name} of the checkpoint of trial {trial} is passed over: {error}")
            continue
        lacking = first_lacking(manifest, objects)
        if lacking is None:
            yield manifest
        else:
            note(f"generation {name} of the checkpoint of trial {trial} is passed over: {lacking} is lost")
