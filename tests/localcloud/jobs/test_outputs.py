"""What a job leaves in S3: models, data, and nothing of this machine."""

from __future__ import annotations

from pathlib import Path

from tests.localcloud.jobs.place import BUCKET, cloud


def test_archives(tmp_path: Path) -> None:
    """Model and data are archives of their own, with folders; empty folders leave nothing."""
    with cloud(tmp_path / "c") as place:
        job = place.run(
            "sh", "-c", "mkdir -p /opt/ml/model/a/b; echo 1 > /opt/ml/model/a/b/c; echo 2 > /opt/ml/output/data/d"
        )
        assert place.archive(f"out/{job.name}/output/model.tar.gz") == {"a/b/c": b"1\n"}
        assert place.archive(f"out/{job.name}/output/output.tar.gz") == {"d": b"2\n"}
        nothing = place.run("true")
        assert place.objects(f"out/{nothing.name}/") == []
        assert nothing.state.model_artifacts is None


def test_without_compression(tmp_path: Path) -> None:
    """CompressionType NONE stores the files one by one."""
    with cloud(tmp_path / "c") as place:
        place.put("x", "x")
        config = {"S3OutputPath": f"s3://{BUCKET}/out/", "CompressionType": "NONE"}
        script = "mkdir /opt/ml/model/a; echo 1 > /opt/ml/model/a/b; echo 2 > /opt/ml/output/data/d"
        job = place.run("sh", "-c", script, OutputDataConfig=config)
        base = f"out/{job.name}/output"
        assert place.objects("out") == [f"{base}/model/a/b", f"{base}/output/d"]
        assert job.state.model_artifacts == f"s3://{BUCKET}/{base}/model/"


def test_a_failed_job_leaves_its_data_but_no_model(tmp_path: Path) -> None:
    """As on AWS, what lies in output/data is uploaded for failed jobs too."""
    with cloud(tmp_path / "c") as place:
        job = place.run("sh", "-c", "echo 1 > /opt/ml/model/m; echo 2 > /opt/ml/output/data/d; exit 1")
        assert place.objects("out") == [f"out/{job.name}/output/output.tar.gz"]
        assert job.state.model_artifacts is None


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    """Links that stay inside are kept as links; those that lead out, and what is no file, are left out."""
    script = """
cd /opt/ml/model; echo 1 > real; ln -s real inside
ln -s /etc/passwd outside; ln -s ../../.. up; mkfifo pipe; ln -s / root
rm -r /opt/ml/output/data; ln -s /etc /opt/ml/output/data
"""
    with cloud(tmp_path / "c") as place:
        job = place.run("sh", "-c", script)
        assert place.archive(f"out/{job.name}/output/model.tar.gz") == {"real": b"1\n", "inside": "real"}
        config = {"S3OutputPath": f"s3://{BUCKET}/plain", "CompressionType": "NONE"}
        plain = place.run("sh", "-c", script, OutputDataConfig=config)
        assert place.objects("plain/") == [f"plain/{plain.name}/output/model/real"]
        assert place.objects("out/") == [f"out/{job.name}/output/model.tar.gz"]
