"""Whatever jobs and tuner do, and wherever they die: what is restored is one whole generation, and the right one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.checkpoint import UNFINISHED_PREFIX
from tests.agent.checkpoint_folders import (
    KEYS,
    checkpoints_of,
    none_shipped,
    read_tree,
    write_in_place,
)
from tests.agent.memory_s3 import Crash, MemoryS3
from tests.aws.memory_bucket import MemoryBucket

Tree = dict[str, bytes | None]

TRIALS = st.sampled_from([1, 2, 11])
PATHS = st.sampled_from(["a", "b", "f/a", "f/g/b", "f/g/c"])
CONTENTS = st.binary(max_size=3)
MOMENTS = st.integers(0, 25)


class Trial:
    """What the model knows of a trial.

    Attributes:
        possible: Trees, one of which is what its next job restores; None stands for no checkpoint.
        job: Of the running attempt; None while it does not run.
    """

    def __init__(self) -> None:
        self.possible: list[Tree | None] = [None]
        self.attempt = 0
        self.run = 0
        self.job: Checkpoints | None = None
        self.folder = Path()
        self.s3 = MemoryS3()


class CheckpointMachine(RuleBasedStateMachine):
    """Jobs of three trials, their tuner, and an S3 that they share."""

    @initialize()
    def begin(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="cloudtune-test-"))
        self.objects: dict[str, bytes] = {}
        self.trials = {number: Trial() for number in (1, 2, 11)}
        self.folders = 0

    def teardown(self) -> None:
        if hasattr(self, "top"):
            shutil.rmtree(self.top)

    def _start(self, number: int) -> None:
        trial = self.trials[number]
        self.folders += 1
        trial.folder = self.top / str(self.folders)
        trial.folder.mkdir()
        (trial.folder / "leftover").write_bytes(b"of the image")
        trial.s3 = MemoryS3(self.objects)
        trial.job = checkpoints_of(trial.s3, trial.folder, number, trial.attempt, trial.run)
        name = trial.job.restore()
        found: Tree | None = read_tree(trial.folder) if name is not None else None
        assert found in trial.possible
        trial.possible = [found]

    @rule(number=TRIALS)
    def begin_an_attempt(self, number: int) -> None:
        """The tuner starts or resumes the trial."""
        trial = self.trials[number]
        if trial.job is None:
            trial.run = 1
            self._start(number)

    @rule(number=TRIALS)
    def interrupt(self, number: int) -> None:
        """Spot: the job dies and begins again as another run."""
        trial = self.trials[number]
        if trial.job is not None:
            trial.run += 1
            self._start(number)

    @rule(number=TRIALS, path=PATHS, content=CONTENTS, how=st.sampled_from(["write", "replace", "half", "remove"]))
    def work(self, number: int, path: str, content: bytes, how: str) -> None:
        """The script does something in its checkpoint directory."""
        trial = self.trials[number]
        if trial.job is None:
            return
        file = trial.folder / path
        if how == "remove":
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(UNFINISHED_PREFIX + file.name)
        write_in_place(file if how == "write" else unfinished, content)
        if how == "replace":
            unfinished.replace(file)

    @rule(number=TRIALS, final=st.booleans(), lost=st.integers(0, 2))
    def save(self, number: int, final: bool, lost: int) -> None:
        """A save that succeeds, though S3 loses some of its writes; after the final one the attempt is over."""
        trial = self.trials[number]
        if trial.job is None:
            return
        trial.s3.lose_writes = lost
        self._save(trial, final)
        trial.s3.fine()
        current = self._current(trial)
        assert current == {} or trial.job.newest is not None
        trial.possible = [current if trial.job.newest is not None else None]
        if final:
            trial.job = None
            trial.attempt += 1

    @rule(number=TRIALS, moment=MOMENTS, final=st.booleans())
    def die_while_saving(self, number: int, moment: int, final: bool) -> None:
        """The job ends between two calls of S3, or in one."""
        trial = self.trials[number]
        if trial.job is None:
            return
        current = self._current(trial)
        trial.s3.crash_at(moment)
        try:
            self._save(trial, final)
        except Crash:
            trial.possible.append(current)
        else:
            trial.possible = [current if trial.job.newest is not None else None]
        trial.job = None
        trial.attempt += 1

    @rule(number=TRIALS, path=PATHS, in_place=st.booleans())
    def save_while_the_script_writes(self, number: int, path: str, in_place: bool) -> None:
        """At the first upload the script writes a file: the generation is of the moment before, or there is none."""
        trial = self.trials[number]
        if trial.job is None:
            return
        before, newest = self._current(trial), trial.job.newest

        def meddle(_: int) -> None:
            if trial.s3.calls[-1][0] == "upload":
                trial.s3.fine()
                self.work(number, path, b"meddled", "write" if in_place else "replace")

        trial.s3.fault = meddle
        self._save(trial, final=False)
        trial.s3.fine()
        if trial.job.newest != newest:
            trial.possible = [before]

    @rule(source=TRIALS, other=TRIALS)
    def copy(self, source: int, other: int) -> None:
        """The tuner has a trial begin from another's checkpoint, whether that one runs or not."""
        self._as_tuner(other, lambda trials: trials.copy(source, other, self.trials[other].attempt), source)

    @rule(source=TRIALS, other=TRIALS, moment=MOMENTS)
    def die_while_copying(self, source: int, other: int, moment: int) -> None:
        """The tuner is killed while it copies."""
        self._as_tuner(other, lambda trials: trials.copy(source, other, self.trials[other].attempt), source, moment)

    @rule(other=TRIALS)
    def delete(self, other: int) -> None:
        """The tuner removes the checkpoint of a stopped trial: all of it, and nobody else's."""
        self._as_tuner(other, lambda trials: trials.delete(other), None)
        if self.trials[other].job is None:
            assert not [key for key in self.objects if key.startswith(KEYS.checkpoints(other))]

    @precondition(lambda self: hasattr(self, "objects"))
    @invariant()
    def few_generations_are_kept(self) -> None:
        """What lies in S3 does not grow with the number of saves: two generations, and one that was cut short or so."""
        for number in getattr(self, "trials", {}):
            manifests = [key for key in self.objects if key.startswith(KEYS.manifests(number))]
            assert len(manifests) <= 3

    def _as_tuner(
        self, other: int, act: Callable[[TrialCheckpoints], object], source: int | None, moment: int | None = None
    ) -> None:
        trial = self.trials[other]
        if trial.job is not None:
            return  # the tuner never touches the checkpoint of a trial that runs
        s3 = MemoryS3(self.objects)
        expected: list[Tree | None] = [None] if source is None else list(self.trials[source].possible)
        if moment is not None:
            s3.crash_at(moment)
        try:
            act(TrialCheckpoints(MemoryBucket(s3), KEYS))
        except Crash:
            # Without a checkpoint to copy, the target's own go one by one.
            own = list(trial.possible)
            trial.possible = own + expected + ([None] if None in expected else [])
            if None in expected:
                trial.possible += self._older(other)
        else:
            trial.possible = expected

    def _older(self, number: int) -> list[Tree | None]:
        """What a removal that was cut short may have left: an older generation of the trial's own, whole."""
        folder = self.top / "older"
        found: list[Tree | None] = []
        objects = dict(self.objects)
        while True:
            job = checkpoints_of(MemoryS3(objects), folder, number, 999)
            name = job.restore()
            if name is None:
                return found
            found.append(read_tree(folder))
            del objects[KEYS.manifest(number, name)]

    def _save(self, trial: Trial, final: bool) -> None:
        assert trial.job is not None
        if final:
            trial.job.save_final(none_shipped)
        else:
            trial.job.save_if_due(none_shipped, now=True)

    def _current(self, trial: Trial) -> Tree:
        """What a generation of this moment holds."""
        folder = self.top / "current"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(trial.folder, folder)
        for unfinished in folder.rglob(UNFINISHED_PREFIX + "*"):
            unfinished.unlink()
        return read_tree(folder)


TestCheckpoints = CheckpointMachine.TestCase
TestCheckpoints.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
