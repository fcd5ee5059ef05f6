"""Names of training jobs."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtune.aws.job_names import job_name, job_name_prefix

#: As SageMaker's API model has it.
VALID = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", re.ASCII)

ids = st.text("abcdef012345", min_size=6, max_size=6)
# Names made of what makes names collide: parts that look like ids, numbers, dashes, and the form that hashes have.
parts = st.one_of(ids, st.sampled_from(["a", "digits", "x2345678", "xabcdefg", "0", "1", "", "_", "é", "A" * 40]))
experiments = st.one_of(st.text(max_size=90), st.lists(parts, max_size=6).map("-".join))
trials = st.integers(0, 9_999_999)
attempts = st.integers(0, 99_999)
arguments = st.tuples(experiments, ids, trials, attempts)


@pytest.mark.defect("C18")
@given(arguments)
@example(("a" * 200, "abc123", 9_999_999, 99_999))
@example(("", "abc123", 0, 0))
@example(("-_-", "abc123", 0, 0))
@example(("\ud800", "abc123", 0, 0))
def test_every_name_is_one_that_sagemaker_takes(given_: tuple[str, str, int, int]) -> None:
    """Whatever the experiment is called, the name is valid, not too long, and ends in id, trial and attempt."""
    experiment, experiment_id, trial, attempt = given_
    name = job_name(experiment, experiment_id, trial, attempt)
    assert len(name) <= 63
    assert VALID.fullmatch(name)
    assert name.endswith(f"-{experiment_id}-{trial}-{attempt}")
    assert name.startswith(job_name_prefix(experiment, experiment_id))


@given(arguments, arguments)
@example(("a_b", "abc123", 0, 0), ("a-b", "abc123", 0, 0))
@example(("a-b", "abc123", 0, 0), ("a--b", "abc123", 0, 0))
@example(("x" * 100, "abc123", 0, 0), ("x" * 101, "abc123", 0, 0))
@example(("a", "abc123", 1, 23), ("a", "abc123", 12, 3))
def test_names_are_equal_only_for_equal_arguments(
    one: tuple[str, str, int, int], two: tuple[str, str, int, int]
) -> None:
    """Two attempts never meet in one name."""
    assert (job_name(*one) == job_name(*two)) == (one == two)


def test_a_name_that_looks_like_a_changed_one_is_changed_too() -> None:
    """Otherwise whoever calls an experiment by the beginning of another's jobs would share its names."""
    changed = job_name_prefix("a_b", "abc123").removesuffix("-abc123-")
    assert changed.startswith("a-b-x")
    assert job_name_prefix(changed, "abc123") != job_name_prefix("a_b", "abc123")


@given(experiments, ids, arguments)
@example("digits", "abc123", ("digits-abc123", "000000", 0, 0))
@example("digits", "abc123", ("digits-abc123-7", "000000", 0, 0))
@example("digits-abc123", "000001", ("digits", "abc123", 1, 0))
@example("a" * 26 + "-b", "bbbbbb", ("a" * 26 + "-b-" + "b" * 90, "000000", 0, 0))
@example("a" * 26, "bbbbbb", ("a" * 26 + "-" + "b" * 90, "000000", 0, 0))
def test_a_prefix_finds_no_other_experiments_jobs(
    experiment: str, experiment_id: str, other: tuple[str, str, int, int]
) -> None:
    """What begins with an experiment's prefix is its own: reaping or reading logs by it touches nobody else's."""
    prefix = job_name_prefix(experiment, experiment_id)
    is_own = (experiment, experiment_id) == other[:2]
    assert job_name(*other).startswith(prefix) == is_own


@given(experiments, ids, st.tuples(trials, attempts), st.tuples(trials, attempts))
def test_numbers_do_not_change_what_comes_before_them(
    experiment: str, experiment_id: str, one: tuple[int, int], two: tuple[int, int]
) -> None:
    """The prefix of an experiment is the same for its first and its millionth trial."""
    prefix = job_name_prefix(experiment, experiment_id)
    assert job_name(experiment, experiment_id, *one) == f"{prefix}{one[0]}-{one[1]}"
    assert job_name(experiment, experiment_id, *two) == f"{prefix}{two[0]}-{two[1]}"


def test_ordinary_names_stay_readable() -> None:
    """Nothing is added to a name that SageMaker takes as it is; a changed one is still recognised."""
    assert job_name("asha-mlp-w8-0", "abc123", 7, 1) == "asha-mlp-w8-0-abc123-7-1"
    assert job_name("my_first run", "abc123", 7, 1).startswith("my-first-run-x")
    assert job_name("asha-digits", "abc123", 7, 1) == "asha--digits-abc123-7-1", "digits could be an id"
    assert job_name("t" * 80, "abc123", 7, 1).startswith("t" * 33 + "-x")


@pytest.mark.parametrize(("trial", "attempt"), [(-1, 0), (0, -1), (10_000_000, 0), (0, 100_000)])
def test_numbers_that_do_not_fit_are_refused(trial: int, attempt: int) -> None:
    """Rather than a name that is too long for SageMaker."""
    with pytest.raises(ValueError, match="must be 0 to"):
        job_name("a", "abc123", trial, attempt)


@pytest.mark.parametrize("experiment_id", ["", "abc12", "abc1234", "ABC123", "abc-12", "abc12\n", "abc12é"])
def test_an_id_is_six_letters_and_digits(experiment_id: str) -> None:
    """That names can be taken apart again rests on it."""
    with pytest.raises(ValueError, match="six lower-case"):
        job_name_prefix("a", experiment_id)
