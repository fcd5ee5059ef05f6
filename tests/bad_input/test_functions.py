"""Functions that PythonBackend cannot run, or that go wrong when it does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.bad_input import messages
from tests.bad_input.place import EARLIER_REPORTS, Place

TUNE = """
import logging
import os

from cloudtune import Reporter, StoppingCriterion, Tuner
from cloudtune.backend import PythonBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
space = {"x": uniform(0, 1), "max_epochs": 4}
FUNCTION
Tuner(
    trial_backend=PythonBackend(tune_function=train, config_space=space),
    scheduler=RandomSearch(space, metric="error", random_seed=1),
    stop_criterion=StoppingCriterion(max_num_trials_started=1),
    n_workers=1,
    max_failures=0,
    tuner_name="functions",
    suffix_tuner_name=False,
).run()
"""


@dataclass(frozen=True)
class Row:
    """One kind of bad function.

    Args:
        name: Its part of messages.txt.
        function: Its source.
        thing: Words of the message that say what is wrong.
        remedy: Words of it that say what to do.
        reports: How many of its reports are kept; None: no experiment is begun.
    """

    name: str
    function: str
    thing: str
    remedy: str
    reports: int | None = None


def begins_well(rest: str) -> str:
    """A function that reports once, and then does something else."""
    return f"def train(x, max_epochs):\n    report = Reporter()\n    report(epoch=1, error=x)\n    {rest}\n"


ROWS = [
    Row(
        "function reports None",
        begins_well("report(epoch=2, error=None)"),
        "the value of 'error' in a report is None",
        "report a number, or leave the key out",
        reports=1,
    ),
    Row("function raises", begins_well("open('absent.csv')"), "absent.csv", "see ", reports=1),
    Row("function ends its process", begins_well("os._exit(3)"), "exit code 3", "Remove the cause", reports=1),
    Row(
        "function ends without a report",
        "def train(x, max_epochs):\n    return x",
        "it ended without a report",
        "call report(error=...)",
        reports=0,
    ),
    Row(
        "function has a parameter that is not in the config space",
        "def train(x, max_epochs, width):\n    pass",
        "function 'train' has the parameter 'width', which is not in the config space",
        "add it there, or give it a default",
    ),
    Row(
        "function lacks a parameter of the config space",
        "def train(x):\n    pass",
        "function 'train' has no parameter 'max_epochs', which is in the config space",
        "add it to the function, or remove it from the config space",
    ),
    Row(
        "function refers to something that cannot be sent",
        "batches = (i for i in range(9))\ndef train(x, max_epochs):\n    return next(batches)",
        "batches",
        "",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_bad_function(place: Place, row: Row) -> None:
    """The message names thing and remedy, the code tells, nothing runs on, and every report is kept."""
    place.write("tune.py", TUNE.replace("FUNCTION", row.function))
    done = place.run(place.program())
    messages.check(row.name, done, place)
    assert done.returncode == 1
    assert row.thing in done.stderr.splitlines()[-1]
    assert row.remedy in done.stderr.splitlines()[-1]
    place.check_nothing_left("functions")
    place.check_kept(EARLIER_REPORTS)
    if row.reports is None:
        assert not (place.experiments / "functions").exists()
    else:
        place.check_kept(row.reports, "functions")
        assert place.endings("functions") == ["Failed"]


def test_metrics_that_are_reported_one_by_one(place: Place) -> None:
    """Each metric in a report of its own: the message shows the one call that has all of them."""
    function = "def train(x, max_epochs):\n    report = Reporter()\n    report(error=x)\n    report(seconds=1.0)\n"
    place.write("tune.py", TUNE.replace("FUNCTION", function).replace('"error"', '["error", "seconds"]'))
    done = place.run(place.program())
    messages.check("function reports its metrics one by one", done, place)
    assert done.returncode == 1
    assert "it reported error, seconds, but never together" in done.stderr
    assert "put them into one report: report(error=..., seconds=...)" in done.stderr
    place.check_kept(2, "functions")
