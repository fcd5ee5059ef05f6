"""``cloudtune doctor``: what is wrong with an account, and the exact fix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cloudtune.cli.failures import debug_option, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudtune.aws.checks import Finding
    from cloudtune.aws.clients import Aws

_DEFAULT_INSTANCE = "ml.g4dn.xlarge"


@click.command("doctor")
@click.option("--instance-type", default=_DEFAULT_INSTANCE, show_default=True, metavar="TYPE", help="Of the trials.")
@click.option("--image", metavar="URI", help="Of the trials. [default: AWS's PyTorch image for this Python]")
@click.option("--role", metavar="ROLE", help="Of the trials: ARN or name. [default: the one that is found]")
@click.option(
    "--tuner-role", metavar="ROLE", help="Of tuners in the cloud: ARN or name; looks at what remote tuners need, too."
)
@click.option("--bucket", metavar="NAME", help="Of the experiments. [default: sagemaker-REGION-ACCOUNT]")
@click.option("--create-bucket", is_flag=True, help="Create the bucket, closed to the public, if it is missing.")
@click.option("--refresh-prices", is_flag=True, help="Ask AWS for the region's prices, and keep them.")
@click.option("--region", metavar="NAME", help="To look at. [default: what AWS_REGION or the profile says]")
@click.option("--profile", metavar="NAME", help="Of your AWS configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@debug_option
def doctor_command(
    instance_type: str,
    image: str | None,
    role: str | None,
    tuner_role: str | None,
    bucket: str | None,
    create_bucket: bool,
    refresh_prices: bool,
    region: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Checks all that trials on SageMaker need, and prints the fix for what is wrong.

    Looks at credentials, region, role, bucket, rights, quotas, image and prices. Starts no job and,
    unless asked to, changes nothing. The exit code is 1 if there is a problem.

    \b
    Example:
      cloudtune doctor --instance-type ml.g5.xlarge --create-bucket
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from dataclasses import asdict

    from cloudtune.aws.checks import PROBLEM
    from cloudtune.aws.clients import aws_for

    findings: list[Finding] = []
    aws = aws_for(region, profile)
    for finding in _findings(aws, instance_type, image, role, tuner_role, bucket, create_bucket, refresh_prices):
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
    instance_type: str,
    image: str | None,
    role: str | None,
    tuner_role: str | None,
    bucket: str | None,
    create_bucket: bool,
    refresh_prices: bool,
) -> Iterator[Finding]:
    """All findings, each as soon as it is known."""
    from cloudtune.aws import checks, instance_types, role_checks

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

    def look_at_rights() -> Iterator[Finding]:
        if arn is not None and name is not None:
            repository = checks.image_repository(aws, image, instance_type)
            yield from role_checks.check_role_rights(aws, arn, name, repository, prefix)
        yield from role_checks.check_caller_rights(aws, caller, arn, name, prefix)

    is_type = True

    def look_at_type() -> Iterator[Finding]:
        nonlocal is_type
        finding = instance_types.check_instance_type(aws, instance_type)
        is_type = finding.state != checks.PROBLEM
        yield finding

    yield from _survived("role", look_at_role)
    yield from _survived("bucket", look_at_bucket)
    yield from _survived("rights", look_at_rights)
    yield from _survived("tuner's role", lambda: _of_tuners(aws, tuner_role, caller, arn, name, prefix))
    if refresh_prices:
        yield from _survived("price list", lambda: _refreshed(aws))
    yield from _survived("instance type", look_at_type)
    if is_type:
        yield from _survived("quota", lambda: checks.check_quotas(aws, instance_type))
    if is_type or image is not None:
        yield from _survived("image", lambda: checks.check_image(aws, image, instance_type))
    if is_type:
        yield from _survived("price", lambda: iter([checks.check_price(aws, instance_type)]))


def _of_tuners(
    aws: Aws, given: str | None, caller: str, trial_role: str | None, bucket: str | None, prefix: str
) -> Iterator[Finding]:
    """What remote tuners need; nothing where no role for them is named."""
    from cloudtune.aws import role_checks

    if given is None:
        return
    finding, role = role_checks.check_role(aws, given, "tuner's role", "--tuner-role")
    yield finding
    if role is not None:
        yield from role_checks.check_tuner_rights(aws, caller, role, trial_role, bucket, prefix)


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
