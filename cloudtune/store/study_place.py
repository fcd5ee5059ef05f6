"""Where what is said of the experiments of a study lies in S3, beside them.

The experiments themselves have thousands of objects each. The folder ``cloudtune/<tag>/_study/`` has a few for each of
them, so that one listing of it tells what has changed in the whole study. No experiment can be called so: a name does
not begin with an underscore.
"""

from __future__ import annotations

from dataclasses import dataclass

from cloudtune.aws.experiment_place import experiment_prefix
from cloudtune.aws.s3 import Bucket

#: Beside the experiments of a tag.
STUDY_FOLDER = "_study"


@dataclass(frozen=True)
class StudyPlace:
    """The place of a study. All members are keys, or prefixes with a slash at their end, in its bucket.

    Args:
        bucket: Of its experiments.
        prefix: What stands before ``cloudtune/`` there, without slashes at its ends; may be empty.
        tag: What its experiments have in common.

    Raises:
        InvalidRequest: The tag would lead out of the prefix.
    """

    bucket: Bucket
    prefix: str
    tag: str

    def __post_init__(self) -> None:
        experiment_prefix(self.prefix, self.tag, self.tag)

    @classmethod
    def of_experiment(cls, bucket: Bucket, root: str) -> StudyPlace:
        """The place of the study that an experiment belongs to.

        Args:
            bucket: Of the experiment.
            root: Its prefix, with a slash at its end.
        """
        *within, _, tag, _ = root.rstrip("/").split("/")
        return cls(bucket, "/".join(within), tag)

    @property
    def root(self) -> str:
        """Of the experiments."""
        return f"{self.prefix}/cloudtune/{self.tag}/" if self.prefix else f"cloudtune/{self.tag}/"

    @property
    def folder(self) -> str:
        """Of all that is said of them."""
        return f"{self.root}{STUDY_FOLDER}/"

    @property
    def cells(self) -> str:
        """What launchers have written: which experiments there are to be."""
        return f"{self.folder}cells/"

    @property
    def status(self) -> str:
        """What tuners write while they run."""
        return f"{self.folder}status/"

    @property
    def results(self) -> str:
        """Results: an object for each experiment that a tuner has begun.

        Until the experiment has ended, and again while it is continued, the object is there and only says so: see
        :mod:`cloudtune.store.results_object`. That an object is there does not mean that its experiment is done.
        """
        return f"{self.folder}results/"

    @property
    def plans(self) -> str:
        """What was launched, as it was asked for."""
        return f"{self.folder}plans/"

    @property
    def budget(self) -> str:
        """The ledger of a study whose experiments share a limit of money."""
        return f"{self.folder}budget.json"

    def cell(self, name: str) -> str:
        """What launchers have written of an experiment."""
        return f"{self.cells}{name}.json"

    def status_of(self, name: str) -> str:
        """What the tuner of an experiment says."""
        return f"{self.status}{name}.json"

    def results_of(self, name: str) -> str:
        """The results of an experiment, or that it runs."""
        return f"{self.results}{name}.table"

    def experiment(self, name: str) -> str:
        """Prefix of all that belongs to an experiment."""
        return experiment_prefix(self.prefix, self.tag, name)
