"""``cloudtune policy``: the IAM policies that tuning takes, for your account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cloudtune.cli.failures import debug_option

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws


@click.command("policy")
@click.argument("of_whom", metavar="[user|tuner|trials|trust]", type=click.Choice(["user", "tuner", "trials", "trust"]))
@click.option(
    "--bucket", metavar="NAME|s3://NAME/PREFIX", help="Of the experiments. [default: sagemaker-REGION-ACCOUNT]"
)
@click.option(
    "--tuner-role", default="cloudtune-tuner", show_default=True, metavar="ROLE", help="Of tuners' jobs: ARN or name."
)
@click.option(
    "--trial-role", default="cloudtune-trial", show_default=True, metavar="ROLE", help="Of trials' jobs: ARN or name."
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="URI",
    help="That the jobs of the role run in; repeatable. [default: AWS's PyTorch image, and that of `cloudtune image`]",
)
@click.option("--kms-key", metavar="KEY", help="That encrypts what is written to the bucket.")
@click.option("--output-kms-key", metavar="KEY", help="Of the jobs. [default: --kms-key]")
@click.option("--volume-kms-key", metavar="KEY", help="Of the disks of the jobs.")
@click.option("--subnet", "subnets", multiple=True, metavar="ID", help="Of the jobs; repeatable.")
@click.option("--security-group", "groups", multiple=True, metavar="ID", help="Of the jobs; repeatable.")
@click.option("--instance-type", default="ml.m5.large", show_default=True, metavar="TYPE", help="Of the default image.")
@click.option("--region", metavar="NAME", help="Of the jobs. [default: what AWS_REGION or the profile says]")
@click.option("--profile", metavar="NAME", help="Of your AWS configuration.")
@debug_option
def policy_command(
    of_whom: str,
    bucket: str | None,
    tuner_role: str,
    trial_role: str,
    images: tuple[str, ...],
    kms_key: str | None,
    output_kms_key: str | None,
    volume_kms_key: str | None,
    subnets: tuple[str, ...],
    groups: tuple[str, ...],
    instance_type: str,
    region: str | None,
    profile: str | None,
) -> None:
    """Prints the least IAM policy of who launches (user), of the role of tuners' jobs (tuner) or of
    trials' jobs (trials), or what lets SageMaker act as the two roles (trust).

    Nothing is created or changed, and the roles need not exist.

    \b
    Example:
      cloudtune policy trust > trust.json
      cloudtune policy tuner --bucket my-experiments > tuner.json
      aws iam create-role --role-name cloudtune-tuner --assume-role-policy-document file://trust.json
      aws iam put-role-policy --role-name cloudtune-tuner --policy-name cloudtune \\
          --policy-document file://tuner.json
    """  # noqa: D205, D301 - \b is how click is told to keep the lines of a paragraph
    from cloudtune.aws.policies import policy, trust_policy

    if of_whom == "trust":
        click.echo(json.dumps(trust_policy(), indent=2))
        return
    from cloudtune.aws.buckets import default_bucket_name, parse_bucket
    from cloudtune.aws.checks import OK
    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.extras import Named, look_at_extras
    from cloudtune.aws.policies import Site

    aws = aws_for(region, profile)
    name, prefix = parse_bucket(bucket) if bucket else (default_bucket_name(aws), "")
    named = Named(kms_key, output_kms_key, volume_kms_key, subnets, groups)
    findings, extras = look_at_extras(aws, named, None)
    for finding in findings:
        if finding.state != OK:
            raise click.UsageError(f"{finding.text.rstrip('.')}; {finding.fix}")
    site = Site(
        aws.partition,
        aws.region,
        aws.account,
        name,
        _role_arn(aws, tuner_role),
        _role_arn(aws, trial_role),
        _repositories(aws, images, instance_type),
        prefix,
        extras,
    )
    click.echo(json.dumps(policy(of_whom, site), indent=2))


def _role_arn(aws: Aws, given: str) -> str:
    return given if given.startswith("arn:") else f"arn:{aws.partition}:iam::{aws.account}:role/{given.lstrip('/')}"


def _repositories(aws: Aws, images: tuple[str, ...], instance_type: str) -> tuple[str, ...]:
    """ARNs of the repositories that the images are in."""
    from cloudtune.aws.checks import image_repository
    from cloudtune.aws.rights import Things

    found: dict[str, None] = {}
    for image in images or (None,):
        repository = image_repository(aws, image, instance_type)
        if repository is None:
            raise click.UsageError(f"{image or 'the default image'} is in no repository of ECR; name one that is")
        found[repository] = None
    if not images:
        found.update(dict.fromkeys(Things.of(aws).all("tuning image")))
    return tuple(found)
