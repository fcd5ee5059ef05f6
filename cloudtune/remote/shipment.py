"""All that travels to the machine that runs the tuner: one archive per source, and one small pickle per experiment.

The archive's folder ``source/``, which the agent unpacks into the job's working directory, holds::

    cloudtune_tuner.py    starts cloudtune.remote.beginning; the job's entry point
    requirements.txt      what the agent installs, if anything
    <module>              local modules and the user's dependencies: the working directory is on Python's search path
    shipped/<n>/<name>    files and folders that the backend names by path, in the backend's order

Nothing of the single experiment is in the archive, and nothing of this machine but content: its digest is its address.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.aws.packaging import DEFAULT_LIMIT, UNPACKED_FACTOR, Bundle, build_program_bundle, check_size
from cloudtune.remote import versions
from cloudtune.remote.cargo import ENTRY_POINT, REQUIREMENTS, Cargo
from cloudtune.remote.needs import needs_of
from cloudtune.remote.needs import requirements as requirement_lines
from cloudtune.remote.pickling import pickled
from cloudtune.remote.secret_values import check_files, check_text, secret_values

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.tuner import Tuner

#: Version of the manifest.
FORMAT = 1

_PROGRAM = b"""\
from cloudtune.remote.beginning import main

if __name__ == "__main__":
    main()
"""


@dataclass(frozen=True)
class Shipment:
    """What travels.

    Args:
        bundle: The archive: agent, cloudtune, source. Same source, same digest.
        tuner_pickle: The tuner.
        manifest: JSON: versions, digests of both, where the paths of this machine are in the archive, and what the
            tuner's log will say of the scheduler.
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
        requirements: Lines of the requirements file. By default what cloudtune and the pickle need, in the versions
            installed here, and what a local script's own ``requirements.txt`` lists, or else what the script imports.
        limit: Largest archive, in bytes.
        aws: Whose credentials must not travel, besides those in the environment.

    Raises:
        CannotShip: The tuner, or what it needs, cannot travel.
        BundleError: Source files cannot be packed, or are too large.
    """
    return pack_together([tuner], dependencies, requirements, limit, aws)[0]


def pack_together(
    tuners: Sequence[Tuner],
    dependencies: Sequence[str | Path] = (),
    requirements: Sequence[str] | None = None,
    limit: int = DEFAULT_LIMIT,
    aws: Aws | None = None,
) -> list[Shipment]:
    """Packs tuners into one archive, which has what each of them needs. See :func:`pack`.

    Returns:
        The shipment of each tuner. All have the same archive.
    """
    secrets = secret_values(os.environ, aws)
    pickles = [pickled(tuner, secrets) for tuner in tuners]
    backends = [tuner.trial_backend for tuner in tuners]
    cargo = Cargo(UNPACKED_FACTOR * limit)
    for path in (path for backend in backends for path in backend.source_paths()):
        cargo.add_path(path)
    for one in dependencies:
        cargo.add_dependency(Path(one).expanduser().absolute())
    listed: dict[str, str] = {}
    scripts: list[Path] = []
    for script in dict.fromkeys(script for backend in backends for script in backend.local_scripts()):
        beside = script.with_name(REQUIREMENTS)
        place = cargo.place_of(beside)
        if place is not None:
            listed[place] = beside.read_text(encoding="utf-8", errors="replace")
        else:
            scripts.append(script)
    later = (tuner.scheduler.libraries() for tuner in tuners)
    imports = frozenset[str]().union(*(pickle.imports for pickle in pickles), *later)
    needs = needs_of((pickle.data for pickle in pickles), imports, scripts, cargo.modules())
    for name in sorted(needs.local):
        cargo.add_module(name, needs.local[name])
    lines = requirement_lines(needs, listed) if requirements is None else list(requirements)
    text = "".join(f"{line}\n" for line in lines)
    check_text(text, "the list of requirements", secrets)
    if text:
        cargo.texts[REQUIREMENTS] = text.encode()
    cargo.texts[ENTRY_POINT] = _PROGRAM
    check_size(cargo.described(), cargo.source(), limit)
    check_files(cargo.files, secrets)
    bundle = build_program_bundle(cargo.described(), cargo.source(), cargo.texts, limit)
    common = {
        "format": FORMAT,
        "versions": versions.record(needs.distributions),
        "archive": bundle.digest,
        "paths": [[path.as_posix(), place] for path, place in cargo.places.items()],
        "requirements": lines,
    }
    return [
        Shipment(
            bundle,
            pickle.data,
            {
                **common,
                "tuner": hashlib.sha256(pickle.data).hexdigest(),
                "scheduler": tuner.scheduler.metadata(),
            },
        )
        for tuner, pickle in zip(tuners, pickles, strict=True)
    ]
