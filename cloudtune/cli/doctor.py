"""``cloudtune doctor``: what is wrong with an account, and the exact fix."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from cloudtune.cli.failures import debug_option, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloudtune.aws.checks import Finding
    from cloudtune.aws.clients import Aws
    from cloudtune.aws.extras import Named

_DEFAULT_INSTANCE = "ml.g4dn.xlarge"


@click.command("doctor")
@click.option(
    "--instance-type",
    "instance_types",
    multiple=True,
    default=(_DEFAULT_INSTANCE,),
    show_default=True,
    metavar="TYPE",
    help="Of the trials; repeatable, for types that they choose from or fall back on.",
)
@click.option("--image", metavar="URI", help="Of the trials. [default: AWS's PyTorch image for this Python]")
@click.option("--role", metavar="ROLE", help="Of the trials: ARN or name. [default: the one that is found]")
@click.option(
    "--tuner-role", metavar="ROLE", help="Of tuners in the cloud: ARN or name; looks at what remote tuners need, too."
)
@click.option("--bucket", metavar="NAME", help="Of the experiments. [default: sagemaker-REGION-ACCOUNT]")
@click.option(
    "--kms-key", metavar="KEY", help="That encrypts what is written to the bucket. [default: what the bucket is set to]"
)
@click.option("--output-kms-key", metavar="KEY", help="Of the trials' jobs. [default: --kms-key]")
@click.option("--volume-kms-key", metavar="KEY", help="Of the disks of the trials' jobs.")
@click.option("--subnet", "subnets", multiple=True, metavar="ID", help="Of the trials' jobs; repeatable.")
@click.option("--security-group", "groups", multiple=True, metavar="ID", help="Of the trials' jobs; repeatable.")
@click.option("--create-bucket", is_flag=True, help="Create the bucket, closed to the public, if it is missing.")
@click.option("--refresh-prices", is_flag=True, help="Ask AWS for the region's prices, and keep them.")
@click.option("--region", metavar="NAME", help="To look at. [default: what AWS_REGION or the profile says]")
@click.option("--profile", metavar="NAME", help="Of your AWS configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@debug_option
def doctor_command(
    instance_types: tuple[str, ...],
    image: str | None,
    role: str | None,
    tuner_role: str | None,
    bucket: str | None,
    kms_key: str | None,
    output_kms_key: str | None,
    volume_kms_key: str | None,
    subnets: tuple[str, ...],
    groups: tuple[str, ...],
    create_bucket: bool,
    refresh_prices: bool,
    region: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Checks all that trials on SageMaker need, and prints the fix for what is wrong.

    Looks at credentials, region, role, bucket, rights, quotas, image and prices; where jobs have
    keys of your own or a VPC, at the rights for these. Starts no job and, unless asked to, changes
    nothing. The exit code is 1 if there is a problem.

    \b
    Example:
      cloudtune doctor --instance-type ml.g5.xlarge --create-bucket
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from dataclasses import asdict

    from cloudtune.aws.checks import PROBLEM
    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.extras import Named

    findings: list[Finding] = []
    aws = aws_for(region, profile)
    named = Named(kms_key, output_kms_key, volume_kms_key, subnets, groups)
    for finding in _findings(
        aws, instance_types, image, role, tuner_role, bucket, named, create_bucket, refresh_prices
    ):
        findings.append(finding)
        if not as_json:
            _show(finding)
    problems = sum(finding.state == PROBLEM for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not problems, "checks": [asdict(finding) for finding in findings]}))
    elif not problems:
        click.echo("no problem was found")
    else:
        click.echo(f"{problems} problem{'s' * (problems > 1)}: see the fix below each")
    if problems:
        click.get_current_context().exit(1)


def _show(finding: Finding) -> None:
    from cloudtune.aws.checks import OK, WARNING

    color = {OK: "green", WARNING: "yellow"}.get(finding.state, "red")
    click.echo(f"{click.style(f'{finding.state:<8}', fg=color)} {finding.what:<14} {finding.text}")
    if finding.fix:
        click.echo(f"{'':8} {'':14} fix: {finding.fix}")


def _findings(
    aws: Aws,
    types: Sequence[str],
    image: str | None,
    role: str | None,
    tuner_role: str | None,
    bucket: str | None,
    named: Named,
    create_bucket: bool,
    refresh_prices: bool,
) -> Iterator[Finding]:
    """All findings, each as soon as it is known."""
    from cloudtune.aws import checks, role_checks
    from cloudtune.aws.extras import look_at_extras

    region = checks.check_region(aws)
    yield region
    if region.state == checks.PROBLEM:
        return
    identity, caller = checks.check_identity(aws)
    yield identity
    if caller is None:
        return

    arn: str | None = None
    name: str | None = None
    prefix = ""
    extras: dict[str, Sequence[str]] = {}

    def look_at_role() -> Iterator[Finding]:
        nonlocal arn
        finding, arn = role_checks.check_role(aws, role)
        yield finding

    def look_at_bucket() -> Iterator[Finding]:
        nonlocal name, prefix
        finding, found = checks.check_bucket(aws, bucket, create_bucket)
        if found is not None:
            name, prefix = found.name, found.prefix
        yield finding

    def look_around() -> Iterator[Finding]:
        nonlocal extras
        findings, extras = look_at_extras(aws, named, name)
        yield from findings

    def look_at_rights() -> Iterator[Finding]:
        if arn is not None and name is not None:
            repository = checks.image_repository(aws, image, types[0])
            yield from role_checks.check_role_rights(aws, arn, name, repository, prefix, extras)
        yield from role_checks.check_caller_rights(aws, caller, arn, name, prefix, extras)

    yield from _survived("role", look_at_role)
    yield from _survived("bucket", look_at_bucket)
    yield from _survived("encryption", look_around)
    yield from _survived("rights", look_at_rights)
    yield from _survived("tuner's role", lambda: _of_tuners(aws, tuner_role, caller, arn, name, prefix, extras))
    if refresh_prices:
        yield from _survived("price list", lambda: _refreshed(aws))
    yield from _of_type(aws, types[0], image)
    for other in dict.fromkeys(types[1:]):
        if other != types[0]:
            yield from _of_other_type(aws, other)


def _of_type(aws: Aws, instance_type: str, image: str | None) -> Iterator[Finding]:
    """What the trials' machines need."""
    from cloudtune.aws import checks, instance_types

    is_type = True

    def look_at_type() -> Iterator[Finding]:
        nonlocal is_type
        finding = instance_types.check_instance_type(aws, instance_type)
        is_type = finding.state != checks.PROBLEM
        yield finding

    yield from _survived("instance type", look_at_type)
    if is_type:
        yield from _survived("quota", lambda: checks.check_quotas(aws, instance_type))
    if is_type or image is not None:
        yield from _survived("image", lambda: checks.check_image(aws, image, instance_type))
    if is_type:
        yield from _survived("price", lambda: iter([checks.check_price(aws, instance_type)]))


