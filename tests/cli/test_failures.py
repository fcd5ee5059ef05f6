"""What the command says, and the code it ends with, when something is wrong."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Workplace

LIMIT = ["--max-num-trials-started", "2"]


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def assert_plain_error(stderr: str, *parts: str) -> None:
    """The last line is the error, and it names all ``parts``; nowhere is there a traceback."""
    assert "Traceback" not in stderr, stderr
    assert last_line(stderr).startswith("Error: "), stderr
    for part in parts:
        assert part in last_line(stderr), stderr


def test_without_a_limit_nothing_is_started(workplace: Workplace) -> None:
    """An experiment that would never end is refused, with the option to add."""
    done = workplace.run(*workplace.tune)
    assert done.returncode == 2
    assert_plain_error(done.stderr, "--max-wallclock-time 600")
    assert not (workplace.folder / "experiments").exists()


def test_no_suffix_needs_a_name(workplace: Workplace) -> None:
    """A name to continue under has to be chosen."""
    done = workplace.run(*workplace.tune, *LIMIT, "--no-suffix")
    assert done.returncode == 2
    assert_plain_error(done.stderr, "--name NAME")


def test_missing_script(workplace: Workplace) -> None:
    """A script that does not exist is named before anything starts."""
    done = workplace.run("tune", "absent.py", *workplace.tune[2:], *LIMIT)
    assert done.returncode == 1
    assert_plain_error(done.stderr, "absent.py")


def test_missing_config_space_file(workplace: Workplace) -> None:
    """A config space that does not exist is named."""
    (workplace.folder / "space.json").unlink()
    done = workplace.run(*workplace.tune, *LIMIT)
    assert done.returncode == 1
    assert_plain_error(done.stderr, "space.json")


def test_wrong_domain_in_the_file(workplace: Workplace) -> None:
    """A domain that does not exist is told with the file and the parameter."""
    workplace.write_space(x="gaussian(0, 1)", max_epochs=4)
    done = workplace.run(*workplace.tune, *LIMIT)
    assert done.returncode == 1
    assert_plain_error(done.stderr, "space.json", "'x'", "gaussian")


def test_too_few_workers(workplace: Workplace) -> None:
    """No worker at all is refused, naming what is wrong."""
    done = workplace.run(*workplace.tune, *LIMIT, "--n-workers", "0")
    assert done.returncode == 1
    assert_plain_error(done.stderr, "--n-workers")


def test_metric_that_the_script_never_reports(workplace: Workplace) -> None:
    """The message names the metric and what the script reports in its place; the code is not 0."""
    done = workplace.run("tune", "train.py", "--config-space", "space.json", "--metric", "accuracy", *LIMIT)
    assert done.returncode == 1
    assert_plain_error(done.stderr, "accuracy", "error")


def test_script_that_fails(workplace: Workplace) -> None:
    """More failures than allowed end the command with code 1 and the reason of the first."""
    (workplace.folder / "train.py").write_text("raise SystemExit('no such data')", encoding="utf-8")
    done = workplace.run(*workplace.tune, "--max-num-trials-started", "4")
    assert done.returncode == 1
    assert_plain_error(done.stderr, "no such data")


def test_debug_shows_the_traceback(workplace: Workplace) -> None:
    """With ``--debug`` the error comes as Python shows it."""
    workplace.write_space(x="gaussian(0, 1)", max_epochs=4)
    done = workplace.run(*workplace.tune, *LIMIT, "--debug")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "ConfigSpaceError" in last_line(done.stderr)


def test_resume_of_an_unknown_name_suggests_one(workplace: Workplace) -> None:
    """A misspelt name is answered with the one that was meant."""
    assert workplace.run(*workplace.tune, *LIMIT, "--name", "heights", "--no-suffix").returncode == 0
    done = workplace.run("resume", "hieghts")
    assert done.returncode == 1
    assert_plain_error(done.stderr, "'hieghts'", "did you mean 'heights'?")


@pytest.mark.parametrize("arguments", [["tune", "--metrc", "x"], ["tume"], ["resume"]])
def test_wrong_usage_ends_with_code_2(workplace: Workplace, arguments: list[str]) -> None:
    """What cannot be parsed is refused the way command lines do."""
    done = workplace.run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
