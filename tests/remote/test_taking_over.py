"""Continuing here what lies in S3: what is fetched, and what is refused."""

from __future__ import annotations

import io
import json
import logging
import shutil
import zipfile
from pathlib import Path
from typing import Any

import dill
import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.s3 import S3
from cloudtune.aws.clients import aws_for
from cloudtune.aws.packaging import upload_bundle
from cloudtune.aws.s3 import Bucket, Seen
from cloudtune.backend import LocalBackend
from cloudtune.config_space import choice
from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments import load_experiment
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.interruption import resumed_as
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import GridSearch
from cloudtune.remote import taking_over
from cloudtune.remote.changes import changes_of
from cloudtune.remote.shipment import pack
from cloudtune.remote.taking_over import shipped_tuner
from cloudtune.remote.tuner_job import MANIFEST, PICKLE, TRIAL, Settings, TunerPlace
from cloudtune.remote.unpacking import CannotLoad
from cloudtune.store.places import experiment_path
from cloudtune.store.s3_store import S3Store
from cloudtune.tuner import unpickled
from tests.agent.checkpoint_folders import none_shipped, task_of, write_tree

NAME, ROOT = "digits", "team/cloudtune/study/digits/"


class Shipped:
    """A tuner that was shipped, whose job has done nothing yet."""

    def __init__(self, folder: Path) -> None:
        script = folder / "train.py"
        script.write_text("from cloudtune import Reporter\nReporter()(loss=1.0)\n", encoding="utf-8")
        self.bucket = Bucket(aws_for(None, None), "experiments")
        self.bucket.aws.call("s3", "create_bucket", Bucket="experiments")
        self.place = TunerPlace(self.bucket, ROOT)
        self.tuner = Tuner(
            LocalBackend(entry_point=str(script)),
            GridSearch({"x": choice([1, 2])}, metric="loss"),
            StoppingCriterion(max_num_trials_started=2),
            n_workers=1,
            tuner_name=NAME,
            suffix_tuner_name=False,
        )
        shipment = pack(self.tuner)
        self.code = upload_bundle(self.bucket, shipment.bundle, "team/cloudtune/code")
        self.manifest = shipment.manifest
        self.pickle = shipment.tuner_pickle
        self.write(0, self.pickle)
        script.unlink()  # nothing of the launching machine is there any more

    def write(self, launch: int, pickle: bytes, changes: dict[str, Any] | None = None) -> None:
        """Puts the task of a launch."""
        shipped = {PICKLE: pickle, MANIFEST: json.dumps(self.manifest).encode()}
        self.place.write_task(launch, Settings(NAME, "study", ROOT, 3600, changes=changes or {}), shipped)


