"""Addresses of AWS's Deep Learning Containers for training, from a table, and which image a remote tuner gets.

The table is in ``data/images.json``.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

logger = logging.getLogger(__name__)

#: What people call the frameworks -> our name.
_ALIASES: Mapping[str, str] = {
    "torch": "pytorch",
    "tf": "tensorflow",
    "hugging-face": "huggingface",
    "transformers": "huggingface",
    "scikit-learn": "sklearn",
}
#: Instance families with NVIDIA GPUs.
_GPU = re.compile(r"(?:g|p)\d")
#: Families with AWS's own accelerators, and those with processors of the Arm architecture: other images are needed.
_NEURON = re.compile(r"(?:trn|inf)\d")
_ARM = re.compile(r"[a-z]+\d+g[a-z]*$|.*-gb\d")
_OTHER_IMAGE = "pass image_uri with an image of your own"
#: Environment: the image for remote tuners, in place of the one that would be chosen.
ENV_TUNING_IMAGE = "CLOUDTUNE_TUNING_IMAGE"
#: A tuner needs no GPU: it is for the machine that its image is chosen for.
_TUNING_INSTANCE = "ml.m5.large"


class NoSuchImage(CloudtuneError):
    """AWS has no such image, as far as the table here knows; the message lists what there is."""


@dataclass(frozen=True)
class Image:
    """A training image of the table.

    Args:
        framework: Our name of it.
        version: Of the framework; of Transformers for ``huggingface``.
        python: ``3.12``; None where its tag does not tell.
        torch: Version of PyTorch in an image of Hugging Face.
        build: What else its tag ends in.
        absent: Regions where AWS does not have it, of those that its registry is in.
    """

    framework: str
    version: str
    python: str | None
    torch: str | None = None
    build: str | None = None
    absent: frozenset[str] = frozenset()


def image_uri(framework: str, version: str, instance_type: str, region: str, python: str | None = None) -> str:
    """URI of a training image.

    Args:
        framework: ``pytorch``, ``tensorflow``, ``huggingface`` (its version is that of Transformers), ``sklearn`` or
            ``xgboost``.
        version: Of the framework, whole (``2.8.0``) or short (``2.8``: the newest of these).
        instance_type: Decides between the images with and without CUDA.
        region: Decides the registry.
        python: ``3.12`` or ``py312``; by default the newest that the image has.

    Raises:
        NoSuchImage: There is none.
    """
    name = _framework(framework)
    image = _chosen(name, version, _python(python))
    entry = _table()["frameworks"][name]
    processor = _processor(instance_type)
    if processor not in entry["processors"]:
        raise NoSuchImage(
            f"AWS's {name} images are for instances with {_kind(entry['processors'][0])} only, and {instance_type} is "
            f"none; choose another instance type, or {_OTHER_IMAGE}"
        )
    tag = entry["tag"].format(
        version=version if entry["has_short_tags"] else image.version,
        processor=processor,
        python=f"py{(image.python or '').replace('.', '')}",
        torch=image.torch,
        build=image.build,
    )
    return f"{_registry(entry['registry'], image, region)}/{entry['repository']}:{tag}"


def default_image(instance_type: str, region: str, python: str | None = None) -> str:
    """A PyTorch image whose Python is that of this program, or the nearest that there is; of these the newest.

    Args:
        instance_type: Decides between the images with and without CUDA.
        region: Decides the registry.
        python: ``3.12``, in place of this program's.

    Raises:
        NoSuchImage: There are no images for the instance type or the region.
    """
    wanted = _numbers(_python(python) or "") or sys.version_info[:2]
    every = images("pytorch")
    # Where a region has none, the choice of one tells why.
    there = [image for image in every if region not in image.absent] or every
    best = min(there, key=lambda image: _distance(_numbers(image.python or ""), wanted))
    return image_uri("pytorch", best.version, instance_type, region, best.python)


@dataclass(frozen=True)
class TuningImage:
    """The image for a remote tuner, and how it was chosen.

    Args:
        uri: Of the image.
        python: That it has (``3.12``); None: its tag does not tell.
        origin: ``given`` by the user; ``built``: the account's own, with the packages of this machine; ``own``: the
            account's own, with other packages; ``aws``: one of AWS's.
        note: One sentence for the user; "" where there is nothing to say.
    """

    uri: str
    python: str | None
    origin: str
    note: str = ""


def tuning_image(
    region: str,
    python: str | None = None,
    *,
    given: str | None = None,
    aws: Aws | None = None,
    instance_type: str = _TUNING_INSTANCE,
    extras: Sequence[str] = (),
) -> TuningImage:
    """The image for a remote tuner that is pickled here: one with the same Python, ready to run if there is such a one.

    In this order: the image given, or that of ``$CLOUDTUNE_TUNING_IMAGE``; the account's own, as ``cloudtune image
    build`` makes it; AWS's PyTorch image with that Python; AWS's with the nearest.

    Args:
        region: Where the tuner is to run.
        python: ``3.12``; by default that of this program.
        given: URI that the user has set.
        aws: The account whose registry is looked in; None: none is.
        instance_type: Of the tuner.
        extras: Of cloudtune, that the tuner needs, such as ``bo``.

    Raises:
        NoSuchImage: None is known for the region or the instance type.
        AwsError: The account's registry does not answer. Without the right to look, its images are passed over.
    """
    wanted = _python(python) or f"{sys.version_info[0]}.{sys.version_info[1]}"
    named = given or os.environ.get(ENV_TUNING_IMAGE)
    if named:
        there = python_of_image(named)
        return TuningImage(named, there, "given", _mismatch(named, there, wanted))
    own = _own_tuning_image(aws, wanted, extras) if aws is not None else None
    if own is not None:
        return own
    uri = default_image(instance_type, region, wanted)
    there = python_of_image(uri)
    note = _mismatch(uri, there, wanted) or (
        f"the tuner runs in AWS's image {uri}, where its packages are installed at each start; `cloudtune image build` "
        "makes one that has them"
    )
    return TuningImage(uri, there, "aws", note)


def _own_tuning_image(aws: Aws, python: str, extras: Sequence[str]) -> TuningImage | None:
    from cloudtune.aws.ecr import Repository
    from cloudtune.aws.errors import AccessDenied
    from cloudtune.aws.image_recipe import REPOSITORY, NoRecipe, recipe, tag_prefix

    repository = Repository(aws, REPOSITORY)
    try:
        exact = recipe(python, extras).tag
    except NoRecipe as error:
        logger.debug("images of the account are looked for by their Python alone: %s", error)
        exact = None
    try:
        if exact is not None and repository.has(exact):
            return TuningImage(repository.uri(exact), python, "built")
        newest = repository.newest(tag_prefix(python, "-".join(sorted(set(extras)))))
    except AccessDenied as error:
        logger.info("images of the account's own are passed over: %s", error)
        return None
    if newest is None:
        return None
    uri = repository.uri(newest)
    note = (
        f"{uri} was not made from the packages that are installed here; those that differ are installed at each start, "
        "until `cloudtune image build` makes a new one"
    )
    return TuningImage(uri, python, "own", note)


def _mismatch(uri: str, there: str | None, here: str) -> str:
    if there is None or there == here:
        return ""
    return (
        f"{uri} has Python {there}, and the tuner is pickled under Python {here}, which will not load there; run under "
        f"Python {there}, or make an image with `cloudtune image build --python {here}`"
    )


def registry_domain(region: str) -> str:
    """What the addresses of a region's registries end in: ``amazonaws.com``."""
    domains: Mapping[str, str] = _table()["domains"]
    return next(domain for prefix, domain in domains.items() if region.startswith(prefix))


