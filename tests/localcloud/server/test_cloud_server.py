"""The end of a server, whatever breaks on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.core.base_backend import BackendDict

from cloudtune.localcloud import CloudSettings, LocalCloud
from cloudtune.localcloud.gate.seams import Seams
from cloudtune.localcloud.server.cloud_server import CloudServer
from cloudtune.localcloud.server_process import CloudStartFailed
from cloudtune.localcloud.state.state_folder import StateFolder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CloudServer]:
    server = CloudServer(CloudSettings(state_folder=str(tmp_path / "state"), folder=str(tmp_path / "jobs")))
    server.start()
    yield server
    server.platform.close()
    BackendDict.reset()


def create_bucket(server: CloudServer) -> None:
    boto3.client(
        "s3", "us-east-1", endpoint_url=server.endpoint, aws_access_key_id="a", aws_secret_access_key="b"
    ).create_bucket(Bucket="data")


def test_the_state_is_saved_although_nothing_can_be_ended(
    server: CloudServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered is kept; the error is raised all the same, and the process has room for another cloud."""
    create_bucket(server)

    def fail() -> None:
        raise RecursionError("a folder that cannot be removed")

    with monkeypatch.context() as patch:
        server._http.close()
        patch.setattr(server._http, "close", fail)
        patch.setattr(server.platform.executor, "close", fail)
        patch.setattr(server.platform.logs, "deliver", lambda **_: fail())
        with pytest.raises(RecursionError, match="cannot be removed"):
            server.close()
    assert server.platform.executor is not None
    server.platform.executor.close()
    folder = StateFolder(tmp_path / "state")
    state = folder.read()
    folder.close()
    assert state is not None
    assert [bucket["name"] for bucket in state["buckets"]] == ["data"]
    assert Seams._open is None


def test_a_reset_goes_on_although_the_jobs_cannot_be_ended(
    server: CloudServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the server would answer without a platform."""
    create_bucket(server)
    before = server.platform

    def fail() -> None:
        raise RecursionError("a folder that cannot be removed")

    with monkeypatch.context() as patch:
        patch.setattr(before.executor, "close", fail)
        server.reset()
    assert "a folder that cannot be removed" in caplog.text
    assert before.executor is not None
    before.executor.close()
    assert server.platform is not before
    create_bucket(server)
    server.close()


@pytest.mark.parametrize(("place", "reason"), [("file", "it is a file"), ("file/below", "Not a directory")])
def test_a_folder_that_jobs_cannot_have_theirs_in(tmp_path: Path, place: str, reason: str) -> None:
    """The cloud does not begin and says why, in place of each job."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudStartFailed, match=f"cannot have their folders in {tmp_path / place}: {reason}"):
        LocalCloud(folder=str(tmp_path / place)).start()
    assert (tmp_path / "file").read_text() == ""


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """It is made, and nothing is left in it."""
    with LocalCloud(folder=str(tmp_path / "new" / "folder")) as cloud:
        assert cloud.jobs() == []
    assert list((tmp_path / "new" / "folder").iterdir()) == []
