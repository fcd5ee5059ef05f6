"""The credentials of training jobs: how a call from inside a job is told from any other."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moto.iam.models import iam_backends
from moto.sts.models import AssumedRole, sts_backends

from cloudtune.localcloud.jobs.training_job import TrainingJob

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: How long credentials are valid, in real seconds: clients compare the expiration with their own clock.
LIFETIME = 3600
#: New ones are given out when the old ones have no more than this left. botocore asks 15 minutes before they expire.
_RENEWED_BEFORE = dt.timedelta(minutes=20)
_PARTITION = "aws"


@dataclass
class _Identity:
    job: TrainingJob
    token: str
    roles: list[AssumedRole] = field(default_factory=list)


class Identities:
    """Who is behind an access key. Thread-safe.

    Credentials are minted by moto's STS as a session ``SageMaker`` of the job's role, as on AWS, so that
    GetCallerIdentity names the role. The role need not exist.
    """

    def __init__(self, platform: Platform) -> None:
        self._account = platform.settings.account
        self._lock = threading.Lock()
        self._by_token: dict[str, _Identity] = {}
        self._who: dict[str, str] = {}

    def issue(self, job: TrainingJob) -> str:
        """An unguessable token with which the job's containers can get credentials until it is revoked."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._by_token[token] = _Identity(job, token)
        return token

    def credentials(self, token: str) -> dict[str, str] | None:
        """What a container's credential endpoint answers; None if the token is not valid (any more).

        Old credentials stay valid beside new ones until the job's identity is revoked.

        Returns:
            ``AccessKeyId``, ``SecretAccessKey``, ``Token``, ``Expiration`` (ISO 8601, UTC) and ``RoleArn``.
        """
        with self._lock:
            identity = self._by_token.get(token)
            if identity is None:
                return None
            role = identity.roles[-1] if identity.roles else None
            if role is None or _expiration(role) - dt.datetime.now(dt.timezone.utc) < _RENEWED_BEFORE:
                role = self._mint(identity)
            return {
                "RoleArn": str(role.role_arn),
                "AccessKeyId": str(role.access_key_id),
                "SecretAccessKey": str(role.secret_access_key),
                "Token": str(role.session_token),
                "Expiration": _expiration(role).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }

    def revoke(self, job: TrainingJob) -> None:
        """The job has ended: its tokens are no longer good, and its keys are forgotten here and by moto."""
        with self._lock:
            for identity in [identity for identity in self._by_token.values() if identity.job is job]:
                del self._by_token[identity.token]
                for role in identity.roles:
                    self._who.pop(role.access_key_id, None)
                    _forget(role)

    def who(self, access_key: str) -> str:
        """``job:<name>`` for the key of a running job, otherwise ``client``. A look-up in a dictionary."""
        return self._who.get(access_key, "client")

    def _mint(self, identity: _Identity) -> AssumedRole:
        job = identity.job
        role = sts_backends[self._account][_PARTITION].assume_role(
            region_name=job.region,
            role_session_name="SageMaker",
            role_arn=str(job.request.get("RoleArn") or f"arn:aws:iam::{self._account}:role/none"),
            policy="",
            duration=LIFETIME,
            external_id="",
        )
        identity.roles.append(role)
        self._who[role.access_key_id] = f"job:{job.name}"
        return role


def _expiration(role: AssumedRole) -> dt.datetime:
    return role.expiration.replace(tzinfo=dt.timezone.utc)


def _forget(role: AssumedRole) -> None:
    """Removes a session from moto's backends; they may have been reset since."""
    iam_backends[role.account_id][_PARTITION].access_keys.pop(role.access_key_id, None)
    sessions = sts_backends[role.account_id][_PARTITION].assumed_roles
    sessions[:] = [session for session in sessions if session is not role]
