"""Checkpoints: down before the start, up while the job runs and at its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.fault import Fault
from cloudtune.localcloud.jobs.checkpoint_sync import CheckpointSync
from cloudtune.localcloud.jobs.s3_location import S3Location
from tests.localcloud.jobs.place import BUCKET, cloud


def go_on() -> None:
    """Nothing ends the pass."""


CHECKPOINTS = {"S3Uri": f"s3://{BUCKET}/ck/"}


def test_down_and_up(tmp_path: Path) -> None:
    """A job finds what was there, changes are uploaded while it runs, and the rest when it has ended."""
    script = """
cd /opt/ml/checkpoints; find . -type f | sort; cat sub/old
echo new > new; echo changed > sub/old; rm gone; echo ready
while ! test -e /opt/ml/checkpoints/go; do sleep 0.01; done; echo last > last
"""
    with cloud(tmp_path / "c", sync_interval=0.01) as place:
        place.put("ck/sub/old", "old\n")
        place.put("ck/gone", "gone")
        place.put("ck-other", "not ours")
        job = place.create("sh", "-c", script, CheckpointConfig=CHECKPOINTS)
        place.wait_for(lambda: "ck/new" in place.objects("ck/") and place.get("ck/sub/old") == b"changed\n")
        assert job.state.secondary == "Training"
        assert place.get("ck/gone") == b"gone"
        life = place.executor._life(job)
        Path(life.hosts[0].ml.path, "checkpoints/go").touch()
        place.ended(job)
        assert place.lines(job) == ["./gone", "./sub/old", "old", "ready"]
        assert place.get("ck/last") == b"last\n"


def test_another_local_path(tmp_path: Path) -> None:
    """LocalPath may be anywhere below /opt/ml; elsewhere the job fails and says so."""
    with cloud(tmp_path / "c") as place:
        config = {**CHECKPOINTS, "LocalPath": "/opt/ml/my/own/"}
        assert place.run("sh", "-c", "echo 1 > /opt/ml/my/own/x", CheckpointConfig=config).status == "Completed"
        assert place.get("ck/x") == b"1\n"
        for path in ("/tmp/checkpoints", "/opt/ml/../../tmp", "/opt/ml"):
            job = place.run("true", CheckpointConfig={**CHECKPOINTS, "LocalPath": path})
            assert repr(path) in (job.state.failure_reason or "")


def test_a_bucket_that_is_missing(tmp_path: Path) -> None:
    """A job whose checkpoints cannot be read, or not be written in the end, fails."""
    with cloud(tmp_path / "c") as place:
        job = place.run("true", CheckpointConfig={"S3Uri": "s3://no-such-bucket/ck"})
        assert "Data download failed" in (job.state.failure_reason or "")
        assert "no-such-bucket" in (job.state.failure_reason or "")


def test_keys_that_are_no_checkpoints(tmp_path: Path) -> None:
    """A key that would leave the folder fails the job."""
    with cloud(tmp_path / "c") as place:
        place.put("ck/../../x", "evil")
        job = place.run("true", CheckpointConfig=CHECKPOINTS)
        assert "is no path inside of a folder" in (job.state.failure_reason or "")


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Nothing of this machine goes up as a checkpoint, not even when the folder itself is replaced by a link."""
    with cloud(tmp_path / "c") as place:
        script = "cd /opt/ml/checkpoints; ln -s /etc/passwd a; ln -s /etc etc; mkfifo p; echo 1 > real"
        assert place.run("sh", "-c", script, CheckpointConfig=CHECKPOINTS).status == "Completed"
        assert place.objects("ck/") == ["ck/real"]
        script = "rmdir /opt/ml/checkpoints || rm -r /opt/ml/checkpoints; ln -s /etc /opt/ml/checkpoints"
        assert place.run("sh", "-c", script, CheckpointConfig=CHECKPOINTS).status == "Completed"
        assert place.objects("ck/") == ["ck/real"]


def test_uploads_that_cease(tmp_path: Path) -> None:
    """From the fault's time on nothing goes up, not even in the end, and the job completes as if it had."""
    with cloud(tmp_path / "c") as place:
        place.platform.faults.add(Fault("sync_ceases"))
        job = place.run("sh", "-c", "sleep 0.1; echo 1 > /opt/ml/checkpoints/x", CheckpointConfig=CHECKPOINTS)
        assert job.status == "Completed"
        assert place.objects("ck") == []


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """Nothing half-written goes up: the file waits for the next pass."""
    with cloud(tmp_path / "c") as place:
        ml = tmp_path / "ml"
        (ml / "ck").mkdir(parents=True)
        growing = ml / "ck" / "growing"
        growing.write_text("1")
        sync = CheckpointSync(place.platform.storage, S3Location(BUCKET, "ck"), str(ml), "ck")

        def grow() -> None:
            with growing.open("a") as end:
                end.write("2")

        sync.upload_changed(grow)
        assert place.objects("ck") == []
        growing.write_text("12")
        sync.upload_changed(go_on)
        assert place.get("ck/growing") == b"12"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "remove", "pass"]), st.sampled_from(["a", "b/c", "b/d", "e"]), st.binary(max_size=3)
    ),
    max_size=12,
)


@given(steps=STEPS)
def test_after_the_last_pass_s3_has_what_was_written_last(tmp_path_factory: Any, steps: Any) -> None:
    """Whatever is written, replaced and removed between passes: in the end every file there is in S3 as it is."""
    folder = tmp_path_factory.mktemp("sync")
    with cloud(folder / "c") as place:
        ml = folder / "ml"
        (ml / "ck").mkdir(parents=True)
        sync = CheckpointSync(place.platform.storage, S3Location(BUCKET, "ck"), str(ml), "ck")
        for step, name, content in steps:
            path = ml / "ck" / name
            if step == "write":
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            elif step == "remove":
                path.unlink(missing_ok=True)
            else:
                sync.upload_changed(go_on)
        sync.upload_rest(go_on)
        for at, _, names in os.walk(ml / "ck"):
            for name in names:
                path = Path(at, name)
                assert place.get(f"ck/{path.relative_to(ml / 'ck')}") == path.read_bytes()
