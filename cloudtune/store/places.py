"""Where experiments live on this machine, and how they are named."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from cloudtune.constants import ENV_FOLDER
from cloudtune.errors import CloudtuneError
from cloudtune.store.entries import FINISH, INTERRUPTED
from cloudtune.store.lease import lease_holder_is_alive
from cloudtune.store.log import LogView, is_experiment

logger = logging.getLogger(__name__)

#: Longest name of an experiment. Training jobs and S3 prefixes are built from it, and AWS allows no more.
MAX_NAME_LENGTH = 63

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_SUFFIX = re.compile(r"-\d{4}-\d{2}-\d{2}-\d{2}-\d{2}-\d{2}-\d{3}")
_SUFFIX_LENGTH = len("-2026-01-31-23-59-59-999")
_ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH = 6


def experiments_root() -> Path:
    """The folder that holds all experiments: ``$CLOUDTUNE_FOLDER``, or ``~/cloudtune``.

    Raises:
        ValueError: There is no home directory, and no ``CLOUDTUNE_FOLDER``.
    """
    folder = os.environ.get(ENV_FOLDER)
    try:
        # Absolute: a trial, or the program itself, may change its working directory.
        return Path(folder).expanduser().absolute() if folder else Path.home() / "cloudtune"
    except RuntimeError as error:
        raise ValueError(
            f"there is no home directory to keep experiments in ({error}); set {ENV_FOLDER} to a folder"
        ) from error


def experiment_path(name: str) -> Path:
    """The folder of the experiment ``name``, which need not exist yet.

    Raises:
        ValueError: ``name`` cannot be the name of an experiment.
    """
    return experiments_root() / validate_name(name)


def validate_name(name: str) -> str:
    """Returns ``name`` if an experiment may be called so.

    Raises:
        ValueError: It may not; the message suggests a similar name that is valid.
    """
    if len(name) <= MAX_NAME_LENGTH and _NAME.fullmatch(name):
        return name
    raise ValueError(
        f"{name!r} cannot be the name of an experiment: use at most {MAX_NAME_LENGTH} letters, digits and dashes, with "
        f"a letter or digit at both ends, for example {_similar_valid_name(name)!r}"
    )


def suffixed_name(base: str, unix_time: float) -> str:
    """``base`` followed by a time of day (UTC, to the millisecond), at most 63 characters in all.

    Args:
        base: A valid name. If it is too long, its end is replaced by a hash.
        unix_time: Unix seconds.

    Raises:
        ValueError: ``base`` cannot be the name of an experiment.
    """
    milliseconds = int(unix_time * 1000)
    moment = datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc)
    return f"{shortened_base(base)}-{moment:%Y-%m-%d-%H-%M-%S}-{milliseconds % 1000:03d}"


def shortened_base(base: str) -> str:
    """What stands before the time in the names that :func:`suffixed_name` makes, without the dash."""
    room = MAX_NAME_LENGTH - _SUFFIX_LENGTH
    if len(validate_name(base)) <= room:
        return base
    digest = hashlib.sha256(base.encode()).hexdigest()[:4]
    return f"{base[: room - 5].rstrip('-')}-{digest}"


def is_suffix(text: str) -> bool:
    """Whether it is what :func:`suffixed_name` appends."""
    return _SUFFIX.fullmatch(text) is not None


def new_experiment_id() -> str:
    """Six random lower-case letters and digits: keep the names of jobs apart from those of any earlier experiment."""
    number = int.from_bytes(os.urandom(16), "big")
    characters = []
    for _ in range(_ID_LENGTH):
        number, index = divmod(number, len(_ID_CHARACTERS))
        characters.append(_ID_CHARACTERS[index])
    return "".join(characters)


def latest_unfinished(base: str) -> str | None:
    """Name of the newest experiment ``<base>-<time>`` on this machine that was killed or interrupted, or None.

    An experiment that a tuner on this machine drives right now is not counted: it needs nobody to continue it.
    A log that cannot be read is passed over with a warning.
    """
    prefix = shortened_base(base)
    for path in sorted(_suffixed_experiments(prefix), key=lambda path: path.name, reverse=True):
        try:
            last = LogView(path / "log").last_entry()
        except (CloudtuneError, OSError) as error:
            logger.warning("%s is passed over: %s", path, error)
            continue
        if last is None or (last["event"] == FINISH and last.get("state") != INTERRUPTED):
            continue
        if not lease_holder_is_alive(path / "lock"):
            return path.name
    return None


def _suffixed_experiments(prefix: str) -> Iterator[Path]:
    root = experiments_root()
    if not root.is_dir():
        return
    for path in root.iterdir():
        if path.name.startswith(prefix) and is_suffix(path.name[len(prefix) :]) and is_experiment(path):
            yield path


def _similar_valid_name(name: str) -> str:
    parts = re.findall(r"[a-zA-Z0-9]+", name)
    return "-".join(parts)[:MAX_NAME_LENGTH].rstrip("-") or "experiment"
