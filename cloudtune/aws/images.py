"""Addresses of AWS's Deep Learning Containers for training."""

from __future__ import annotations

from cloudtune.errors import CloudtuneError


class NoSuchImage(CloudtuneError):
    """AWS has no such image, as far as the table here knows; the message lists what there is."""


def image_uri(framework: str, version: str, instance_type: str, region: str, python: str | None = None) -> str:
    """URI of the training image.

    Args:
        framework: ``pytorch``, ``tensorflow``, ``huggingface``, ``sklearn`` or ``xgboost``.
        version: Of the framework, whole (``2.8.0``) or short (``2.8``: the newest of it).
        instance_type: Decides between the images with and without CUDA.
        region: Decides the registry.
        python: ``3.12`` or ``py312``; by default the newest that the image has.

    Raises:
        NoSuchImage: There is none.
    """
    raise NotImplementedError


def default_image(instance_type: str, region: str) -> str:
    """A PyTorch image whose Python is that of this machine, or the nearest that there is."""
    raise NotImplementedError
