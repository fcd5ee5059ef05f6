"""``cloudtune image``: makes the image for remote tuners, and says which one they get."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cloudtune.cli.container_tool import TOOLS, ContainerTool
from cloudtune.cli.failures import PlainErrorsGroup, debug_option

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.aws.ecr import Repository
    from cloudtune.aws.image_recipe import Recipe

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group("image", cls=PlainErrorsGroup)
def image_group() -> None:
    """The image for remote tuners, in your account's own registry: they start in it without installing anything.

    \b
    Example:
      cloudtune image push                 # builds it with docker, podman or finch, and pushes it
      cloudtune image build --codebuild    # has AWS build it, where there is no such tool
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph


def _recipe_options(command: _Command) -> _Command:
    """Which image it is about."""
    for option in (
        click.option("--profile", metavar="NAME", help="Of your AWS configuration."),
        click.option(
            "--region", metavar="NAME", help="Of the registry. [default: what AWS_REGION or the profile says]"
        ),
        click.option("--repository", metavar="NAME", help="In the registry. [default: cloudtune-tuner]"),
        click.option("--base", metavar="IMAGE", default="", help="To build on. [default: the official one of Python]"),
        click.option("--extra", "extras", multiple=True, metavar="NAME", help="Of cloudtune, such as bo; repeatable."),
        click.option("--python", metavar="VERSION", help="Of the image, such as 3.12. [default: this one's]"),
        debug_option,
    ):
        command = option(command)
    return command


_tool_option = click.option(
    "--tool", type=click.Choice(TOOLS), help="To build with. [default: the first of these that runs]"
)
_bucket_option = click.option("--bucket", metavar="NAME", help="For --codebuild. [default: sagemaker-REGION-ACCOUNT]")
_role_option = click.option(
    "--role", metavar="ROLE", help="Of CodeBuild: ARN or name. [default: cloudtune-image-build]"
)


@image_group.command("build")
@click.option("--codebuild", is_flag=True, help="Have AWS CodeBuild build it and push it; needs no container tool.")
@_bucket_option
@_role_option
@click.option("-v", "--verbose", is_flag=True, help="Show the log of CodeBuild.")
@_tool_option
@_recipe_options
def build_command(
    codebuild: bool,
    bucket: str | None,
    role: str | None,
    verbose: bool,
    tool: str | None,
    python: str | None,
    extras: tuple[str, ...],
    base: str,
    repository: str | None,
    region: str | None,
    profile: str | None,
) -> None:
    """Builds the image; prints its URI as the last line.

    It holds the packages that are installed here, in their versions. An image that is in the
    registry already is not built again.
    """
    if (bucket or role) and not codebuild:
        raise click.UsageError("--bucket and --role are for --codebuild")
    if tool and codebuild:
        raise click.UsageError("give --tool or --codebuild, not both")
    aws, place, recipe = _chosen(python, extras, base, repository, region, profile)
    if place.has(recipe.tag):
        click.echo(f"{recipe.tag} is in the registry already", err=True)
    elif codebuild:
        _build_in_account(aws, place, recipe, bucket, role, verbose)
    else:
        ContainerTool(tool).build(recipe, place.uri(recipe.tag))
    click.echo(place.uri(recipe.tag))


@image_group.command("push")
@_tool_option
@_recipe_options
def push_command(
    tool: str | None,
    python: str | None,
    extras: tuple[str, ...],
    base: str,
    repository: str | None,
    region: str | None,
    profile: str | None,
) -> None:
    """Builds the image and pushes it to your account's registry; prints its URI as the last line.

    The repository is created if it is missing. An image that is there already is not built again.
    """
    _, place, recipe = _chosen(python, extras, base, repository, region, profile)
    uri = place.uri(recipe.tag)
    if place.has(recipe.tag):
        click.echo(f"{recipe.tag} is in the registry already", err=True)
    else:
        builder = ContainerTool(tool)
        _ensure(place, recipe)  # before the build, which takes longer than to learn that there is no right to
        builder.build(recipe, uri)
        builder.push(uri, place.login())
    click.echo(uri)


