"""Puts the gate before moto's services, for moto's server and ``mock_aws`` alike, and takes it away again."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from moto import backend_index
from moto.core.request import Request
from moto.s3.responses import S3Response

from cloudtune.localcloud.gate.error_answers import Answer
from cloudtune.localcloud.gate.gate import Gate, Handler
from cloudtune.localcloud.gate.gated_service import GatedService
from cloudtune.localcloud.gate.moto_models import dispose_quietly, lock_etags, map_large_content, stop_tracking
from cloudtune.localcloud.gate.moto_seam import RESET_MODULE, RESET_PATH, S3_HANDLERS, URL_PATHS, check_seam
from cloudtune.localcloud.gate.timed_kill import TimedKill
from cloudtune.localcloud.services import codebuild, logs_api, permissions, price_list, sagemaker, service_quotas
from cloudtune.localcloud.services.roles import create_default_role

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: moto has no price list: its calls come to the handler of Service Quotas, and are told by their target.
_PRICE_LIST_URL = r"https?://(api\.)?pricing\.(.+)\.amazonaws\.com"
_PRICE_LIST_TARGET = "AWSPriceListService."


class CloudAlreadyOpen(RuntimeError):
    """A second local cloud was opened in a process."""

    def __init__(self) -> None:
        super().__init__(
            "A local cloud is open in this process already, and moto's state is the process's: close that one first, "
            "or start the other in a process of its own (LocalCloud)."
        )


class Seams:
    """What is changed in moto while a cloud is open.

    Args:
        platform: The cloud.
    """

    _open: ClassVar[Seams | None] = None
    _opening: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._undo: list[Callable[[], object]] = []

    def install(self) -> None:
        """Opens the gate. To be called before moto's server is made or ``mock_aws`` begins.

        Raises:
            CloudAlreadyOpen: There is one in this process.
            SeamMoved: This is not the moto that we know.
        """
        with Seams._opening:
            if Seams._open is not None:
                raise CloudAlreadyOpen
            try:
                check_seam()
                self._install()
            except BaseException:
                self._uninstall()
                raise
            Seams._open = self

    def uninstall(self) -> None:
        """Gives moto back its own. May be called twice, and without :meth:`install`."""
        with Seams._opening:
            if Seams._open is self:
                self._uninstall()
                Seams._open = None

    def _install(self) -> None:
        gate = Gate(self._platform)
        self._undo.append(gate.close)
        for module, service in _services().items():
            self._put_before(gate, module, service)
        self._put_before_s3(gate)
        self._serve_price_list(gate)
        self._watch_reset()
        for change in (stop_tracking, lock_etags, map_large_content, dispose_quietly):
            self._undo.append(change())
        if self._platform.endpoint is not None:
            self._undo.append(TimedKill(self._platform).close)

    def _uninstall(self) -> None:
        while self._undo:
            self._undo.pop()()

    def _put_before(self, gate: Gate, module: str, service: GatedService) -> None:
        for number, path in enumerate(URL_PATHS[module]):
            moto: Handler = import_module(module).url_paths[path]
            if service.name == "iam":
                moto = partial(permissions.dispatch, self._platform)
            self._replace(module, path, gate.handler(service, moto, f"{service.name}_{number}"))

    def _put_before_s3(self, gate: Gate) -> None:
        service = GatedService("s3", "s3")
        for name in S3_HANDLERS:
            original = S3Response.__dict__[name]
            moto: Handler = getattr(S3Response, name)
            setattr(S3Response, name, staticmethod(gate.handler(service, moto, f"s3_{name}")))
            self._undo.append(partial(setattr, S3Response, name, original))

    def _serve_price_list(self, gate: Gate) -> None:
        module = "moto.servicequotas.urls"
        quotas: Handler = import_module(module).url_paths["{0}/$"]
        service = GatedService("pricing", "pricing", price_list.OPERATIONS)
        prices = gate.handler(service, _not_in_moto, "pricing")

        def quotas_or_prices(request: Request, full_url: str, headers: Any) -> Answer:
            target = request.headers.get("X-Amz-Target", "")
            handler = prices if target.startswith(_PRICE_LIST_TARGET) else quotas
            return handler(request, full_url, headers)

        self._replace(module, "{0}/$", quotas_or_prices)
        bases: list[str] = import_module(module).url_bases
        entry = ("servicequotas", re.compile(_PRICE_LIST_URL))
        patterns: list[Any] = backend_index.backend_url_patterns
        bases.append(_PRICE_LIST_URL)
        patterns.append(entry)
        self._undo += [partial(bases.remove, _PRICE_LIST_URL), partial(patterns.remove, entry)]

    def _watch_reset(self) -> None:
        moto: Handler = import_module(RESET_MODULE).url_paths[RESET_PATH]
        platform = self._platform

        def reset_with_jobs(request: Request, full_url: str, headers: Any) -> Answer:
            if request.method != "POST":
                return moto(request, full_url, headers)
            platform.forget_jobs()
            answer = moto(request, full_url, headers)
            create_default_role(platform)
            return answer

        self._replace(RESET_MODULE, RESET_PATH, reset_with_jobs)

    def _replace(self, module: str, path: str, handler: Handler) -> None:
        table: dict[str, Handler] = import_module(module).url_paths
        original = table[path]
        table[path] = handler
        self._undo.append(partial(table.__setitem__, path, original))


def _not_in_moto(request: Request, full_url: str, headers: Any) -> Answer:
    """Stands where moto has no handler; the gate answers for it as for every operation that moto does not know."""
    raise NotImplementedError


def _services() -> dict[str, GatedService]:
    """Module of moto's paths -> the service, for all services but S3 and the price list."""
    services = {
        "sagemaker": GatedService("sagemaker", "sagemaker", sagemaker.OPERATIONS),
        "logs": GatedService("logs", "logs", logs_api.OPERATIONS),
        "sts": GatedService("sts", "sts"),
        "iam": GatedService("iam", "iam"),
        "ecr": GatedService("ecr", "ecr"),
        "codebuild": GatedService("codebuild", "codebuild", codebuild.OPERATIONS),
        "cloudwatch": GatedService("cloudwatch", "cloudwatch"),
        "servicequotas": GatedService("servicequotas", "service-quotas", service_quotas.OPERATIONS),
        "sagemakermetrics": GatedService("sagemaker-metrics", "sagemaker-metrics"),
    }
    return {f"moto.{name}.urls": service for name, service in services.items()}
