"""What ``cloudtune rerun`` tells of one rerun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.studies.rerun_outcome import finished, no_outcome, outcome_of

if TYPE_CHECKING:
    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.studies.rerun import Rerun
    from cloudtune.studies.rerun_standing import RerunStanding


@dataclass(frozen=True)
class RerunSeen:
    """A rerun, and what there is of it.

    Args:
        rerun: As it is asked for.
        results: Of its experiment, as far as it is; None: there are none yet.
        standing: How far it is.
    """

    rerun: Rerun
    results: ExperimentResult | None
    standing: RerunStanding

    @property
    def is_complete(self) -> bool:
        """Whether as many runs have come to their end as are asked for."""
        return self._done >= self.rerun.num_seeds

    @property
    def is_to_be_run(self) -> bool:
        """Whether running it, or going on with it, brings something."""
        return not (self.is_complete or self.standing.is_driven or self.standing.obstacle(self.rerun))

    @property
    def is_short(self) -> bool:
        """Whether runs are missing that nobody is at work on."""
        return not self.is_complete and not self.standing.is_driven

    @property
    def _done(self) -> int:
        return 0 if self.results is None else len(finished(self.results, self.rerun.benchmark))

    def outcome(self) -> dict[str, Any]:
        """What it has come to, as JSON values."""
        rerun = self.rerun
        outcome = no_outcome(rerun) if self.results is None else outcome_of(rerun, self.results)
        return {**outcome, **self.standing.as_object()}

    def lines(self) -> list[str]:
        """The same in words."""
        from cloudtune.status_table import format_value, printable

        outcome = self.outcome()
        study, metric = outcome["study"], printable(outcome["metric"])
        width = max(map(len, outcome["config"]), default=0)
        found_by = f"by trial {study['trial_id']} of {study['experiment']} ({study['method']})"
        value = f"{metric} {study['value']:.6g}, the {outcome['mode']}imum of the study"
        done, wanted = len(outcome["runs"]), outcome["num_seeds"]
        lines = [
            f"{outcome['benchmark']}: {value}, {found_by}",
            *(f"  {printable(name):{width}}  {format_value(value)}" for name, value in outcome["config"].items()),
            f"run again on {done} of {wanted} new random seeds, as experiment {outcome['name']}",
            *_summaries(outcome, metric),
        ]
        if outcome["best"]["mean"] is not None:
            lines.append(expectation(outcome))
        return lines + ([] if self.is_complete else self._missing(done, wanted))

    def _missing(self, done: int, wanted: int) -> list[str]:
        """Why there are fewer runs than asked for, and what to do."""
        from cloudtune.status_table import printable

        standing = self.standing
        lines = []
        failed = standing.failed
        if failed:
            trials = ", ".join(str(one.trial_id) for one in failed)
            logs = f"`cloudtune logs {standing.known_as} {failed[0].trial_id}`"
            of_them = f"{len(failed)} of {wanted} runs failed: trial{'s' * (len(failed) > 1)} {trials}"
            lines.append(f"{of_them}, see {logs} ({printable(failed[0].why)})")
        if standing.is_driven:
            job = f" as training job {standing.tuner_job}" if standing.tuner_job else ""
            lines.append(f"It is under way{job}; the same command tells more once it has ended.")
            return lines
        early = standing.started - standing.open - done - len(failed)
        if early > 0:
            level = f"{self.rerun.benchmark.resource_attr} {self.rerun.benchmark.max_resource_level}"
            lines.append(f"{early} of {wanted} runs ended without a report of {level}, and do not count")
        obstacle = standing.obstacle(self.rerun)
        if obstacle is None:
            lines.append("The same command goes on with the other runs.")
        elif standing.started >= wanted and not standing.open:
            lines.append(f"Nothing is left to run, for {obstacle}; a higher --num_seeds adds more.")
        else:
            lines.append(f"It does not go on as it is: {obstacle}.")
        return lines


def expectation(outcome: Mapping[str, Any]) -> str:
    """Which value to expect of the configuration, the study's own or the mean of its new runs.

    Args:
        outcome: See :meth:`RerunSeen.outcome`; with a mean.
    """
    mean, own = outcome["best"]["mean"], outcome["study"]["value"]
    is_worse = mean > own if outcome["mode"] == "min" else mean < own
    if is_worse:
        return "Expect the mean: the study's own value is the best of many, and so too good."
    return "Expect the mean: it is no worse than the study's own value, which chance did not make too good."


def _summaries(outcome: Mapping[str, Any], metric: str) -> list[str]:
    lines = []
    for name, told in (("best", "at its best epoch"), ("last", "after its last epoch")):
        some = outcome[name]
        if some["mean"] is None:
            continue
        spread = "of one run: no interval"
        if some["interval"] is not None:
            low, high = some["interval"]
            spread = f"95 % interval {low:.6g} to {high:.6g}, standard deviation of a run {some['std']:.3g}"
        lines.append(f"  {metric} of a run {told}: mean {some['mean']:.6g} ({spread})")
    return lines
