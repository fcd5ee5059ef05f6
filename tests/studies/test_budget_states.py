"""Whatever happens to the cells of a study, and in whatever order, they never commit more than its limit."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cloudtune.aws.errors import AwsError
from cloudtune.stopping_criterion import Verdict
from cloudtune.studies.budget import BudgetRefused, open_budget
from tests.studies.budget_cells import SimulatedCell, SimulatedStudy
from tests.studies.faulty_bucket import ANSWER_LOST, FINE, UNREACHABLE

CELLS = st.integers(0, 3)
PARTS = st.sampled_from([0.0, 0.1, 0.5, 1.0])


class SharingCells(RuleBasedStateMachine):
    """Four cells: launched, killed, taken over, ended, with an S3 that fails and others that come in between."""

    @initialize(
        limit=st.sampled_from([0.5, 2.0, 3.3, 10.0, 40.0]),
        ones=st.lists(st.sampled_from([0.1, 1.0, 1.7]), min_size=4, max_size=4),
        workers=st.integers(1, 3),
    )
    def begin(self, limit: float, ones: list[float], workers: int) -> None:
        self.study = SimulatedStudy(limit)
        for number, one in enumerate(ones):
            cell = self.study.cell(f"cell-{number}", one=one, job=0.2, n_workers=workers)
            cell.launch()

    def cell(self, number: int) -> SimulatedCell:
        return self.study.cells[number]

    @rule(faults=st.lists(st.sampled_from([FINE, UNREACHABLE, ANSWER_LOST]), min_size=1, max_size=4))
    def s3_fails(self, faults: list[str]) -> None:
        self.study.bucket.faults = faults

    @rule(
        number=CELLS,
        other=CELLS,
        what=st.sampled_from(["turn", "look", "launch", "withdraw", "kill", "end"]),
        part=PARTS,
    )
    def somebody_is_quicker(self, number: int, other: int, what: str, part: float) -> None:
        """At the moment of the next write something else happens, perhaps to the same cell."""
        cell = self.cell(other)
        deeds = {
            "turn": cell.turn,
            "look": lambda: self.patiently(cell.look),
            "launch": lambda: self.patiently(cell.launch),
            "withdraw": lambda: self.patiently(cell.withdraw),
            "kill": cell.kill,
            "end": lambda: cell.end_trial(part),
        }
        self.study.bucket.before_put = deeds[what]
        self.look(number)

    @rule(number=CELLS)
    def launch(self, number: int) -> None:
        self.patiently(self.cell(number).launch)

    @rule(number=CELLS)
    def a_launcher_dies(self, number: int) -> None:
        """Before there is a job; the money that it has put aside is nobody's."""
        self.patiently(self.cell(number).put_aside)

    @rule(number=CELLS)
    def what_a_launcher_has_put_aside_is_given_back(self, number: int) -> None:
        """It is found dead, or takes it back itself; at times when the tuner of another launcher has it already."""
        self.patiently(self.cell(number).withdraw)

    @rule(number=CELLS)
    def kill(self, number: int) -> None:
        self.cell(number).kill()

    @rule(number=CELLS)
    def look(self, number: int) -> None:
        self.patiently(self.cell(number).look)

    @rule(number=CELLS)
    def look_of_the_dead(self, number: int) -> None:
        cell = self.cell(number)
        for tuner in cell.dead[-2:]:
            self.patiently(lambda tuner=tuner: cell.look(tuner))

    @rule(number=CELLS)
    def turn(self, number: int) -> None:
        self.cell(number).turn()

    @rule(number=CELLS)
    def turn_with_a_look_in_between(self, number: int) -> None:
        """The other thread acts right when the tuner has found that it can pay a trial."""
        cell = self.cell(number)
        cell.turn(between=lambda: self.patiently(cell.look))

    @rule(number=CELLS)
    def goes_on(self, number: int) -> None:
        cell = self.cell(number)
        for _ in range(2):
            self.patiently(cell.look)
            cell.turn()

    @rule(number=CELLS, part=PARTS)
    def a_bill_right_before_something_is_given_back(self, number: int, part: float) -> None:
        """What the account was about to give back is what the tuner finds at that moment, and pays a trial with."""
        cell = self.cell(number)
        if cell.tuner is None:
            return
        found: list[bool] = []

        def act() -> None:
            cell.end_trial(part)
            found.append(cell.can_start())

        cell.tuner.purse.before_lower = act
        self.patiently(cell.look)
        if True in found and cell.tuner is not None:
            cell.start()

    @rule(number=CELLS, part=PARTS)
    def a_trial_ends(self, number: int, part: float) -> None:
        self.cell(number).end_trial(part)

    @rule(number=CELLS, said=st.sampled_from(list(Verdict)))
    def its_own_criterion_says(self, number: int, said: Verdict) -> None:
        tuner = self.cell(number).tuner
        if tuner is not None:
            tuner.inner.said = said
            self.cell(number).wants_to_start = False

    @rule(number=CELLS, for_good=st.booleans(), part=PARTS)
    def end(self, number: int, for_good: bool, part: float) -> None:
        self.patiently(lambda: self.cell(number).end(for_good, part))

    @rule(limit=st.sampled_from([0.5, 2.0, 5.0, 20.0]))
    def another_limit(self, limit: float) -> None:
        """Raised, or lowered as far as it may be."""

        def set_limit() -> None:
            try:
                open_budget(self.study.place, limit)
            except BudgetRefused:
                assert self.study.book().committed > limit * 1_000_000

        self.patiently(set_limit)

    def patiently(self, do: object) -> None:
        """Does it; that S3 does not answer is no failure of this test."""
        assert callable(do)
        try:
            do()
        except AwsError:
            self.study.bucket.before_put = None

    @invariant()
    def nothing_is_overdrawn(self) -> None:
        if hasattr(self, "study"):
            self.study.check()


TestSharingCells = SharingCells.TestCase
TestSharingCells.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
