"""The archive that jobs begin from, where somebody deletes or changes it."""

from __future__ import annotations

import pytest

from cloudtune.agent.protocol import BUNDLE
from cloudtune.aws.entry_point import DAMAGED
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import JobState
from cloudtune.backend.sagemaker_backend import source_archive as module
from cloudtune.backend.sagemaker_backend.attempt import Attempt
from cloudtune.backend.sagemaker_backend.source_archive import SourceArchive
from cloudtune.localcloud import LocalCloud
from cloudtune.trial import Trial
from tests.aws.job_states import job_state

FOLDER = "s3://data/cloudtune/code/0123/"
KEY = f"cloudtune/code/0123/{BUNDLE}"


class Scene:
    """An archive, whose clock a test sets."""

    def __init__(self, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bucket = bucket
        self.now = 1000.0
        monkeypatch.setattr(module, "now", lambda: self.now)
        self.archive = SourceArchive(bucket, self._upload)

    def _upload(self) -> str:
        got = self.bucket.get(KEY)
        if got is None or got.body != b"archive":
            self.bucket.put(KEY, b"archive")
        return FOLDER

    def attempt(self, created_at: float | None) -> Attempt:
        one = Attempt(Trial(0, {}), "name-abcdef-0-0", "abcdef-0-0")
        one.created_at = created_at
        return one


@pytest.fixture
def scene(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(bucket, monkeypatch)


def failed(reason: str = f'No S3 objects found under S3 URL "{FOLDER}" given') -> JobState:
    """A job that could not download its input."""
    return job_state("Failed", failure_reason=f"ClientError: Data download failed: {reason}", has_run=False)


def test_an_archive_that_was_deleted_is_there_before_the_next_job(scene: Scene, local_cloud: LocalCloud) -> None:
    """It is looked for now and then, not before every job, and uploaded where it is missing."""
    scene.bucket.delete([KEY])
    before = len(local_cloud.calls("s3:HeadObject"))
    scene.archive.keep()
    assert len(local_cloud.calls("s3:HeadObject")) == before
    scene.now += 100
    scene.archive.keep()
    assert scene.bucket.exists(KEY)


def test_a_job_that_missed_it_is_not_to_blame(scene: Scene) -> None:
    """Neither the first that shows that it is missing, nor those that were created before it was uploaded again."""
    created_at = scene.now
    scene.now += 30
    scene.bucket.delete([KEY])
    assert scene.archive.was_missing(scene.attempt(created_at), failed())
    assert scene.bucket.exists(KEY)
    scene.now += 2
    assert scene.archive.was_missing(scene.attempt(created_at), failed())


def test_a_job_that_could_have_had_it_has_failed(scene: Scene) -> None:
    """What is there and was not found, or another input that was not found, are failures; so is any other end."""
    scene.now += 30
    assert not scene.archive.was_missing(scene.attempt(scene.now), failed())
    scene.bucket.delete([KEY])
    assert not scene.archive.was_missing(scene.attempt(scene.now), failed("No S3 objects found under s3://data/mine"))
    assert not scene.bucket.exists(KEY)


def test_who_deletes_it_again_and_again_wins(scene: Scene) -> None:
    """In the end the trials fail, before they have cost much."""
    found = []
    for _ in range(12):
        scene.bucket.delete([KEY])
        found.append(scene.archive.was_missing(scene.attempt(scene.now), failed()))
    assert found == [True] * 10 + [False] * 2


def test_an_archive_that_was_changed_is_whole_before_the_next_job(scene: Scene) -> None:
    """As with one that was deleted."""
    scene.bucket.put(KEY, b"changed")
    scene.now += 100
    scene.archive.keep()
    assert scene.bucket.get(KEY).body == b"archive"  # type: ignore[union-attr]


def test_a_job_that_began_with_a_changed_archive_is_not_to_blame(scene: Scene) -> None:
    """What its beginning says of the archive is looked into; what a script says of anything else is not."""
    damaged = failed(f"the archive cloudtune/code/0123/{BUNDLE} {DAMAGED} (BadZipFile)")
    created_at = scene.now
    scene.now += 30
    scene.bucket.put(KEY, b"changed")
    assert not scene.archive.was_missing(scene.attempt(created_at), failed(f"my data {DAMAGED}"))
    assert scene.archive.was_missing(scene.attempt(created_at), damaged)
    assert scene.bucket.get(KEY).body == b"archive"  # type: ignore[union-attr]
    scene.now += 2
    assert scene.archive.was_missing(scene.attempt(created_at), damaged)
    assert not scene.archive.was_missing(scene.attempt(scene.now), damaged)
