"""The places in moto where our handlers go in, and the check that they are still there.

moto offers no such places officially, so its version is pinned and every cloud that opens looks at them first.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

from moto import backend_index
from moto.core.base_backend import BaseBackend
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.common_models import BaseModel
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import BaseResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import FakeKey, S3Backend
from moto.s3.responses import S3Response
from moto.sagemaker.models import sagemaker_backends

#: Modules of moto whose ``url_paths`` are changed -> the paths that are expected in them.
URL_PATHS: Mapping[str, tuple[str, ...]] = {
    "moto.sagemaker.urls": ("{0}/$",),
    "moto.logs.urls": ("{0}/$",),
    "moto.sts.urls": ("{0}/$",),
    "moto.iam.urls": ("{0}/$",),
    "moto.ecr.urls": ("{0}/$",),
    "moto.codebuild.urls": ("{0}/$",),
    "moto.cloudwatch.urls": ("{0}/$",),
    "moto.servicequotas.urls": ("{0}/$",),
    "moto.sagemakermetrics.urls": ("{0}/$", "{0}/BatchPutMetrics$"),
}
#: The handlers of S3. moto loads its table of S3's paths anew whenever it is read, so these are replaced themselves.
S3_HANDLERS = ("bucket_dispatch", "ambiguous_dispatch", "key_dispatch")
RESET_MODULE = "moto.moto_api._internal.urls"
RESET_PATH = "{0}/moto-api/reset"
_VERSIONS = ((5, 2), (5, 3))


class SeamMoved(RuntimeError):
    """moto is not as we know it.

    Args:
        what: What was expected.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The local cloud does not fit moto {version('moto')}: {what}. Install a version that it was tested with: "
            "pip install 'moto>=5.2,<5.3'."
        )


def check_seam() -> None:
    """Raises SeamMoved if moto has changed where we hook in."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version("moto"))[:2])
    if not _VERSIONS[0] <= numbers < _VERSIONS[1]:
        raise SeamMoved("it needs moto>=5.2,<5.3")
    for module, paths in URL_PATHS.items():
        _expect_paths(module, paths, exactly=True)
    _expect_paths(RESET_MODULE, (RESET_PATH,), exactly=False)
    _expect_handlers_of_s3()
    _expect_arguments(BaseResponse._dispatch, ("self", "request", "full_url", "headers"))
    _expect_arguments(BaseModel.__new__, ("cls", "args", "kwargs"))
    _expect_arguments(BotocoreStubber.process_request, ("self", "request"))
    _expect_arguments(DomainDispatcherApplication.get_backend_for_host, ("self", "host"))
    if not isinstance(FakeKey.__dict__.get("etag"), property) or "dispose" not in FakeKey.__dict__:
        raise SeamMoved("moto.s3.models.FakeKey has other members")
    if not isinstance(backend_index.backend_url_patterns, list):
        raise SeamMoved("moto.backend_index.backend_url_patterns is no list")
    if not isinstance(BaseBackend.url_paths, property):
        raise SeamMoved("moto reads url_paths in another way")
    if not isinstance(getattr(sagemaker_backends[DEFAULT_ACCOUNT_ID]["us-east-1"], "training_jobs", None), dict):
        raise SeamMoved("moto's SageMaker keeps its training jobs elsewhere")


def _expect_paths(module: str, paths: tuple[str, ...], exactly: bool) -> None:
    table: Any = getattr(import_module(module), "url_paths", None)
    if not isinstance(table, dict) or not all(callable(table.get(path)) for path in paths):
        raise SeamMoved(f"{module}.url_paths lacks {paths}")
    if exactly and set(table) != set(paths):
        raise SeamMoved(f"{module}.url_paths has {sorted(table)} instead of {sorted(paths)}")


def _expect_handlers_of_s3() -> None:
    for name in S3_HANDLERS:
        if not isinstance(S3Response.__dict__.get(name), classmethod):
            raise SeamMoved(f"moto.s3.responses.S3Response.{name} is no class method")
    paths = S3Backend("us-east-1", DEFAULT_ACCOUNT_ID).url_paths.values()
    named = {handler.__name__ for handler in paths}
    if named != set(S3_HANDLERS):
        raise SeamMoved(f"the paths of S3 lead to {sorted(named)} instead of {sorted(S3_HANDLERS)}")


def _expect_arguments(function: Any, names: tuple[str, ...]) -> None:
    found = tuple(inspect.signature(function).parameters)
    if found != names:
        raise SeamMoved(f"{function.__qualname__} takes {found} instead of {names}")
