"""Continuing here what lies in S3: what is fetched, and what is refused."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.clients import aws_for
from cloudtune.aws.packaging import upload_bundle
from cloudtune.aws.s3 import Bucket
from cloudtune.backend import LocalBackend
from cloudtune.config_space import choice
from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments import load_experiment
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import GridSearch
from cloudtune.remote.shipment import pack
from cloudtune.remote.tuner_job import MANIFEST, PICKLE, Settings, TunerPlace
from cloudtune.remote.unpacking import CannotLoad
from cloudtune.store.places import experiment_path
from cloudtune.store.s3_store import S3Store

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

    def write(self, launch: int, pickle: bytes) -> None:
        """Puts the task of a launch."""
        shipped = {PICKLE: pickle, MANIFEST: json.dumps(self.manifest).encode()}
        self.place.write_task(launch, Settings(NAME, "study", ROOT, 3600), shipped)


@pytest.fixture
def shipped(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://experiments/team")
    return Shipped(tmp_path)


def test_all_that_is_needed_comes_from_s3(shipped: Shipped) -> None:
    """Source, tuner, tag and place; the experiment begins here, in S3, and is the same one for everybody."""
    tuner = Tuner.takeover(NAME)
    assert (tuner.name, tuner.tag) == (NAME, "study")
    assert tuner.results_place == f"s3://experiments/{ROOT}"
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


def test_a_stored_tuner_that_cannot_be_read(shipped: Shipped) -> None:
    """What was launched is taken instead, with the log."""
    shipped.bucket.put(ROOT + "tuner.dill", b"junk")
    assert Tuner.takeover(NAME).name == NAME
