"""``cloudtune report``: a study as one HTML page."""

from __future__ import annotations

import click

from cloudtune.cli.experiment_place import place_options
from cloudtune.cli.failures import debug_option


@click.command("report")
@click.argument("tag")
@click.option("-o", "--output", metavar="FILE", help="Where the page goes. [default: TAG.html]")
@place_options
@debug_option
def report_command(tag: str, output: str | None, s3_path: str | None, region: str | None, profile: str | None) -> None:
    """Writes all that is known of the study TAG into one HTML page.

    It holds the plan, a table of the experiments, their comparison, every learning curve, cost and
    failures, and how to launch the study again. It needs no network and can be sent by mail. Also
    of a study that still runs, and of a single experiment.

    \b
    Example:
      cloudtune report tmlr-10 -o tmlr-10.html
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    import logging
    import time
    from pathlib import Path

    from cloudtune.cli.study_report import reported_study
    from cloudtune.cli.study_results import study_results
    from cloudtune.experiments.quantities import plural
    from cloudtune.experiments.report.page import render_page

    # What is to be known of the comparison stands beside it on the page.
    logging.getLogger("cloudtune.experiments.comparison").setLevel(logging.ERROR)
    study = reported_study(study_results(tag, s3_path, region, profile), time.time())
    page = render_page(study).encode()
    path = Path(output or f"{study.name.replace('/', '-')}.html").expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(page)
    experiments = plural(len(study.experiments) + len(study.waiting), "experiment")
    click.echo(f"wrote {path}: {experiments}, {len(page) / 1e6:.2g} MB; open it in a browser")
