"""What is told before a study is launched: its experiments, quotas, waves and costs, as far as AWS answers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.backend.sagemaker_backend import SageMakerBackend
from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.studies.budget import open_budget
from cloudtune.studies.catalogue import Catalogue, UnknownName
from cloudtune.studies.cell_record import CellRecord
from cloudtune.studies.cell_records import CellConflict, CellRecords
from cloudtune.studies.cell_standing import FINISHED, CellStanding
from cloudtune.studies.cell_tuner import Account, CellTuners
from cloudtune.studies.expected_costs import expected_costs
from cloudtune.studies.methods import METHODS
from cloudtune.studies.plan import Plan
from cloudtune.studies.preview import Preview, preview
from cloudtune.studies.settings import CellSettings
from tests.aws.conftest import training_request
from tests.studies.launch_world import ACCOUNT, TRIALS, TUNERS, LaunchWorld, quota_of
from tests.studies.recorded_study import BUCKET

#: The seed's study with eight workers: four methods, five seeds, five hours each.
PLAN = Plan(
    "tmlr-10", ("height",), ("RS", "BO", "ASHA", "MOBSTER"), (8,), 5, settings=CellSettings(max_wallclock_time=18_000)
)
TRIAL_HOUR, TUNER_HOUR = 0.7364, 0.115
TUNER = (5 + 1 + 120 / 3600) * TUNER_HOUR
BUSY = 20 * (8 * 5 * TRIAL_HOUR + TUNER)
#: A trial that begins right before the limit may run for half an hour more than that limit, and its end takes minutes.
MOST = 20 * (8 * (5 + 5.5 + 120 / 3600) * TRIAL_HOUR + TUNER)


def looked(world: LaunchWorld, plan: Plan = PLAN, account: Account | None = ACCOUNT, **options: object) -> Preview:
    """A preview of a plan whose methods are all random search."""
    catalogue = Catalogue({"height": world.benchmark}, dict.fromkeys(PLAN.methods, METHODS["RS"]))
    return preview(catalogue, plan, account, **options)  # type: ignore[arg-type]


def told(found: Preview) -> str:
    """Its lines."""
    assert json.loads(json.dumps(found.as_object())) == found.as_object()
    return "\n".join(found.lines())


def changed(**settings: object) -> Plan:
    """The plan with other settings."""
    return replace(PLAN, settings=replace(PLAN.settings, **settings))  # type: ignore[arg-type]


# ---------------------------------------------------------------------- quotas and waves


def test_the_seeds_example(world: LaunchWorld) -> None:
    """20 experiments with 8 workers: 160 instances for trials, 20 for tuners, against what the account has."""
    world.set_quota(TRIALS, 160)
    world.set_quota(TUNERS, 25)
    found = looked(world)
    needs = {need.name: (need.needed, need.have, need.in_use, need.is_enough) for need in found.quotas}
    assert needs == {quota_of(TRIALS): (160, 160, 0, True), quota_of(TUNERS): (20, 25, 0, True)}
    assert found.problems == []
    assert (found.course.at_once, found.course.count, found.course.seconds) == (20, 1, 18_000)
    lines = told(found).splitlines()
    assert lines[0] == "study tmlr-10: 20 experiments, tmlr-10-height-RS-w8-0 ... tmlr-10-height-MOBSTER-w8-4"
    assert [line.split()[:4] for line in lines[2:6]] == [[method, "height", "8", "0-4"] for method in PLAN.methods]
    assert "runs in region us-east-1, account 123456789012; results: s3://experiments/cloudtune/tmlr-10/" in lines
    assert "  ml.g4dn.xlarge for training job usage     160          160           0" in lines
    assert "time: all 20 run at once: 5 h 00 min at most, and some minutes for machines to start" in lines


def test_a_quota_that_is_too_small_for_all(world: LaunchWorld) -> None:
    """They run in waves; how AWS is asked for more is told, and nothing is called a problem."""
    world.set_quota(TRIALS, 47)
    world.set_quota(TUNERS, 25)
    found = looked(world)
    assert (found.course.at_once, found.course.count, found.course.seconds) == (5, 4, 4 * 18_000)
    assert found.problems == []
    text = told(found)
    assert "time: at most 5 of 20 run at once, in 4 waves: 20 h 00 min at most" in text
    assert f"113 more {quota_of(TRIALS)}: aws service-quotas request-service-quota-increase" in text
    assert "--desired-value 160" in text


def test_fewer_at_once_need_less(world: LaunchWorld) -> None:
    """max_parallel_experiments decides what is needed, and how long it takes."""
    found = looked(world, max_parallel_experiments=3)
    assert {need.name: need.needed for need in found.quotas} == {quota_of(TRIALS): 24, quota_of(TUNERS): 3}
    assert (found.course.at_once, found.course.count) == (3, 7)


def test_a_quota_without_room_for_one_experiment(world: LaunchWorld) -> None:
    """It would not be launched: a problem, with what to do."""
    world.set_quota(TRIALS, 7)
    found = looked(world)
    [problem] = found.problems
    assert f"needs 8 instances at once, and the account's quota '{quota_of(TRIALS)}' is 7" in problem
    assert "aws service-quotas request-service-quota-increase" in problem
    assert found.course.stuck == 20
    assert f"PROBLEM: {problem}" in told(found)


def test_another_type_takes_its_place(world: LaunchWorld) -> None:
    """Instances of the second choice count where there are too few of the first; its quota is shown as well."""
    world.set_quota(TRIALS, 4)
    world.set_quota("ml.g5.xlarge", 12)
    found = looked(world, changed(instance_type=(TRIALS, "ml.g5.xlarge")))
    assert found.problems == []
    assert found.course.at_once == 2
    assert [need.instead_of for need in found.quotas] == ["", "", TRIALS]
    assert "instead of ml.g4dn.xlarge" in told(found)


def test_spot_capacity_has_quotas_of_its_own(world: LaunchWorld) -> None:
    """Trials count by these, tuners do not."""
    world.set_quota(TRIALS, 0)
    world.set_quota(TRIALS, 200, "spot training job usage")
    found = looked(world, changed(use_spot=True))
    assert [need.name for need in found.quotas] == [quota_of(TUNERS), "ml.g4dn.xlarge for spot training job usage"]
    assert found.problems == []
    assert "nobody knows before what spot capacity will save" in told(found)


def test_warm_pools_have_quotas_of_their_own(world: LaunchWorld) -> None:
    """Beyond them SageMaker keeps nothing, without saying so: that is said here."""
    world.set_quota(TRIALS, 3, "training warm pool usage")
    found = looked(world, changed(warm_pool=True))
    [pool] = [need for need in found.quotas if "warm pool" in need.name]
    assert (pool.needed, pool.have) == (160, 3)
    assert "may keep 3 machines in warm pools, and an experiment would keep 8" in found.problems[0]


def test_trials_and_tuners_on_one_type(world: LaunchWorld) -> None:
    """They share its quota."""
    found = looked(world, changed(instance_type=(TUNERS,)))
    assert [(need.name, need.needed) for need in found.quotas] == [(quota_of(TUNERS), 180)]


def test_what_runs_in_the_account_already(world: LaunchWorld) -> None:
    """Jobs of anybody count by the same quotas."""
    world.launch()
    found = looked(world)
    assert {need.name: need.in_use for need in found.quotas} == {quota_of(TRIALS): 0, quota_of(TUNERS): 2}


def test_trials_beside_the_loop(world: LaunchWorld) -> None:
    """One machine for each experiment, of the trials' type."""
    found = looked(world, changed(backend="local", instance_type=("ml.g4dn.12xlarge",)))
    assert [(need.instance_type, need.needed) for need in found.quotas] == [("ml.g4dn.12xlarge", 20)]
    assert [item.what for item in found.costs.items] == ["tuners"]


