"""The winner of a study, run again: what is run, on which seeds, and what that tells."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.sagemaker_backend import SageMakerBackend
from cloudtune.experiments import load_experiment
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.rerun import Rerun
from cloudtune.studies.rerun_outcome import no_outcome, outcome_of, summary
from cloudtune.studies.seeds import master_seed, rerun_seeds
from cloudtune.studies.winners import NothingToRerun
from tests.studies.noisy_study import CATALOGUE, MASTER, a_rerun, a_winner, noisy, settings
from tests.studies.noisy_train import error_of


def _run(rerun: Rerun) -> None:
    rerun.tuners().tuner(rerun.cell).run()


def test_each_seed_is_trained_to_the_end_and_told() -> None:
    """Also where the study had stopped the winner early: best and last epoch of each run, and what they come to."""
    rerun = a_rerun(3)
    _run(rerun)
    told = outcome_of(rerun, load_experiment(rerun.name))
    seeds = rerun_seeds(MASTER, "noisy", 3)
    assert [run["seed"] for run in told["runs"]] == seeds
    errors = [[error_of(0.35, seed, epoch) for epoch in (1, 2, 3)] for seed in seeds]
    assert [(run["best"], run["last"]) for run in told["runs"]] == [(min(some), some[-1]) for some in errors]
    assert told["best"] == summary([min(some) for some in errors])
    assert told["last"] == summary([some[-1] for some in errors])
    assert (told["study"]["value"], told["config"], told["num_seeds"]) == (0.06, {"x": 0.35, "max_epochs": 3}, 3)
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    ("given", "of_study", "expected"), [(7, 5, 7), (None, 5, 5), (None, None, master_seed("noisy"))]
)
def test_the_master_seed_is_the_studys(given: int | None, of_study: int | None, expected: int) -> None:
    """Unless another is given; where the experiment does not tell, it is the one that the tag decides."""
    rerun = replace(a_rerun(), settings=replace(settings(), random_seed=given))
    rerun = replace(rerun, winner=replace(rerun.winner, master_seed=of_study))
    tuner = rerun.tuners().tuner(rerun.cell)
    suggestions = [tuner.scheduler.suggest() for _ in range(2)]
    configs = [one.config for one in suggestions if one is not None and one.config is not None]
    assert [config["seed"] for config in configs] == rerun_seeds(expected, "noisy", 2)
    assert tuner.metadata["master_seed"] == expected


def test_more_seeds_only_add() -> None:
    """The same experiment goes on; what was run is not run again."""
    _run(a_rerun(2))
    _run(a_rerun(4))
    results = load_experiment(a_rerun(4).name).results
    assert list(results.groupby("trial_id")["config_seed"].first()) == rerun_seeds(MASTER, "noisy", 4)
    assert len(results) == 4 * 3
    fewer = outcome_of(a_rerun(2), load_experiment(a_rerun(2).name))
    assert [run["seed"] for run in fewer["runs"]] == rerun_seeds(MASTER, "noisy", 2)


def test_the_name_tells_the_configuration() -> None:
    """Another winner is another experiment; who found it, and how far it was trained, makes no difference."""
    names = [
        a_rerun(winner=winner).name
        for winner in (
            a_winner(),
            a_winner(experiment="other", trial_id=0, value=0.05, config={"x": 0.35, "max_epochs": 3}),
            a_winner(x=0.36),
        )
    ]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("noisy-noisy-rerun-")


def test_what_tells_it_from_the_study() -> None:
    """Metadata say of which experiment it is a rerun, so that comparisons of methods leave it out."""
    metadata = a_rerun().tuners().tuner(a_rerun().cell).metadata
    assert (metadata["tag"], metadata["benchmark"]) == ("noisy", "noisy")
    assert (metadata["rerun_of"], metadata["rerun_trial"], metadata["rerun_value"]) == (
        "noisy-noisy-ASHA-w1-0",
        2,
        0.06,
    )


def test_settings_reach_the_tuner() -> None:
    """Trials may be training jobs; each round of them has the time that the benchmark gives an experiment."""
    account = Account(s3_path="s3://bucket", region="eu-west-1", role="r")
    rerun = Rerun(CATALOGUE, a_winner(), 5, settings(backend="sagemaker", use_spot=True), account)
    launcher = rerun.tuners().launcher(rerun.cell)
    backend, criterion = launcher.tuner.trial_backend, launcher.tuner.stop_criterion
    assert isinstance(backend, SageMakerBackend)
    assert backend.template.request["EnableManagedSpotTraining"]
    assert isinstance(criterion, StoppingCriterion)
    assert (criterion.max_num_trials_started, criterion.max_wallclock_time) == (5, 3 * 500)
    assert (launcher.tuner.n_workers, launcher.tag) == (2, "noisy")


def test_a_script_without_a_seed() -> None:
    """All runs would be alike; the message says what to add."""
    with pytest.raises(NothingToRerun, match=r"'noisy' names no argument of its script that seeds it.*as seed_attr"):
        a_rerun(catalogue=Catalogue({"noisy": lambda: noisy(seed_attr=None)}))


def test_a_seed_of_the_study_does_not_stay() -> None:
    """Where it was a constant of the config space, the new seeds take its place."""
    rerun = a_rerun(winner=a_winner(config={"x": 0.35, "seed": 12, "max_epochs": 3}))
    scheduler = rerun.tuners().tuner(rerun.cell).scheduler
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.config is not None
    assert suggestion.config["seed"] == rerun_seeds(MASTER, "noisy", 1)[0]


def test_before_it_has_begun() -> None:
    """What is to be run is known; of the rest there is nothing."""
    told = no_outcome(a_rerun())
    assert told["runs"] == []
    assert told["best"] == {"mean": None, "std": None, "interval": None, "runs": 0}


def test_no_seeds() -> None:
    """Their number is refused by name."""
    with pytest.raises(ValueError, match="num_seeds must be at least 1, got 0"):
        a_rerun(0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (None, None, None)),
        ([2.0], (2.0, None, None)),
        ([None, 2.0, None], (2.0, None, None)),
        # By hand: s = 1, t(0.975, 2 degrees) = 4.302653, half = t / sqrt(3).
        ([1.0, 2.0, 3.0], (2.0, 1.0, [2 - 4.302652730 / math.sqrt(3), 2 + 4.302652730 / math.sqrt(3)])),
        # t(0.975, 9 degrees) = 2.262157.
        (
            [0.0, 1.0] * 5,
            (0.5, math.sqrt(2.5 / 9), [0.5 - 2.262157163 / 6 * 1.0, 0.5 + 2.262157163 / 6 * 1.0]),
        ),
    ],
)
def test_mean_and_interval(
    values: Sequence[float | None], expected: tuple[float | None, float | None, list[float] | None]
) -> None:
    """As tables of Student's t have them; what few runs cannot tell is None."""
    told = summary(values)
    assert told["mean"] == expected[0]
    assert told["std"] == pytest.approx(expected[1])
    assert told["interval"] == (None if expected[2] is None else pytest.approx(expected[2]))


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(0, 30))
def test_more_seeds_only_come_behind(master: int, few: int, more: int) -> None:
    """All differ, also for scripts that hold a seed in 31 bits; master seed and benchmark decide them."""
    seeds = rerun_seeds(master, "noisy", few + more)
    assert rerun_seeds(master, "noisy", few) == seeds[:few]
    assert len(set(seeds)) == few + more
    assert all(0 <= seed < 2**31 for seed in seeds)
    if few:
        assert rerun_seeds(master, "other", few) != seeds[:few]
        assert rerun_seeds((master + 1) % 2**32, "noisy", few) != seeds[:few]


def test_the_same_seeds_on_every_machine() -> None:
    """What a study was run again on once it is run again on for ever."""
    assert rerun_seeds(2938702734, "transformer_wikitext2", 2) == [1987228239, 2113344560]


def test_a_run_that_fails_does_not_count(tmp_path: Path) -> None:
    """The others do, and it is told how many they are."""
    fails = tmp_path / "fails"
    fails.write_text(str(rerun_seeds(MASTER, "noisy", 3)[1]))
    rerun = a_rerun(3, Catalogue({"noisy": lambda: noisy(environment={"FAILS": str(fails)})}))
    _run(rerun)
    told = outcome_of(rerun, load_experiment(rerun.name))
    assert [run["trial_id"] for run in told["runs"]] == [0, 2]
    assert (told["num_seeds"], told["best"]["runs"]) == (3, 2)
