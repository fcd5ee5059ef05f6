"""What becomes of the flags of studies: the plan, the account and the launch that they ask for, or a plain refusal."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarking.definitions import BENCHMARKS
from cloudtune.studies.catalogue import Catalogue, UnknownName
from cloudtune.studies.cell_tuner import Account, CellTuners
from cloudtune.studies.extra_arguments import ExtraArgument
from cloudtune.studies.flags import FLAGS, LaunchArguments
from cloudtune.studies.options import FlagsRefused, StudyRequest, study_request
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings

CATALOGUE = Catalogue(BENCHMARKS)
NEEDED = {"experiment_tag": "tag", "benchmark": ("digits_mlp",)}


def _request(catalogue: Catalogue = CATALOGUE, **values: Any) -> StudyRequest:
    return study_request(catalogue, {**NEEDED, **values})


def test_every_flag_sets_a_member_that_there_is() -> None:
    """Of plan, settings, account or launch; no member is left without its flag, or has two."""
    owners: dict[str, Any] = {"plan": Plan, "settings": CellSettings, "account": Account, "launch": LaunchArguments}
    members = {f"{owner}.{one.name}" for owner, kind in owners.items() for one in dataclasses.fields(kind)}
    # Plans have settings, which have the arguments of one's own; variables of trials are the benchmark's.
    without_flag = {"plan.settings", "settings.extra", "account.environment"}
    assert sorted(flag.sets for flag in FLAGS) == sorted(members - without_flag)
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)


def test_the_guide_has_every_flag() -> None:
    """In the table of flags, whatever else of them it says."""
    guide = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()
    table = guide.partition("| flag | what it says |")[2].partition("\n\n")[0]
    assert [flag.name for flag in FLAGS if not re.search(rf"^\|[^|]*--{flag.name}\b", table, re.MULTILINE)] == []


def test_what_is_not_given_is_as_the_plan_has_it() -> None:
    """Defaults stand once, where the members are; flags that were not given do not touch them."""
    values: dict[str, Any] = {flag.name: () if flag.several else None for flag in FLAGS}
    expected = StudyRequest(Plan("tag", ("digits_mlp",), ("RS", "BO", "ASHA", "MOBSTER")), Account(), LaunchArguments())
    assert _request(**{**values, **NEEDED}) == expected
    assert {flag.name: flag.default for flag in FLAGS if flag.default is not None and flag.default is not False} == {
        "num_seeds": 1,
        "start_seed": 0,
        "backend": "sagemaker",
        "max_failures": 1,
        "tuner_instance_type": "ml.m5.large",
    }


def test_values_reach_their_members() -> None:
    """One of each owner, and several values of one flag."""
    request = _request(
        method=("ASHA",), n_workers=(2, 8), random_seed=7, instance_type=("ml.a", "ml.b"), role="r", max_cost=9.5
    )
    assert request.plan.methods == ("ASHA",)
    assert request.plan.n_workers == (2, 8)
    assert request.plan.settings == CellSettings(random_seed=7, instance_type=("ml.a", "ml.b"))
    assert request.account == Account(role="r")
    assert request.launch == LaunchArguments(max_cost=9.5)


@pytest.mark.defect("C6")
def test_requests_share_nothing() -> None:
    """What one command line sets, defaults and arguments of one's own included, is not there in the next one."""
    catalogue = Catalogue(BENCHMARKS, extra_arguments=[ExtraArgument("brackets", int), ExtraArgument("kind", str, "a")])
    first = _request(catalogue, n_workers=(2,), max_failures=7, brackets=3, kind="b", instance_type=("ml.a",))
    second = _request(catalogue)
    assert dict(first.plan.settings.extra) == {"brackets": 3, "kind": "b"}
    assert dict(second.plan.settings.extra) == {"kind": "a"}
    assert second.plan == Plan(
        "tag", ("digits_mlp",), ("RS", "BO", "ASHA", "MOBSTER"), settings=CellSettings(extra={"kind": "a"})
    )
    assert _request(Catalogue(BENCHMARKS)).plan.settings == CellSettings()