# ---------------------------------------------------------------------- costs


def test_what_it_costs(world: LaunchWorld) -> None:
    """With all workers busy until the limit; at most, whatever happens to tuners; and probably a little less."""
    found = looked(world)
    assert found.busy == pytest.approx(BUSY)
    assert found.most == pytest.approx(MOST)
    assert found.likely is not None
    assert BUSY * 0.9 < found.likely < BUSY
    assert f"cost with all workers busy until the time limit: ${BUSY:,.2f}" in told(found)
    assert "trials: 800.0 hours of ml.g4dn.xlarge, $0.7364 an hour = $589.12" in told(found)
    assert f"cost at most: ${MOST:,.2f}, if each worker began a trial right before the time limit" in told(found)
    assert "no finished experiment of this study tells how much less that is" in told(found)


@pytest.mark.parametrize(
    ("settings", "at_once"),
    [({}, 8), ({"start_jobs_without_delay": True}, 16), ({"max_num_trials_started": 3}, 3)],
)
def test_the_cloud_bills_no_more(world: LaunchWorld, settings: dict[str, Any], at_once: int) -> None:
    """By its own record, if all goes wrong: trials run until the limit, and the last ones as long as their jobs may."""
    plan = replace(changed(**settings), methods=("RS",), num_seeds=1)
    found = looked(world, plan)
    world.launch(plan)
    [cell] = plan.cells({"height": 4})
    backend = CellTuners(world.catalogue, plan.settings, ACCOUNT).tuner(cell).trial_backend
    assert isinstance(backend, SageMakerBackend)
    most_of_trial = {"MaxRuntimeInSeconds": backend.template.max_run}
    clock, jobs = world.cloud.platform.clock, []

    def begin(name: str) -> TrainingJob:
        if name.startswith("trial"):
            request = training_request(name, StoppingCondition=most_of_trial)
            world.cloud.client("sagemaker").create_training_job(**request)
        world.cloud.job(name).move("Training", training_start=clock.time())
        jobs.append(world.cloud.job(name))
        return jobs[-1]

    def end(some: list[TrainingJob], seconds: float) -> None:
        """Ends jobs so long after the first of them has begun."""
        assert some[0].state.training_start is not None
        clock.not_before(some[0].state.training_start + seconds)
        for job in some:
            job.finish("Completed", "Completed", "")

    def longest(job: TrainingJob) -> float:
        return float(job.request["StoppingCondition"]["MaxRuntimeInSeconds"] + 120)

    tuner = begin(world.job_of(cell))
    end([begin(f"trial-{number}") for number in range(at_once)], 18_000)
    last = [begin(f"trial-after-{number}") for number in range(at_once)]
    end([tuner], longest(tuner))
    end(last, longest(last[0]))
    bill = 0.0
    for job in jobs:
        assert job.state.training_start is not None
        assert job.state.training_end is not None
        seconds = math.floor(job.state.training_end - job.state.training_start)
        bill += seconds * (TUNER_HOUR if job is tuner else TRIAL_HOUR) / 3600
    assert found.most is not None
    # The clock goes on for a moment while jobs are ended.
    assert 0.99 * found.most < bill < 1.0005 * found.most


