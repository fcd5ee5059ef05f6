"""The other side of a shipment: checks what has arrived and makes the tuner of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner


class CannotLoad(CloudtuneError):
    """What has arrived cannot be used here: it was changed, or made with other versions."""


def load(folder: Path, manifest: Mapping[str, Any], tuner_pickle: bytes, archive: Path | None = None) -> Tuner:
    """The tuner, with the paths of this machine.

    Its folder is that of an experiment on this machine. The folder goes onto Python's search path.

    Args:
        folder: Where the archive's ``source/`` was unpacked.
        manifest: Of the shipment.
        tuner_pickle: Of the shipment.
        archive: The archive itself, to be checked against the manifest.

    Raises:
        CannotLoad: Archive or pickle are not those of the manifest, or the versions do not fit.
    """
    raise NotImplementedError
