"""All that travels to the machine that runs the tuner: one archive per source, and one small pickle per experiment.

The archive's folder ``source/``, which the agent unpacks into the job's working directory, holds::

    cloudtune_tuner.py    starts cloudtune.remote.program; the job's entry point
    requirements.txt      what the agent installs
    <module>              local modules and the user's dependencies: the working directory is on Python's search path
    shipped/<n>/<name>    files and folders that the backend names by path, in the backend's order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.aws.packaging import DEFAULT_LIMIT, Bundle

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.tuner import Tuner

#: The script that the agent runs.
ENTRY_POINT = "cloudtune_tuner.py"
#: Names, in the task's input channel, of the pickle and of the manifest as JSON.
TUNER_FILE = "tuner.dill"
MANIFEST_FILE = "shipment.json"


@dataclass(frozen=True)
class Shipment:
    """What travels.

    Args:
        bundle: The archive: agent, cloudtune, source. Same source, same digest.
        tuner_pickle: The tuner.
        manifest: JSON: versions, digests of both, and where the paths of this machine are in the archive.
    """

    bundle: Bundle
    tuner_pickle: bytes
    manifest: dict[str, Any]


def pack(
    tuner: Tuner,
    dependencies: Sequence[str | Path] = (),
    requirements: Sequence[str] | None = None,
    limit: int = DEFAULT_LIMIT,
    aws: Aws | None = None,
) -> Shipment:
    """Packs a tuner, which is not changed, and all that it needs. Nothing is written to any disk.

    Args:
        tuner: It must not run.
        dependencies: Further files and folders; they can be imported there by their own names.
        requirements: Further lines of the requirements file; a line for a distribution takes the place of ours.
        limit: Largest archive, in bytes.
        aws: Whose credentials must not travel, besides those in the environment.

    Raises:
        CannotShip: The tuner, or what it needs, cannot travel.
        BundleError: Source files cannot be packed, or are too large.
    """
    raise NotImplementedError
