"""``cloudtune blackbox``: published tables made ready for the simulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudtune.blackbox import TabularBlackbox, load_blackbox
from cloudtune.blackbox.converters import CONVERTERS, converter
from cloudtune.blackbox.converters.published import Source
from cloudtune.cli import main
from tests.blackbox.converters import test_taskset


def run(*arguments: str | Path) -> Result:
    """Runs the command."""
    return CliRunner().invoke(main, ["blackbox", *map(str, arguments)])


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A file of TaskSet with one training."""
    file = tmp_path / "rnn 64.json"
    file.write_text(json.dumps([test_taskset.run(0, [0.7, 0.5, 0.25])]))
    return file


@pytest.mark.parametrize("command", [[], ["convert"]])
def test_the_commands_explain_themselves(command: list[str]) -> None:
    """``--help`` shows how the command is typed."""
    help_text = run(*command, "--help")
    assert help_text.exit_code == 0
    assert "Example:\n    cloudtune blackbox convert" in help_text.output


def test_converted_table_is_known_by_name(task: Path) -> None:
    """Without a word about where, the table becomes a blackbox that is found by its name."""
    done = run("convert", "taskset", task, "--seconds-per-step", "30")
    assert done.exit_code == 0, done.output
    assert "taskset-rnn-64: 1 configurations x 1 seeds, step 1 to 2; valid_loss, test_loss" in done.output
    blackbox = load_blackbox("taskset-rnn-64")
    assert isinstance(blackbox, TabularBlackbox)
    assert blackbox.curve_at(0).elapsed == [30.0, 60.0]


def test_tables_go_where_they_are_wanted(task: Path, tmp_path: Path) -> None:
    """``--out`` names a folder, which is made."""
    done = run("convert", "taskset", task.parent, "--out", tmp_path / "new" / "tables", "--dataset", "rnn 64")
    assert done.exit_code == 0, done.output
    assert TabularBlackbox.load(tmp_path / "new" / "tables" / "taskset-rnn-64.npz").num_configs == 1


def test_mistakes_are_told_in_one_line(task: Path, tmp_path: Path) -> None:
    """A missing file is named with its place; an option of another source is refused, not passed over."""
    missing = run("convert", "lcbench", tmp_path / "absent.zip")
    assert missing.exit_code == 1
    assert "download six_datasets_lw.zip" in missing.output
    assert "Traceback" not in missing.output
    other = run("convert", "lcbench", task, "--seconds-per-step", "30")
    assert other.exit_code == 2
    assert "--seconds-per-step says nothing about lcbench" in other.output
    for seconds in ("nan", "inf"):
        wrong = run("convert", "taskset", task, "--seconds-per-step", seconds)
        assert wrong.exit_code == 2
        assert f"{seconds} is no finite number; give seconds, such as 30" in wrong.output
        assert "download" not in wrong.output


def test_every_converter_is_there() -> None:
    """Each name leads to a module that says what it converts; another is refused with those there are."""
    for name in CONVERTERS:
        assert isinstance(converter(name).SOURCE, Source)
    with pytest.raises(ValueError, match="no converter 'nasbench101'; choose one of fcnet, lcbench"):
        converter("nasbench101")
