"""Checkpoints on the tuner's side: copied within S3, each copy whole or invisible; deleted in batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.protocol import Keys
from cloudtune.agent.s3 import S3
from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.errors import AccessDenied, AwsError
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.s3_transfer import Parts
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.agent.checkpoint_folders import KEYS, PREFIX, none_shipped, read_tree, task_of, write_tree

SOURCE, TARGET = 3, 7

Tree = dict[str, bytes | None]


@pytest.fixture
def trials(bucket: Bucket) -> TrialCheckpoints:
    return TrialCheckpoints(bucket, Keys(PREFIX))


def agent(folder: Path, trial: int, attempt: int = 0, run: int = 1) -> Checkpoints:
    """A job's side, with its own connection."""
    s3 = S3("data", "", "us-east-1")
    return Checkpoints(s3, task_of(trial, attempt), run, str(folder), settle=0.0, patience=0.0)


def save(folder: Path, tree: Tree, trial: int, attempt: int = 0, run: int = 1) -> str:
    """Has a job save a tree; the generation."""
    job = agent(folder / f"save-{trial}-{attempt}-{run}", trial, attempt, run)
    job.restore()
    write_tree(folder / f"save-{trial}-{attempt}-{run}", tree)
    name = job.save_final(none_shipped)
    assert name is not None
    return name


def restored(folder: Path, trial: int, attempt: int) -> Tree:
    agent(folder / f"restored-{trial}-{attempt}", trial, attempt).restore()
    return read_tree(folder / f"restored-{trial}-{attempt}")


def keys_of(bucket: Bucket, trial: int) -> list[str]:
    return [listed.key for listed in bucket.list(KEYS.checkpoints(trial))]


def test_the_tuner_sees_what_an_agent_would_restore(bucket: Bucket, trials: TrialCheckpoints, tmp_path: Path) -> None:
    """The newest complete generation; one with a lost object does not count, and without any there is none."""
    assert trials.newest(SOURCE) is None
    first = save(tmp_path, {"m": b"1"}, SOURCE)
    second = save(tmp_path, {"m": b"2"}, SOURCE, attempt=1)
    newest = trials.newest(SOURCE)
    assert newest is not None
    assert newest["generation"] == second
    bucket.delete([newest["files"][0]["key"]])
    newest = trials.newest(SOURCE)
    assert newest is not None
    assert newest["generation"] == first


@pytest.mark.defect("E11")
def test_a_copy_goes_from_s3_to_s3(
    bucket: Bucket, trials: TrialCheckpoints, local_cloud: LocalCloud, tmp_path: Path
) -> None:
    """Not a byte of the files comes through the tuner, and there are no more calls than files, small or large."""
    tree: Tree = {f"shards/{number}": b"x" * number for number in range(40)}
    tree |= {"large": bytes(11 * 1024 * 1024), "empty": None}
    save(tmp_path, tree, SOURCE)
    parts = TrialCheckpoints(Bucket(bucket.aws, "data", copy_parts=Parts(5 * 1024 * 1024, 5 * 1024 * 1024)), KEYS)
    before = local_cloud.call_counts()
    assert parts.copy(SOURCE, TARGET, attempt=0) is not None
    after = local_cloud.call_counts()
    added = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    assert added.pop("s3:CopyObject") == 40
    assert added.pop("s3:UploadPartCopy") == 3
    assert added.pop("s3:GetObject") == 2  # manifests
    assert added.pop("s3:PutObject") == 1
    assert added.pop("s3:ListObjectsV2") == 4
    assert set(added) <= {"s3:CreateMultipartUpload", "s3:CompleteMultipartUpload", "s3:HeadObject"}
    assert restored(tmp_path, TARGET, 0) == tree
    assert restored(tmp_path, SOURCE, 1) == tree


