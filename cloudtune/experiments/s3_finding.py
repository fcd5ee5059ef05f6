"""Finds experiments in S3 by their names."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from cloudtune.aws.buckets import BucketMissing, default_bucket_name, find_bucket
from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.s3_folders import folders, holds_objects
from cloudtune.constants import ENV_S3_PATH
from cloudtune.errors import ExperimentNotFound
from cloudtune.store.log import is_experiment
from cloudtune.store.places import experiment_path
from cloudtune.store.s3_place import S3Place
from cloudtune.store.study_place import STUDY_FOLDER, StudyPlace

#: Beside the tags: archives of code.
_NO_TAG = "code"
#: Seconds for which the first call is repeated where results are read: without a network nobody is to wait for long.
_FIRST_PATIENCE = 5.0
_URI = re.compile(r"(?P<path>s3://[^/]+(?:/.+?)??)/cloudtune/(?P<tag>[^/]+)/(?P<name>[^/]+)/?")


@dataclass(frozen=True)
class S3Experiment:
    """Where an experiment lies in S3.

    Args:
        bucket: Which bucket.
        prefix: What stands before ``cloudtune/`` in it, without slashes at its ends.
        name: Of the experiment.
        tag: What experiments of one study have in common; "" where it has none.
    """

    bucket: Bucket
    prefix: str
    name: str
    tag: str

    @property
    def root(self) -> str:
        """Prefix of all that belongs to it, with a slash at its end."""
        return S3Place(self.bucket.name, self.prefix).root(self.name, self.tag or None)

    @property
    def uri(self) -> str:
        """``s3://bucket/<root>``."""
        return self.bucket.uri(self.root)

    @property
    def label(self) -> str:
        """What commands know it by: ``NAME`` or ``TAG/NAME``."""
        return f"{self.tag}/{self.name}" if self.tag else self.name

    @property
    def known_as(self) -> str:
        """What to name to a command of this machine: the label, or more where that would not find it."""
        aws = self.bucket.aws
        place = os.environ.get(ENV_S3_PATH) or default_bucket_name(aws)
        is_looked_in = place.removeprefix("s3://").strip("/") == f"{self.bucket.name}/{self.prefix}".rstrip("/")
        # An experiment of this name on this machine is found first.
        is_hidden = not self.tag and is_experiment(experiment_path(self.name))
        words = [self.label if is_looked_in and not is_hidden else self.uri.rstrip("/")]
        if aws.profile not in (None, os.environ.get("AWS_PROFILE")):
            words += ["--profile", str(aws.profile)]
        if not aws.is_usual_region:
            words += ["--region", aws.region]
        return shlex.join(words)

    @property
    def code(self) -> str:
        """Prefix of the archives of code, with a slash at its end."""
        return f"{self.prefix}/cloudtune/code/" if self.prefix else "cloudtune/code/"


def aws_in_reach() -> Aws:
    """The account and region of the environment, once AWS has answered: where it cannot be reached, seconds tell.

    Raises:
        AwsError: It does not answer, or does not know the caller.
    """
    aws = aws_for()
    aws.identify(patience=_FIRST_PATIENCE)
    return aws


def find_in_s3(name: str, s3_path: str | None = None, aws: Aws | None = None) -> S3Experiment:
    """The experiment of a name.

    Without a tag it is looked for as one that has none, then below all tags.

    Args:
        name: ``NAME``, ``TAG/NAME``, or the experiment's own ``s3://bucket/.../cloudtune/TAG/NAME``.
        s3_path: ``s3://bucket[/prefix]`` to look in. Default: ``$CLOUDTUNE_S3_PATH``, else the account's own bucket
            ``sagemaker-<region>-<account>``.
        aws: Account and region; by default those of the environment.

    Raises:
        ExperimentNotFound: There is none, or several have this name; the message lists them.
        BucketUnusable: The bucket cannot be used.
        AwsError: S3 does not answer.
    """
    aws = aws or Aws()
    uri = _URI.fullmatch(name)
    if uri is not None:
        s3_path, name = uri["path"], f"{uri['tag']}/{uri['name']}"
    elif name.startswith("s3://"):
        raise ExperimentNotFound(
            f"{name} is not the place of an experiment, which is called s3://BUCKET/.../cloudtune/TAG/NAME; give its "
            "name, and where experiments lie as s3_path (--s3-path)"
        )
    first, _, second = name.rpartition("/")
    place = s3_path or os.environ.get(ENV_S3_PATH)
    try:
        found = find_bucket(aws, place)
    except BucketMissing as error:
        raise ExperimentNotFound(f"there is no experiment {name!r} in S3: {error}") from error
    bucket = Bucket(aws, found.name, found.owner)
    looked_in = bucket.uri(f"{found.prefix}/cloudtune/" if found.prefix else "cloudtune/")
    try:
        wanted = S3Experiment(bucket, found.prefix, second, "" if first == second else first)
        if _is_there(wanted):
            return wanted
    except InvalidRequest as error:
        raise ExperimentNotFound(f"there is no experiment {name!r} in {looked_in}: {error}") from error
    tags = [tag for tag in folders(bucket, looked_in.removeprefix(bucket.uri(""))) if tag != _NO_TAG]
    there = [] if first else _below_tags(bucket, found.prefix, second, tags)
    if len(there) == 1:
        return there[0]
    if there:
        raise ExperimentNotFound(
            f"{len(there)} experiments in {looked_in} are called {name!r}: name one of "
            f"{', '.join(f'{one.tag}/{one.name}' for one in there)}"
        )
    raise _not_found(bucket, name, looked_in, tags)