def test_twice_the_machines_for_a_while(world: LaunchWorld) -> None:
    """Where workers get trials without delay, it is said that more machines may run."""
    assert "up to twice as many trials' machines" in told(looked(world, changed(start_jobs_without_delay=True)))
    assert "up to twice as many" not in told(looked(world))


def test_a_limit_of_money(world: LaunchWorld) -> None:
    """It costs no more than that; what one experiment commits, with the trial for which its tuner has money ready."""
    found = looked(world, max_cost=100.0)
    assert (found.most, found.likely) == (100.0, 100.0)
    each = 9 * (5.5 * 3600 + STOP_GRACE) / 3600 * TRIAL_HOUR + TUNER
    assert found.committed_by_each == pytest.approx(each)
    assert f"an experiment with all workers busy commits ${each:.2f}, with one trial ahead" in told(found)
    assert "cost at most: $100.00, max_cost" in told(found)
    assert found.problems == []


def test_so_many_at_once_for_the_money(world: LaunchWorld) -> None:
    """The time that it takes follows from how many the limit lets run at once."""
    found = looked(world, max_cost=100.0)
    assert found.affordable == 2
    assert (found.course.at_once, found.course.count, found.course.seconds) == (2, 10, 10 * 18_000)
    assert "max_cost lets 2 at once have all workers busy" in told(found)
    assert looked(world, max_cost=100.0, max_parallel_experiments=1).course.at_once == 1
    poor = looked(world, max_cost=20.0)
    assert (poor.affordable, poor.course.at_once) == (0, 1)
    rich = looked(world, max_cost=2000.0)
    assert rich.course.at_once == 20
    assert "max_cost lets" not in told(rich)


