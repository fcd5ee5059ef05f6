"""What a program's environment must hold for its AWS clients to speak to a local cloud, and to nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

#: No secret: the cloud takes any.
ACCESS_KEY = "local-cloud-not-a-secret"

#: What would lead a client past the local cloud.
_MISLEADING = frozenset(
    {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_DEFAULT_PROFILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_PROFILE",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
    }
)


def cloud_environment(endpoint: str | None, region: str) -> dict[str, str]:
    """The variables to export.

    The files are named so that no profile of the user's is read; the metadata service of EC2 is never asked; a proxy,
    if there is one, is passed by.

    Args:
        endpoint: URL of the cloud; None for the in-process form, which answers in place of AWS's own addresses.
        region: Such as ``us-east-1``.
    """
    variables = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if endpoint is None:
        return variables
    variables["AWS_ENDPOINT_URL"] = endpoint
    if any(name.lower() in ("http_proxy", "all_proxy") for name in os.environ):
        spared = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        variables["NO_PROXY"] = variables["no_proxy"] = f"{spared},127.0.0.1" if spared else "127.0.0.1"
    return variables


def misleading_variables() -> list[str]:
    """Names of the present variables that must not reach a client of the local cloud."""
    return sorted(name for name in os.environ if name in _MISLEADING or name.startswith("AWS_ENDPOINT_URL"))


@contextmanager
def exported(variables: dict[str, str]) -> Iterator[None]:
    """Has the variables in this process's environment, and no misleading ones, until it ends.

    Not for several threads at once: a process has one environment.
    """
    absent = [name for name in misleading_variables() if name not in variables]
    before = {name: os.environ.get(name) for name in (*variables, *absent)}
    for name in absent:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
