"""What ``cloudtune resume --here`` has changed holds for whoever continues next, until another launch."""

from __future__ import annotations

import logging

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.remote.changes import changes_of
from cloudtune.remote.kept_changes import KeepChanges, kept_changes
from cloudtune.remote.relaunching import launch_again
from cloudtune.remote.time_limit import MARGIN
from cloudtune.store.s3_store import S3Store
from tests.experiments.in_s3 import header
from tests.experiments.recorded import trial
from tests.remote.test_following import NAME, Remote, finish, remote
from tests.remote.test_from_any_machine import command, run
from tests.remote.test_launching_again import ship
from tests.remote.test_taking_over import ROOT, Shipped, shipped

__all__ = ["remote", "shipped"]


def of(tuner: Tuner) -> tuple[object, int, int]:
    """What may be changed of a tuner."""
    return tuner.stop_criterion, tuner.n_workers, tuner.max_failures


def test_who_continues_here_again(shipped: Shipped) -> None:
    """Each change stays but for what a later one replaces; a launch brings limits of its own."""
    run("resume", NAME, "--here", "--no-plot", "--max-num-trials-started", "1", "--max-failures", "5")
    assert of(Tuner.takeover(NAME)) == (StoppingCriterion(max_num_trials_started=1), 1, 5)
    run("resume", NAME, "--here", "--no-plot", "--n-workers", "3")
    assert of(Tuner.takeover(NAME)) == (StoppingCriterion(max_num_trials_started=1), 3, 5)
    assert Tuner.takeover(NAME).status.num_trials_started == 0, "only what is to be changed was kept, not the course"
    shipped.write(1, shipped.pickle, changes_of(n_workers=2))
    assert of(Tuner.takeover(NAME)) == (StoppingCriterion(max_num_trials_started=2), 2, 1)


def test_who_may_not_drive_it_changes_nothing(shipped: Shipped) -> None:
    """Somebody else drives the experiment."""
    other = S3Store(shipped.bucket, ROOT)
    other.open(takeover=True)
    refused = command("resume", NAME, "--here", "--no-plot", "--n-workers", "3")
    assert (refused.exit_code, "is driven by" in refused.output) == (1, True)
    assert Tuner.takeover(NAME).n_workers == 1
    other.close()


@pytest.mark.parametrize("body", [b"{", b"7", b"{}", b'{"after": "?", "changes": "?"}'])
def test_damaged(shipped: Shipped, caplog: pytest.LogCaptureFixture, body: bytes) -> None:
    """The limits are what they were before, and a warning says so."""
    caplog.set_level(logging.WARNING, "cloudtune")
    shipped.bucket.put(f"{ROOT}remote/changes.json", body)
    assert Tuner.takeover(NAME).n_workers == 1
    assert f"s3://experiments/{ROOT}remote/changes.json is damaged: limits that" in caplog.text


def test_who_continues_remotely(remote: Remote) -> None:
    """The next job has them, and the time that they take; what is given anew replaces them."""
    remote.open(header(NAME), trial(0, lr=0.1))
    first = remote.launch()
    ship(remote, 0, b"pickle")
    remote.close(finish("interrupted"))
    remote.end()
    remote.cloud.wait_for_job(first)
    experiment = find_in_s3(NAME, "s3://experiments", remote.aws)
    changes = changes_of(StoppingCriterion(max_wallclock_time=7200.0), n_workers=5)
    # Of the tuner, the callback needs nothing.
    KeepChanges(experiment, changes).on_tuning_start(None)  # type: ignore[arg-type]
    assert kept_changes(remote.place, 0) == changes
    second = launch_again(experiment, changes_of(n_workers=6))
    settings = remote.place.settings_of(1)
    assert settings is not None
    assert settings.changes == {**changes, "n_workers": 6}
    answer = remote.cloud.client("sagemaker").describe_training_job(TrainingJobName=second)
    assert answer["StoppingCondition"]["MaxRuntimeInSeconds"] == 7200 + MARGIN
    assert kept_changes(remote.place, 1) == {}