def test_a_limit_that_lets_nothing_begin(world: LaunchWorld) -> None:
    """A tuner's job and one trial have to be within it."""
    [problem] = looked(world, max_cost=4.0).problems
    assert "max_cost is $4.00, and committing one experiment takes $4.77" in problem


def test_an_earlier_launchs_limit(world: LaunchWorld) -> None:
    """It holds where none is given; below what is committed there cannot be one."""
    budget = open_budget(world.place(PLAN.tag), 200.0)
    assert budget is not None
    budget.put_aside("tmlr-10-height-other-w8-0", 50_000_000, 0)
    found = looked(world)
    assert (found.max_cost, found.committed, found.most) == (200.0, 50.0, 150.0)
    assert "max_cost: $200.00 for the whole study, of which $50.00 are gone" in told(found)
    [problem] = looked(world, max_cost=49.0).problems
    assert "$50.00 are spent or committed already" in problem


def test_a_price_that_nobody_knows(world: LaunchWorld) -> None:
    """It is in no sum, and never 0; and no limit of money could be kept."""
    plan = changed(instance_type=("ml.p9.xlarge",))
    found = looked(world, plan)
    assert (found.most, found.likely) == (None, None)
    assert found.costs.unpriced == ["ml.p9.xlarge"]
    without = "more than $13.88, without ml.p9.xlarge, whose price is not known"
    assert f"cost with all workers busy until the time limit: {without}" in told(found)
    assert f"cost at most: {without}" in told(found)
    [problem] = looked(world, plan, max_cost=1000.0).problems
    assert "max_cost cannot be kept: no price is known for ml.p9.xlarge in us-east-1" in problem


def test_finished_experiments_tell_what_others_will_cost(world: LaunchWorld) -> None:
    """By worker and second, of the same benchmark and method; finished ones cost nothing more."""
    plan = Plan("heights", ("height",), ("RS",), (2,), 3, settings=CellSettings(max_wallclock_time=600))
    world.launch(replace(plan, num_seeds=1))
    [cell] = plan.cells({"height": 4})[:1]
    world.begin(cell)
    world.end(cell)
    found = looked(world, plan)
    assert found.states == {"finished": 1}
    assert sum(len(group.cells) for group in found.groups) == 2
    tuners = 2 * (600 + 600) * TUNER_HOUR / 3600
    # $1.50 for 600 seconds of 2 workers is more than machines on demand cost: more than all it can be, it is not.
    most = 2 * 2 * 600 * TRIAL_HOUR / 3600
    assert found.likely == pytest.approx(tuners + min(2 * 1.5, most))
    assert "by what 1 finished experiment of this study cost per worker and hour" in told(found)
    # One of another benchmark tells nothing, and is not counted.
    standing = CellStanding(cell.name, cell, FINISHED, seconds=600.0, cost=1.5)
    other = replace(standing, name="other", cell=replace(cell, benchmark="width"))
    basis = expected_costs(found.groups, "us-east-1", [standing, other], use_spot=False).basis
    assert basis == "by what 1 finished experiment of this study cost per worker and hour"
    assert "of these there are already: 1 finished" in told(found)


def test_a_limit_of_trials_bounds_it(world: LaunchWorld) -> None:
    """A trial runs no longer than its experiment."""
    found = looked(world, changed(max_num_trials_started=2))
    assert found.costs.items[0].busy_hours == 20 * 2 * 5
    assert "bounded by max_num_trials_started" in told(found)


