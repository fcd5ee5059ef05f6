"""Jobs that fail: each says why, and nothing of it stays behind (which ``cloud`` looks for)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cloudtune.localcloud.jobs.host import Host
from tests.localcloud.jobs.place import BUCKET, cloud


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "AlgorithmError: , exit code: 3"),
        ("echo out of memory > /opt/ml/output/failure; exit 1", "AlgorithmError: out of memory\n, exit code: 1"),
        ("kill -9 $$; kill -SEGV 1", None),
        ("python /opt/ml/code/missing.py", "can't open file"),
        ("mkfifo /opt/ml/output/failure; exit 4", "AlgorithmError: , exit code: 4"),
        ("ln -s /etc/passwd /opt/ml/output/failure; exit 5", "AlgorithmError: , exit code: 5"),
        ("rm -r /opt/ml/output; ln -s /etc /opt/ml/output; exit 6", "AlgorithmError: , exit code: 6"),
        ("printf '\\377bad' > /opt/ml/output/failure; exit 7", "AlgorithmError: \ufffdbad, exit code: 7"),
        ("tar xf /opt/ml/input/nothing.tar.gz", "AlgorithmError: "),
    ],
)
def test_a_container_that_fails(tmp_path: Path, script: str, reason: str | None) -> None:
    """The reason has what the job wrote about its failure, or how its output ended, and the exit code."""
    with cloud(tmp_path / "c") as place:
        job = place.run("sh", "-c", script)
        if reason is None:  # the first process of a container cannot kill itself
            assert job.is_terminal
            return
        assert job.status == "Failed"
        assert reason in (job.state.failure_reason or "")
        assert "exit code: " in (job.state.failure_reason or "")
        assert place.secondaries(job)[-2:] == ["Uploading", "Failed"]


def test_an_end_by_a_signal(tmp_path: Path) -> None:
    """The exit code is 128 and the signal's number, and the signal is named."""
    with cloud(tmp_path / "c") as place:
        job = place.python("import time; print('up'); time.sleep(600)")
        place.wait_for_line(job, "up")
        place.executor._life(job).hosts[0].container.kill()
        place.ended(job)
        assert job.state.failure_reason == "AlgorithmError: , exit code: 137 (SIGKILL)"


def test_a_failure_text_is_cut_but_the_exit_code_stays(tmp_path: Path) -> None:
    """FailureReason has at most 1024 characters, and ends with the exit code however long the text is."""
    with cloud(tmp_path / "c") as place:
        job = place.python("open('/opt/ml/output/failure', 'w').write('x' * 5000); raise SystemExit(9)")
        reason = place.ended(job).state.failure_reason or ""
        assert len(reason) == 1024
        assert reason.endswith("xx, exit code: 9")


