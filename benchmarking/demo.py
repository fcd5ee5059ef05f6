"""The whole mission on this machine: ``make demo``.

A local cloud comes up. ``launchers/launch_remote.py`` fans out two methods x two seeds over a small network that reads
scanned digits: four remote tuners, each a training job, and eight trials of each at a time, training jobs too. One of
these loses its spot machine. The results come back from S3, the figure and the report are written, the cloud goes down.
Nothing of it needs an account or a network.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cloudtune.localcloud import LocalCloud

ROOT = Path(__file__).resolve().parents[1]
BENCHMARK = "digits_mlp"
METHODS = ("RS", "ASHA-STOP")
SEEDS = 2
#: Experiments at the same time: the others wait their turn, as they would for a quota.
AT_ONCE = 2
#: Training jobs that run at the same time on each core; others wait as Pending.
_JOBS_PER_CORE = 5
#: Trials are spot jobs, tuners are not.
_TRIALS = "demo-*"
#: Seconds that the trial whose machine is taken away has had it.
_SPOT_SECONDS = 1.5
#: Seconds in which a tuner's job ends after its experiment.
_TIME_TO_END = 30.0


@click.command()
@click.option("--seconds", type=click.IntRange(min=1), default=35, show_default=True, help="For each experiment.")
@click.option("--workers", type=click.IntRange(min=1), default=8, show_default=True, help="Trials at the same time.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=None, help="Folder of the results.")
def main(seconds: int, workers: int, output: Path | None) -> None:
    """Runs a small study on the local cloud, from its launch to its report."""
    from cloudtune.localcloud import Fault, LocalCloud
    from cloudtune.store.places import experiments_root

    began = time.monotonic()
    output = (output or experiments_root()).absolute()
    output.mkdir(parents=True, exist_ok=True)
    os.environ["CLOUDTUNE_FOLDER"] = str(output)
    figure, report = output / "demo.png", output / "demo.html"
    with LocalCloud(max_running_jobs=_JOBS_PER_CORE * (os.cpu_count() or 1)) as cloud, cloud.activate():
        _say(f"A local cloud is up at {cloud.endpoint}: SageMaker, S3 and CloudWatch, on this machine.")
        cloud.faults.add(Fault("spot_interruption", job=_TRIALS, seconds=_SPOT_SECONDS, count=1))
        _say("One spot interruption is ordered.\n")
        os.environ["CLOUDTUNE_AWS_RATES"] = "*=inf"
        _run(
            *("python", "launchers/launch_remote.py", "--experiment_tag", "demo", "--benchmark", BENCHMARK),
            *("--method", *METHODS, "--num_seeds", str(SEEDS), "--n_workers", str(workers)),
            *("--max_parallel_experiments", str(AT_ONCE), "--max_wallclock_time", str(seconds), "--use_spot"),
            *("--local_cloud", "--wait"),
        )
        _run("cloudtune", "status", "demo")
        _run("cloudtune", "plot", "demo", "-o", figure)
        _run("cloudtune", "report", "demo", "-o", report)
        told = _what_happened(cloud)
        left = _left(cloud)
    if left:
        raise click.ClickException(f"{len(left)} training jobs are left, which must not be: {', '.join(left)}")
    _say(f"\n{told} Nothing is left of the cloud. It took {time.monotonic() - began:.0f} seconds.")
    _say(f"Figure: {figure}\nReport: {report}")


def _left(cloud: LocalCloud) -> list[str]:
    """Names of the jobs that still run, but for those that are ending: an experiment is over before its tuner's job."""
    until = time.monotonic() + _TIME_TO_END
    while True:
        running = [job["name"] for job in cloud.jobs() if job["status"] in ("InProgress", "Stopping")]
        if not running or time.monotonic() > until:
            return running
        time.sleep(0.2)


def _what_happened(cloud: LocalCloud) -> str:
    jobs = cloud.jobs()
    tuners = [job for job in jobs if "-tuning-" in job["name"]]
    told = f"{len(tuners)} tuners and {len(jobs) - len(tuners)} trials ran as training jobs; "
    struck = {fired.case.job for fired in cloud.faults.fired()}
    if not struck:
        return f"{told}none had its spot machine long enough to lose it."
    # A job that was over before it got another machine has run once.
    went_on = any(job["name"] in struck and job["run"] > 0 for job in jobs)
    return f"{told}1 lost its spot machine{' and went on from its checkpoint' if went_on else ''}."


def _run(program: str, *words: object) -> None:
    """Shows a command, and runs it from the repository's folder with this Python."""
    arguments = [str(word) for word in words]
    _say(f"$ {shlex.join([program, *arguments])}")
    started = [sys.executable] if program == "python" else [sys.executable, "-m", "cloudtune.cli"]
    done = subprocess.run([*started, *arguments], cwd=ROOT, check=False)
    if done.returncode:
        raise click.ClickException(f"it ended with exit code {done.returncode}; what it printed says why")
    _say("")


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