def test_nothing_is_left(world: LaunchWorld) -> None:
    """All experiments have finished: nothing is needed, nothing costs."""
    plan = Plan("heights", ("height",), ("RS",), (2,), settings=CellSettings(max_wallclock_time=600))
    world.launch(plan)
    [cell] = plan.cells({"height": 4})
    world.begin(cell)
    world.end(cell)
    found = looked(world, plan)
    assert (found.quotas, found.most, found.problems) == ([], 0.0, [])
    assert "nothing is left to be launched" in told(found)


# ---------------------------------------------------------------------- what AWS does not tell


def test_nothing_is_created(world: LaunchWorld) -> None:
    """It only looks."""
    looked(world)
    writes = ("Create", "Put", "Delete", "Update", "Stop", "Copy", "Upload")
    after = [name for name in world.cloud.call_counts() if name.split(":")[1].startswith(writes)]
    assert after == ["s3:CreateBucket"]  # of the test itself


def test_quotas_may_not_be_asked(world: LaunchWorld) -> None:
    """They are unknown, which is said; the rest is told all the same."""
    world.cloud.faults.add("access_denied", operation="servicequotas:*")
    found = looked(world)
    assert [need.have for need in found.quotas] == [None, None]
    assert found.most == pytest.approx(MOST)
    assert "unknown" in told(found)
    assert "more if quotas are too small that are not known" in told(found)


def test_what_runs_may_not_be_asked(world: LaunchWorld) -> None:
    """A note names the right that is missing."""
    world.cloud.faults.add("access_denied", operation="sagemaker:ListTrainingJobs")
    found = looked(world)
    assert [need.in_use for need in found.quotas] == [None, None]
    assert any("what runs in the account now is not known" in note for note in found.notes)
    assert "not known: what runs in the account now" in told(found)


def test_no_bucket(world: LaunchWorld) -> None:
    """A study could not be launched: the problem says how one is made."""
    [problem] = looked(world, account=replace(ACCOUNT, s3_path="s3://nowhere")).problems
    assert "there is no bucket nowhere" in problem


