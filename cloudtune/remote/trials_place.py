"""Where the trials of an experiment are, as the beginning of its log says: the whole of a long log takes a while."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.entries import EXPERIMENT, PLACE, SUGGEST
from cloudtune.store.s3_segments import LogKeys

#: So many segments are read at first, and at most at once. The first ones hold what is written before the first trial,
#: unless several tuners have ended before they had begun.
_FIRST, _MOST = 4, 256


def place_of_trials(place: TunerPlace) -> str:
    """``s3://bucket/prefix`` of the trials; "" while none is noted. What is damaged is passed over.

    Args:
        place: Of the experiment.

    Raises:
        AwsError: S3 cannot be read.
    """
    beside_the_log = ""
    for entry in _entries(place):
        if entry.get("event") == EXPERIMENT:
            beside_the_log = place.bucket.uri(place.root + entry["experiment_id"])
        elif entry.get("event") == PLACE:
            return str(entry["trials_at"].get("place", beside_the_log))
        elif entry.get("event") == SUGGEST and beside_the_log:
            break  # of a log that notes no place
    return beside_the_log


def _entries(place: TunerPlace) -> Iterator[dict[str, Any]]:
    first, count = 1, _FIRST
    while True:
        keys = [LogKeys(place.root).segment(number) for number in range(first, first + count)]
        got = place.bucket.get_many(keys)
        if not got:
            return
        for line in itertools.chain.from_iterable(got[key].body.splitlines() for key in keys if key in got):
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # it is damaged, which the tuner tells of
            if isinstance(entry, dict):
                yield entry
        first, count = first + count, min(4 * count, _MOST)