def test_a_copy_is_newer_than_the_past_and_older_than_what_comes(trials: TrialCheckpoints, tmp_path: Path) -> None:
    """PBT: a trial that has saved takes another's checkpoint for its next attempt, and goes on saving from there."""
    save(tmp_path, {"m": b"source"}, SOURCE)
    for attempt in (0, 1):
        for run in (1, 2, 11):
            save(tmp_path, {"m": f"own {attempt} {run}".encode(), f"only {attempt}": b""}, TARGET, attempt, run)
    assert trials.copy(SOURCE, TARGET, attempt=2) is not None
    assert restored(tmp_path, TARGET, 2) == {"m": b"source"}
    save(tmp_path, {"m": b"own again"}, TARGET, attempt=2, run=1)
    assert restored(tmp_path, TARGET, 3) == {"m": b"own again"}


def test_nothing_else_of_the_target_is_left(bucket: Bucket, trials: TrialCheckpoints, tmp_path: Path) -> None:
    """After a copy, the target has one manifest and the files it names."""
    save(tmp_path, {"m": b"source", "n": b"source"}, SOURCE)
    save(tmp_path, {"m": b"own", "x": b"own"}, TARGET)
    name = trials.copy(SOURCE, TARGET, attempt=1)
    assert name is not None
    keys = keys_of(bucket, TARGET)
    assert len(keys) == 3
    assert KEYS.manifest(TARGET, name) in keys


def test_copied_files_are_not_uploaded_again(bucket: Bucket, trials: TrialCheckpoints, tmp_path: Path) -> None:
    """The job that begins from a copy refers to its objects as to its own, and deletes them when they are old."""
    save(tmp_path, {"big": b"big", "m": b"source"}, SOURCE)
    trials.copy(SOURCE, TARGET, attempt=0)
    job = agent(tmp_path / "job", TARGET)
    job.restore()
    for epoch in range(3):
        write_tree(tmp_path / "job", {"m": b"%d" % epoch})
        job.save_if_due(none_shipped, now=True)
    newest = trials.newest(TARGET)
    assert newest is not None
    assert "000000-000000-000000" in next(file["key"] for file in newest["files"] if file["path"] == "big")
    assert len(keys_of(bucket, TARGET)) == 2 + 3
    assert restored(tmp_path, SOURCE, 1) == {"big": b"big", "m": b"source"}


def test_from_a_source_without_a_checkpoint_nothing_is_inherited(
    bucket: Bucket, trials: TrialCheckpoints, tmp_path: Path
) -> None:
    """The target then begins from scratch, not from what it has saved itself."""
    save(tmp_path, {"m": b"own"}, TARGET)
    assert trials.copy(SOURCE, TARGET, attempt=1) is None
    assert trials.newest(TARGET) is None
    assert keys_of(bucket, TARGET) == []


def test_an_empty_checkpoint_is_copied_too(trials: TrialCheckpoints, tmp_path: Path) -> None:
    """A source that has removed all its files has a checkpoint: an empty one."""
    save(tmp_path, {"m": b"1"}, SOURCE)
    job = agent(tmp_path / "emptied", SOURCE, 1)
    job.restore()
    (tmp_path / "emptied" / "m").unlink()
    job.save_final(none_shipped)
    save(tmp_path, {"m": b"own"}, TARGET)
    assert trials.copy(SOURCE, TARGET, attempt=1) is not None
    assert restored(tmp_path, TARGET, 1) == {}


@pytest.mark.parametrize("operation", ["s3:CopyObject", "s3:PutObject", "s3:ListObjectsV2", "s3:DeleteObjects"])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_copy_cut_short_shows_nothing_and_is_repeated(
    operation: str, skip: int, bucket: Bucket, trials: TrialCheckpoints, faults: CloudFaults, tmp_path: Path
) -> None:
    """Wherever a copy ends, the target restores all of its own or of the source's; done again, of the source's."""
    source: Tree = {"m": b"source", "n": b"source", "o": b"source"}
    own: Tree = {"m": b"own", "x": b"own"}
    save(tmp_path, source, SOURCE)
    save(tmp_path, own, TARGET)
    faults.add("access_denied", operation=operation, skip=skip)
    try:
        TrialCheckpoints(bucket.with_patience(0), KEYS).copy(SOURCE, TARGET, attempt=1)
    except AccessDenied:
        faults.clear()
        assert restored(tmp_path / "cut", TARGET, 1) in (own, source)
    faults.clear()
    trials.copy(SOURCE, TARGET, attempt=1)
    assert restored(tmp_path, TARGET, 1) == source
    assert len(keys_of(bucket, TARGET)) == 4


