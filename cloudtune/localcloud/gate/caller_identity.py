"""Who signed a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import Request
from moto.iam.models import get_account_id_from

from cloudtune.localcloud.caller import Caller

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

#: Where moto looks first for the account of a call.
_ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"


def identify(platform: Platform, request: Request) -> Caller:
    """Reads access key and region from the signature; unsigned requests come from a client in the cloud's own region.

    The account is the cloud's, or that of a role in another account which the caller has assumed. moto is told.
    """
    access_key, region = _credential(request)
    who = platform.identities.who(access_key)
    account = platform.settings.account
    if who == "client" and access_key.startswith(("ASIA", "AKIA")):
        minted_for = get_account_id_from(access_key)
        if minted_for != DEFAULT_ACCOUNT_ID:
            account = minted_for
    request.environ[_ACCOUNT_HEADER] = account
    return Caller(account, region or platform.settings.region, who, access_key)


def _credential(request: Request) -> tuple[str, str]:
    """Access key and region, as far as there are any.

    ``Credential=<key>/<date>/<region>/<service>/aws4_request``, in a header or in a presigned query.
    """
    header = request.headers.get("Authorization", "")
    _, _, scope = header.partition("Credential=")
    if not scope and request.query_string:
        query = request.args
        scope = query.get("X-Amz-Credential") or query.get("AWSAccessKeyId", "")
    if not scope and header.startswith("AWS "):  # signature version 2
        return header[4:].partition(":")[0], ""
    parts = scope.partition(",")[0].split("/")
    return parts[0], parts[2] if len(parts) > 2 else ""
