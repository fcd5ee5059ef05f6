"""boto3 sessions whose clients speak to a local cloud, whatever the environment says."""

from __future__ import annotations

import os
from typing import Any

import boto3.session
import botocore.session
from botocore.config import Config

from cloudtune.localcloud.environment import ACCESS_KEY

#: Of the user's files and profiles nothing is read.
_NOTHING_OF_THE_USER = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


class CloudSession(boto3.session.Session):  # type: ignore[misc] # boto3 has no types
    """A session of its own for one cloud. Like any session of boto3, it is for one thread; its clients are for many.

    Args:
        endpoint: URL of the cloud; None in the in-process form, where moto answers in place of the network.
        region: Such as ``us-east-1``.
    """

    def __init__(self, endpoint: str | None, region: str) -> None:
        super().__init__(
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
            region_name=region,
            botocore_session=botocore.session.Session(session_vars=_NOTHING_OF_THE_USER),
        )
        self._endpoint = endpoint

    def client(self, service_name: str, *args: Any, **options: Any) -> Any:
        """A client of the cloud. See :meth:`boto3.session.Session.client`; the endpoint is ours if none is given."""
        if options.get("endpoint_url") is None and self._endpoint is not None:
            options["endpoint_url"] = self._endpoint
        if self._endpoint is not None:
            straight = Config(proxies={})
            given = options.get("config")
            options["config"] = straight if given is None else straight.merge(given)
        return super().client(service_name, *args, **options)
