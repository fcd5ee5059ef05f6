"""Sessions and clients of boto3, and the one way in which cloudtune calls AWS.

A process has one :class:`Aws` per region and profile (:func:`aws_for`), and one rate budget for all of them. Calls of
S3 are repeated by botocore first, which is quick, where there is patience for it; all others only by us, so that the
budget sees each refusal.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

from cloudtune.aws.errors import (
    Cancelled,
    CredentialsExpired,
    InvalidRequest,
    ServiceFailure,
    Throttled,
    Unreachable,
    boto_errors,
    classify,
)
from cloudtune.aws.fork_safety import renew_after_fork
from cloudtune.aws.patience import OF_FAILURES, Patience
from cloudtune.aws.rate_budget import RateBudget, process_budget, wait_for

T = TypeVar("T")

#: Connections that a client keeps; threads that do many things at once (see :attr:`Aws.threads`) are fewer.
_CONNECTIONS = 64
_THREADS = 32
_COPY_THREADS = 8
#: How often botocore itself tries a call, the first time included. It waits longer from try to try, and asks nobody
#: whether there is time for it.
_ATTEMPTS = 10


class _Connections:
    """A session of boto3 and what was made of it. Replaced as a whole when credentials have to be read anew."""

    def __init__(self) -> None:
        self.session: Any = None
        self.clients: dict[tuple[str, int], Any] = {}
        self.account: str | None = None


class Aws:
    """AWS as one account and region see it.

    Thread-safe. May be pickled: connections are made anew where it is loaded. A forked child makes its own as well.
    Nothing is read or connected before it is needed.

    Args:
        region: Such as ``us-east-1``; by default that of ``AWS_REGION``, ``AWS_DEFAULT_REGION`` or the profile.
        profile: Of ``~/.aws/config``; by default ``AWS_PROFILE`` or none.
        budget: By default the one of this process.
    """

    def __init__(self, region: str | None = None, profile: str | None = None, budget: RateBudget | None = None) -> None:
        self.profile = profile
        self._region = region
        self._budget = budget
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.RLock()
        self._connections = _Connections()
        self._threads: ThreadPoolExecutor | None = None
        self._copy_threads: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"region": self._region, "profile": self.profile}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc] # what an unpickled object needs is what a new one needs

    def __repr__(self) -> str:
        return f"Aws(region={self._region!r}, profile={self.profile!r})"

    @property
    def region(self) -> str:
        """Such as ``us-east-1``. Raises InvalidRequest where none is set."""
        if self._region is None:
            self._region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or self._of_profile()
        return self._region

    @property
    def is_usual_region(self) -> bool:
        """Whether it is the region that the environment, or the profile, names by itself."""
        try:
            return aws_for(None, self.profile).region == self.region
        except InvalidRequest:
            return False

    def _of_profile(self) -> str:
        with self._lock:
            region = self._session(None).region_name
        if not region:
            said = "No AWS region is set; pass a region, or set AWS_REGION (such as us-east-1)."
            raise InvalidRequest(said, "NoRegionError")
        return str(region)

    @property
    def account(self) -> str:
        """Twelve digits. Asked from STS once."""
        return self.identify()

    def identify(self, patience: float | None = None) -> str:
        """The account; the first time also whether AWS can be reached, and knows the caller.

        Args:
            patience: See :meth:`call`.

        Raises:
            AwsError: It cannot, or does not.
        """
        connections = self._connections
        if connections.account is None:
            connections.account = str(self.call("sts", "get_caller_identity", patience=patience)["Account"])
        return connections.account

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn``, ``aws-us-gov`` and the like."""
        from botocore.exceptions import UnknownRegionError

        with self._lock:
            session = self._session(self.region)
        try:
            return str(session.get_partition_for_region(self.region))
        except UnknownRegionError:  # newer than this botocore; all new ones so far are in AWS's own partition
            return "aws"

    @property
    def budget(self) -> RateBudget:
        """What paces the calls."""
        return self._budget or process_budget()

    @property
    def threads(self) -> Executor:
        """For doing many things at once, such as reading objects. What runs in them must not wait for them."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, "cloudtune-aws")
            return self._threads

    @property
    def copy_threads(self) -> Executor:
        """The same for copies within S3, which may last: reports are read meanwhile."""
        with self._lock:
            if self._copy_threads is None:
                self._copy_threads = ThreadPoolExecutor(_COPY_THREADS, "cloudtune-aws-copy")
            return self._copy_threads

    def client(self, service: str, attempts: int | None = None) -> Any:
        """boto3's client, shared by all threads.

        After :meth:`refresh` it is another one: ask for it at each use.

        Args:
            service: Such as ``s3``.
            attempts: How often botocore tries each call, the first time included; by default 10.

        Raises:
            AwsError: There is no region, no such profile or service.
        """
        key = (service, attempts or _ATTEMPTS)
        client = self._connections.clients.get(key)
        if client is not None:
            return client
        try:
            with self._lock:
                if key not in self._connections.clients:
                    session = self._session(self.region)
                    self._connections.clients[key] = session.client(service, config=_config(key[1]))
                return self._connections.clients[key]
        except boto_errors() as error:
            raise classify(error, f"A client of {service}") from error

    def call(
        self,
        service: str,
        operation: str,
        *,
        patience: float | None = None,
        cancel: threading.Event | None = None,
        confirm: Callable[[], object] | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """Calls an operation, within the rate budget, and again where that helps.

        Args:
            service: As boto3 names it: ``sagemaker``.
            operation: As boto3 names its method: ``create_training_job``.
            patience: For how many seconds a call is repeated that was throttled, not answered, or failed by AWS's own
                fault, by botocore or by us. 0: never. None: 60; while AWS throttles, 600.
            cancel: Ends the waiting when it is set.
            confirm: Called right before each try, after all waiting; what it raises ends the call.
            **params: Of the operation.

        Returns:
            AWS's answer.

        Raises:
            AwsError: One of its subclasses; the call's credentials were read anew once if they had expired.
        """
        attempts = tries_of_botocore(service, patience)
        api = f"{service}:{''.join(part.title() for part in operation.split('_'))}"
        doing = f"{api} of {named}" if (named := _named(params)) else api

        def do() -> dict[str, Any]:
            answer: dict[str, Any] = getattr(self.client(service, attempts), operation)(**params)
            return answer

        return self.attempt(api, doing, do, patience=patience, cancel=cancel, confirm=confirm)

    def attempt(
        self,
        operation: str,
        doing: str,
        do: Callable[[], T],
        *,
        patience: float | None = None,
        cancel: threading.Event | None = None,
        confirm: Callable[[], object] | None = None,
    ) -> T:
        """Runs ``do`` as :meth:`call` runs a call: paced, repeated, its errors classified.

        Args:
            operation: Such as ``s3:PutObject``.
            doing: What it does, as a noun phrase for messages.
            do: Calls boto3, with a client that it asks for each time.
            patience: See :meth:`call`.
            cancel: See :meth:`call`.
            confirm: See :meth:`call`.

        Raises:
            AwsError: See :meth:`call`.
        """
        tries = Patience(patience)
        refreshed = False
        while True:
            if not self.budget.acquire(operation, cancel):
                raise Cancelled(f"{doing} was given up before AWS was asked.", "Cancelled", operation)
            if confirm is not None:
                confirm()
            connections = self._connections
            try:
                answer = do()
            except boto_errors() as caught:
                error, cause = classify(caught, doing, operation), caught
            else:
                self.budget.succeeded(operation)
                return answer
            if isinstance(error, Throttled):
                self.budget.throttled(operation)
            elif not isinstance(error, (Unreachable, ServiceFailure)):
                self.budget.succeeded(operation)  # AWS looked at it: it was not too early
            if isinstance(error, CredentialsExpired) and not refreshed:
                refreshed = True
                self._refresh(connections)
                continue
            pause = tries.pause_after(error)
            if pause is None:
                raise error from (None if cause is error else cause)
            wait_for(pause, cancel)

    def refresh(self) -> None:
        """Throws session and clients away: the next call reads the credentials anew."""
        self._refresh(self._connections)

    def secrets(self) -> dict[str, str]:
        """The secret parts of the credentials that calls are signed with, by their names in messages; none: empty.

        Raises:
            AwsError: There is no such profile, or its credentials cannot be had.
        """
        with self._lock:
            session = self._session(self.region)
        try:
            credentials = session.get_credentials()
            if credentials is None:
                return {}
            frozen = credentials.get_frozen_credentials()
        except boto_errors() as error:
            raise classify(error, "Reading the credentials") from error
        named = {"the AWS secret access key": frozen.secret_key, "the AWS session token": frozen.token}
        return {name: str(value) for name, value in named.items() if value}

    def _refresh(self, used: _Connections) -> None:
        """Many threads may find the same session expired; one new one is enough."""
        with self._lock:
            if self._connections is used:
                self._connections = _Connections()

    def _session(self, region: str | None) -> Any:
        """To be called with the lock held: sessions of boto3 are for one thread."""
        import boto3.session

        if self._connections.session is None:
            try:
                session = boto3.session.Session(region_name=region, profile_name=self.profile)
            except boto_errors() as error:  # no such profile, or a file that cannot be read
                raise classify(error, "A session of AWS") from error
            if region is None:
                return session  # made to ask for the profile's region
            self._connections.session = session
        return self._connections.session


def tries_of_botocore(service: str, patience: float | None) -> int:
    """How often botocore tries each call of a service, the first time included: only once for less than usual patience.

    Args:
        service: As boto3 names it.
        patience: See :meth:`Aws.call`.
    """
    return _ATTEMPTS if service == "s3" and (patience is None or patience >= OF_FAILURES) else 1


_shared_lock = threading.Lock()
_shared: dict[tuple[object, ...], Aws] = {}


def aws_for(region: str | None = None, profile: str | None = None) -> Aws:
    """The :class:`Aws` that this process shares for a region and profile.

    Where the environment (``AWS_*``) has changed since, it is another one.
    """
    settings = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    key = (region, profile, settings)
    shared = _shared.get(key)
    if shared is None:
        with _shared_lock:
            shared = _shared.setdefault(key, Aws(region, profile))
    return shared


def _named(params: Mapping[str, Any]) -> str:
    """What a call is about, for messages: an object or bucket, or the first parameter that is a name, else an ARN."""
    if "Bucket" in params:
        return f"s3://{params['Bucket']}/{params.get('Key', params.get('Prefix', ''))}"
    texts = [(name.lower(), value) for name, value in params.items() if isinstance(value, str)]
    naming = [value for end in ("name", ("arn", "code")) for name, value in texts if name.endswith(end)]
    return naming[0] if naming else ""


@functools.cache
def _config(attempts: int) -> Any:
    from botocore.config import Config

    from cloudtune import __version__

    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=_CONNECTIONS,
        connect_timeout=10,
        read_timeout=60,
        user_agent_extra=f"cloudtune/{__version__}",
    )
