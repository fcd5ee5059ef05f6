"""Which experiments of a study have their tuner, and their log, on some machine: they say so beside the others in S3.

Such an experiment's trials are training jobs, and a tuner elsewhere would know nothing of them, nor of what they have
cost. So none is launched, and none begins on another machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from cloudtune.aws.errors import Conflict
from cloudtune.errors import ExperimentLocked
from cloudtune.store.lease import ourselves
from cloudtune.store.log import is_experiment
from cloudtune.store.places import experiments_root
from cloudtune.store.study_place import StudyPlace

_FORMAT = 1
_SUFFIX = ".json"
_HOST, _FOLDER = "host", "folder"


class ClaimedElsewhere(ExperimentLocked):
    """The experiment has its tuner and its log on some machine; the message says on which."""


def claim_here(place: StudyPlace, name: str) -> bool:
    """Says that an experiment has its tuner on this machine; whether that was not said before.

    Args:
        place: Of the study.
        name: Of the experiment.

    Raises:
        ClaimedElsewhere: It has it on another machine.
        AwsError: S3 does not take it.
    """
    folder = experiments_root() / name
    said = {"format": _FORMAT, **ourselves(), _FOLDER: str(folder), "unix": time.time()}
    try:
        place.bucket.put(_key(place, name), json.dumps(said).encode(), if_none_match=True)
    except Conflict:
        there = _read(place, name)
        is_ours = (there.get(_HOST), there.get(_FOLDER)) == (said[_HOST], said[_FOLDER])
        if not is_ours and not is_experiment(folder):
            raise ClaimedElsewhere(why_claimed(place, name)) from None
        return False
    return True


def unclaim(place: StudyPlace, name: str) -> None:
    """Takes that back: it has not begun here after all. Raises AwsError."""
    place.bucket.delete([_key(place, name)])


def claimed(place: StudyPlace, names: Iterable[str]) -> list[str]:
    """Those of some experiments that have their tuner on some machine. Raises AwsError."""
    folder = _folder(place)
    there = {one.key[len(folder) : -len(_SUFFIX)] for one in place.bucket.list(folder)}
    return [name for name in names if name in there]


def check_unclaimed(place: StudyPlace, name: str) -> None:
    """Returns if an experiment may be launched.

    Args:
        place: Of the study.
        name: Of the experiment.

    Raises:
        ClaimedElsewhere: It has its tuner on some machine.
        AwsError: S3 does not answer.
    """
    if place.bucket.exists(_key(place, name)):
        raise ClaimedElsewhere(why_claimed(place, name))


def why_claimed(place: StudyPlace, name: str) -> str:
    """Where the tuner of an experiment is that has one on some machine, in a sentence. Raises AwsError."""
    there = _read(place, name)
    where = f"{there.get(_FOLDER, 'a folder')} on host {there.get(_HOST, 'unknown')}"
    return (
        f"experiment '{name}' was begun by a tuner that was not launched, and lies in {where}: continue it there with "
        "the command that began it, or choose another --experiment_tag; if it is gone, delete "
        f"{place.bucket.uri(_key(place, name))}"
    )


def _folder(place: StudyPlace) -> str:
    return f"{place.folder}here/"


def _key(place: StudyPlace, name: str) -> str:
    return f"{_folder(place)}{name}{_SUFFIX}"


def _read(place: StudyPlace, name: str) -> Mapping[str, Any]:
    got = place.bucket.get(_key(place, name))
    try:
        said = json.loads(got.body) if got is not None else {}
    except ValueError:  # damaged: that it is there says enough
        said = {}
    return said if isinstance(said, dict) else {}
