"""What a process tells of itself to everybody who reads a lease."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.store.lease import ourselves
from cloudtune.store.local_store import LocalStore
from cloudtune.store.s3_store import S3Store
from tests.store.conftest import ROOT
from tests.store.memory_s3 import MemoryBucket, MemoryS3

SECRET = "hf_0123456789abcdef"


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/home/me/study/launch.py", "--token", SECRET], "launch.py"),
        (["launch.py", f"--token={SECRET}", SECRET], "launch.py"),
        (["/usr/bin/cloudtune", "resume", "NAME", "--profile", SECRET], "cloudtune resume"),
        (["/x/site-packages/cloudtune/__main__.py", "tune", SECRET], "cloudtune tune"),
        (["cloudtune", SECRET], "cloudtune"),
        (["-c", SECRET], "-c"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_only_the_program_is_named(argv: list[str], command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments may be passwords, and what an owner says stays where many can read it."""
    monkeypatch.setattr(sys, "argv", argv)
    assert ourselves()["command"] == command


def test_no_argument_is_in_lease_or_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an experiment here, and of one in S3: nothing that is written holds it."""
    monkeypatch.setattr(sys, "argv", ["launch.py", "--token", SECRET])
    here, s3 = LocalStore(tmp_path / "here"), MemoryS3()
    there = S3Store(_bucket(s3), ROOT)
    for store in (here, there):
        store.open()
    written = [path.read_bytes() for path in (tmp_path / "here").rglob("*") if path.is_file()]
    written += [body for body, _ in s3.objects.values()]
    assert len(written) > 3
    assert json.loads((tmp_path / "here" / "lock").read_text())["command"] == "launch.py"
    assert not [body for body in written if SECRET.encode() in body]
    for store in (here, there):
        store.close()


def _bucket(s3: MemoryS3) -> Bucket:
    return MemoryBucket(s3)