def test_a_second_copy_never_mixes_with_the_first(
    trials: TrialCheckpoints, bucket: Bucket, faults: CloudFaults, tmp_path: Path
) -> None:
    """A copy from another source for the same attempt is cut short: the first one still stands whole."""
    save(tmp_path, {"m": b"first", "n": b"first"}, SOURCE)
    save(tmp_path, {"m": b"other", "n": b"other"}, 4)
    trials.copy(SOURCE, TARGET, attempt=1)
    faults.add("access_denied", operation="s3:PutObject")
    with pytest.raises(AwsError):
        trials.copy(4, TARGET, attempt=1)
    faults.clear()
    assert restored(tmp_path / "cut", TARGET, 1) == {"m": b"first", "n": b"first"}
    trials.copy(4, TARGET, attempt=1)
    assert restored(tmp_path, TARGET, 1) == {"m": b"other", "n": b"other"}


@pytest.mark.parametrize("operation", ["s3:CopyObject", "s3:PutObject"])
def test_confirmed_and_lost_writes_are_repeated(
    operation: str, trials: TrialCheckpoints, faults: CloudFaults, tmp_path: Path
) -> None:
    """S3 says that it has copied, and has not: the copy is whole all the same."""
    save(tmp_path, {"m": b"1", "n": b"2"}, SOURCE)
    faults.add("write_lost", operation=operation, count=2)
    assert trials.copy(SOURCE, TARGET, attempt=0) is not None
    assert len(faults.fired()) == 2
    assert restored(tmp_path, TARGET, 0) == {"m": b"1", "n": b"2"}


def test_a_source_that_goes_on_saving_is_copied_in_its_newer_state(bucket: Bucket, tmp_path: Path) -> None:
    """Objects deleted while they are copied, since the source has saved twice: the copy begins anew, and is whole."""
    save(tmp_path, {"m": b"1", "n": b"1"}, SOURCE)

    class Running(Bucket):
        saved = 0

        def copy_many(self, pairs: object, source: Bucket | None = None) -> None:
            if self.saved < 2:
                for _ in range(2):
                    self.saved += 1
                    save(tmp_path, {"m": b"%d" % (10 + self.saved), "n": b"1%d" % self.saved}, SOURCE, self.saved)
            super().copy_many(pairs, source)  # type: ignore[arg-type]

    trials = TrialCheckpoints(Running(bucket.aws, "data"), KEYS)
    assert trials.copy(SOURCE, TARGET, attempt=0) is not None
    assert restored(tmp_path, TARGET, 0) == {"m": b"12", "n": b"12"}


@pytest.mark.defect("E11")
def test_a_checkpoint_is_deleted_in_batches(
    bucket: Bucket, trials: TrialCheckpoints, local_cloud: LocalCloud, faults: CloudFaults
) -> None:
    """Thousands of objects go with a handful of calls, of this trial only; deletions that S3 has lost are repeated."""
    client = local_cloud.client("s3")
    for number in range(1200):
        client.put_object(Bucket="data", Key=f"{KEYS.files(1, '000000-000001-000001')}{number}", Body=b"")
    client.put_object(Bucket="data", Key=KEYS.manifest(1, "000000-000001-000001"), Body=b"{}")
    client.put_object(Bucket="data", Key=KEYS.manifest(11, "000000-000001-000001"), Body=b"{}")
    faults.add("write_lost", operation="s3:DeleteObjects", count=1, skip=1)
    before = local_cloud.call_counts()
    trials.delete(1)
    after = local_cloud.call_counts()
    assert after["s3:DeleteObjects"] - before.get("s3:DeleteObjects", 0) == 1 + 2 + 1
    assert sum(after.values()) - sum(before.values()) <= 12
    assert keys_of(bucket, 1) == []
    assert len(keys_of(bucket, 11)) == 1
    trials.delete(1)  # of what is not there, too
