"""Checkpoints that lie partly where agents save them, and partly where SageMaker keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.protocol import Keys
from cloudtune.agent.s3 import S3
from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.synced_checkpoints import SyncedCheckpoints
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.errands import Errands
from cloudtune.backend.sagemaker_backend.saved_checkpoints import SavedCheckpoints
from cloudtune.localcloud import Fault, LocalCloud
from tests.agent.checkpoint_folders import PREFIX, none_shipped, task_of, write_tree
from tests.backend.sagemaker.failures.experiment import wait_until

KEYS = Keys(PREFIX)


class Saved:
    """Checkpoints of an experiment in a bucket, and what lies there.

    Args:
        desk: Of a backend.
        bucket: Where.
        folder: For what agents save.
    """

    def __init__(self, desk: Desk, bucket: Bucket, folder: Path) -> None:
        self.bucket = bucket
        self.errands = Errands(desk)
        self._desk = desk
        self._folder = folder

    def checkpoints(self, agents_save: bool = True) -> SavedCheckpoints:
        """As a tuner of the experiment has them that has just begun, and looked what there is."""
        synced = SyncedCheckpoints(self.bucket.aws, self.bucket, lambda trial: self.bucket.uri(KEYS.synced(trial)))
        generations = TrialCheckpoints(self.bucket, KEYS)
        saved = SavedCheckpoints(self._desk, self.errands, generations, synced, agents_save)
        saved.find_earlier()
        return saved

    def by_agent(self, trial: int, text: str) -> None:
        """Has the agent of a job save a file in a folder."""
        folder = self._folder / f"{trial}-{text}"
        job = Checkpoints(S3("data", "", "us-east-1"), task_of(trial, 0), 1, str(folder), settle=0.0, patience=0.0)
        job.restore()
        write_tree(folder, {"sub/file": text.encode()})
        assert job.save_final(none_shipped) is not None

    def by_sagemaker(self, trial: int, text: str) -> None:
        """Has SageMaker keep the same file."""
        self.bucket.put(f"{KEYS.synced(trial)}sub/file", text.encode())

    def wait(self) -> None:
        """Returns when nothing is under way."""
        wait_until(self.errands.are_all_done, "errands")

    def where(self, trial: int) -> tuple[str, str]:
        """What a job with S3 would begin from, and what one without."""
        newest = TrialCheckpoints(self.bucket, KEYS).newest(trial)
        got = None if newest is None else self.bucket.get(newest["files"][0]["key"])
        synced = self.bucket.get(f"{KEYS.synced(trial)}sub/file")
        return "" if got is None else got.body.decode(), "" if synced is None else synced.body.decode()


@pytest.fixture
def saved(desk: Desk, bucket: Bucket, tmp_path: Path) -> Iterator[Saved]:
    """An experiment in which nothing was saved."""
    saved = Saved(desk, bucket, tmp_path)
    yield saved
    desk.closing.set()
    saved.errands.close()


@pytest.mark.parametrize("agents_save", [True, False])
def test_a_job_without_s3_begins_from_what_agents_have_saved(saved: Saved, agents_save: bool) -> None:
    """It gets the newest generation as files, which replace older ones; what only SageMaker has kept stays."""
    saved.by_agent(0, "generation")
    saved.by_sagemaker(0, "older")
    saved.by_sagemaker(1, "files")
    checkpoints = saved.checkpoints(agents_save)
    for trial in range(3):
        checkpoints.begins_without_s3(trial)
    saved.wait()
    assert [saved.where(trial) for trial in range(3)] == [("", "generation"), ("", "files"), ("", "")]
    assert checkpoints.are_synced(0)


@pytest.mark.parametrize(
    ("with_s3", "source", "target", "expected"),
    [
        (True, "generation", "", ("generation", "")),
        (True, "generation", "files", ("generation", "")),
        (True, "files", "generation", ("", "files")),
        (False, "generation", "files", ("", "generation")),
        (False, "files", "generation", ("", "files")),
        (False, "", "generation", ("", "")),
        (False, "", "files", ("", "")),
    ],
)
def test_copies(saved: Saved, with_s3: bool, source: str, target: str, expected: tuple[str, str]) -> None:
    """A copy lies where the target's next job looks for it, and nothing else is left that it could take for newer."""
    for trial, way in ((3, source), (4, target)):
        if way == "generation":
            saved.by_agent(trial, way if trial == 3 else "other")
        elif way == "files":
            saved.by_sagemaker(trial, way if trial == 3 else "other")
    checkpoints = saved.checkpoints()
    checkpoints.copy(3, 4, coming=1, with_s3=with_s3)
    if not with_s3 or checkpoints.are_synced(4):
        checkpoints.begins_without_s3(4)
    saved.wait()
    assert saved.where(4) == expected
    assert saved.where(3) == (source if source == "generation" else "", source if source == "files" else "")
    assert checkpoints.are_synced(4) == (not with_s3 or source == "files")


def test_a_copy_that_failed_is_not_forgotten(saved: Saved, local_cloud: LocalCloud) -> None:
    """A job without S3 that could not get another trial's checkpoint does not begin without it."""
    saved.by_agent(0, "generation")
    checkpoints = saved.checkpoints()
    number = local_cloud.faults.add(Fault("access_denied", "s3:CopyObject"))
    checkpoints.copy(0, 1, coming=0, with_s3=False)
    saved.wait()
    local_cloud.faults.remove(number)
    checkpoints.begins_without_s3(1)
    saved.wait()
    assert "s3:CopyObject" in str(saved.errands.error_of(1))


@pytest.mark.parametrize("agents_save", [True, False])
def test_deleted_wherever_it_lies(saved: Saved, agents_save: bool) -> None:
    """At a trial's end, and by the next tuner; trials that were not named keep theirs."""
    for trial in range(4):
        saved.by_agent(trial, "generation")
        saved.by_sagemaker(trial, "files")
    checkpoints = saved.checkpoints(agents_save)
    checkpoints.delete(0)
    checkpoints.delete_left([1, 2])
    saved.wait()
    assert [saved.where(trial) for trial in range(4)] == [("", "")] * 3 + [("generation", "files")]


def test_a_place_of_the_users_that_may_not_be_listed(
    saved: Saved, local_cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and no reason to end."""
    local_cloud.faults.add(Fault("access_denied", "s3:ListObjectsV2"))
    assert not saved.checkpoints().are_synced(0)
    assert "whether trials have checkpoints that SageMaker itself keeps is not known" in caplog.text
