"""Plans and their cells: names, round trips, what cannot be planned."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.store.places import validate_name
from cloudtune.studies.cell import Cell
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings

WORKERS = {"transformer_wikitext2": 4, "digits_mlp": 2}

names = st.text("abcXYZ019_-. ", min_size=1, max_size=40).filter(lambda name: re.search("[a-zA-Z0-9]", name))


def _plan(**changes: Any) -> Plan:
    plan = Plan("tmlr-10", ("transformer_wikitext2",), ("RS", "ASHA"), (8,), num_seeds=5)
    return dataclasses.replace(plan, **changes)


def test_the_plan_of_the_seed() -> None:
    """Two methods with five seeds each: ten cells, repetition after repetition, named by what they are."""
    cells = _plan().cells(WORKERS)
    assert len(cells) == _plan().size == 10
    assert [cell.seed for cell in cells] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert cells[0].name == "tmlr-10-transformer-wikitext2-RS-w8-0"
    assert cells[-1].name == "tmlr-10-transformer-wikitext2-ASHA-w8-4"


def test_workers_are_those_of_the_benchmark_by_default() -> None:
    """A plan that names no number of workers takes each benchmark's own."""
    cells = _plan(benchmarks=("digits_mlp", "transformer_wikitext2"), n_workers=(None,), num_seeds=1).cells(WORKERS)
    assert {(cell.benchmark, cell.n_workers) for cell in cells} == set(WORKERS.items())


@given(names, names, names, st.integers(1, 1000), st.integers(0, 10_000))
def test_every_cell_has_a_name_that_is_valid(tag: str, benchmark: str, method: str, n_workers: int, seed: int) -> None:
    """However long or odd its parts are; and it tells workers and seed."""
    name = Cell(tag, benchmark, method, n_workers, seed).name
    assert validate_name(name) == name
    assert name.endswith(f"-w{n_workers}-{seed}")


def test_long_names_stay_apart() -> None:
    """What is cut from a long name is in its digest."""
    cells = [Cell("t" * 40, "b" * 40, method, 4, 0) for method in ("ASHA", "RS", "A" * 50)]
    assert len({cell.name for cell in cells}) == 3
    assert {len(cell.name) for cell in cells} == {63}


def test_two_cells_of_one_name_are_refused() -> None:
    """They differ only in characters that names cannot have."""
    with pytest.raises(ValueError, match=r"would both be called tmlr-10-digits-mlp-my-RS-w2-0; rename one of them"):
        _plan(benchmarks=("digits_mlp",), methods=("my_RS", "my-RS"), n_workers=(None,)).cells(WORKERS)


@given(
    st.lists(names, min_size=1, max_size=3, unique=True),
    st.lists(st.none() | st.integers(1, 99), min_size=1, max_size=3, unique=True),
    st.integers(1, 9),
    st.integers(0, 9),
    st.dictionaries(names, st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=3),
)
def test_a_plan_can_be_written_and_read(
    methods: list[str], n_workers: list[int | None], num_seeds: int, start_seed: int, extra: dict[str, Any]
) -> None:
    """It is the same plan afterwards."""
    settings = CellSettings(instance_type=("ml.g4dn.xlarge", "ml.g5.xlarge"), max_wallclock_time=5.5, extra=extra)
    plan = Plan("t", ("b",), tuple(methods), tuple(n_workers), num_seeds, start_seed, settings)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ()}, "a plan without methods has no experiments"),
        ({"methods": ("RS", "ASHA", "RS")}, "names methods RS twice"),
        ({"num_seeds": 0}, "num_seeds must be at least 1, got 0"),
        ({"start_seed": -1}, "start_seed must not be negative"),
        ({"n_workers": (0,)}, "n_workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_planned(changes: dict[str, Any], message: str) -> None:
    """One sentence says why."""
    with pytest.raises(ValueError, match=message):
        _plan(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "this is no plan of experiments"),
        ('{"tag": "a"}', "this is no plan of experiments"),
        ('{"format": 99}', "a newer cloudtune wrote this plan"),
        ('{"format": 1, "settings": {"colour": 1}}', "knows no setting called colour"),
    ],
)
def test_what_is_no_plan(text: str, message: str) -> None:
    """A file of something else, or of a newer version."""
    with pytest.raises(ValueError, match=message):
        Plan.from_json(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "mars"}, "backend must be one of sagemaker, local, simulator, got 'mars'"),
        ({"max_wallclock_time": 0}, "max_wallclock_time must be a number above 0"),
        ({"max_failures": -1}, "max_failures must not be negative"),
        ({"backend": "local", "use_spot": True}, "use_spot is for trials that are training jobs"),
        ({"use_spot": True, "warm_pool": True}, "SageMaker keeps no spot machines"),
        ({"extra": {"depth": object()}}, "must be a JSON value"),
    ],
)
def test_settings_that_contradict(settings: dict[str, Any], message: str) -> None:
    """One sentence names the settings and the remedy."""
    with pytest.raises(ValueError, match=message):
        CellSettings(**settings)


def test_differences_are_named() -> None:
    """Of settings and of arguments of one's own, ours first."""
    ours = CellSettings(use_spot=True, extra={"eta": 3, "same": 1})
    theirs = CellSettings(max_failures=5, extra={"same": 1, "depth": 2})
    assert ours.differences(theirs) == {
        "use_spot": (True, False),
        "max_failures": (1, 5),
        "eta": (3, None),
        "depth": (None, 2),
    }
    assert ours.differences(CellSettings.from_dict(ours.to_dict())) == {}
