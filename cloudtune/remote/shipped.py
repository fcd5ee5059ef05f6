"""What launches of an experiment have left in S3, for whoever continues it without its script. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cloudtune.errors import ExperimentNotFound
from cloudtune.remote.tuner_job import MANIFEST, PICKLE, TRIAL, TunerPlace
from cloudtune.remote.unpacking import CannotLoad

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shipped:
    """What a launch has shipped, beside the archive: as it was put there.

    Args:
        attempt: Number of the launch.
        newest: Number of the newest launch, also where it is another one, because what that has shipped is damaged.
        manifest: Of the shipment.
        files: The manifest and the pickled tuner, as files of the input channel, by name.
    """

    attempt: int
    newest: int
    manifest: dict[str, Any]
    files: dict[str, bytes]

    @property
    def pickle(self) -> bytes:
        """The tuner as it was before it ran."""
        return self.files[PICKLE]


def newest_shipped(place: TunerPlace, attempts: Sequence[int] | None = None) -> Shipped:
    """What the newest launch has shipped; of one before it, with a warning, where that was changed or damaged.

    Any of them will do: what has become of the tuner since, the log tells.

    Args:
        place: Of the experiment.
        attempts: Numbers of the launches to choose from. Default: all.

    Raises:
        ExperimentNotFound: Nothing was launched, or all of it is gone.
        CannotLoad: All of it is damaged.
    """
    damage: str | None = None
    newest: int | None = None
    for attempt in sorted(place.attempts() if attempts is None else attempts, reverse=True):
        folder = place.keys.task_folder(TRIAL, attempt)
        got = place.bucket.get_many([folder + MANIFEST, folder + PICKLE])
        if len(got) < 2:
            continue  # that launch did not get so far
        newest = attempt if newest is None else newest
        files = {key[len(folder) :]: one.body for key, one in got.items()}
        manifest = _manifest(files[MANIFEST])
        if manifest is not None and manifest["tuner"] == hashlib.sha256(files[PICKLE]).hexdigest():
            if damage is not None:
                logger.warning("%s; what launch %d has shipped is taken instead, and the log", damage, attempt)
            return Shipped(attempt, newest, manifest, files)
        damage = damage or (
            f"the pickled tuner {place.bucket.uri(folder + PICKLE)} was changed or damaged after it was uploaded: it "
            f"is not what {MANIFEST} beside it says"
        )
    if damage is not None:
        raise CannotLoad(f"{damage}; run the script that launched it again, which continues from the log")
    raise ExperimentNotFound(
        f"experiment {place.experiment!r} was not launched by a RemoteLauncher: nothing in "
        f"{place.bucket.uri(place.root)} continues it; run the script that began it again, with the same tuner_name"
    )


def shipped_scheduler(place: TunerPlace, attempt: int) -> dict[str, Any] | None:
    """What a launch has said of its scheduler, as the log's first entry does; None where that cannot be read."""
    got = place.bucket.get(place.keys.task_folder(TRIAL, attempt) + MANIFEST)
    manifest = None if got is None else _manifest(got.body)
    scheduler = None if manifest is None else manifest.get("scheduler")
    return scheduler if isinstance(scheduler, dict) else None


def _manifest(body: bytes) -> dict[str, Any] | None:
    """A manifest; None if it cannot be one."""
    try:
        manifest = json.loads(body)
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) and "tuner" in manifest else None