def _of_other_type(aws: Aws, instance_type: str) -> Iterator[Finding]:
    """What a further type of the trials needs; each finding is called after it."""
    from cloudtune.aws import checks, instance_types

    def called(finding: Finding) -> Finding:
        return replace(finding, what=f"{instance_type}: {finding.what}")

    def look() -> Iterator[Finding]:
        finding = instance_types.check_instance_type(aws, instance_type)
        yield finding
        if finding.state != checks.PROBLEM:
            yield from checks.check_quotas(aws, instance_type)
            yield checks.check_price(aws, instance_type)

    yield from map(called, _survived("instance type", look))


def _of_tuners(
    aws: Aws,
    given: str | None,
    caller: str,
    trial_role: str | None,
    bucket: str | None,
    prefix: str,
    extras: Mapping[str, Sequence[str]],
) -> Iterator[Finding]:
    """What remote tuners need; nothing where no role for them is named."""
    from cloudtune.aws import role_checks

    if given is None:
        return
    finding, role = role_checks.check_role(aws, given, "tuner's role", "--tuner-role")
    yield finding
    if role is not None:
        yield from role_checks.check_tuner_rights(aws, caller, role, trial_role, bucket, prefix, extras)


def _refreshed(aws: Aws) -> Iterator[Finding]:
    from cloudtune.aws.checks import OK, Finding
    from cloudtune.aws.prices import refresh_prices

    brought = refresh_prices(aws)
    published = f", published {brought.published}" if brought.published else ""
    yield Finding("price list", OK, f"{brought.prices} prices of {aws.region}{published}, kept in {brought.path}")


def _survived(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a look; where it fails, that is the finding, and the other looks go on."""
    from cloudtune.aws.checks import PROBLEM, Finding
    from cloudtune.errors import CloudtuneError

    try:
        yield from look()
    except (CloudtuneError, OSError) as error:
        # Our messages name the thing and then the remedy.
        text, _, fix = one_line(error).rpartition("; ")
        yield Finding(what, PROBLEM, text or fix, fix if text else "")