def test_the_host_that_failed_is_named(tmp_path: Path) -> None:
    """Of several hosts the one that ended first with a failure is told, with or without a text of its own."""
    with cloud(tmp_path / "c") as place:
        three = {"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1}
        for text in ("", "no memory"):
            script = f"test $CURRENT_HOST = algo-2 || exec sleep 600; printf '{text}'; exit 7"
            job = place.run("sh", "-c", script, ResourceConfig=three)
            assert job.state.failure_reason == f"AlgorithmError: algo-2: {text}, exit code: 7"


def test_an_image_without_train(tmp_path: Path) -> None:
    """A job without an entry point runs ``train``; where there is none, the reason names it."""
    with cloud(tmp_path / "c", images={"*": str(tmp_path / "venv")}) as place:
        (tmp_path / "venv" / "bin").mkdir(parents=True)
        os.symlink("/bin/true", tmp_path / "venv" / "bin" / "python")
        job = place.run()
        assert job.status == "Failed"
        assert "CannotStartContainerError" in (job.state.failure_reason or "")
        assert "'train'" in (job.state.failure_reason or "")


def test_an_image_with_train(tmp_path: Path) -> None:
    """The image's own program ``train`` gets the arguments."""
    program = tmp_path / "venv" / "bin" / "train"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho trained with "$@"\n')
    program.chmod(0o755)
    with cloud(tmp_path / "c", images={"other*": "/nowhere", "an-image*": str(tmp_path / "venv")}) as place:
        os.symlink("/bin/true", tmp_path / "venv" / "bin" / "python")
        job = place.run(algorithm={"ContainerArguments": ["--lr", "1"]})
        assert place.lines(job) == ["trained with --lr 1"]
        missing = place.run("true", algorithm={"TrainingImage": "other:latest"})
        assert "/nowhere" in (missing.state.failure_reason or "")


def test_more_output_than_the_cloud_keeps(tmp_path: Path) -> None:
    """A job that writes without end is ended as failed; what it wrote up to the limit is in the log."""
    with cloud(tmp_path / "c", log_limit=1_000_000) as place:
        job = place.run("sh", "-c", "yes 'line after line'")
        assert job.status == "Failed"
        assert "1000000 bytes" in (job.state.failure_reason or "")
        assert 0 < sum(map(len, place.lines(job))) <= 1_000_000


def test_a_job_that_fills_its_volume(tmp_path: Path) -> None:
    """A job that holds more than its volume is ended as failed while it runs, and also if it has just ended."""
    with cloud(tmp_path / "c", volume_limit=2_000_000) as place:
        lasting = place.run("sh", "-c", "head -c 5000000 /dev/zero > /opt/ml/model/zeros; sleep 600")
        quick = place.run("sh", "-c", "head -c 5000000 /dev/zero > ${TMPDIR:-/tmp}/zeros")
        for job in (lasting, quick):
            assert job.status == "Failed"
            assert "No space left on device" in (job.state.failure_reason or "")
            assert "2000000" in (job.state.failure_reason or "")


def test_inputs_larger_than_the_volume(tmp_path: Path) -> None:
    """A job whose inputs do not fit never starts."""
    with cloud(tmp_path / "c", volume_limit=1_000_000) as place:
        place.put("data/x", b"x" * 3_000_000)
        source = {"S3DataSource": {"S3Uri": f"s3://{BUCKET}/data"}}
        job = place.run("true", InputDataConfig=[{"ChannelName": "a", "DataSource": source}])
        assert "No space left on device" in (job.state.failure_reason or "")
        assert "Training" not in place.secondaries(job)


def test_a_full_disk_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cloud itself cannot write, the job fails and says so; the next one runs."""
    with cloud(tmp_path / "c") as place:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("cloudtune.localcloud.jobs.ml_folder.MlFolder.make", full)
            job = place.run("true")
        assert job.status == "Failed"
        assert "No space left on device" in (job.state.failure_reason or "")
        assert place.run("true").status == "Completed"


def test_daemons_end_with_their_job(tmp_path: Path) -> None:
    """What a job leaves in the background, in sessions of its own, is killed when its first process ends."""
    script = "for i in 1 2 3; do setsid sh -c 'sleep 600' >/dev/null 2>&1 & done; setsid sleep 600 & echo done"
    with cloud(tmp_path / "c") as place:
        job = place.run("sh", "-c", script)
        assert job.status == "Completed"
        assert place.lines(job) == ["done"]


def test_files_without_rights_are_removed(tmp_path: Path) -> None:
    """Folders that nobody may enter, write or list go away with the job."""
    script = "mkdir -p a/b/c && touch a/b/c/d && chmod 000 a/b/c && chmod 500 a/b && chmod 000 /opt/ml/input"
    with cloud(tmp_path / "c") as place:
        assert place.run("sh", "-c", script).status == "Completed"


def test_outputs_that_cannot_be_stored(tmp_path: Path) -> None:
    """A missing bucket fails a job that would complete, with output or without; one that failed stays failed."""
    with cloud(tmp_path / "c") as place:
        nowhere = {"S3OutputPath": "s3://no-such-bucket/out"}
        good = place.run("sh", "-c", "echo > /opt/ml/model/x", OutputDataConfig=nowhere)
        bad = place.run("sh", "-c", "echo > /opt/ml/output/data/x; exit 2", OutputDataConfig=nowhere)
        nothing = place.run("true", OutputDataConfig=nowhere)
        plain = place.run("true", OutputDataConfig={**nowhere, "CompressionType": "NONE"})
        for job in (good, nothing, plain):
            assert (job.state.failure_reason or "").startswith("ClientError: Artifact upload failed: ")
            assert "no-such-bucket" in (job.state.failure_reason or "")
        assert bad.state.failure_reason == "AlgorithmError: , exit code: 2"


def test_a_defect_of_the_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw ends the job as failed by AWS's words, with its container."""

    def defect(_: Host) -> bytes:
        raise ZeroDivisionError

    with cloud(tmp_path / "c") as place:
        monkeypatch.setattr(Host, "read", defect)
        job = place.run("sh", "-c", "echo x; sleep 600")
        assert job.status == "Failed"
        assert job.state.failure_reason == ("InternalServerError: We encountered an internal error. Please try again.")


def test_no_container_without_a_sandbox(tmp_path: Path) -> None:
    """A network that cannot be taken away fails the job, and the reason says what is missing: nothing to try again."""
    with cloud(tmp_path / "c", sandbox="folders") as place:
        job = place.run("true", EnableNetworkIsolation=True)
        assert job.status == "Failed"
        assert (job.state.failure_reason or "").startswith("ClientError: EnableNetworkIsolation needs namespaces")


def test_network_isolation(tmp_path: Path) -> None:
    """An isolated job has neither network nor credentials; log, inputs and outputs are moved all the same."""
    script = """
import json, os, socket
print(json.dumps([sorted(name for name in os.environ if name.startswith("AWS")), socket.if_nameindex()]))
open("/opt/ml/model/x", "w").write("x")
"""
    with cloud(tmp_path / "c", endpoint="http://127.0.0.1:1") as place:
        job = place.ended(place.python(script, EnableNetworkIsolation=True))
        names, interfaces = json.loads(place.lines(job)[0])
        assert names == ["AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED", "AWS_REGION"]
        assert [name for _, name in interfaces] == ["lo"]
        assert place.objects(f"out/{job.name}/") == [f"out/{job.name}/output/model.tar.gz"]