def test_no_credentials(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices are known without any; what else was to be asked is said to be unknown."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    found = looked(world, account=replace(ACCOUNT, region="eu-west-1"))
    assert found.problems
    assert "runs in region eu-west-1, account unknown; results: unknown" in told(found)


def test_no_region(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no price is known either."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    found = looked(world)
    assert "No AWS region is set" in found.problems[0]
    assert found.most is None
    assert "cost at most: unknown" in told(found)


def test_here_without_aws(tmp_path: Path) -> None:
    """Trials beside the loop on this machine: nothing is asked, nothing costs."""
    script = tmp_path / "train.py"
    script.touch()
    world = LaunchWorld.__new__(LaunchWorld)
    world.script, world.epochs = script, 3
    found = looked(world, Plan("t", ("height",), ("RS",), settings=CellSettings(backend="local")), None)
    assert (found.region, found.quotas, found.most, found.problems, found.notes) == (None, [], 0.0, [], [])
    assert told(found).splitlines()[-3:] == ["runs on this machine", "time: 1 h 00 min at most", "cost: nothing at AWS"]


def test_tuners_here_and_trials_as_jobs(world: LaunchWorld) -> None:
    """No job of a tuner is counted, and experiments run one after the other."""
    found = looked(world, tuners_are_jobs=False)
    assert [need.name for need in found.quotas] == [quota_of(TRIALS)]
    assert [need.needed for need in found.quotas] == [8]
    assert found.course.at_once == 1


# ---------------------------------------------------------------------- bad input


def test_unknown_names(world: LaunchWorld) -> None:
    """They are refused before anything is asked."""
    with pytest.raises(UnknownName, match="known are"):
        looked(world, replace(PLAN, benchmarks=("width",)))


def test_data_that_is_missing(world: LaunchWorld, tmp_path: Path) -> None:
    """A benchmark that reads what is not there would not begin."""
    catalogue = Catalogue({"height": lambda: replace(world.benchmark(), inputs={"training": str(tmp_path / "none")})})
    found = preview(catalogue, replace(PLAN, methods=("RS",)), ACCOUNT)
    assert any("which is not there" in problem for problem in found.problems)


def test_many_combinations_are_cut(world: LaunchWorld) -> None:
    """Forty rows are shown; the object has all."""
    found = looked(world, replace(PLAN, n_workers=tuple(range(1, 21)), num_seeds=1))
    assert len(found.as_object()["experiments"]["groups"]) == 80
    assert "... and 40 more combinations" in told(found)
    assert len(found.lines()) < 70


def test_seeds_that_were_left_out(world: LaunchWorld) -> None:
    """Ranges, with gaps where experiments have finished."""
    from cloudtune.studies.preview_text import _ranges

    assert _ranges([0, 1, 2, 4, 7, 8]) == "0-2, 4, 7-8"
    assert BUCKET in told(looked(world))


# ---------------------------------------------------------------------- what launching would refuse


def begun(world: LaunchWorld, plan: Plan) -> None:
    """Has a study begin."""
    world.launch(plan)
    for cell in plan.cells({"height": 4}):
        world.begin(cell)


def test_experiments_that_exist_with_other_settings(world: LaunchWorld) -> None:
    """The message of the launch, before anybody says yes to it; those that were written down only are no conflict."""
    plan = Plan("heights", ("height",), ("RS",), (2,), settings=CellSettings(max_wallclock_time=600))
    begun(world, plan)
    assert looked(world, plan).problems == []
    other = replace(plan, settings=CellSettings(max_wallclock_time=700))
    [problem] = looked(world, other).problems
    with pytest.raises(CellConflict) as caught:
        world.launch(other)
    assert problem == f"nothing would be launched: {caught.value}"
    assert "max_wallclock_time = 600, which is 700 now" in problem
    never = replace(plan, tag="never")
    record = CellRecord(never.cells({"height": 4})[0], never.settings, {}, ())
    CellRecords(world.place("never")).write([record])
    assert looked(world, replace(never, settings=other.settings)).problems == []


def test_another_config_space(world: LaunchWorld) -> None:
    """What a method says of itself counts as well."""
    plan = Plan("heights", ("height",), ("RS",), (2,), settings=CellSettings(max_wallclock_time=600))
    begun(world, plan)
    world.epochs = 12
    [problem] = looked(world, plan).problems
    assert "config_space['epochs']" in problem


def test_a_damaged_record(world: LaunchWorld) -> None:
    """It keeps the study from being launched."""
    world.bucket.put(world.place(PLAN.tag).cell("tmlr-10-height-RS-w8-0"), b"{")
    [problem] = looked(world).problems
    assert "tmlr-10-height-RS-w8-0.json" in problem


def test_records_that_may_not_be_read(world: LaunchWorld) -> None:
    """Whether there are conflicts is not known, which is said."""
    begun(world, replace(PLAN, methods=("RS",), num_seeds=1))
    world.cloud.faults.add("access_denied", operation="s3:GetObject", resource="*/cells/*")
    assert any("exist with other settings is not known" in note for note in looked(world).notes)


def test_a_method_that_does_not_take_an_argument(world: LaunchWorld) -> None:
    """Each method is named once, however many seeds there are."""
    found = looked(world, changed(extra={"brackets": 2}))
    assert [problem.split(" cannot be made with brackets")[0] for problem in found.problems] == [
        f"the method {name}" for name in PLAN.methods
    ]


def test_tuners_jobs_that_aws_does_not_tell_of(world: LaunchWorld) -> None:
    """What runs is perhaps not seen: that is said."""
    world.launch(replace(PLAN, methods=("RS",)))
    world.cloud.faults.add("access_denied", operation="sagemaker:ListTrainingJobs")
    assert any("tuners' training jobs are not looked at" in note for note in looked(world).notes)
