"""The other side of a shipment: checks what has arrived and makes the tuner of it."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dill

from cloudtune.aws.packaging import DAMAGE, content_digest
from cloudtune.errors import CloudtuneError
from cloudtune.remote import versions
from cloudtune.remote.shipment import FORMAT
from cloudtune.store import places

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner


class CannotLoad(CloudtuneError):
    """What has arrived cannot be used here: it was changed, or made with other versions."""


def load(folder: Path, manifest: Mapping[str, Any], tuner_pickle: bytes, archive: Path | None = None) -> Tuner:
    """The tuner, with the paths of this machine.

    Its folder is that of an experiment on this machine. The folder given goes onto Python's search path.

    Args:
        folder: Where the archive's ``source/`` was unpacked.
        manifest: Of the shipment.
        tuner_pickle: Of the shipment.
        archive: The archive itself, to be checked against the manifest.

    Raises:
        CannotLoad: Archive or pickle are not those of the manifest, or the versions do not fit.
    """
    check(manifest, tuner_pickle, archive)
    from cloudtune.tuner import Tuner

    place = os.path.abspath(folder)
    if place not in sys.path:
        sys.path.insert(0, place)
        importlib.invalidate_caches()
    try:
        tuner = dill.loads(tuner_pickle)
    except Exception as error:
        raise CannotLoad(
            f"the tuner cannot be made here ({type(error).__name__}: {error}); if a module is missing, pass it in "
            "dependencies=[...] or requirements=[...] of the launcher"
        ) from error
    if not isinstance(tuner, Tuner):
        raise CannotLoad("what was sent is no tuner; launch it again")
    _relocate(tuner, Path(place), manifest)
    return tuner


def check(manifest: Mapping[str, Any], tuner_pickle: bytes, archive: Path | None = None) -> None:
    """Compares what has arrived with the manifest. Nothing is unpickled.

    Raises:
        CannotLoad: It is not the same, or the versions do not fit.
    """
    if manifest.get("format") != FORMAT:
        raise CannotLoad(
            f"the shipment has the format {manifest.get('format')!r}, and this cloudtune reads {FORMAT}; launch again"
        )
    if archive is not None and _digest(archive) != manifest["archive"]:
        raise CannotLoad(
            f"the archive with the source was changed after it was uploaded: its digest is not {manifest['archive']}; "
            "launch again, which replaces it"
        )
    if hashlib.sha256(tuner_pickle).hexdigest() != manifest["tuner"]:
        raise CannotLoad(
            f"the tuner's pickle was changed after it was uploaded: its SHA-256 is not {manifest['tuner']}; launch "
            "again"
        )
    difference = versions.compare(manifest["versions"])
    if difference is not None:
        raise CannotLoad(difference)


def _digest(archive: Path) -> str:
    try:
        return content_digest(archive)
    except DAMAGE:
        return ""


def _relocate(tuner: Tuner, folder: Path, manifest: Mapping[str, Any]) -> None:
    moved = {Path(former): folder.joinpath(*place.split("/")) for former, place in manifest["paths"]}
    missing = next((path for path in moved.values() if not path.exists()), None)
    if missing is not None:
        raise CannotLoad(f"{missing} is missing from the archive's folder; launch again")
    tuner.trial_backend.relocate(moved)
    tuner.tuner_path = places.experiment_path(tuner.name)
    tuner.trial_backend_path = None
