"""A repository of images in the account's own registry (ECR)."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import AccessDenied, Conflict, NotFound
from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws

logger = logging.getLogger(__name__)

_NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
_DIGEST = re.compile(r"[0-9a-f]+")
_PAGE = 1000


class BadRepository(CloudtuneError):
    """No repository can have that name."""


@dataclass(frozen=True)
class Login:
    """What a container tool needs to push to a registry. The password is good for twelve hours; it is never shown.

    Args:
        registry: Host name.
        user: Always ``AWS``.
        password: For the tool's standard input.
    """

    registry: str
    user: str
    password: str = field(repr=False)


class Repository:
    """A repository of the account's registry, whether it exists or not.

    Args:
        aws: Account and region.
        name: Of the repository.

    Raises:
        BadRepository: No repository can have that name.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        if not 2 <= len(name) <= 256 or not _NAME.fullmatch(name):
            raise BadRepository(
                f"{name!r} can be no repository of ECR; name it in small letters, digits, dashes, dots and slashes"
            )
        self.name = name
        self._aws = aws
        self._address: str | None = None

    @property
    def arn(self) -> str:
        """For policies."""
        return f"arn:{self._aws.partition}:ecr:{self._aws.region}:{self._aws.account}:repository/{self.name}"

    def uri(self, tag: str) -> str:
        """Of the image with that tag, whether it exists or not. Raises AwsError."""
        return f"{self.address}:{tag}"

    @property
    def address(self) -> str:
        """URI without a tag. Raises AwsError."""
        if self._address is None:
            from cloudtune.aws.images import registry_domain

            here = self._aws
            self._address = f"{here.account}.dkr.ecr.{here.region}.{registry_domain(here.region)}/{self.name}"
        return self._address

    def ensure(self, lifecycle: Path) -> bool:
        """Creates the repository if it is missing: scanned on push, private, tags that are never moved.

        Any number of programs may do so at once. One that exists is left as it is.

        Args:
            lifecycle: File with the lifecycle policy of a new repository.

        Returns:
            Whether it was created just now.

        Raises:
            AwsError: It cannot be looked for, or cannot be created.
        """
        try:
            found = self._aws.call("ecr", "describe_repositories", repositoryNames=[self.name])
        except NotFound:
            pass
        else:
            self._address = str(found["repositories"][0]["repositoryUri"])
            return False
        try:
            made = self._aws.call(
                "ecr",
                "create_repository",
                repositoryName=self.name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "AES256"},
                tags=[{"Key": "cloudtune:image", "Value": "tuner"}],
            )
        except Conflict:  # another program was faster, or the answer to our own first try was lost
            return False
        self._address = str(made["repository"]["repositoryUri"])
        policy = json.dumps(json.loads(lifecycle.read_text(encoding="utf-8")))
        try:
            self._aws.call("ecr", "put_lifecycle_policy", repositoryName=self.name, lifecyclePolicyText=policy)
        except AccessDenied as error:
            logger.warning("%s keeps every image, since its lifecycle policy could not be set: %s", self.name, error)
        logger.info("created the repository %s in %s", self.name, self._aws.region)
        return True

    def has(self, tag: str) -> bool:
        """Whether there is an image with that tag. Raises AwsError."""
        try:
            self._aws.call("ecr", "describe_images", repositoryName=self.name, imageIds=[{"imageTag": tag}])
        except NotFound:
            return False
        return True

    def newest(self, tag_prefix: str) -> str | None:
        """The tag of the image pushed last among those with a tag of this beginning and a digest; None: there is none.

        Raises AwsError.
        """
        best: tuple[float, str] | None = None
        try:
            for image in self._images():
                for tag in image.get("imageTags") or []:
                    if tag.startswith(tag_prefix) and _DIGEST.fullmatch(tag, len(tag_prefix)):
                        best = max(best or (0.0, ""), (image["imagePushedAt"].timestamp(), tag))
        except NotFound:
            return None
        return best[1] if best else None

    def login(self) -> Login:
        """What a container tool needs to push here. Raises AwsError."""
        data = self._aws.call("ecr", "get_authorization_token")["authorizationData"][0]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        return Login(self.address.partition("/")[0], user, password)

    def _images(self) -> Iterator[Mapping[str, Any]]:
        token: dict[str, Any] = {}
        while True:
            page = self._aws.call(
                "ecr",
                "describe_images",
                repositoryName=self.name,
                filter={"tagStatus": "TAGGED"},
                maxResults=_PAGE,
                **token,
            )
            yield from page["imageDetails"]
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}