def experiment_at(bucket: Bucket, root: str) -> S3Experiment:
    """The experiment whose prefix in a bucket is known.

    Args:
        bucket: Where it lies.
        root: Its prefix, with a slash at its end.
    """
    *within, _, tag, name = root.rstrip("/").split("/")
    return S3Experiment(bucket, "/".join(within), name, "" if tag == name else tag)


def find_study(tag: str, s3_path: str | None = None, aws: Aws | None = None) -> StudyPlace:
    """Where the study of a tag lies, if there is one.

    Args:
        tag: What its experiments have in common.
        s3_path: See :func:`find_in_s3`.
        aws: Account and region; by default those of the environment.

    Raises:
        ExperimentNotFound: No study can be called so, or there is no bucket.
        BucketUnusable: The bucket cannot be used.
        AwsError: S3 does not answer.
    """
    aws = aws or aws_for()
    try:
        found = find_bucket(aws, s3_path or os.environ.get(ENV_S3_PATH))
        return StudyPlace(Bucket(aws, found.name, found.owner), found.prefix, tag)
    except (BucketMissing, InvalidRequest) as error:
        raise ExperimentNotFound(f"there is no study {tag!r} in S3: {error}") from error


def study_not_found(place: StudyPlace) -> ExperimentNotFound:
    """Says that there is no experiment of a tag, and which tags there are.

    Args:
        place: Where experiments of the tag would lie.

    Raises:
        AwsError: S3 does not answer.
    """
    looked_in = place.root.removesuffix(f"{place.tag}/")
    tags = [tag for tag in folders(place.bucket, looked_in) if tag != _NO_TAG]
    return _not_found(place.bucket, place.tag, place.bucket.uri(looked_in), tags)


def _below_tags(bucket: Bucket, prefix: str, name: str, tags: Sequence[str]) -> list[S3Experiment]:
    every = [S3Experiment(bucket, prefix, name, tag) for tag in tags if tag != name]
    there = in_parallel(bucket.aws.threads, [partial(_is_there, one) for one in every])
    return [one for one, is_there in zip(every, there, strict=True) if is_there]


def _is_there(experiment: S3Experiment) -> bool:
    """Whether it has a log, or a tuner that is about to begin one."""
    return any(holds_objects(experiment.bucket, experiment.root + part) for part in ("log/", "remote/"))


def _not_found(bucket: Bucket, name: str, looked_in: str, tags: Sequence[str]) -> ExperimentNotFound:
    tag, _, short = name.rpartition("/")
    below = folders(bucket, f"{looked_in.removeprefix(bucket.uri(''))}{tag}/") if tag in tags else []
    below = [one for one in below if one != STUDY_FOLDER]
    alike = [f"{tag}/{one}" for one in difflib.get_close_matches(short, below, n=3)]
    alike += difflib.get_close_matches(name, tags, n=3)
    if alike:
        advice = f"did you mean {', '.join(map(repr, alike))}?"
    elif tags:
        advice = f"what is there begins with {', '.join(map(repr, tags[:5]))}{', ...' if len(tags) > 5 else ''}"
    else:
        advice = f"there are no experiments there at all: name the place with --s3-path or {ENV_S3_PATH}"
    return ExperimentNotFound(f"there is no experiment {name!r} in {looked_in}; {advice}")
