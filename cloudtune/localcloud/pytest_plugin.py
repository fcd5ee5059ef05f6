"""Fixtures for test suites that talk to AWS: a local cloud, clean for each test, and faults to order.

The plugin comes with cloudtune (extra ``local``) and costs nothing until one of its fixtures is used::

    def test_training_ends(local_cloud):
        boto3.client("s3").create_bucket(Bucket="data")          # any client made in the test uses the cloud
        boto3.client("sagemaker").create_training_job(TrainingJobName="train-1", ...)
        assert local_cloud.wait_for_job("train-1")["status"] == "Completed"

    def test_training_survives_throttling(local_cloud, faults):
        faults.add("throttle", operation="sagemaker:CreateTrainingJob", count=3)
        my_launcher.start_training()
        assert local_cloud.call_counts()["sagemaker:CreateTrainingJob"] == 4

    def test_what_is_sent(in_process_cloud):                      # fast; its jobs are moved by hand
        my_launcher.start_training()
        in_process_cloud.job("train-1").move("Training")

The server starts once per session (per worker, with pytest-xdist), in half a second or so; between two tests all that
is in it is thrown away: jobs are killed, buckets, logs, roles, faults, limits and recorded calls are gone. To have it
start otherwise, put this into ``conftest.py``; tests with other settings have a server of their own::

    @pytest.fixture(scope="session")
    def local_cloud_settings():
        return CloudSettings(time_scale=100, rates=AWS_RATES)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cloudtune.localcloud.cloud import CloudFaults, LocalCloud
    from cloudtune.localcloud.in_process import InProcessCloud
    from cloudtune.localcloud.settings import CloudSettings


class _Server:
    """A cloud of the session: begun by the first test that wants it, and again where a test has killed it."""

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        self._cloud: LocalCloud | None = None

    def clean(self) -> LocalCloud:
        """A cloud that nobody has used.

        One that has ended by itself between two tests is replaced, with a warning that says how it ended.
        """
        ended = self._cloud
        if ended is not None and not ended.is_up:
            how = ended.how_it_ended()
            self.close()
            warnings.warn(how, stacklevel=2)  # last: it may be made an error
        if self._cloud is None:
            from cloudtune.localcloud.cloud import LocalCloud

            self._cloud = LocalCloud(self._settings).start()
        return self._cloud

    def used(self) -> None:
        """Throws away what a test has left."""
        cloud = self._cloud
        if cloud is None:
            return
        try:
            if cloud.is_up:
                cloud.reset()
                return
        except OSError:  # the server died just now, or is in no state to answer: the next test gets another
            pass
        self.close()

    def close(self) -> None:
        cloud, self._cloud = self._cloud, None
        if cloud is not None:
            cloud.close()


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Settings of ``local_cloud`` and ``in_process_cloud``. Override it for others."""
    from cloudtune.localcloud.settings import CloudSettings

    return CloudSettings()


@pytest.fixture(scope="session")
def _local_cloud_servers() -> Iterator[dict[str, _Server]]:
    servers: dict[str, _Server] = {}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture
def local_cloud(
    _local_cloud_servers: dict[str, _Server], local_cloud_settings: CloudSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalCloud]:
    """A clean local cloud, which all AWS clients that the test makes use."""
    import boto3

    from cloudtune.localcloud.environment import misleading_variables

    # Folders of one session may have settings of their own.
    server = _local_cloud_servers.setdefault(local_cloud_settings.to_json(), _Server(local_cloud_settings))
    cloud = server.clean()
    for name in misleading_variables():
        monkeypatch.delenv(name)
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    yield cloud
    server.used()


@pytest.fixture
def faults(local_cloud: LocalCloud) -> CloudFaults:
    """The faults of ``local_cloud``: ``faults.add("throttle", operation=..., count=3)``."""
    return local_cloud.faults


@pytest.fixture
def in_process_cloud(local_cloud_settings: CloudSettings) -> Iterator[InProcessCloud]:
    """A cloud inside the test's own process, without a server: fast, and its jobs are moved by hand."""
    from cloudtune.localcloud.in_process import InProcessCloud

    with InProcessCloud(local_cloud_settings) as cloud:
        yield cloud
