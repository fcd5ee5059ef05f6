"""Which Python and which packages a tuner was pickled with, compared before it is unpickled elsewhere."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping

import cloudtune
from cloudtune.remote.installed import normalised, version_of

#: Packages whose versions count for any tuner -> how many of their numbers must be the same.
_ALWAYS = {"dill": 2, "numpy": 1}
#: The same for those that count where the pickle needs them.
_IF_NEEDED = {"botorch": 2, "torch": 2}
_PYTHON = "python"
_OWN = "cloudtune"


def record(needed: Collection[str] = ()) -> dict[str, str]:
    """Versions here: of Python (``3.11``), cloudtune, dill, numpy, and of torch and botorch where they are needed.

    Args:
        needed: Distributions that the pickle needs.
    """
    wanted = {*_ALWAYS, *(_IF_NEEDED.keys() & {normalised(name) for name in needed})}
    versions = {name: version for name in sorted(wanted) if (version := version_of(name)) is not None}
    return {_PYTHON: _numbers(platform.python_version(), 2), _OWN: cloudtune.__version__, **versions}


def compare(recorded: Mapping[str, str], here: Mapping[str, str] | None = None) -> str | None:
    """One sentence that says why a tuner pickled there cannot be loaded here, and the remedy; None: it can.

    Args:
        recorded: What :func:`record` gave where it was pickled.
        here: By default what is installed here.
    """
    present = record(recorded) if here is None else here
    there_python, here_python = recorded[_PYTHON], present[_PYTHON]
    if there_python != here_python:
        return (
            f"the tuner was sent from Python {there_python}, and this machine has Python {here_python}; choose "
            f"{_images_with(there_python)}, or launch with Python {here_python}"
        )
    if recorded[_OWN] != present[_OWN]:
        return (
            f"the tuner was sent from cloudtune {recorded[_OWN]}, and this machine has {present[_OWN]} in its place; "
            f"choose an image_uri or environment without cloudtune, or with {recorded[_OWN]}"
        )
    for name, count in {**_ALWAYS, **_IF_NEEDED}.items():
        there, now = recorded.get(name), present.get(name)
        if there is None or (now is not None and _numbers(there, count) == _numbers(now, count)):
            continue
        has = f"has {name} {now}" if now is not None else f"has no {name}"
        wanted = _numbers(there, count)
        instead = f", or launch with {name} {_numbers(now, count)}" if now is not None else ""
        return (
            f"the tuner was sent from {name} {there}, and this machine {has}; choose an image_uri or environment with "
            f"{name} {wanted}, or let the job install {name}=={there.partition('+')[0]}{instead}"
        )
    return None


def _numbers(version: str, count: int) -> str:
    return ".".join(version.partition("+")[0].split(".")[:count])


def _images_with(python: str) -> str:
    from cloudtune.aws.images import images

    fitting = [image for image in images("pytorch") if image.python == python]
    such_as = f", such as AWS's for PyTorch {fitting[0].version}" if fitting else ""
    return f"an image_uri or environment with Python {python}{such_as}"
