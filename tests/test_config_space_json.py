"""Config spaces as JSON and in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cloudtune.config_space import (
    ConfigSpaceError,
    Domain,
    choice,
    config_space_from_file,
    config_space_from_json,
    config_space_to_json,
    domain_from_json,
    finrange,
    loguniform,
    ordinal,
    parse_domain,
    randint,
    uniform,
)
from tests.config_space_strategies import domains, spaces


@given(domain=domains)
def test_every_domain_comes_back_from_json(domain: Domain) -> None:
    """The log of an experiment holds the config space exactly."""
    again = domain_from_json(json.loads(json.dumps(domain.to_json())))
    assert again == domain
    assert type(again) is type(domain)


@given(space=spaces)
def test_every_space_comes_back_from_json_in_order(space: dict[str, Any]) -> None:
    """Constants too, whatever they look like, and in the order in which encodings and rows count."""
    again = config_space_from_json(json.loads(json.dumps(config_space_to_json(space), allow_nan=False)))
    assert again == space
    assert list(again) == list(space)


@pytest.mark.parametrize(
    "constant", [{"type": "uniform", "lower": 0, "upper": 1}, "uniform(0, 1)", {"type": "x"}, {}, "f(x)"]
)
def test_a_constant_that_looks_like_a_domain_stays_a_constant(constant: Any, tmp_path: Path) -> None:
    """Neither in the log nor in a file does a constant dictionary or string turn into a domain."""
    space = {"a": constant, "b": uniform(0, 1)}
    assert config_space_from_json(config_space_to_json(space)) == space
    (tmp_path / "space.json").write_text(json.dumps(config_space_to_json(space)))
    assert config_space_from_file(tmp_path / "space.json") == space


def test_a_file_may_be_concise(tmp_path: Path) -> None:
    """Domains as one writes them in Python, beside dictionaries and constants."""
    path = tmp_path / "space.json"
    path.write_text(
        """{
            "lr": "loguniform(1e-4, 1)",
            "width": " randint( lower=16, upper=512 ) ",
            "activation": "choice(['relu', 'tanh'])",
            "size": "ordinal([1, 2, 4], kind='equal')",
            "rate": {"type": "finrange", "lower": -1, "upper": 1, "size": 5},
            "epochs": 9,
            "name": "a (plain) text",
            "tags": ["x", "y"],
            "options": {"type": "constant", "value": {"a": 1}}
        }"""
    )
    assert config_space_from_file(str(path)) == {
        "lr": loguniform(1e-4, 1),
        "width": randint(16, 512),
        "activation": choice(["relu", "tanh"]),
        "size": ordinal([1, 2, 4], kind="equal"),
        "rate": finrange(-1, 1, 5),
        "epochs": 9,
        "name": "a (plain) text",
        "tags": ["x", "y"],
        "options": {"a": 1},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"lr": "logunifrom(1e-4, 1)"}',
            "parameter 'lr': the domain type 'logunifrom' is not known; use one of uniform,",
        ),
        ('{"lr": {"type": "normal", "mean": 0}}', "parameter 'lr': the domain type 'normal' is not known; use one of"),
        ('{"lr": {"type": ["a"]}}', "parameter 'lr': the domain type ['a'] is not known; use one of"),
        (
            '{"lr": "loguniform(0, 1)"}',
            "parameter 'lr': loguniform(0, 1): the lower bound must be above 0; use uniform",
        ),
        ('{"lr": {"type": "uniform", "lower": 1, "upper": 0}}', "parameter 'lr': uniform(1, 0): the range is empty"),
        ('{"lr": "uniform(0)"}', "parameter 'lr': the arguments of uniform are wrong: it missing"),
        ('{"lr": {"type": "uniform", "low": 0, "high": 1}}', "parameter 'lr': the arguments of uniform are wrong"),
        ('{"lr": {"lower": 0, "upper": 1}}', "parameter 'lr' is a dictionary without \"type\"; write"),
        (
            '{"lr": {"type": "constant", "valu": 1}}',
            'the constant \'lr\' must have exactly the keys "type" and "value"',
        ),
        ('{"lr": "uniform(0, __import__(\'os\').getpid())"}', "is not a domain with plain values; write one like"),
        ('{"lr": "uniform(0, 1) + f(2)"}', "is not a domain; write one like loguniform(1e-4, 1)"),
        ('{"lr": "uniform(*[0, 1])"}', "is not a domain with plain values; write one like loguniform(1e-4, 1)"),
        ('{"lr": "uniform(0, 1"}\n{', "line 2 is not JSON"),
        ('{"lr": 1, "lr": 2}', "config space: 'lr' stands there twice; keep one of the two"),
        ('{"st_a": 1}', "config space: the parameter name 'st_a' begins with 'st_'"),
        ('{"lr": NaN}', "config space: parameter 'lr' is nan, which is not finite"),
        ("[1]", "config space: it must be a JSON object of parameter names, not list"),
    ],
)
def test_a_wrong_file_is_refused_naming_file_and_parameter(text: str, message: str, tmp_path: Path) -> None:
    """A mistake in a file is told with the file, the parameter and the remedy; nothing in it is executed."""
    path = tmp_path / "space.json"
    path.write_text(text)
    with pytest.raises(ConfigSpaceError) as caught:
        config_space_from_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_missing_file_is_told_as_such(tmp_path: Path) -> None:
    """The name of the file that is not there is in the error."""
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        config_space_from_file(tmp_path / "absent.json")


@pytest.mark.parametrize("text", ["", "uniform", "1", "a.uniform(0, 1)", "(lambda: 1)()", "uniform(0, x)", "(" * 500])
def test_only_a_constructor_with_literals_is_a_domain(text: str) -> None:
    """Parsing accepts no names, no attributes, no expressions."""
    with pytest.raises(ConfigSpaceError):
        parse_domain(text)
