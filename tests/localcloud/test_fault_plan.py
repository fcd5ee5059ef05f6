"""The faults in force: what strikes, how often, and that it can be repeated."""

from __future__ import annotations

import threading
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cloudtune.localcloud.fault import CALL_FAULTS, JOB_FAULTS, LOG_FAULTS, Fault
from cloudtune.localcloud.fault_plan import FaultCase, FaultPlan
from tests.localcloud.hand_clock import HandClock

CREATE = FaultCase("sagemaker:CreateTrainingJob", "train-1", "", "client")
PUT = FaultCase("s3:PutObject", "train-2", "bucket/a/key", "job:train-2")
SEARCH = FaultCase("sagemaker:Search", "", "", "client")
CASES = (CREATE, PUT, SEARCH)
#: Operations that a fault of a kind may be for.
OPERATIONS = {
    "throttle": ["*", "s3:*", "sagemaker:*"],
    "internal_error": ["*", "s3:*", "sagemaker:*"],
    "write_lost": ["*", "s3:*"],
    "stale_search": ["*", "sagemaker:*"],
}


class PlanMachine(RuleBasedStateMachine):
    """Compares a plan with a simple model of one: a list of rules with counters."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.plan = FaultPlan(self.clock)
        self.model: dict[int, tuple[Fault, list[int]]] = {}
        self.struck = 0

    @rule(
        strikes=st.sampled_from([(kind, operation) for kind, some in OPERATIONS.items() for operation in some]),
        job=st.sampled_from(["*", "train-1", "train-*"]),
        who=st.sampled_from(["*", "job:*", "client"]),
        count=st.none() | st.integers(0, 2),
        skip=st.integers(0, 2),
        begins=st.integers(0, 3),
        lasts=st.integers(0, 5) | st.just(float("inf")),
    )
    def add(
        self, strikes: tuple[str, str], job: str, who: str, count: int | None, skip: int, begins: int, lasts: float
    ) -> None:
        after = self.clock.at + begins
        fault = Fault(*strikes, job, who=who, count=count, skip=skip, after=after, until=after + lasts)
        self.model[self.plan.add(fault)] = (fault, [0, 0])

    @rule(seconds=st.integers(0, 3))
    def wait(self, seconds: int) -> None:
        self.clock.at += seconds

    @rule(number=st.integers(1, 6))
    def remove(self, number: int) -> None:
        assert self.plan.remove(number) == (self.model.pop(number, None) is not None)

    @rule(case=st.sampled_from(CASES))
    def call(self, case: FaultCase) -> None:
        expected: dict[str, Fault] = {}
        for fault, counters in self.model.values():
            patterns = ((case.operation, fault.operation), (case.job, fault.job), (case.who, fault.who))
            matches = (
                fault.kind not in expected
                and fault.after <= self.clock.at <= fault.until
                and all(pattern == "*" or fnmatchcase(name, pattern) for name, pattern in patterns)
                and not (fault.kind == "write_lost" and case is not PUT)
                and not (fault.kind == "stale_search" and case is not SEARCH)
            )
            if matches:
                counters[0] += 1
                if counters[0] > fault.skip and (fault.count is None or counters[1] < fault.count):
                    counters[1] += 1
                    expected[fault.kind] = fault
        self.struck += len(expected)
        assert self.plan.for_call(case) == expected

    @invariant()
    def the_plan_tells_what_is_in_force(self) -> None:
        assert self.plan.faults() == {number: fault for number, (fault, _) in self.model.items()}
        assert self.plan.any_of(CALL_FAULTS) == bool(self.model)
        assert not self.plan.any_of(JOB_FAULTS)
        assert len(self.plan.fired()) == self.struck


TestPlan = PlanMachine.TestCase
TestPlan.__doc__ = "Whatever is added, removed and called in whatever order, exactly the faults that should strike do."


@given(st.integers(0, 5), st.floats(0.05, 0.95), st.permutations([f"train-{number}" for number in range(8)]))
def test_what_strikes_a_job_does_not_depend_on_the_others(seed: int, probability: float, order: list[str]) -> None:
    """Jobs run in threads, in any order: a seed gives each run of each job the same faults all the same."""

    def struck(jobs: list[str]) -> dict[tuple[str, int], bool]:
        plan = FaultPlan(HandClock(), seed)
        number = plan.add(Fault("capacity", probability=probability))
        return {(job, run): plan.strikes(number, job, run) for job in jobs for run in range(3)}

    assert struck(order) == struck(sorted(order))


def test_a_probability_is_about_kept() -> None:
    """A fault with probability 0.3 strikes 3 calls in 10, drawn anew for each call and each seed."""
    counts = []
    for seed in range(4):
        plan = FaultPlan(HandClock(), seed)
        plan.add(Fault("throttle", probability=0.3))
        counts.append(sum(bool(plan.for_call(CREATE)) for _ in range(1000)))
    assert all(230 < count < 370 for count in counts)
    assert len(set(counts)) > 1


def test_kinds_are_drawn_only_where_they_belong() -> None:
    """A fault of logs or jobs is neither drawn nor used up by calls, and the other way round."""
    plan = FaultPlan(HandClock())
    for kind in ("late_logs", "capacity", "throttle", "kill_server"):
        plan.add(Fault(kind, count=1))
    assert set(plan.for_call(CREATE)) == {"throttle", "kill_server"}
    assert set(plan.for_logs(FaultCase(job="train-1", resource="group/stream"))) == {"late_logs"} <= set(LOG_FAULTS)
    assert [rule.fault.kind for rule in plan.for_job(JOB_FAULTS, "train-1")] == ["capacity"]
    assert plan.for_cloud() == {}


def test_a_job_is_told_what_may_strike_it() -> None:
    """Faults for it that are in force or will be, with the moment from which they are; until one is taken back."""
    clock = HandClock()
    plan = FaultPlan(clock)
    early = plan.add(Fault("console_stop", job="train-*", after=20))
    clock.at = 10
    late = plan.add(Fault("console_stop", after=5, skip=1))
    plan.add(Fault("console_stop", job="other"))
    found = {rule.number: rule.since for rule in plan.for_job({"console_stop"}, "train-1")}
    assert found == {early: 20, late: 10}
    assert plan.for_job({"capacity"}, "train-1") == []
    assert plan.fired() == []
    assert [plan.strikes(late, "train-1", run) for run in (0, 1)] == [False, True]
    assert [(fired.fault_id, fired.case.job, fired.run, fired.at) for fired in plan.fired()] == [
        (late, "train-1", 1, clock.time())
    ]
    plan.remove(early)
    assert not plan.strikes(early, "train-1", 0)


def test_a_name_is_compared_as_the_shell_does() -> None:
    """Plain names are compared quickly, names with signs as patterns: both alike for whoever orders a fault."""
    plan = FaultPlan(HandClock())
    for pattern in ("train-1", "train-?", "train-[12]", "[t]*"):
        number = plan.add(Fault("capacity", job=pattern))
        assert [job for job in ("train-1", "Train-1", "train-1x") if plan.for_job({"capacity"}, job)] == (
            ["train-1", "train-1x"] if pattern.endswith("*") else ["train-1"]
        )
        plan.remove(number)


def test_the_whole_cloud_is_struck_only_by_faults_without_patterns() -> None:
    """``kill_server`` for certain calls waits for these; it does not kill at a time."""
    clock = HandClock()
    plan = FaultPlan(clock)
    plan.add(Fault("kill_server", operation="s3:PutObject", after=1))
    plan.add(Fault("throttle"))
    clock.at = 2
    assert plan.for_cloud() == {}
    plan.add(Fault("kill_server", after=3))
    assert plan.for_cloud() == {}
    clock.at = 3
    assert set(plan.for_cloud()) == {"kill_server"}


def test_listeners_hear_of_every_change_until_they_have_enough() -> None:
    """Whoever waits for a fault need not ask again and again."""
    plan = FaultPlan(HandClock())
    heard: list[int] = []
    end = plan.on_change(lambda: heard.append(len(plan.faults())))
    number = plan.add(Fault("throttle"))
    plan.add(Fault("capacity"))
    plan.remove(number)
    plan.clear()
    end()
    plan.add(Fault("throttle"))
    assert heard == [1, 2, 1, 0]


def test_a_count_is_kept_by_many_threads() -> None:
    """A fault that is to strike ten times strikes ten times, whoever asks at once."""
    plan = FaultPlan(HandClock())
    plan.add(Fault("throttle", count=10))
    struck: list[bool] = []

    def call() -> None:
        for _ in range(50):
            struck.append(bool(plan.for_call(CREATE)))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(struck) == 10
    assert len(plan.fired()) == 10
