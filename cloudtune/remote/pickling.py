"""Turns a tuner into bytes that another machine can read, and says what keeps it from travelling.

dill takes functions and classes of the launching script apart, lambdas and closures too. What its pickler goes through
is watched: thus the place of what cannot travel is known, and so are the modules that functions import when they run.
"""

from __future__ import annotations

import io
import pickle
import sys
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PosixPath, WindowsPath
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import dill

from cloudtune.backend import function_loader
from cloudtune.backend.function_transport import PackedFunction
from cloudtune.backend.importable import module_is_importable
from cloudtune.backend.pickle_references import reference_to_main
from cloudtune.errors import CloudtuneError
from cloudtune.remote.code_imports import imports_of_code
from cloudtune.remote.object_path import path_of
from cloudtune.remote.pickle_needs import names_of_pickle

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner


class CannotShip(CloudtuneError):
    """A tuner, or what it needs, cannot be sent to another machine; the message names what, where, and the remedy."""


@dataclass(frozen=True)
class PickledTuner:
    """A tuner as bytes.

    Args:
        data: The pickle.
        imports: Modules that functions sent by value import when they run.
    """

    data: bytes
    imports: frozenset[str]


#: Who has one of these as a base is a way to AWS, with credentials.
_WAYS_TO_AWS = frozenset(
    {
        ("boto3.session", "Session"),
        ("boto3.resources.base", "ServiceResource"),
        ("botocore.client", "BaseClient"),
        ("botocore.credentials", "Credentials"),
        ("botocore.credentials", "ReadOnlyCredentials"),
        ("botocore.session", "Session"),
        ("sagemaker.core.helper.session_helper", "Session"),
        ("sagemaker.session", "Session"),
    }
)
#: Who has one of these as a base belongs to a process of this machine. dill would take some of them.
_OF_THIS_MACHINE = frozenset(
    {
        ("_io", "_IOBase"),
        ("_socket", "socket"),
        ("_sqlite3", "Connection"),
        ("concurrent.futures._base", "Executor"),
        ("mmap", "mmap"),
        ("multiprocessing.connection", "_ConnectionBase"),
        ("multiprocessing.pool", "Pool"),
        ("multiprocessing.process", "BaseProcess"),
        ("sqlite3", "Connection"),
        ("subprocess", "Popen"),
        ("threading", "Thread"),
    }
)
_IN_MEMORY = (io.BytesIO, io.StringIO)
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
#: Secrets are at least so long: shorter ones may stand in any text by chance.
SHORTEST_SECRET = 16
#: What our own objects call the profile whose credentials they use.
_PROFILE = "profile"
# Warnings are made errors while dill works, which is not safe in threads.
_dill_lock = threading.Lock()


