"""Names of training jobs: valid for SageMaker, unique, and found by a prefix.

A name is ``<experiment>-<id>-<trial>-<attempt>``. What SageMaker does not take in an experiment's name becomes a dash,
and what is too long is cut; either adds a hash, so that names of different experiments stay different.
"""

from __future__ import annotations

import base64
import hashlib
import re

#: Of a training job's name.
MOST_CHARACTERS = 63
#: Trials and attempts have this many digits at most.
_TRIAL_DIGITS = 7
_ATTEMPT_DIGITS = 5
_ID = re.compile(r"[a-z0-9]{6}", re.ASCII)
_HASH_LENGTH = 8
_PLAIN = re.compile(r"[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*", re.ASCII)
#: What the names that carry a hash end with; names that merely look so get one as well, so that none means two.
_HASHED = re.compile(r"(^|-)x[a-z2-7]{7}$", re.ASCII)
#: Room for the experiment, beside ``-<id>-<trial>-<attempt>``.
_ROOM = MOST_CHARACTERS - (1 + 6) - (1 + _TRIAL_DIGITS) - (1 + _ATTEMPT_DIGITS)


def job_name(experiment: str, experiment_id: str, trial: int, attempt: int) -> str:
    """Name of an attempt's job: ``<experiment>-<id>-<trial>-<attempt>``, at most 63 characters.

    Equal only for equal arguments.

    Args:
        experiment: Its name: any text.
        experiment_id: Six lower-case letters and digits.
        trial: 0 to 9,999,999.
        attempt: 0 to 99,999.

    Raises:
        ValueError: An argument is not as above.
    """
    for what, number, digits in (("trial", trial, _TRIAL_DIGITS), ("attempt", attempt, _ATTEMPT_DIGITS)):
        if not 0 <= number < 10**digits:
            raise ValueError(f"The {what} of a training job is {number}; it must be 0 to {10**digits - 1:,}.")
    return f"{job_name_prefix(experiment, experiment_id)}{trial}-{attempt}"


def job_name_prefix(experiment: str, experiment_id: str) -> str:
    """``<experiment>-<id>-``: what the names of an experiment's jobs begin with, and those of no other experiment.

    Raises:
        ValueError: The id is not six lower-case letters and digits.
    """
    if not _ID.fullmatch(experiment_id):
        raise ValueError(
            f"The id of an experiment is {experiment_id!r}; it must be six lower-case letters and digits, as "
            "cloudtune.store draws them."
        )
    return f"{_base(experiment)}-{experiment_id}-"


def _base(experiment: str) -> str:
    """The experiment's part of the name; different for different experiments."""
    base = _apart(experiment) if _PLAIN.fullmatch(experiment) and not _HASHED.search(experiment) else ""
    if base and len(base) <= _ROOM:
        return base
    digest = hashlib.sha256(experiment.encode("utf-8", "surrogatepass")).digest()
    hashed = "x" + base64.b32encode(digest).decode()[: _HASH_LENGTH - 1].lower()
    room = _ROOM - len("-") - _HASH_LENGTH
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", experiment).strip("-")[:room]
    while len(readable := _apart(plain.rstrip("-"))) > room:  # the cut may have made a part that could be an id
        plain = plain[:-1]
    return f"{readable}-{hashed}" if readable else hashed


def _apart(base: str) -> str:
    """Doubles the dash before each part that could be an id.

    Otherwise ``digits-abc123`` as an experiment would have names that begin like those of ``digits`` with id
    ``abc123``.
    """
    first, *others = base.split("-")
    return first + "".join(f"--{part}" if _ID.fullmatch(part) else f"-{part}" for part in others)
