"""From the template of all trials to the CreateTrainingJob request of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.aws.job_template import JobTemplate

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws


@dataclass(frozen=True)
class ResolvedTemplate:
    """A template with all that the account decides: role, image, output path. Plain data.

    Args:
        template: What it was made of.
        members: Of CreateTrainingJob, the same for all trials.
        image: URI of the image for all instance types; None: it follows from the instance type.
        region: Of the jobs.
    """

    template: JobTemplate
    members: dict[str, Any]
    image: str | None
    region: str

    def request(
        self,
        job_name: str,
        *,
        code_uri: str | None = None,
        task_uri: str | None = None,
        environment: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        instance_type: str | None = None,
        instance_count: int | None = None,
        checkpoint_uri: str | None = None,
        config: Mapping[str, Any] | None = None,
        metrics: Sequence[str] = (),
    ) -> dict[str, Any]:
        """What ``create_training_job`` takes for one attempt of a trial.

        Args:
            job_name: At most 63 characters.
            code_uri: With the agent: prefix that holds ``bundle.zip``. With the image's own entry: of the archive of
                the user's source, see :mod:`cloudtune.aws.own_source`.
            task_uri: Prefix that holds ``task.json``; with the agent only.
            environment: Variables added to the user's; these win.
            tags: Added to the user's; these win, and what AWS does not allow in a value is replaced.
            instance_type: In place of the template's.
            instance_count: In place of the template's.
            checkpoint_uri: Prefix that SageMaker keeps the trial's checkpoints in; None: it keeps none.
            config: The trial's configuration, as hyperparameters; with the image's own entry only.
            metrics: Names of metrics that SageMaker's console is to show.

        Raises:
            InvalidRequest: AWS would refuse it; the message names what is too long or too many.
        """
        raise NotImplementedError


def resolve(
    template: JobTemplate,
    aws: Aws,
    *,
    bucket: str,
    role: str | None = None,
    image: str | None = None,
    output_prefix: str = "cloudtune/output",
) -> ResolvedTemplate:
    """Finds what the template leaves open.

    Args:
        template: See :func:`cloudtune.aws.job_template.template_of`.
        aws: Account and region of the jobs.
        bucket: Where output goes if the user has not said.
        role: ARN or name, in place of the template's.
        image: URI, in place of the template's.
        output_prefix: Of output in the bucket.
    """
    raise NotImplementedError


def digest(request: Mapping[str, Any]) -> str:
    """Tells whether two requests are for the same attempt of the same trial."""
    raise NotImplementedError
