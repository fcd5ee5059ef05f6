"""Names of experiments that begin remotely: each is one experiment's, also before its tuner has written anything."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cloudtune import Tuner
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.errors import ExperimentMismatch
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud import Fault
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.remote.tuner_job import MANIFEST, TRIAL, Settings, TunerPlace
from cloudtune.store.places import suffixed_name
from cloudtune.store.s3_store import S3Store
from tests.backend.sagemaker.harness import BUCKET
from tests.experiments.in_s3 import header
from tests.remote.remote_experiment import NAME, SCRIPT, RemoteTuning
from tests.remote.test_following import finish

NOON = 1_790_000_000.0


@pytest.fixture(autouse=True)
def _no_machine(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs wait for their machines; commands look where these experiments lie."""
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{BUCKET}")
    tuning.cloud.faults.add(Fault("slow_start", seconds=10_000.0))


@pytest.fixture
def same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuners are made within one millisecond."""
    monkeypatch.setattr(LocalBackend, "time", lambda _: NOON)


def new(seed: int | None = None, **options: Any) -> Tuner:
    """A tuner, by default with a time stamp in its name."""
    scheduler = RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=seed)
    return Tuner(LocalBackend(str(SCRIPT)), scheduler, lambda _: False, 1, **{"tuner_name": "study", **options})


def fixed(seed: int | None = None, **options: Any) -> Tuner:
    """A tuner with a name as it stands."""
    return new(seed, tuner_name=NAME, suffix_tuner_name=False, **options)


def place_of(tuning: RemoteTuning, name: str) -> TunerPlace:
    """Where the tuner of an experiment lies."""
    return TunerPlace(tuning.bucket, f"cloudtune/{name}/{name}/")


# ---------------------------------------------------------------------- with a time stamp


@pytest.mark.usefixtures("same_time")
def test_tuners_of_the_same_millisecond_are_experiments_of_their_own(tuning: RemoteTuning) -> None:
    """Each launch is a job with the seed that it was given; a tuner has the name of its experiment."""
    tuners = [new(seed) for seed in range(5)]
    assert len({tuner.name for tuner in tuners}) == 1
    launched = [tuning.launch(tuner) for tuner in tuners]
    assert len({one.job_name for one in launched}) == len(tuning.cloud.jobs()) == 5
    assert [one.name for one in launched] == [tuner.name for tuner in tuners]
    assert [suffixed_name("study", tuner.creation_time) for tuner in tuners] == [tuner.name for tuner in tuners]
    for tuner in tuners:
        manifest = tuning.bucket.get(place_of(tuning, tuner.name).keys.task_folder(TRIAL, 0) + MANIFEST)
        assert f'"random_seed": {tuner.scheduler.random_seed}'.encode() in manifest.body  # type: ignore[union-attr]


@pytest.mark.usefixtures("same_time")
def test_a_tuner_that_is_launched_again_continues_its_experiment(tuning: RemoteTuning) -> None:
    """Its name is its own from the first launch on, also where AWS has refused that one."""
    first, second = new(), new()
    tuning.cloud.faults.add(Fault("resource_limit", operation="sagemaker:CreateTrainingJob", count=1))
    with pytest.raises(Exception, match="quota"):
        tuning.launch(first)
    other = tuning.launch(second)
    launched = tuning.launch(first)
    assert launched.name == suffixed_name("study", NOON) != other.name
    assert tuning.launch(first) == launched
    assert len(tuning.cloud.jobs()) == 2


@pytest.mark.usefixtures("same_time")
def test_a_name_that_somebody_elsewhere_has(tuning: RemoteTuning) -> None:
    """Launched, or driven without a launch: the next name is taken, and nothing of theirs is changed."""
    theirs = [suffixed_name("study", NOON + number / 1000) for number in range(2)]
    place_of(tuning, theirs[0]).write_task(0, Settings(theirs[0], "", "", 3600), {})
    store = S3Store(tuning.bucket, place_of(tuning, theirs[1]).root)
    store.open()
    launched = tuning.launch(new())
    assert launched.name == suffixed_name("study", NOON + 0.002)
    store.append([{"event": "note"}])
    store.close()
    assert [place_of(tuning, name).attempts() for name in theirs] == [[0], []]


@pytest.mark.usefixtures("same_time")
def test_a_name_that_is_taken_at_the_same_moment(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to put its task has it; the other one is launched under the next."""
    taken = suffixed_name("study", NOON)
    attempts = TunerPlace.attempts

    def seen_before_the_other(place: TunerPlace) -> list[int]:
        seen = attempts(place)
        if not seen and place.experiment == taken:
            place.write_task(0, Settings(taken, "", place.root, 3600), {})
        return seen

    monkeypatch.setattr(TunerPlace, "attempts", seen_before_the_other)
    launched = tuning.launch(new())
    assert launched.name == suffixed_name("study", NOON + 0.001)
    assert [job["name"] for job in tuning.cloud.jobs()] == [launched.job_name]