def pickled(tuner: Tuner, secrets: Mapping[str, str] | None = None) -> PickledTuner:
    """A tuner as bytes, and what its functions import.

    Names of AWS profiles stay here: there, the job's role counts.

    Args:
        tuner: It is not changed.
        secrets: Values that must not travel, by the names to call them in a message.

    Raises:
        CannotShip: Something in it cannot be pickled, or holds a credential or a connection to AWS.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, secrets or {})
    try:
        with _dill_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", dill.PicklingWarning)
            pickler.dump(tuner)
    except CannotShip:
        raise
    except RecursionError as error:
        raise CannotShip(
            f"{pickler.path()} is nested too deep to be sent to another machine; keep references in flat lists"
        ) from error
    except Exception as error:
        raise CannotShip(
            f"{pickler.path()} ({_kind(pickler.innermost())}) cannot be sent to another machine "
            f"({type(error).__name__}: {error}); make it where it is used, or leave it out with a __getstate__"
        ) from error
    data = file.getvalue()
    _check(data, secrets or {})
    return PickledTuner(data, frozenset(pickler.imports))


def dump(tuner: Tuner, secrets: Mapping[str, str] | None = None) -> bytes:
    """A tuner as bytes. See :func:`pickled`."""
    return pickled(tuner, secrets).data


def _check(data: bytes, secrets: Mapping[str, str]) -> None:
    for name, value in secrets.items():
        if value.encode() in data:
            raise _holds_secret("something in the tuner", name)
    script_object = reference_to_main(data)
    if script_object is not None:
        raise CannotShip(
            f"the tuner refers to {script_object!r} of the launching script by its name, which another machine does "
            "not know; move it into a module of its own"
        )


def _holds_secret(where: str, name: str) -> CannotShip:
    return CannotShip(
        f"{where} holds the value of {name}, and credentials are never sent along; the job uses its own role, and "
        "other secrets are best read there, from AWS Secrets Manager or the like"
    )


class _Pickler(dill.Pickler):  # type: ignore[misc]  # dill has no types
    """dill's, which remembers what it is at, and refuses what must not travel."""

    def __init__(self, file: io.BytesIO, secrets: Mapping[str, str]) -> None:
        super().__init__(file, protocol=pickle.DEFAULT_PROTOCOL, recurse=True)
        self.imports: set[str] = set()
        self._secrets = secrets
        self._at: list[object] = []
        self._looked_at: set[type] = set()

    def path(self) -> str:
        """Where the pickler is, or has failed."""
        return path_of(self._at, "tuner")

    def innermost(self) -> object:
        """What it is at."""
        return self._at[-1] if self._at else None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Pickles an object; the base calls it for each that it comes to."""
        self._at.append(obj)
        kind = type(obj)
        if kind is str or kind is bytes:
            if len(obj) >= SHORTEST_SECRET:
                self._look_for_secrets(obj)
        elif kind is PackedFunction:
            self._refuse_ways_to_aws_in(obj)
        elif kind is CodeType:
            self.imports.update(imports_of_code(obj))
        elif kind not in self._looked_at:
            self._refuse(obj)
        super().save(obj, save_persistent_id)
        self._at.pop()

    def reducer_override(self, obj: Any) -> Any:
        """How pickle asks about anything that is not of a plain type."""
        kind = type(obj)
        stream = _standard_stream(obj)
        if stream is not None:
            return getattr, (sys, stream)
        if kind in (PosixPath, WindowsPath):
            return Path, (obj.as_posix(),)  # the other machine may be of the other kind
        if isinstance(obj, ModuleType):
            # dill would send all variables of a module of the user's; the module itself travels.
            if module_is_importable(obj.__name__):
                return function_loader.import_module, (obj.__name__,)
        elif kind.__module__.startswith("cloudtune.") and hasattr(obj, _PROFILE):
            reduced = obj.__reduce_ex__(self.proto)
            if isinstance(reduced, tuple) and len(reduced) > 2 and isinstance(reduced[2], dict):
                return (*reduced[:2], {**reduced[2], _PROFILE: None}, *reduced[3:])
        return NotImplemented

    def _look_for_secrets(self, text: str | bytes) -> None:
        for name, value in self._secrets.items():
            if (value in text) if isinstance(text, str) else (value.encode() in text):
                raise _holds_secret(self.path(), name)

    def _refuse_ways_to_aws_in(self, function: PackedFunction) -> None:
        """Looks into a function that its backend has packed. Classes of boto3 may be named there: it may make one."""
        if any(name in _WAYS_TO_AWS and name.module.startswith("botocore.") for name in names_of_pickle(function.data)):
            raise self._holds_way_to_aws("a function that refers to a session or client of AWS")

    def _holds_way_to_aws(self, what: str) -> CannotShip:
        return CannotShip(
            f"{self.path()} ({what}) is not sent along, because it holds credentials or connections of this machine; "
            "make it where it is used: the job has a role of its own"
        )

    def _refuse(self, obj: object) -> None:
        kind = type(obj)
        bases = {(base.__module__, base.__qualname__) for base in kind.__mro__}
        if bases & _WAYS_TO_AWS:
            raise self._holds_way_to_aws(_kind(obj))
        if bases & _OF_THIS_MACHINE and not (isinstance(obj, _IN_MEMORY) or _standard_stream(obj)):
            raise CannotShip(
                f"{self.path()} ({_kind(obj)}) cannot be sent to another machine, because it belongs to a process of "
                "this one; open it where it is used, or leave it out with a __getstate__"
            )
        if not bases & _OF_THIS_MACHINE:  # of these, one may do and the next may not
            self._looked_at.add(kind)


def _standard_stream(obj: object) -> str | None:
    """Name of a stream that the other machine has as well."""
    return next((name for name in _STREAMS if getattr(sys, name) is obj is not None), None)


def _kind(obj: object) -> str:
    kind = type(obj)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    name = name.removeprefix("_")
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
