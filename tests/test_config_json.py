"""Scripts that take their configuration as a JSON file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from cloudtune.config_json import add_config_json_to_argparse, load_config_json


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_config_json_to_argparse(parser)
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--data", default="here")
    return parser.parse_args(arguments)


def test_the_file_counts_over_the_defaults(tmp_path: Path) -> None:
    """Types arrive as they were, None and nested values included; what the file lacks comes from the arguments."""
    config = {"lr": 0.1, "widths": [64, 64], "warm": None, "flags": {"x": True}, "text": "a b\nü"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    args = parse("--st_config_json_filename", str(path))
    assert load_config_json(args) == load_config_json(vars(args)) == {**config, "data": "here"}
    assert args.st_config_json_filename == str(path)


def test_without_a_file_the_arguments_are_the_configuration() -> None:
    """The same script takes its configuration from the command line, or is started by hand."""
    assert load_config_json(parse("--lr", "0.25")) == {"lr": 0.25, "data": "here"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"lr": ', r"config\.json is not JSON \(.*\); correct the file"),
        ("[1, 2]", r"config\.json holds a JSON list; it must be an object of names and values"),
    ],
)
def test_a_wrong_file_is_told_by_name(text: str, message: str, tmp_path: Path) -> None:
    """The message names the file and what is wrong with it."""
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_config_json({"st_config_json_filename": str(path)})


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    """Nothing else is made of a file that is not there."""
    with pytest.raises(FileNotFoundError, match="absent"):
        load_config_json({"st_config_json_filename": str(tmp_path / "absent")})
