"""What the library says, in the words of the command line."""

from __future__ import annotations

import json
import re

import pytest

from cloudtune.cli.wording import in_options
from tests.cli.conftest import Workplace

#: The library's own words for what the command line sets by options.
PYTHON = re.compile(
    r"\b(n_workers|max_failures|max_resource_attr|(?<!max_)resource_attr|tuner_name|random_seed|grace_period|max_t|"
    r"reduction_factor|entry_point|shuffle|scheduler|Tuner\.run)\b"
)


@pytest.mark.parametrize(
    ("options", "space", "named"),
    [
        (["--n-workers", "0"], {}, "--n-workers must be at least 1, got 0"),
        (["--max-failures", "-1"], {}, "--max-failures must be 0 or more, got -1"),
        ([], {"max_epochs": None}, 'add it to the config space, for instance "max_epochs": 27 (or another, named by '),
        (
            ["--max-resource-attr", "steps"],
            {},
            "--max-resource-attr 'steps' is not in the config space, which has x, max",
        ),
        (
            ["--max-resource-attr", "steps", "--method", "random"],
            {},
            '; add it as a constant, for instance "steps": 27',
        ),
        (
            [],
            {"max_epochs": "uniform(1, 2)"},
            "'max_epochs' in the config space (--max-resource-attr) must be a positive",
        ),
        (["--grace-period", "9"], {}, "--grace-period=9 is above the maximum resource 4; choose a --grace-period of 4"),
        (["--reduction-factor", "inf"], {}, "--reduction-factor must be above 1, got inf"),
        (
            ["--method", "grid"],
            {f"p{i}": "uniform(0, 1)" for i in range(20)},
            "list fewer values, or use --method random",
        ),
        (["--name", "a_b", "--no-suffix"], {}, "'a_b' cannot be the name of an experiment"),
    ],
)
def test_what_is_refused_is_named_by_its_option(
    workplace: Workplace, options: list[str], space: dict[str, object], named: str
) -> None:
    """The one line names options, and no argument of a Python call."""
    whole = {"x": "uniform(0, 1)", "max_epochs": 4, **space}
    workplace.write_space(**{name: value for name, value in whole.items() if value is not None})
    done = workplace.run(*workplace.tune, *options, "--max-num-trials-started", "1")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert named in line
    assert not PYTHON.search(line)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--seed", "8"], "began with --seed = 7, now it is 8"),
        (["--resource-attr", "step"], 'began with --resource-attr = "epoch", now it is "step"'),
        (["--metric", "loss"], 'began with --metric = ["error"], now it is ["loss"]'),
        (["--mode", "max"], 'began with --mode = "min", now it is "max"'),
        (["--method", "random"], "began with --method = "),
        (["--method", "asha-promotion"], 'began with --method = "stopping", now it is "promotion"'),
    ],
)
def test_what_differs_is_named_by_its_option(workplace: Workplace, options: list[str], named: str) -> None:
    """A command that continues an experiment with other settings is told which, and how a new one is begun."""
    same = [*workplace.tune, "--name", "same", "--no-suffix", "--seed", "7", "--max-num-trials-started", "1"]
    if not (workplace.folder / "experiments" / "same").exists():
        assert workplace.run(*same).returncode == 0
    done = workplace.run(*same, *options)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert named in line
    assert line.endswith("; restore the old value to continue it, or choose another --name to begin a new one")
    assert not PYTHON.search(line)


def test_failures_say_how_this_experiment_goes_on(workplace: Workplace) -> None:
    """The advice after too many failures is a command that does continue it; warnings speak of options too."""
    command = ["--metric", "accuracy", "--name", "renamed", "--no-suffix", "--max-failures", "0"]
    done = workplace.run(*workplace.tune, *command, "--max-num-trials-started", "2", "--n-workers", "1")
    assert done.returncode == 1
    *_, warning, error = (line for line in done.stderr.splitlines() if line.startswith(("WARNING", "Error")))
    assert "more than --max-failures 0 allows" in error
    assert "then continue with `cloudtune resume renamed` and a higher --max-failures" in error
    for line in (warning, error):
        assert "name what it reports with --metric and --resource-attr" in line
        assert not PYTHON.search(line)
    resumed = workplace.run("resume", "renamed", "--max-failures", "9", "--json")
    assert "has no result yet" in resumed.stderr.splitlines()[-1]
    assert json.loads(workplace.run("list", "--json").stdout)[0]["trials"] == 2


def test_an_unfinished_experiment_is_offered_by_options(workplace: Workplace) -> None:
    """The line that mentions an experiment of the same name which was killed."""
    assert workplace.run(*workplace.tune, "--name", "killed", "--max-num-trials-started", "1").returncode == 0
    (folder,) = (workplace.folder / "experiments").iterdir()
    segment = folder / "log" / "000001.jsonl"
    lines = segment.read_text(encoding="utf-8").splitlines(keepends=True)
    segment.write_text("".join(lines[:-1]), encoding="utf-8")
    done = workplace.run(*workplace.tune, "--name", "killed", "--max-num-trials-started", "1")
    assert f"run `cloudtune resume {folder.name}` or begin with --name {folder.name} --no-suffix" in done.stderr


def test_what_a_training_script_has_said_is_left_alone() -> None:
    """Only whole phrases of the library are put in other words, not words that a message quotes."""
    said = "trial 0 failed: exit code 1, its output ends with: TypeError: unknown n_workers=3, max_t=9, resource_attr"
    assert in_options(said) == said


def test_a_config_space_that_is_not_there(workplace: Workplace) -> None:
    """The line says what the path is for."""
    (workplace.folder / "space.json").unlink()
    done = workplace.run(*workplace.tune, "--max-num-trials-started", "1")
    assert done.returncode == 1
    assert (
        done.stderr == "Error: space.json: No such file or directory; give the path of the config space, a JSON file\n"
    )