def python_of_image(uri: str) -> str | None:
    """Python of an image (``3.12``), as far as its tag tells; None: it does not."""
    repository, _, tag = uri.rpartition(":")
    if not repository or "/" in tag:
        return None
    found = re.search(r"(?:^|-)py3(\d{1,2})(?:-|$)", tag)
    return f"3.{found[1]}" if found else None


def images(framework: str) -> list[Image]:
    """Every image of a framework, newest first.

    Raises:
        NoSuchImage: There is no such framework in the table.
    """
    return list(_images(_framework(framework)))


def is_aws_image(uri: str) -> bool:
    """Whether the URI names a registry of AWS's own in the table, which every account may read."""
    account = uri.partition(".")[0]
    return any(account in registry.values() for registry in _table()["registries"].values())


@functools.cache
def _table() -> Mapping[str, Any]:
    text = resources.files("cloudtune.aws").joinpath("data/images.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@functools.cache
def _images(framework: str) -> tuple[Image, ...]:
    found = [
        Image(
            framework,
            release["version"],
            _python(release.get("python")),
            release.get("torch"),
            release.get("build"),
            frozenset(group["absent"]),
        )
        for group in _table()["frameworks"][framework]["images"]
        for release in group["releases"]
    ]
    return tuple(sorted(found, key=_age, reverse=True))


def _age(image: Image) -> tuple[tuple[int, ...], bool]:
    """Orders images by version. One for another Python than its version's first stands behind that."""
    version, _, variant = image.version.partition("-py")
    return _numbers(version), not variant


def _framework(name: str) -> str:
    wanted = name.strip().lower()
    wanted = _ALIASES.get(wanted, wanted)
    known = _table()["frameworks"]
    if wanted not in known:
        raise NoSuchImage(f"there are no images for the framework {name!r}; there are for {', '.join(known)}")
    return wanted


def _chosen(framework: str, version: str, python: str | None) -> Image:
    of_framework = _images(framework)
    named = list(_of_version(of_framework, version))
    if not named:
        raise NoSuchImage(
            f"there is no {framework} image of version {version}; there are {_listed(of_framework)} "
            f"(as of {_table()['date']}); for another, {_OTHER_IMAGE}"
        )
    if python is None:
        return named[0]
    for image in named:
        if image.python == python:
            return image
    fitting = [image for image in of_framework if image.python == python]
    others = sorted({image.python for image in named if image.python is not None})
    has = f"it has {' and '.join(others)}" if others else "its tag does not tell which Python it has"
    instead = f"; with Python {python} there are {_listed(fitting)}" if fitting else ""
    raise NoSuchImage(f"the {framework} image of version {version} has no Python {python}: {has}{instead}")


def _of_version(candidates: tuple[Image, ...], version: str) -> Iterator[Image]:
    for image in candidates:
        if image.version == version:
            yield image
    if "." in version:
        for image in candidates:
            if image.version.startswith((f"{version}.", f"{version}-")):
                yield image


def _listed(candidates: tuple[Image, ...] | list[Image]) -> str:
    return ", ".join(dict.fromkeys(image.version for image in candidates))


def _python(given: str | None) -> str | None:
    if given is None:
        return None
    found = re.fullmatch(r"(?:py|python)?3\.?(\d{1,2})(?:\.\d+)?", given.strip().lower())
    if found is None:
        raise NoSuchImage(f"{given!r} is no version of Python; write it as 3.12 or py312")
    return f"3.{found[1]}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _distance(there: tuple[int, ...], here: tuple[int, ...]) -> tuple[int, bool]:
    """The nearest minor version counts, of two the older: what runs there runs here more surely than the reverse."""
    return abs(there[1] - here[1]), there > here


def _processor(instance_type: str) -> str:
    parts = instance_type.split(".")
    if len(parts) != 3 or parts[0] != "ml":
        raise NoSuchImage(f"{instance_type!r} is no SageMaker instance type; one is ml.g4dn.xlarge")
    family = parts[1]
    if _NEURON.match(family) or _ARM.match(family):
        what = "AWS's own accelerators" if _NEURON.match(family) else "Arm processors"
        raise NoSuchImage(f"there are no images for {instance_type} here, which has {what}; {_OTHER_IMAGE}")
    return "gpu" if _GPU.match(family) else "cpu"


def _kind(processor: str) -> str:
    return "GPUs" if processor == "gpu" else "CPUs"


def _registry(name: str, image: Image, region: str) -> str:
    registry: Mapping[str, str] = _table()["registries"][name]
    if region not in registry:
        raise NoSuchImage(
            f"AWS is not known to have {image.framework} images in the region {region!r}; it has them in "
            f"{', '.join(sorted(registry))}; for another region, {_OTHER_IMAGE}"
        )
    if region in image.absent:
        there = [other for other in _images(image.framework) if region not in other.absent]
        raise NoSuchImage(
            f"AWS does not have the {image.framework} image {image.version} in {region}; there it has {_listed(there)}"
        )
    return f"{registry[region]}.dkr.ecr.{region}.{registry_domain(region)}"