@image_group.command("uri")
@click.option("--python", metavar="VERSION", help="Of the tuner, such as 3.12. [default: this one's]")
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="Of cloudtune, such as bo; repeatable.")
@click.option("--region", metavar="NAME", help="Of the tuner. [default: what AWS_REGION or the profile says]")
@click.option("--profile", metavar="NAME", help="Of your AWS configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@debug_option
def uri_command(
    python: str | None, extras: tuple[str, ...], region: str | None, profile: str | None, as_json: bool
) -> None:
    """Prints the image that a remote tuner gets, and how it was chosen."""
    from dataclasses import asdict

    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.images import tuning_image

    aws = aws_for(region, profile)
    chosen = tuning_image(aws.region, python, aws=aws, extras=extras)
    if as_json:
        click.echo(json.dumps(asdict(chosen)))
        return
    if chosen.note:
        click.echo(chosen.note, err=True)
    click.echo(chosen.uri)


@image_group.command("policy")
@click.option("--repository", metavar="NAME", help="In the registry. [default: cloudtune-tuner]")
@_bucket_option
@_role_option
@click.option("--region", metavar="NAME", help="Of the registry. [default: what AWS_REGION or the profile says]")
@click.option("--profile", metavar="NAME", help="Of your AWS configuration.")
@debug_option
def policy_command(
    repository: str | None, bucket: str | None, role: str | None, region: str | None, profile: str | None
) -> None:
    """Prints the IAM policies for building in the account: of CodeBuild's role, and of who starts the build.

    A JSON object with three members: the role's trust and its permissions, and the caller's
    permissions.
    """
    from cloudtune.aws import build_role
    from cloudtune.aws.buckets import default_bucket_name, parse_bucket
    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.ecr import Repository
    from cloudtune.aws.image_recipe import REPOSITORY

    aws = aws_for(region, profile)
    place = Repository(aws, repository or REPOSITORY)
    name, prefix = parse_bucket(bucket) if bucket else (default_bucket_name(aws), "")
    policies = {
        "trust": build_role.trust_policy(),
        "role": build_role.role_policy(aws, place, name, prefix),
        "caller": build_role.caller_policy(aws, place, name, build_role.role_arn(aws, role), prefix),
    }
    click.echo(json.dumps(policies, indent=2))


def _chosen(
    python: str | None,
    extras: tuple[str, ...],
    base: str,
    repository: str | None,
    region: str | None,
    profile: str | None,
) -> tuple[Aws, Repository, Recipe]:
    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.ecr import Repository
    from cloudtune.aws.image_recipe import REPOSITORY, recipe

    wanted = recipe(python, extras, base)
    aws = aws_for(region, profile)
    return aws, Repository(aws, repository or REPOSITORY), wanted


def _ensure(place: Repository, recipe: Recipe) -> None:
    from cloudtune.aws.image_recipe import LIFECYCLE

    if place.ensure(recipe.folder / LIFECYCLE):
        click.echo(f"created the repository {place.address}", err=True)


def _build_in_account(
    aws: Aws, place: Repository, recipe: Recipe, bucket: str | None, role: str | None, verbose: bool
) -> None:
    from cloudtune.aws.buckets import find_bucket
    from cloudtune.aws.build_role import build_role
    from cloudtune.aws.codebuild import BuildFailed, ImageBuilder
    from cloudtune.aws.s3 import Bucket

    arn = build_role(aws, role)
    found = find_bucket(aws, bucket)
    _ensure(place, recipe)

    def tell(line: str) -> None:
        click.echo(line, err=True)

    builder = ImageBuilder(
        aws,
        Bucket(aws, found.name, found.owner),
        place,
        arn,
        found.prefix,
        tell=tell,
        log=tell if verbose else logging.getLogger(__name__).debug,
    )
    try:
        builder.build(recipe)
    except BuildFailed as error:
        if not verbose:
            for line in error.last_lines:
                tell(f"  {line}")
        raise
