"""Launches experiments as soon as there is room for them, several at once; the others wait, and it says why."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from cloudtune.aws.errors import PASSING, AccessDenied, AwsError, CredentialsExpired, NoCapacity, QuotaReached
from cloudtune.errors import CloudtuneError, ExperimentLocked
from cloudtune.experiments.quantities import duration
from cloudtune.remote.launching import LONGEST_LAUNCH
from cloudtune.studies.account_room import AccountRoom
from cloudtune.studies.budget import BudgetUsedUp
from cloudtune.studies.cell_standing import FINISHED, StudyStanding
from cloudtune.studies.launch_turn import RENEWED, LaunchTurn
from cloudtune.studies.launches_stopped import LaunchesStopped, StopCheck
from cloudtune.studies.machines import Machines
from cloudtune.studies.room import Room
from cloudtune.studies.status import StudyWatch
from cloudtune.studies.study_progress import driven_names

#: So many launches are under way at once: each takes about ten calls, most of them one after the other.
_AT_ONCE = 8
#: Seconds until it is looked again how much room there is, at first and at the longest, and by what factor they grow.
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1.0, 20.0, 1.5
#: The same for a launch that AWS has refused for want of machines.
FIRST_WAIT, LONGEST_WAIT = 5.0, 60.0
#: Beyond the time that a launch elsewhere may take: then its experiment is driven, or free.
_MARGIN = 20.0
#: What AWS says of a quota of 0.
_NONE_EVER = re.compile(r"\bis 0 Instances\b")
#: After so many refusals that would meet all others too, and no success, the others are not tried.
_ENOUGH = 3
#: Seconds after which it is told again that something waits, and until when.
TOLD_AGAIN = 600.0


@dataclass(frozen=True)
class Candidate:
    """An experiment that is to be launched.

    Args:
        name: Of the experiment.
        machines: What it has at once.
        launch: Launches it; the name of its tuner's job. Raises CloudtuneError.
    """

    name: str
    machines: Sequence[Machines]
    launch: Callable[[], str]


@dataclass(frozen=True)
class _Reason:
    """Why an experiment waits."""

    key: object
    text: str


@dataclass(frozen=True)
class _Told:
    """What was told of a reason.

    Args:
        names: How many experiments waited for it.
        until: It was told until when at the latest.
        at: Seconds of the monotonic clock.
    """

    names: int
    until: bool
    at: float


class LaunchQueue:
    """Experiments that are to be launched, in their order.

    Args:
        candidates: Which.
        watch: Looks how the experiments of the study stand.
        room: Tells how many machines are left.
        machines: Of experiments of the study, by name.
        stop: Tells whether somebody has stopped the study.
        turn: Of this launcher.
        max_parallel: So many of them run at once; None: any number.
        tell: Is told what happens.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        watch: StudyWatch,
        room: AccountRoom,
        machines: Callable[[Sequence[str]], Mapping[str, Sequence[Machines]]],
        stop: StopCheck,
        turn: LaunchTurn,
        *,
        max_parallel: int | None,
        tell: Callable[[str], object],
    ) -> None:
        #: Experiment -> its tuner's job, created here.
        self.launched: dict[str, str] = {}
        #: Experiment -> why it was not launched.
        self.refused: dict[str, str] = {}
        #: Experiments that somebody else has launched meanwhile.
        self.left: list[str] = []
        self._waiting = {one.name: one for one in candidates}
        self._order = {one.name: number for number, one in enumerate(candidates)}
        self._under_way: dict[Future[str], Candidate] = {}
        self._watch = watch
        self._room = room
        self._machines = machines
        self._stop = stop
        self._turn = turn
        self._max_parallel = max_parallel
        self._tell = tell
        #: Key of a reason -> what was told of it last.
        self._told: dict[object, _Told] = {}
        self._is_limited = max_parallel is not None
        self._pause = FIRST_PAUSE
        self._looked_at = 0.0
        self._seen: tuple[object, ...] = ()
        #: Experiments that somebody drove when it was looked last.
        self._driven: set[str] = set()
        #: Experiment -> whether another one was driven when its launch began, and how many had been launched here.
        self._beside: dict[str, tuple[bool, int]] = {}
        #: Experiment -> why its launch is put off, and until when; since when it is locked; how long it was put off.
        self._put_off: dict[str, tuple[_Reason, float]] = {}
        self._locked_since: dict[str, float] = {}
        self._waits: dict[str, float] = {}
        self._hopeless = 0

    def run(self, standing: StudyStanding) -> None:
        """Returns when none waits any more.

        Args:
            standing: Of the study, as it was looked at just now.

        Raises:
            LaunchesStopped: Somebody has stopped the study.
            AwsError: AWS does not answer any more.
        """
        self._is_limited |= self._room.is_limited([one.machines for one in self._waiting.values()])
        with ThreadPoolExecutor(_AT_ONCE, "cloudtune launching") as threads:
            try:
                if self._is_limited:
                    self._look(threads)
                else:
                    self._begin(threads, standing)
                while self._waiting or self._under_way:
                    self._wait()
                    self._keep_turn()
                    if self._waiting and time.monotonic() >= self._looked_at + self._pause:
                        self._look(threads)
            except KeyboardInterrupt:
                left = len(self._waiting) + len(self._under_way)
                self._tell(
                    f"interrupted: {len(self.launched)} launched; the same command launches the other {left}, but for "
                    f"those whose launch is being finished now"
                )
                raise
            finally:
                # Those that have begun are finished: what they have written is of use only then.
                for future in self._under_way:
                    future.cancel()
                self._turn.give_back()

    # ------------------------------------------------------------------ looking

    def _look(self, threads: ThreadPoolExecutor) -> None:
        """Looks how much room there is, unless another launcher does just now."""
        self._looked_at = time.monotonic()
        try:
            who = self._turn.take() if self._is_limited else ""
            if not who:
                self._begin(threads, self._watch.look())
                self._keep_turn()
                return
            self._say(_Reason("turn", f"another launch of this study, by {who}, decides first what begins"))
            self._pause = min(LONGEST_PAUSE, self._pause * GROWTH)
        except PASSING as error:
            self._say(_Reason("no answer", f"AWS does not answer, and is asked again: {_line(error)}"))
            self._pause = min(LONGEST_PAUSE, self._pause * GROWTH)

    def _keep_turn(self) -> None:
        """Lets others look once what was begun here can be seen."""
        if self._under_way:
            self._turn.keep()
        else:
            self._turn.give_back()

    def _begin(self, threads: ThreadPoolExecutor, standing: StudyStanding) -> None:
        """Begins what there is room for."""
        self._looked_at = time.monotonic()
        self._stop.compare(standing.stop_mark)
        self._driven = driven_names(standing, self.launched)
        driven = self._driven | {one.name for one in self._under_way.values()}
        for name in [name for name in self._waiting if name in driven or _has_ended(standing, name)]:
            self.left.append(name)
            del self._waiting[name]
        room = self._room.look(self._machines(sorted(driven))) if self._is_limited and self._waiting else None
        blocked: dict[_Reason, list[str]] = {}
        beside = bool(driven), len(self.launched)
        for candidate in list(self._waiting.values()):
            reason = self._why_not(candidate, driven, room)
            if reason is not None:
                blocked.setdefault(reason, []).append(candidate.name)
                continue
            driven.add(candidate.name)
            self._put_off.pop(candidate.name, None)
            self._beside[candidate.name] = beside
            del self._waiting[candidate.name]
            self._under_way[threads.submit(candidate.launch)] = candidate
        for reason, names in blocked.items():
            self._say_again(reason, names, _until(standing, driven))
        seen = (frozenset(driven), frozenset(self._waiting))
        self._pause = FIRST_PAUSE if seen != self._seen else min(LONGEST_PAUSE, self._pause * GROWTH)
        self._seen = seen

    def _why_not(self, candidate: Candidate, driven: set[str], room: Room | None) -> _Reason | None:
        put_off = self._put_off.get(candidate.name)
        if put_off is not None and time.monotonic() < put_off[1]:
            return put_off[0]
        if self._max_parallel is not None and len(driven) >= self._max_parallel:
            return _Reason("parallel", f"{len(driven)} run, and max_parallel_experiments is {self._max_parallel}")
        short = None if room is None else room.take(candidate.machines)
        if short is None:
            return None
        return _Reason(tuple(short.quotas), f"{short}, and it needs {short.machines.count}")

    # ------------------------------------------------------------------ launches

    def _wait(self) -> None:
        """Returns when a launch has ended, or it is time to look again."""
        left = max(0.0, self._looked_at + self._pause - time.monotonic())
        if not self._under_way:
            threading.Event().wait(left)  # nothing but signals has to end it
            return
        done, _ = wait(self._under_way, left if self._waiting else RENEWED, FIRST_COMPLETED)
        for future in done:
            self._take_result(self._under_way.pop(future), future)

    def _take_result(self, candidate: Candidate, future: Future[str]) -> None:
        name = candidate.name
        locked_since = self._locked_since.pop(name, None)
        try:
            job = future.result()
        except (QuotaReached, NoCapacity) as error:
            # Where the account's quotas can be read, it was seen before that this one is not 0.
            if _NONE_EVER.search(str(error)) and not self._room.is_limited([candidate.machines[:1]]):
                self.refused[name] = _line(error)
                return
            self._put_back(candidate, _Reason(type(error), _line(error)), self._longer(name))
        except BudgetUsedUp as error:
            if self._may_get_money(name):
                self._put_back(candidate, _Reason(BudgetUsedUp, _line(error)), self._longer(name))
            else:
                self.refused[name] = _line(error)
        except ExperimentLocked as error:
            now = time.monotonic()
            since = self._locked_since[name] = now if locked_since is None else locked_since
            if now < since + LONGEST_LAUNCH + _MARGIN:
                self._put_back(candidate, _Reason(name, _line(error)), FIRST_WAIT)
            else:
                self.refused[name] = _line(error)
        except LaunchesStopped:
            raise
        except CloudtuneError as error:
            self.refused[name] = _line(error)
            self._hopeless += isinstance(error, AwsError) and _keeps_all(error)
            if self._hopeless >= _ENOUGH and not self.launched:
                self._give_up(_line(error))
        else:
            self.launched[name] = job
            self._tell(f"launched {name} as training job {job}")

    def _may_get_money(self, name: str) -> bool:
        """Whether others may give something back that the launch of an experiment could not count on yet."""
        was_beside, launched_before = self._beside[name]
        is_beside = bool(self._driven or self._under_way)
        return was_beside or is_beside or len(self.launched) > launched_before

    def _longer(self, name: str) -> float:
        """Seconds until an experiment is launched again that was put off, twice as many each time."""
        self._waits[name] = min(LONGEST_WAIT, 2 * self._waits.get(name, FIRST_WAIT / 2))
        return self._waits[name]

    def _put_back(self, candidate: Candidate, reason: _Reason, seconds: float) -> None:
        self._say(_Reason(reason.key, f"{candidate.name} waits: {reason.text}"))
        self._put_off[candidate.name] = reason, time.monotonic() + seconds
        waiting = {**self._waiting, candidate.name: candidate}
        self._waiting = {name: waiting[name] for name in sorted(waiting, key=self._order.__getitem__)}

    def _give_up(self, why: str) -> None:
        """None of the others would fare better."""
        for future, candidate in list(self._under_way.items()):
            if future.cancel():
                del self._under_way[future]
                self.refused[candidate.name] = why
        self.refused.update(dict.fromkeys(self._waiting, why))
        self._waiting.clear()

    def _say(self, reason: _Reason) -> None:
        """Tells a reason, once."""
        if reason.key not in self._told:
            self._told[reason.key] = _Told(1, False, time.monotonic())
            self._tell(reason.text)

    def _say_again(self, reason: _Reason, names: Sequence[str], until: str) -> None:
        """Tells why some wait: at first, when fewer do, once it is known until when, and every few minutes."""
        told, now = self._told.get(reason.key), time.monotonic()
        is_news = told is None or len(names) < told.names or (until and not told.until) or now >= told.at + TOLD_AGAIN
        if is_news:
            self._told[reason.key] = _Told(len(names), bool(until), now)
            waiting = f"{names[0]} waits" if len(names) == 1 else f"{len(names)} experiments wait"
            self._tell(f"{waiting}: {reason.text}{until}")


def _keeps_all(error: AwsError) -> bool:
    """Whether it would keep all other launches from succeeding."""
    may_not = isinstance(error, AccessDenied) and error.operation == "sagemaker:CreateTrainingJob"
    return may_not or isinstance(error, CredentialsExpired)


def _has_ended(standing: StudyStanding, name: str) -> bool:
    one = standing.by_name.get(name)
    return one is not None and one.state == FINISHED


def _until(standing: StudyStanding, driven: set[str]) -> str:
    """When the first of those that run makes room at the latest, as the end of a sentence."""
    left = [one.left for one in standing.cells if one.name in driven and one.left is not None]
    return f"; of those that run, one ends in {duration(min(left))} at the latest" if left else ""


def _line(error: CloudtuneError) -> str:
    return " ".join(str(error).split())


__all__ = ["Candidate", "LaunchQueue"]