@pytest.mark.defect("C4")
@pytest.mark.parametrize(("workers", "limit"), [(2, 2000.0), (4, 1000.0), (8, 1000.0)])
@pytest.mark.parametrize("backend", ["sagemaker", "local"])
def test_flags_of_time_reach_the_limit(backend: str, workers: int, limit: float) -> None:
    """The default number of workers is the benchmark's, not the one that was given; so scaling does something."""
    request = _request(
        backend=backend,
        method=("RS",),
        n_workers=(workers,),
        max_wallclock_time=1000.0,
        scale_max_wallclock_time=True,
    )
    (cell,) = CATALOGUE.cells(request.plan)
    tuner = CellTuners(CATALOGUE, request.plan.settings, request.account).tuner(cell)
    assert tuner.stop_criterion.longest() == limit


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"experiment_tag": None}, "give --experiment_tag, which experiments of the study have in common"),
        ({"benchmark": ()}, "give --benchmark, one or several of digits_mlp"),
        ({"backend": "simulator", "image_uri": "i"}, "nothing is trained; leave out --image_uri"),
        ({"backend": "simulator", "instance_type": ("a",)}, "nothing is trained; leave out --instance_type"),
        ({"backend": "local", "image_uri": "i"}, "give --tuner_image_uri, not --image_uri"),
        ({"backend": "local", "tuner_instance_type": "t"}, "give --instance_type, not --tuner_instance_type"),
        ({"backend": "local", "instance_type": ("a", "b")}, "which has one type: give one --instance_type"),
        ({"backend": "local", "use_spot": True}, "use_spot is for trials that are training jobs"),
        ({"backend": "local", "warm_pool": True}, "warm_pool is for trials that are training jobs"),
        ({"backend": "local", "start_jobs_without_delay": True}, "start_jobs_without_delay is for trials that are"),
        ({"use_spot": True, "warm_pool": True}, "leave out use_spot or warm_pool"),
        ({"instance_type": ("a", "b", "a")}, "instance_type names a twice; name each type once, best first"),
        ({"max_wallclock_time": math.inf}, "max_wallclock_time must be a number above 0, got inf"),
        ({"max_wallclock_time": math.nan}, "max_wallclock_time must be a number above 0, got nan"),
        ({"max_cost": math.inf}, "max_cost must be a number of dollars above 0, got inf; leave it out for no limit"),
        ({"max_cost": math.nan}, "max_cost must be a number of dollars above 0, got nan"),
        ({"experiment_tag": "a b/c"}, "--experiment_tag 'a b/c' cannot be part of a place in S3: use at most 128"),
        ({"experiment_tag": ".."}, "--experiment_tag '..' cannot be part of a place in S3"),
        ({"experiment_tag": "___"}, "--experiment_tag '___' has no letter or digit, with which names"),
        ({"dry_run": True, "wait": True}, "--dry_run launches nothing that --wait could wait for"),
        ({"local_cloud": True, "profile": "p"}, "the local cloud has no profiles; leave out --local_cloud or"),
        ({"n_workers": (2, 2)}, "names n_workers 2 twice"),
        ({"method": ("RS", "RS")}, "names methods RS twice"),
    ],
)
def test_what_cannot_be_honoured_is_refused(values: dict[str, Any], message: str) -> None:
    """In a plain sentence that says what to leave out or to give instead."""
    with pytest.raises((FlagsRefused, ValueError)) as raised:
        _request(**values)
    assert message in str(raised.value)


def test_flags_of_other_value_are_no_contradiction() -> None:
    """A flag of yes or no that is given as no asks for nothing."""
    request = _request(backend="local", use_spot=False, warm_pool=False, wait=False, dry_run=True)
    assert request.plan.settings.backend == "local"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"benchmark": ("digit_mlp",)}, "did you mean 'digits_mlp'?"),
        ({"method": ("ASHAA",)}, "there is no method 'ASHAA'; did you mean 'ASHA'?"),
        ({"method": ("asah",)}, "there is no method 'asah'; did you mean 'ASHA'?"),
    ],
)
def test_names_are_looked_up_at_once(values: dict[str, Any], message: str) -> None:
    """Before anything is asked of AWS."""
    with pytest.raises(UnknownName) as raised:
        _request(**values)
    assert message in str(raised.value)


# ---------------------------------------------------------------------- what catalogues say


def test_methods_where_none_is_named() -> None:
    """Those that the field compares, as far as they are there; those that a catalogue names; else all it has."""
    method: Any = object()
    assert CATALOGUE.default_methods == ("RS", "BO", "ASHA", "MOBSTER")
    assert Catalogue({}, {"ASHA": method, "MINE": method, "RS": method}).default_methods == ("RS", "ASHA")
    assert Catalogue({}, {"MINE": method, "YOURS": method}).default_methods == ("MINE", "YOURS")
    assert Catalogue(BENCHMARKS, default_methods=["GS"]).default_methods == ("GS",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "n-brackets"}, "cannot be called 'n-brackets'"),
        ({"name": "x", "type": list}, "type must be int, float, str or bool"),
        ({"name": "x", "type": int, "default": "1"}, "the default '1' is no int"),
    ],
)
def test_arguments_that_cannot_be_flags(arguments: dict[str, Any], message: str) -> None:
    """Are refused where they are written, not where they are typed."""
    with pytest.raises(ValueError, match=message):
        ExtraArgument(**arguments)


@pytest.mark.parametrize("name", ["n_workers", "seed", "json", "catalogue", "help"])
def test_arguments_called_like_others(name: str) -> None:
    """A flag means one thing: one's own cannot be called as those of every study, or as what metadata hold."""
    with pytest.raises(FlagsRefused, match=f"cannot be called '{name}'"):
        _request(Catalogue(BENCHMARKS, extra_arguments=[ExtraArgument(name)]))
    with pytest.raises(ValueError, match="must differ in name, got mine, mine"):
        Catalogue(BENCHMARKS, extra_arguments=[ExtraArgument("mine"), ExtraArgument("mine")])
