"""``cloudtune list`` and the help texts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import Workplace


@pytest.mark.parametrize("command", [[], ["tune"], ["resume"], ["list"]])
def test_every_command_explains_itself_with_an_example(workplace: Workplace, command: list[str]) -> None:
    """``--help`` ends well and shows how the command is typed."""
    done = workplace.run(*command, "--help")
    assert done.returncode == 0
    assert "Example:" in done.stdout
    assert f"cloudtune {' '.join(command)}".strip() in done.stdout.partition("Example:")[2]


def test_help_imports_nothing_heavy() -> None:
    """The help text is there at once because nothing that computes is imported for it."""
    program = (
        "import sys; from cloudtune.cli import main; main(['tune', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'rich', 'boto3', 'dill', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_list_of_no_experiments_says_where_it_looked(workplace: Workplace) -> None:
    """An empty list is no error; its JSON form is an empty array."""
    done = workplace.run("list")
    assert done.returncode == 0
    assert done.stdout.strip() == f"there are no experiments in {workplace.folder / 'experiments'}"
    assert json.loads(workplace.run("list", "--json").stdout) == []


def test_list_tells_how_experiments_stand(workplace: Workplace) -> None:
    """Finished and killed experiments are told apart, each with its counts and its best value."""
    told = {}
    for name, trials in (("first", "2"), ("second", "3")):
        options = ["--name", name, "--no-suffix", "--max-num-trials-started", trials, "--method", "random", "--json"]
        done = workplace.run(*workplace.tune, *options)
        assert done.returncode == 0, done.stderr
        told[name] = json.loads(done.stdout)
    segment = workplace.folder / "experiments" / "second" / "log" / "000001.jsonl"
    lines = segment.read_text(encoding="utf-8").splitlines(keepends=True)
    assert json.loads(lines[-1])["event"] == "finish"
    segment.write_text("".join(lines[:-1]), encoding="utf-8")

    listed = json.loads(workplace.run("list", "--json").stdout)
    assert [row["name"] for row in listed] == ["first", "second"]
    assert [row["state"] for row in listed] == ["finished", "unfinished"]
    for row in listed:
        assert row["trials"] == told[row["name"]]["trials_started"]
        assert row["reports"] == told[row["name"]]["reports"]
        assert row["best"] == told[row["name"]]["best"]["value"]
        assert row["metric"] == "error"
    table = workplace.run("list").stdout.splitlines()
    assert table[0].split()[:2] == ["name", "state"]
    assert table[1].startswith("first")
    assert table[2].startswith("second")


@pytest.mark.parametrize("state", ["finished", "interrupted", "failed"])
def test_list_tells_how_an_experiment_ended(workplace: Workplace, state: str) -> None:
    """The state is what the log's last entry says, until a tuner continues the experiment."""
    named = ["--name", "ended", "--no-suffix", "--max-num-trials-started", "1"]
    assert workplace.run(*workplace.tune, *named).returncode == 0
    segment = workplace.folder / "experiments" / "ended" / "log" / "000001.jsonl"
    *before, last = segment.read_text(encoding="utf-8").splitlines(keepends=True)
    segment.write_text("".join(before) + json.dumps({**json.loads(last), "state": state}) + "\n", encoding="utf-8")
    (listed,) = json.loads(workplace.run("list", "--json").stdout)
    assert listed["state"] == state
    assert workplace.run("list").stdout.splitlines()[1].split()[:2] == ["ended", state]
    assert workplace.run("resume", "ended", "--no-plot").returncode == 0
    (listed,) = json.loads(workplace.run("list", "--json").stdout)
    assert listed["state"] == "finished"


def test_a_damaged_experiment_hides_no_other(workplace: Workplace) -> None:
    """A log that cannot be read is named on standard error, and the rest is listed."""
    for name in ("good", "newer"):
        options = ["--name", name, "--no-suffix", "--max-num-trials-started", "1"]
        assert workplace.run(*workplace.tune, *options).returncode == 0
    segment = workplace.folder / "experiments" / "newer" / "log" / "000001.jsonl"
    head, _, rest = segment.read_text(encoding="utf-8").partition("\n")
    segment.write_text(json.dumps({**json.loads(head), "format": 999}) + "\n" + rest, encoding="utf-8")
    done = workplace.run("list", "--json")
    assert [row["name"] for row in json.loads(done.stdout)] == ["good"]
    assert "newer is left out" in done.stderr
