"""Names of experiments and where they live."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.store.local_store import LocalStore
from cloudtune.store.places import (
    MAX_NAME_LENGTH,
    experiment_path,
    experiments_root,
    latest_unfinished,
    new_experiment_id,
    suffixed_name,
    validate_name,
)

NAMES = st.from_regex(r"[a-zA-Z0-9](-{0,2}[a-zA-Z0-9]){0,20}", fullmatch=True)


def test_the_root_is_the_environment_s_or_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """CLOUDTUNE_FOLDER counts, with ~ for the home; without it experiments live in ~/cloudtune."""
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("CLOUDTUNE_FOLDER", "~/mine")
    assert experiments_root() == Path("/somewhere/mine")
    assert experiment_path("abc") == Path("/somewhere/mine/abc")
    monkeypatch.delenv("CLOUDTUNE_FOLDER")
    assert experiments_root() == Path("/somewhere/cloudtune")


@pytest.mark.parametrize("name", ["a", "A1", "my-experiment", "a--b", "x" * 63])
def test_valid_names(name: str) -> None:
    """Letters, digits and dashes, up to 63, with a letter or digit at both ends."""
    assert validate_name(name) == name


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("", "experiment"),
        ("my_experiment", "my-experiment"),
        ("../up", "up"),
        ("a/b c", "a-b-c"),
        ("-a-", "a"),
        ("a\n", "a"),
        ("é", "experiment"),
        ("x" * 64, "x" * 63),
        ("a" + "-" * 70 + "b", "a-b"),
    ],
)
def test_invalid_names_come_with_a_valid_one(name: str, similar: str) -> None:
    """The message names what was wrong and suggests a name that would do."""
    with pytest.raises(ValueError, match=f"for example '{similar}'") as error:
        validate_name(name)
    assert repr(name) in str(error.value)
    assert validate_name(similar) == similar


@given(st.text(max_size=100))
def test_every_suggestion_is_valid(name: str) -> None:
    """Whatever was typed, the name in the error is one that is accepted."""
    try:
        validate_name(name)
    except ValueError as error:
        similar = str(error).rpartition("for example ")[2].strip("'")
        assert validate_name(similar) == similar


def test_the_suffix_is_the_time_in_utc() -> None:
    """Year to millisecond, whatever the time zone of the machine."""
    assert suffixed_name("demo", 1_700_000_000.9994) == "demo-2023-11-14-22-13-20-999"
    assert suffixed_name("demo", 0.0) == "demo-1970-01-01-00-00-00-000"


@given(NAMES, st.floats(min_value=0, max_value=4e9))
def test_suffixed_names_are_valid_names(base: str, moment: float) -> None:
    """However long the base is, the result is valid; a short base stays as it is."""
    for name in (base, (base * 60)[:MAX_NAME_LENGTH].rstrip("-")):
        suffixed = validate_name(suffixed_name(name, moment))
        if len(name) <= 39:
            assert suffixed.startswith(name + "-")


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    """What is cut off lives on in a hash."""
    assert suffixed_name("x" * 50 + "-a", 0.0) != suffixed_name("x" * 50 + "-b", 0.0)


def test_experiment_ids_are_random() -> None:
    """Six lower-case letters and digits, not two alike among a hundred."""
    ids = {new_experiment_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[a-z0-9]{6}", experiment_id) for experiment_id in ids)


def write_log(name: str, finished: bool) -> None:
    store = LocalStore(experiment_path(name))
    store.open()
    store.append([{"event": "clock", "time": 1.0}])
    if finished:
        store.append([{"event": "finish", "why": "limit", "time": 1.0}])
    store.close()


def test_the_newest_unfinished_experiment_is_found() -> None:
    """Of those of the same base name, the newest that did not end in order; others do not count."""
    assert latest_unfinished("demo") is None
    older, newer, newest = (suffixed_name("demo", 1000.0 * i) for i in (1, 2, 3))
    write_log(older, finished=False)
    write_log(newer, finished=False)
    write_log(newest, finished=True)
    write_log(suffixed_name("demo-more", 9000.0), finished=False)
    write_log("demo", finished=False)
    (experiments_root() / suffixed_name("demo", 9000.0)).mkdir()
    assert latest_unfinished("demo") == newer
    assert latest_unfinished("other") is None


def test_an_experiment_that_runs_is_not_unfinished() -> None:
    """While a tuner drives it, nobody needs to continue it."""
    name = suffixed_name("demo", 1000.0)
    store = LocalStore(experiment_path(name))
    store.open()
    assert latest_unfinished("demo") is None
    store.close()
    assert latest_unfinished("demo") == name


def test_a_log_that_cannot_be_read_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """A damaged experiment is mentioned, and the next older one is found."""
    older, newer = (suffixed_name("demo", 1000.0 * i) for i in (1, 2))
    write_log(older, finished=False)
    write_log(newer, finished=False)
    (experiment_path(newer) / "log" / "000001.jsonl").write_text("rubbish\n")
    assert latest_unfinished("demo") == older
    assert newer in caplog.text
