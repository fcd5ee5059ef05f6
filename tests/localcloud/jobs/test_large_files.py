"""Files that take long to move: orders are obeyed meanwhile, limits hold, and the log goes on."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune.localcloud.jobs import storage as storage_module
from cloudtune.localcloud.jobs.job_life import JobLife
from tests.localcloud.jobs.place import BUCKET, Place, cloud

CHECKPOINTS = {"S3Uri": f"s3://{BUCKET}/ck"}
#: Never through, on any machine: a test that does not end it would run into its time limit.
HUGE = 1 << 42
SPARSE = f"import os, sys; os.truncate(open(sys.argv[1], 'w').name, {HUGE})"
#: A volume that has room for it.
VAST = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1 << 20}


def wait_for_upload(place: Place, monkeypatch: pytest.MonkeyPatch, begin: Callable[[], object]) -> None:
    """Returns when some of a file has gone up."""
    goes_up = threading.Event()
    write = storage_module.NewObject.write

    def and_tell(new: storage_module.NewObject, data: bytes) -> int:
        goes_up.set()
        return write(new, data)

    monkeypatch.setattr(storage_module.NewObject, "write", and_tell)
    begin()
    assert goes_up.wait(60)


@pytest.mark.parametrize("compression", ["GZIP", "NONE"])
def test_a_stop_while_the_model_goes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    """The upload is given up: Stopping, then Stopped, without a model."""
    with cloud(tmp_path / "c") as place:
        output = {"S3OutputPath": f"s3://{BUCKET}/out", "CompressionType": compression}
        jobs = []

        def begin() -> None:
            jobs.append(place.python(SPARSE, "/opt/ml/model/x", ResourceConfig=VAST, OutputDataConfig=output))

        wait_for_upload(place, monkeypatch, begin)
        place.stop(jobs[0])
        job = place.ended(jobs[0])
        assert place.secondaries(job)[-3:] == ["Uploading", "Stopping", "Stopped"]
        assert job.state.model_artifacts is None
        assert place.objects("out") == []


@pytest.mark.parametrize("path", ["/opt/ml/model/x", "/opt/ml/checkpoints/x"])
def test_a_cloud_that_closes_while_files_go_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Nobody waits for the end of an upload, be it the model's or the last checkpoint's."""
    with cloud(tmp_path / "c") as place:
        wait_for_upload(
            place,
            monkeypatch,
            lambda: place.python(SPARSE, path, ResourceConfig=VAST, CheckpointConfig=CHECKPOINTS),
        )
        place.platform.close()
        assert place.executor.running() == []


def test_a_stop_while_the_last_checkpoint_goes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a job whose container has ended, and which is not uploading its model yet, is stopped at once."""
    with cloud(tmp_path / "c") as place:
        jobs = []

        def begin() -> None:
            jobs.append(
                place.python(SPARSE, "/opt/ml/checkpoints/x", ResourceConfig=VAST, CheckpointConfig=CHECKPOINTS)
            )

        wait_for_upload(place, monkeypatch, begin)
        place.wait_for(lambda: all(host.exit_code is not None for host in place.executor._life(jobs[0]).hosts))
        place.stop(jobs[0])
        assert place.ended(jobs[0]).state.secondary == "Stopped"


def test_the_log_goes_on_while_a_checkpoint_goes_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output is read, and a stop reaches the container, while a large checkpoint is on its way."""
    script = f"{SPARSE}\nimport time, signal\nsignal.signal(15, lambda *_: exit(print('terminated')))\n"
    script += "while True: print('line', flush=True); time.sleep(0.01)"
    with cloud(tmp_path / "c", sync_interval=0.01) as place:
        jobs = []

        def begin() -> None:
            jobs.append(
                place.python(script, "/opt/ml/checkpoints/x", ResourceConfig=VAST, CheckpointConfig=CHECKPOINTS)
            )

        wait_for_upload(place, monkeypatch, begin)
        before = len(place.lines(jobs[0]))
        place.wait_for(lambda: len(place.lines(jobs[0])) > before + 5, "more lines")
        place.stop(jobs[0])
        place.wait_for(lambda: "terminated" in place.lines(jobs[0]))
        assert place.objects("ck") == []


def test_holes_count_as_what_they_would_be_in_s3(tmp_path: Path) -> None:
    """A file that is larger than the volume fails the job, and is not uploaded, whatever place it takes on the disk."""
    with cloud(tmp_path / "c", volume_limit=50_000_000) as place:
        for path in ("/opt/ml/model/x", "/opt/ml/output/data/x", "/opt/ml/checkpoints/x"):
            job = place.ended(place.python(SPARSE, path, CheckpointConfig=CHECKPOINTS))
            assert "No space left on device" in (job.state.failure_reason or "")
            assert str(HUGE)[:6] in (job.state.failure_reason or "")
        assert place.objects("ck") == []


def test_what_is_made_for_an_upload_does_not_count(tmp_path: Path) -> None:
    """Checkpoint and model may fill the volume: no copy of theirs is in it."""
    script = """
import os, time
for folder in ("checkpoints", "model"):
    with open(f"/opt/ml/{folder}/x", "wb") as file: file.write(os.urandom(4_000_000))
while not os.path.exists("/opt/ml/checkpoints/go"): time.sleep(0.01)
"""
    with cloud(tmp_path / "c", volume_limit=9_000_000, sync_interval=0.01) as place:
        job = place.python(script, CheckpointConfig=CHECKPOINTS)
        place.wait_for(lambda: [found.size for found in place.platform.storage.list(BUCKET, "ck")] == [4_000_000])
        place.wait_for(lambda: Path(place.executor._life(job).hosts[0].ml.path, "model/x").stat().st_size == 4_000_000)
        root = Path(place.executor._life(job).hosts[0].ml.path).parents[1]
        held = [path for path in root.rglob("*") if path.is_file() and path.stat().st_size > 1_000_000]
        assert len(held) == 2
        Path(place.executor._life(job).hosts[0].ml.path, "checkpoints/go").touch()
        assert place.ended(job).status == "Completed", job.state


@pytest.mark.parametrize("compressed", [False, True])
def test_a_stop_while_a_large_input_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool) -> None:
    """The download ends within the object, whether it is only copied or decompressed as well."""
    with cloud(tmp_path / "c") as place:
        place.put("data/x.gz", gzip.compress(bytes(100_000_000), 1) if compressed else bytes(100_000_000))
        check = JobLife._check
        stopped_at = []

        def and_stop(life: JobLife) -> None:
            files = [path.stat().st_size for path in tmp_path.rglob("ml/input/data/a/x*")]
            if files and sum(files) > 2_000_000:
                stopped_at.append(sum(files))
                life.job.want_stop()
            check(life)

        monkeypatch.setattr(JobLife, "_check", and_stop)
        source = {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/data"}}
        more = {"CompressionType": "Gzip"} if compressed else {}
        job = place.run("true", InputDataConfig=[{"ChannelName": "a", "DataSource": source, **more}])
        assert job.status == "Stopped"
        assert max(stopped_at) < 50_000_000
