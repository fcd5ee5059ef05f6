"""A local cloud with its doors: the platform, moto behind it, HTTP before it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data

from cloudtune.localcloud.platform import Platform
from cloudtune.localcloud.server.aws_api import AwsApi
from cloudtune.localcloud.server.control_api import PREFIX, ControlApi
from cloudtune.localcloud.server.http_server import HttpServer
from cloudtune.localcloud.services.roles import create_default_role
from cloudtune.localcloud.settings import CloudSettings, check_folder
from cloudtune.localcloud.state.state_keeper import StateKeeper

logger = logging.getLogger(__name__)


class CloudServer:
    """The whole cloud of this process. Only one can be open at a time.

    Args:
        settings: As chosen by whoever starts the cloud.

    Raises:
        PortTaken: Something else listens on the port.
        FolderUnusable: Folders for jobs cannot be made where the settings say.
        StateUnusable: The state folder cannot be read, or another cloud uses it.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self.settings = settings
        self.pid = os.getpid()
        self.began = time.monotonic()
        #: Set as soon as somebody asks the cloud to end.
        self.told_to_end = threading.Event()
        self._changing = threading.Lock()
        self._control = ControlApi(self)
        self._http = HttpServer(self, settings.port)
        self.endpoint = self._http.endpoint
        self._keeper: StateKeeper | None = None
        self._preparing: threading.Thread | None = None
        try:
            if settings.folder is not None:
                check_folder(settings.folder)
            self.platform = self._opened(Platform(settings, self.endpoint))
            if settings.state_folder is not None:
                self._keeper = StateKeeper(settings.state_folder, self.platform)
                self._keeper.restore()
        except BaseException:
            self._http.close()
            if hasattr(self, "platform"):
                self.platform.close()
            if self._keeper is not None:
                self._keeper.let_go()
            raise

    def start(self) -> None:
        """Begins to answer, and to keep the state."""
        self._http.start()
        self._prepare_soon()
        if self._keeper is not None:
            self._keeper.start()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application: our own endpoints first, then AWS's."""
        if environ["PATH_INFO"].startswith(PREFIX):
            return self._control(environ, start_response)
        return self._aws(environ, start_response)

    def save(self) -> bool:
        """Writes the state now; False if none is kept."""
        if self._keeper is None:
            return False
        self._keeper.save()
        return True

    def reset(self) -> None:
        """Begins anew with the settings of the start: no jobs, buckets, faults, calls. Jobs that run are killed."""
        with self._changing:
            try:
                self._close_platform()
            except Exception:  # a folder that stays is no reason to go on without a platform
                logger.exception("not all of the cloud could be taken down for the reset")
            BackendDict.reset()
            reset_model_data()
            self.platform = self._opened(Platform(self.settings, self.endpoint, cloud_id=self.platform.id))
            if self._keeper is not None:
                self._keeper.platform = self.platform
            self._prepare_soon()

    def close(self) -> None:
        """Takes no more calls, writes the state if it is kept, kills all jobs."""
        self.told_to_end.set()
        try:
            self._http.close()
        finally:
            self._take_down()

    def _take_down(self) -> None:
        # The last step comes first. Each is taken, whatever another raises: above all the state is written.
        with self._changing, ExitStack() as steps:
            steps.callback(self.platform.close)
            if self._keeper is not None:
                steps.callback(self._keeper.close)
                if self.platform.executor is not None:
                    # Before the state: what jobs wrote to the end is kept, and that they were running.
                    steps.callback(self.platform.executor.close)
            if self._preparing is not None:
                steps.callback(self._preparing.join)

    def _prepare_soon(self) -> None:
        """Opens the sandbox while nobody waits for it: the first job starts sooner."""
        executor = self.platform.executor
        if executor is not None:
            preparing = threading.Thread(target=executor.prepare, name="cloudtune-localcloud-sandbox", daemon=True)
            preparing.start()
            self._preparing = preparing

    def _close_platform(self) -> None:
        if self._preparing is not None:
            self._preparing.join()
        self.platform.close()

    def _opened(self, platform: Platform) -> Platform:
        platform.open()
        # Made after the platform put its handlers in: moto reads them when it makes the application of a service.
        self._aws = AwsApi(self.reset)
        create_default_role(platform)
        return platform
