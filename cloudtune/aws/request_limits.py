"""AWS's limits on a CreateTrainingJob request, checked before it is sent: its own messages name neither key nor remedy.

They stand in the `API reference <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>`_.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_HYPERPARAMETERS = 100
LONGEST_HYPERPARAMETER_NAME = 256
LONGEST_HYPERPARAMETER = 2500
MOST_VARIABLES = 100
LONGEST_VARIABLE = 512
MOST_TAGS = 50
LONGEST_TAG_KEY = 128
LONGEST_TAG = 256
MOST_CHANNELS = 20
MOST_METRICS = 40
LONGEST_METRIC_NAME = 255
LONGEST_METRIC_REGEX = 500

_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_CHANNEL = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
#: Line ends as AWS's ``.`` has them, which hyperparameters must not hold.
_LINE_END = re.compile("[\n\r\u0085\u2028\u2029]")


def first_problem(request: Mapping[str, Any]) -> str | None:
    """One sentence on the first limit that a request breaks; None if AWS's limits hold."""
    return (
        _problem_of_name(request.get("TrainingJobName"))
        or _problem_of_hyperparameters(request.get("HyperParameters") or {})
        or _problem_of_environment(request.get("Environment") or {})
        or _problem_of_tags(request.get("Tags") or ())
        or _problem_of_channels(request.get("InputDataConfig") or ())
        or _problem_of_metrics((request.get("AlgorithmSpecification") or {}).get("MetricDefinitions") or ())
    )


def is_allowed_in_tag(character: str) -> bool:
    """Whether a tag's key or value may hold this character: letters, digits, spaces and ``_.:/=+-@``."""
    return character in "_.:/=+-@" or unicodedata.category(character)[0] in "LZN"


def _problem_of_name(name: str | None) -> str | None:
    if name is not None and not (len(name) <= 63 and _JOB_NAME.fullmatch(name)):
        return f"the job name {name!r} is not one of at most 63 letters, digits and inner dashes; shorten it"
    return None


def _problem_of_hyperparameters(given: Mapping[str, str]) -> str | None:
    if len(given) > MOST_HYPERPARAMETERS:
        return (
            f"the job has {len(given)} hyperparameters and AWS allows {MOST_HYPERPARAMETERS} (those of its SDKs "
            "included); drop keep_own_entry, then the configuration travels in a file"
        )
    for name, value in given.items():
        if len(name) > LONGEST_HYPERPARAMETER_NAME:
            return (
                f"the name of the hyperparameter {name[:40] + '...'!r} has {len(name)} characters and AWS allows "
                f"{LONGEST_HYPERPARAMETER_NAME}; rename it"
            )
        if len(value) > LONGEST_HYPERPARAMETER:
            return (
                f"the value of the hyperparameter {name!r} has {len(value)} characters and AWS allows "
                f"{LONGEST_HYPERPARAMETER}; shorten it, or drop keep_own_entry, then the configuration travels in a "
                "file"
            )
        if _LINE_END.search(name) or _LINE_END.search(value):
            return (
                f"the hyperparameter {name!r} holds a line end, which AWS refuses; take it out, or drop "
                "keep_own_entry, then the configuration travels in a file"
            )
    return None


def _problem_of_environment(given: Mapping[str, str]) -> str | None:
    if len(given) > MOST_VARIABLES:
        return f"the job has {len(given)} environment variables, cloudtune's included, and AWS allows {MOST_VARIABLES}"
    for name, value in given.items():
        if not isinstance(value, str):
            return f"the environment variable {name!r} must be a string, got {value!r}"
        if not _VARIABLE.fullmatch(name):
            return f"the environment variable {name!r} must be named with letters, digits and underscores; rename it"
        if max(len(name), len(value)) > LONGEST_VARIABLE:
            return (
                f"the environment variable {name[:80]!r} has {max(len(name), len(value))} characters and AWS allows "
                f"{LONGEST_VARIABLE}; put what is in it into a file of the source"
            )
    return None


def _problem_of_tags(tags: Sequence[Mapping[str, str]]) -> str | None:
    if len(tags) > MOST_TAGS:
        return f"the job has {len(tags)} tags, cloudtune's included, and AWS allows {MOST_TAGS}; drop some"
    for tag in tags:
        key, value = tag["Key"], tag["Value"]
        if not isinstance(value, str):
            return f"the value of the tag {key!r} must be a string, got {value!r}"
        if not 1 <= len(key) <= LONGEST_TAG_KEY or len(value) > LONGEST_TAG:
            return (
                f"the tag {key[:80]!r} has a key of {len(key)} and a value of {len(value)} characters, and AWS allows "
                f"{LONGEST_TAG_KEY} and {LONGEST_TAG}; shorten it"
            )
        odd = [character for character in key + value if not is_allowed_in_tag(character)]
        if odd:
            return f"the tag {key!r} holds {odd[0]!r}; AWS allows letters, digits, spaces and _.:/=+-@ in tags"
        if key.lower().startswith("aws:"):
            return f"the tag {key!r} begins with aws:, which only AWS may use; rename it"
    twice = _first_double(tag["Key"] for tag in tags)
    return None if twice is None else f"the tag {twice!r} is given twice; drop one"


def _problem_of_channels(channels: Sequence[Mapping[str, Any]]) -> str | None:
    if len(channels) > MOST_CHANNELS:
        return f"the job has {len(channels)} input channels, cloudtune's two included, and AWS allows {MOST_CHANNELS}"
    for channel in channels:
        if not _CHANNEL.fullmatch(channel["ChannelName"]):
            return (
                f"the input channel {channel['ChannelName']!r} must be named with at most 64 letters, digits, dots, "
                "dashes and underscores; rename it"
            )
    twice = _first_double(channel["ChannelName"] for channel in channels)
    return None if twice is None else f"the input channel {twice!r} is given twice; rename one"


def _problem_of_metrics(definitions: Sequence[Mapping[str, str]]) -> str | None:
    if len(definitions) > MOST_METRICS:
        return f"the job has {len(definitions)} metric definitions and AWS allows {MOST_METRICS}; drop some"
    for definition in definitions:
        if set(definition) != {"Name", "Regex"}:
            return f"a metric definition has a Name and a Regex and nothing else, got {dict(definition)!r}"
        name, regex = definition["Name"], definition["Regex"]
        if not 1 <= len(name) <= LONGEST_METRIC_NAME or not 1 <= len(regex) <= LONGEST_METRIC_REGEX:
            return (
                f"the metric definition {name[:80]!r} has a name of {len(name)} and a regular expression of "
                f"{len(regex)} characters, and AWS allows 1 to {LONGEST_METRIC_NAME} and 1 to {LONGEST_METRIC_REGEX}"
            )
    return None


def _first_double(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