@pytest.fixture
def shipped(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://experiments/team")
    return Shipped(tmp_path)


def test_all_that_is_needed_comes_from_s3(shipped: Shipped) -> None:
    """Source, tuner, tag and place; the experiment begins here, in S3, and is the same one for everybody."""
    tuner = Tuner.takeover(NAME)
    assert (tuner.name, tuner.tag) == (NAME, "study")
    assert tuner.results_place == f"s3://experiments/{ROOT}"
    assert resumed_as(NAME, tuner.results_place) == f"s3://experiments/{ROOT.rstrip('/')} --here"
    tuner.run()
    assert tuner.status.num_trials_completed == 2
    assert len(load_experiment(NAME).results) == 2
    assert load_experiment(f"study/{NAME}").metadata["st_limits"] == {"trials started": 2}
    assert not (experiment_path(NAME) / "log").exists()
    again = Tuner.takeover(f"study/{NAME}", "s3://experiments/team")
    again.stop_criterion = StoppingCriterion(max_num_trials_started=3)
    again.run()
    assert again.status.finished_why == "nothing left to suggest"


def test_an_archive_that_was_changed(shipped: Shipped) -> None:
    """It is refused before anything of it is on the disk; once it is repaired, all is well."""
    key = f"{shipped.code.removeprefix('s3://experiments/')}bundle.zip"
    whole = shipped.bucket.get(key)
    assert whole is not None
    for bad in (whole.body[:-100] + b"x" * 100, _with_another_file(whole.body)):
        shipped.bucket.put(key, bad)
        with pytest.raises(CannotLoad, match="the archive with the source was changed"):
            Tuner.takeover(NAME)
        assert list((experiment_path(NAME) / "remote").iterdir()) == []
    shipped.bucket.put(key, whole.body)
    assert Tuner.takeover(NAME).name == NAME


def _with_another_file(archive: bytes) -> bytes:
    """The archive with one file more, which is a valid archive too."""
    longer = io.BytesIO(archive)
    with zipfile.ZipFile(longer, "a") as bundle:
        bundle.writestr("source/sitecustomize.py", "raise SystemExit('caught')")
    return longer.getvalue()


def test_a_pickle_that_was_changed(shipped: Shipped, caplog: pytest.LogCaptureFixture) -> None:
    """It is not unpickled: that of the launch before is taken, and where there is none nothing is downloaded."""
    shipped.write(1, b"other")
    assert Tuner.takeover(NAME).name == NAME
    assert "remote/trials/0/1/task/tuner.dill was changed or damaged after it was uploaded" in caplog.text
    assert "what launch 0 has shipped is taken instead" in caplog.text
    shutil.rmtree(experiment_path(NAME))
    shipped.bucket.put(shipped.place.keys.task_folder(0, 0) + PICKLE, b"other")
    with pytest.raises(CannotLoad, match="run the script that launched it again, which continues from the log"):
        Tuner.takeover(NAME)
    assert not experiment_path(NAME).exists()


def test_a_pickle_of_other_versions(shipped: Shipped) -> None:
    """Nothing is unpickled, and nothing downloaded."""
    shipped.manifest["versions"]["python"] = "3.99"
    shipped.write(1, shipped.pickle)
    with pytest.raises(CannotLoad, match=r"Python 3\.99"):
        Tuner.takeover(NAME)
    assert not experiment_path(NAME).exists()


def test_source_that_is_gone(shipped: Shipped) -> None:
    """Somebody has cleaned up the bucket: that is said, with the remedy."""
    shipped.bucket.delete_prefix(shipped.code.removeprefix("s3://experiments/"))
    with pytest.raises(ExperimentNotFound, match=r"source of experiment 'digits' is gone .* launch it again"):
        Tuner.takeover(NAME)


def test_a_tuner_that_stored_itself(shipped: Shipped) -> None:
    """An experiment in S3 that was never launched continues from what its own tuner has left there."""
    here = Tuner.takeover(NAME)
    here.stop_criterion = StoppingCriterion(max_num_trials_started=1)
    here.name = "own"
    here.save_tuner = True
    here.keep_in(S3Store(shipped.bucket, "team/cloudtune/own/own/"))
    here.run()
    again = Tuner.takeover("own")
    again.stop_criterion = StoppingCriterion(max_num_trials_started=2)
    again.run()
    assert again.status.num_trials_completed == 2
    loaded = load_experiment("own", load_tuner=True).tuner
    assert loaded is not None
    assert loaded.status.num_trials_completed == 2


def store_itself(shipped: Shipped, n_workers: int) -> None:
    """A tuner of the same experiment stores itself, on a machine whose folders are not here."""
    own = unpickled(shipped.pickle, "the test")
    own.n_workers = n_workers
    own.tuner_path = own.trial_backend_path = experiment_path("not-here")
    shipped.bucket.put(ROOT + PICKLE, dill.dumps(own, recurse=True))


def test_what_was_launched_after_it_was_stored(shipped: Shipped, caplog: pytest.LogCaptureFixture) -> None:
    """It is newer, and counts; of a launch that got no further than its task, what was stored does."""
    store_itself(shipped, 5)
    assert Tuner.takeover(NAME).n_workers == 1
    shipped.bucket.delete([shipped.place.keys.task_folder(0, 0) + MANIFEST])
    assert Tuner.takeover(NAME).n_workers == 5
    assert "what a tuner has stored is taken instead" in caplog.text


def test_what_was_stored_after_it_was_launched(shipped: Shipped, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts, with the folders of this machine, to which the files of its trials are fetched, and only once."""
    monkeypatch.setattr(taking_over, "_is_newer", lambda *_: True)
    store_itself(shipped, 5)
    keep_files(shipped, {"trials/0/checkpoints/model": b"weights"})
    here = Tuner.takeover(NAME)
    assert here.n_workers == 5
    assert here.tuner_path == experiment_path(NAME)
    assert here.trial_backend_path is None
    model = experiment_path(NAME) / "trials/0/checkpoints/model"
    assert model.read_bytes() == b"weights"
    model.write_bytes(b"better")
    Tuner.takeover(NAME)
    assert model.read_bytes() == b"better"


def keep_files(shipped: Shipped, tree: dict[str, bytes | None]) -> None:
    """The agent of the tuner's job keeps files of trials in S3."""
    folder = experiment_path("elsewhere")
    task = task_of(TRIAL) | {"bucket": "experiments", "prefix": shipped.place.keys.prefix}
    agent = Checkpoints(S3("experiments", "", "us-east-1"), task, 1, str(folder), settle=0.0, patience=0.0)
    agent.restore()
    write_tree(folder, tree)
    assert agent.save_final(none_shipped) is not None


@pytest.mark.parametrize(("age", "newer"), [(0.0, True), (7.0, True), (8.5, False), (20.0, False), (None, False)])
def test_which_of_two_objects_is_newer(age: float | None, newer: bool) -> None:
    """S3 tells whole seconds: what may be of the same moment is not called newer."""
    assert taking_over._is_newer(Seen(b"", "", age), Seen(b"", "", 10.0)) is newer


def test_a_stored_tuner_that_cannot_be_read(shipped: Shipped, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was launched is taken instead, with the log."""
    monkeypatch.setattr(taking_over, "_is_newer", lambda *_: True)
    shipped.bucket.put(ROOT + PICKLE, b"junk")
    assert Tuner.takeover(NAME).name == NAME


def test_limits_that_a_resume_has_changed(shipped: Shipped, caplog: pytest.LogCaptureFixture) -> None:
    """They hold here as in the job that was resumed with them, unless nobody can read them any more."""
    caplog.set_level(logging.WARNING, "cloudtune")
    changes = changes_of(StoppingCriterion(max_num_trials_started=1), n_workers=4, max_failures=7)
    shipped.write(1, shipped.pickle, changes)
    for tuner in (Tuner.takeover(NAME), shipped_tuner(find_in_s3(NAME))):
        assert (tuner.n_workers, tuner.max_failures) == (4, 7)
        assert tuner.stop_criterion == StoppingCriterion(max_num_trials_started=1)
    assert caplog.text == ""
    task = shipped.place.keys.task(0, 1)
    shipped.bucket.put(task, b"{")
    assert Tuner.takeover(NAME).n_workers == 1
    assert f"{shipped.bucket.uri(task)} is gone, or damaged: limits that" in caplog.text
    # A pickle of an earlier launch is changed as the newest one would have been.
    shipped.write(2, b"other", changes)
    assert Tuner.takeover(NAME).n_workers == 4
