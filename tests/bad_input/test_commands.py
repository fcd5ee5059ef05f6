"""Commands that ask for something impossible: refused with one line, and what is there already stays as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudtune.errors import NewerFormat
from cloudtune.experiments import load_experiment
from cloudtune.store.entries import LOG_FORMAT
from tests.bad_input import messages
from tests.bad_input.place import EARLIER, EARLIER_REPORTS, GOOD, PREAMBLE, Place

LIMIT = ("--max-num-trials-started", "2")


@dataclass(frozen=True)
class Row:
    """A command that is refused before anything starts.

    Args:
        name: Its part of messages.txt.
        thing: Words of the message that say what is wrong.
        remedy: Words of it that say what to do.
        options: More options of the command.
        space: The config space, if not the good one.
        method: The method.
    """

    name: str
    thing: str
    remedy: str
    options: tuple[str, ...] = ()
    space: dict[str, object] = field(default_factory=lambda: {"x": "uniform(0, 1)", "max_epochs": 4})
    method: str = "random"


ROWS = [
    Row(
        "config space has an unknown type, as a call",
        "space.json: config space: parameter 'x': the domain type 'gaussian' is not known",
        "use one of uniform, loguniform",
        space={"x": "gaussian(0, 1)", "max_epochs": 4},
    ),
    Row(
        "config space has an unknown type, as an object",
        "space.json: config space: parameter 'x': the domain type 'gaussian' is not known",
        "use one of uniform, loguniform",
        space={"x": {"type": "gaussian", "lower": 0, "upper": 1}, "max_epochs": 4},
    ),
    Row(
        "max_resource_attr is missing",
        "the maximum resource is not known",
        'add it to the config space, for instance "max_epochs": 27',
        space={"x": "uniform(0, 1)"},
        method="asha",
    ),
    Row(
        "max_resource_attr is not in the config space",
        "--max-resource-attr 'epochs' is not in the config space",
        "add it as a constant",
        options=("--max-resource-attr", "epochs"),
        method="asha",
    ),
    Row("config space is not there", "absent.json: No such file", "give the path", ("--config-space", "absent.json")),
    Row("n_workers is 0", "--n-workers must be at least 1, got 0", "it is how many trials run", ("--n-workers", "0")),
]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_refused(place: Place, row: Row) -> None:
    """The message names thing and remedy, the code tells, and not a byte of the experiment has changed."""
    place.write_space(**row.space)
    before = contents(place.experiments)
    done = place.run(place.tuning(*LIMIT, *row.options, method=row.method))
    messages.check(row.name, done, place)
    assert done.returncode == 1
    assert row.thing in done.stderr
    assert row.remedy in done.stderr
    assert contents(place.experiments) == before
    place.check_kept(EARLIER_REPORTS)


def test_metric_that_the_script_never_reports(place: Place) -> None:
    """The message says what the script does report. These reports are kept, although no scheduler can use them."""
    done = place.run(place.tuning(*LIMIT, "--max-failures", "0", metric="accuracy", name="other"))
    messages.check("metric is never reported", done, place)
    assert done.returncode == 1
    assert "it never reported accuracy, only epoch, error" in done.stderr
    assert "report it, or name what it reports with --metric" in done.stderr
    place.check_kept(4, "other")
    place.check_kept(EARLIER_REPORTS)


def test_metric_that_is_not_reported_until_the_limit(place: Place) -> None:
    """The same is said where the experiment ends before the script does."""
    place.write_space(x="uniform(0, 1)", max_epochs=100_000)
    command = place.tuning("--max-num-evaluations", "5", metric="accuracy", name="other")
    done = place.run(command, SECONDS_PER_EPOCH="0.02")
    messages.check("metric is not reported before the limit", done, place)
    assert done.returncode == 1
    assert "no trial has reported 'accuracy', only epoch, error" in done.stderr
    assert "report it, or name what it reports with --metric" in done.stderr
    assert place.endings("other") == ["Interrupted"]
    place.check_kept(len(place.reported(0, name="other")), "other")


def test_resource_attr_that_the_script_never_reports(place: Place) -> None:
    """ASHA cannot do without; the trial is stopped at its first report."""
    place.write("train.py", PREAMBLE + GOOD)
    command = place.tuning(*LIMIT, "--max-failures", "0", "--resource-attr", "step", method="asha", name="other")
    done = place.run(command)
    messages.check("resource_attr is never reported", done, place)
    assert done.returncode == 1
    assert "it reported no 'step' (--resource-attr), only epoch, error" in done.stderr
    assert "report it in the same call, or name what it reports with --resource-attr" in done.stderr
    place.check_kept(len(place.reported(0, name="other")), "other")


def test_experiment_of_a_newer_version(place: Place) -> None:
    """Tuning, resuming, listing and loading refuse it, name both versions, and leave it alone."""
    segment = place.experiments / EARLIER / "log" / "000001.jsonl"
    original = segment.read_bytes()
    first, rest = original.split(b"\n", 1)
    newer = {**json.loads(first), "format": LOG_FORMAT + 1, "version": "99.0"}
    segment.write_bytes(json.dumps(newer).encode() + b"\n" + rest)
    before = contents(place.experiments)
    for name, command, code in (
        ("tune", place.tuning(*LIMIT), 1),
        ("tune --takeover", place.tuning(*LIMIT, "--takeover"), 1),
        ("resume", place.command("resume", EARLIER), 1),
        ("list", place.command("list"), 0),
    ):
        done = place.run(command)
        messages.check(f"experiment was written by a newer version, {name}", done, place)
        assert done.returncode == code
        assert "was written by cloudtune 99.0" in done.stderr
        assert "pip install --upgrade cloudtune" in done.stderr
        assert contents(place.experiments) == before
    with pytest.raises(NewerFormat, match=r"written by cloudtune 99\.0"):
        load_experiment(str(place.experiments / EARLIER))
    segment.write_bytes(original)
    place.check_kept(EARLIER_REPORTS)