# ---------------------------------------------------------------------- as it stands, before there is a log


def test_another_experiment_before_the_first_has_a_log(tuning: RemoteTuning) -> None:
    """It is refused as it would be later; the same one is what runs, whatever seed it has drawn."""
    launched = tuning.launch(fixed())
    with pytest.raises(ExperimentMismatch, match=f"'{NAME}' began with scheduler_name = .*choose another tuner"):
        tuning.launch(tuning.tuner(False, {"epochs": 1}, trials=1))
    with pytest.raises(ExperimentMismatch, match=f"'{NAME}' began with random_seed = .*, now it is 7;"):
        tuning.launch(fixed(7))
    assert tuning.launch(fixed()) == launched
    assert len(tuning.cloud.jobs()) == 1


def test_an_experiment_that_has_never_begun_may_be_another(tuning: RemoteTuning) -> None:
    """Its job has ended before there was a log: nothing is to be continued."""
    first = tuning.launch(fixed()).job_name
    tuning.cloud.stop_job(first)
    tuning.wait_for_end(first)
    again = tuning.launch(tuning.tuner(False, {"epochs": 1}, trials=1))
    assert again.job_name == tuning.place.job_name(NAME, 1)


# ---------------------------------------------------------------------- what is not finished


def begin(tuning: RemoteTuning, name: str, ending: str | None, tag: str = "") -> S3Store:
    """An experiment with a log, driven by no job; closed if it has an ending."""
    store = S3Store(tuning.bucket, f"cloudtune/{tag or name}/{name}/")
    store.open()
    store.append([header(name, scheduler=fixed().scheduler.metadata())])
    if ending:
        store.append([finish(ending)])
    store.flush()
    if ending is not None:
        store.close()
    return store


def mentioned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The experiments that were said to be unfinished."""
    said = [one.getMessage() for one in caplog.records if "is not finished" in one.getMessage()]
    caplog.clear()
    return [text.partition("`cloudtune resume ")[2].rstrip("`") for text in said]


def test_the_newest_unfinished_experiment_is_mentioned(tuning: RemoteTuning, caplog: pytest.LogCaptureFixture) -> None:
    """One that was interrupted or killed. Not what has ended, runs or starts, has another base name or another tag."""
    caplog.set_level(logging.INFO, "cloudtune")
    dates = [f"2026-01-0{day}-12-00-00-000" for day in range(1, 8)]
    begin(tuning, f"study-{dates[0]}", "interrupted")
    begin(tuning, f"study-{dates[1]}", "")  # it was killed
    begin(tuning, f"study-{dates[2]}", "finished")
    driven = begin(tuning, f"study-{dates[3]}", None)
    begin(tuning, f"study-more-{dates[4]}", "interrupted")
    begin(tuning, "study-last", "interrupted")
    begin(tuning, f"study-{dates[5]}", "interrupted", tag="paper")
    tuning.launch(new())
    assert mentioned(caplog) == [f"study-{dates[1]}"]
    tuning.launch(new(), tag="paper")
    assert mentioned(caplog) == [f"paper/study-{dates[5]}"]
    tuning.launch(fixed())
    assert mentioned(caplog) == []
    driven.close()
    tuning.launch(new())
    assert mentioned(caplog) == [f"study-{dates[3]}"]
    # That one is launched again, and waits for its machine.
    tuning.launch(new(tuner_name=f"study-{dates[3]}", suffix_tuner_name=False))
    tuning.launch(new())
    assert mentioned(caplog) == [f"study-{dates[1]}"]


def test_one_that_commands_would_not_find_by_its_name(
    tuning: RemoteTuning, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They look elsewhere by themselves: its place is told, which they take as well."""
    caplog.set_level(logging.INFO, "cloudtune")
    monkeypatch.delenv("CLOUDTUNE_S3_PATH")
    name = "study-2026-01-01-12-00-00-000"
    begin(tuning, name, "interrupted")
    tuning.launch(new())
    (told,) = mentioned(caplog)
    assert told == f"s3://{BUCKET}/cloudtune/{name}/{name}"
    assert find_in_s3(told).name == name


def test_what_cannot_be_looked_at_holds_up_no_launch(tuning: RemoteTuning, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody who may not read other experiments begins one all the same."""
    caplog.set_level(logging.DEBUG, "cloudtune")
    begin(tuning, "study-2026-01-01-12-00-00-000", "interrupted")
    tuning.cloud.faults.add(Fault("access_denied", operation="s3:GetObject", resource="*/log/*"))
    tuning.launch(new())
    assert "unfinished experiments were not looked for" in caplog.text
    assert mentioned(caplog) == []
    assert len(tuning.cloud.jobs()) == 1
