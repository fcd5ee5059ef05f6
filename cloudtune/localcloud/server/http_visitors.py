"""Who may ask: programs on this machine. A web page in its browser may not, whatever name the page goes by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
#: S3's virtual-hosted style: the bucket comes before the name. Browsers look none of these up: they are loopback.
_BELOW_LOOPBACK = re.compile(r"[a-z0-9][a-z0-9._-]*\.(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
#: Of a refused name, this much is told.
_TOLD = 100


def refusal(environ: Mapping[str, Any]) -> str | None:
    """Why a request is not answered; None if it is.

    A page whose own name was made to point to 127.0.0.1 (DNS rebinding) is told by the ``Host`` that its browser sends,
    a page that asks across origins by its ``Origin``, or by ``Sec-Fetch-Site`` where browsers send no ``Origin``.
    Following a link, such as a presigned URL, is no asking by a page.

    Args:
        environ: Of WSGI. Without ``HTTP_HOST`` it is no browser's: HTTP/1.0.
    """
    host: str | None = environ.get("HTTP_HOST")
    if host is not None and not (_LOOPBACK.fullmatch(host) or _BELOW_LOOPBACK.fullmatch(host)):
        return f"The local cloud answers to 127.0.0.1, localhost and names below them, not to {host[:_TOLD]!r}."
    if _is_page(environ, host):
        return "The local cloud does not answer to web pages."
    return None


def is_loopback(host: str) -> bool:
    """Whether it is a name of this machine itself, with or without a port."""
    return _LOOPBACK.fullmatch(host) is not None


def _is_page(environ: Mapping[str, Any], host: str | None) -> bool:
    """Whether a page asks, other than one that this server has answered with itself."""
    origin: str | None = environ.get("HTTP_ORIGIN")
    if origin is not None:
        return host is None or not is_loopback(host) or origin.lower() != f"http://{host.lower()}"
    if environ.get("HTTP_SEC_FETCH_SITE") not in ("cross-site", "same-site"):
        return False
    follows_link = environ.get("HTTP_SEC_FETCH_MODE") == "navigate" and environ["REQUEST_METHOD"] == "GET"
    return not follows_link
