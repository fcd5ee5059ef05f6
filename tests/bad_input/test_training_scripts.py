"""Training scripts that are wrong: each is the second trial of an experiment that has the reports of its first."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from tests.bad_input import messages
from tests.bad_input.place import EARLIER_REPORTS, PREAMBLE, Place


@dataclass(frozen=True)
class Row:
    """One kind of bad script.

    Args:
        name: Its part of messages.txt.
        script: What is in train.py; None: there is no such file.
        thing: Words of the message that say what is wrong.
        remedy: Words of it that say what to do.
        reports: How many of its reports count.
        code: Exit code of the command.
        trial: How its trial ends; None: none is started.
    """

    name: str
    script: str | bytes | None
    thing: str
    remedy: str
    reports: int = 0
    code: int = 1
    trial: str | None = "Failed"


def begins_well(rest: str) -> str:
    """A script that reports once, and then does something else."""
    return f"{PREAMBLE}report(epoch=1, error=0.5)\n{rest}"


ROWS = [
    Row("script does not exist", None, "there is no file", "give the path of the training script", trial=None),
    Row("script is not Python", "this is no Python (", "SyntaxError", "see "),
    Row("script is binary", b"\x7fELF\x02\x01\x00\x00\xff\xfe\n" * 50, "its output ends with", "see "),
    Row(
        "script prints garbage",
        begins_well(
            "sys.stdout.buffer.write(os.urandom(5000) + b'\\n[tune-metric]: {\\n[tune-metric]: {\"error\": }\\n')\n"
            "sys.stdout.flush()\n"
            "report(epoch=2, error=0.4)\n"
        ),
        "",
        "",
        reports=2,
        code=0,
        trial="Completed",
    ),
    Row(
        "script writes garbage into its report file",
        begins_well(
            "with open(os.environ['CLOUDTUNE_REPORT_FILE'], 'ab') as file:\n"
            "    file.write(b'{broken\\n\\xff\\xfe\\n[1]\\n')\n"
            "report(epoch=2, error=0.4)\n"
        ),
        "skipped a line that is not a report",
        "write to this file through the Reporter only",
        reports=2,
        code=0,
        trial="Completed",
    ),
    Row(
        "script reports None",
        begins_well("report(epoch=2, error=None)"),
        "the value of 'error' in a report is None",
        "report a number, or leave the key out",
        reports=1,
    ),
    Row(
        "script reports a reserved key",
        begins_well("report(epoch=2, error=0.4, st_decision='STOP')"),
        "the key 'st_decision' in a report begins with 'st_'",
        "rename it",
        reports=1,
    ),
    Row(
        "script reports something that is no number",
        begins_well("report(epoch=2, error='low')\ntime.sleep(600)"),
        "it reported error='low', which is not a number",
        "report a float or an int",
        reports=2,
    ),
    Row(
        "script ends without a report",
        PREAMBLE,
        "it ended without a report",
        "call report(error=...) in the training script",
    ),
    Row(
        "script writes 100 MB and fails",
        begins_well(
            "for _ in range(100):\n"
            "    sys.stdout.write('reading batch after batch\\n' * 40_000)\n"
            "print('the data set has no batch left')\n"
            "sys.exit(7)\n"
        ),
        "exit code 7, its output ends with: the data set has no batch left",
        "see ",
        reports=1,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_bad_script(place: Place, row: Row) -> None:
    """The message names thing and remedy, the code tells, nothing runs on, and every report is kept."""
    if row.script is None:
        (place.folder / "train.py").unlink()
    else:
        place.write("train.py", row.script)
    done = place.run(place.tuning("--max-num-trials-started", "2", "--max-failures", "0"))
    messages.check(row.name, done, place)
    assert done.returncode == row.code
    assert row.thing in done.stderr
    assert row.remedy in done.stderr
    assert ("Error: " in done.stderr) == (row.code != 0)
    place.check_kept(EARLIER_REPORTS + row.reports)
    place.check_nothing_left()
    assert place.endings() == ["Completed", *([row.trial] if row.trial else [])]
    output = place.experiments / "kept" / "trials" / "1" / "std.out"
    if output.exists() and output.stat().st_size > 10**6:
        assert output.stat().st_size > 100 * 10**6
        os.truncate(output, 0)  # pytest keeps the folders of some runs


def test_metric_and_epoch_that_are_reported_one_by_one(place: Place) -> None:
    """The report of the metric lacks the epoch: the message asks for both in the same call."""
    place.write("train.py", PREAMBLE + "report(epoch=1)\nreport(error=0.5)")
    limits = ("--max-num-trials-started", "1", "--max-failures", "0")
    done = place.run(place.tuning(*limits, method="asha", name="apart"))
    messages.check("script reports metric and epoch one by one", done, place)
    assert done.returncode == 1
    assert "it reported no 'epoch' (--resource-attr), only error; report it in the same call, or name" in done.stderr


def test_failed_script_is_continued_as_the_message_says(place: Place) -> None:
    """With the cause removed and a higher --max-failures, the same command continues."""
    place.write("train.py", begins_well("sys.exit('no such data')"))
    command = place.tuning("--max-num-trials-started", "2", "--max-failures", "0")
    assert place.run(command).returncode == 1
    place.write("train.py", begins_well("report(epoch=2, error=0.4)"))
    again = place.run(command)
    assert again.returncode == 1
    assert "continue with `cloudtune resume kept` and a higher --max-failures" in again.stderr
    done = place.run([*command, "--max-failures", "1", "--max-num-trials-started", "3"])
    assert done.returncode == 0, done.stderr
    place.check_kept(EARLIER_REPORTS + 1 + 2)


def test_no_trial_succeeds(place: Place) -> None:
    """With fewer failures than allowed but no result, the message says why the first trial failed."""
    place.write("train.py", "raise SystemExit('no such data')")
    done = place.run(place.tuning("--max-num-trials-started", "1", name="failed"))
    messages.check("script fails in every trial", done, place)
    assert done.returncode == 1
    assert "has no result yet: trial 0 failed: exit code 1, its output ends with: no such data; see " in done.stderr
    assert place.endings("failed") == ["Failed"]


def test_script_that_never_reports_and_runs_on(place: Place) -> None:
    """At the limit the trial is stopped; the message says that nothing was reported, and how to report."""
    place.write("train.py", "import time\ntime.sleep(600)")
    done = place.run(place.tuning("--max-wallclock-time", "1", name="silent"))
    messages.check("script never reports and runs on", done, place)
    assert done.returncode == 1
    assert "no trial has reported anything so far" in done.stderr
    assert "call report(error=...) in the training script" in done.stderr
    assert place.endings("silent") == ["Interrupted"]
    place.check_kept(0, "silent")
    place.check_kept(EARLIER_REPORTS)
    place.check_nothing_left("silent")


def test_metric_that_is_never_a_number(place: Place) -> None:
    """NaN and infinity are reports like others, but no result; the message does not ask for what was reported."""
    place.write("train.py", PREAMBLE + "report(epoch=1, error=float('nan'))\nreport(epoch=2, error=float('inf'))")
    done = place.run(place.tuning("--max-num-trials-started", "1", name="nan"))
    messages.check("script reports the metric only as NaN and infinity", done, place)
    assert done.returncode == 1
    assert "no value of 'error' so far is a finite number" in done.stderr
    assert "look in the training script" in done.stderr
    place.check_kept(2, "nan")
