"""Continuing an experiment: the log is read from the start and told to status and scheduler, as if it happened now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.end_judge import tell_scheduler
from cloudtune.errors import ExperimentMismatch
from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from cloudtune.store import entries
from cloudtune.store.store import Entry, Store
from cloudtune.trial import Trial, TrialStatus
from cloudtune.tuning_status import TuningStatus


def adopt_log(scheduler: TrialScheduler, store: Store, name: str) -> Entry | None:
    """Makes a scheduler that was not used before the one that the log in a store describes.

    Returns:
        The entry that describes it; None if the experiment has not begun.

    Raises:
        ExperimentMismatch: As :func:`adopt`, or the scheduler was used.
    """
    header = next((entry for entry in store.read() if entry["event"] == entries.EXPERIMENT), None)
    if header is None:
        return None
    adopt(scheduler, header["scheduler"], name)
    if scheduler.num_suggestions:
        raise ExperimentMismatch(
            f"experiment '{name}' exists, but the scheduler has made suggestions already; "
            "continue it with a scheduler that was not used before"
        )
    return header


def adopt(scheduler: TrialScheduler, logged: Mapping[str, Any], name: str) -> None:
    """Makes a fresh scheduler the one that the log describes: checks that all else agrees and takes over a drawn seed.

    Raises:
        ExperimentMismatch: Method, settings, metrics, config space or a given seed differ; the message names the key.
    """
    check_same(scheduler, logged, name)
    if logged["random_seed"] != scheduler.random_seed:
        scheduler.set_random_seed(logged["random_seed"])


def check_same(scheduler: TrialScheduler, logged: Mapping[str, Any], name: str) -> None:
    """Checks that a scheduler, which is not changed, can continue what the log describes; raises as :func:`adopt`."""
    for key, before, now in differences(_without_seed(logged), _without_seed(scheduler.metadata())):
        _refuse(name, key, before, now)
    if scheduler.random_seed_given and logged["random_seed"] != scheduler.random_seed:
        _refuse(name, "random_seed", logged["random_seed"], scheduler.random_seed)


def check_same_backend(backend: TrialBackend, header: Mapping[str, Any], name: str) -> None:
    """Checks that a backend can continue what the log describes.

    Args:
        backend: It is not changed.
        header: The entry of the log that describes the experiment. What it does not have is not compared.
        name: Of the experiment.

    Raises:
        ExperimentMismatch: A setting that must not change differs; the message names it.
    """
    logged: Mapping[str, Any] = header.get(entries.BACKEND_SETTINGS, {})
    if not logged:
        return
    settings = backend.fixed_settings()
    known = {key: _as_far_as(settings.get(key), before) for key, before in logged.items()}
    for key, before, now in differences(logged, known):
        _refuse(name, f"the backend's {key}", before, now)


def _as_far_as(now: Any, logged: Any) -> Any:
    """A setting without the entries that an older cloudtune did not note."""
    if isinstance(now, dict) and isinstance(logged, dict):
        return {key: now.get(key) for key in logged}
    return now


def _without_seed(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "random_seed"}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """In what two schedulers differ by what they say of themselves: key, the value before, the value now."""
    now = json.loads(json.dumps(now))
    for key in {**before, **now}:
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from (
                (f"{key}['{part}']", old.get(part), new.get(part))
                for part in {**old, **new}
                if old.get(part) != new.get(part)
            )
        elif old != new:
            yield key, old, new


def _refuse(name: str, key: str, before: Any, now: Any) -> None:
    raise ExperimentMismatch(
        f"experiment '{name}' began with {key} = {_short(before)}, now it is {_short(now)}; "
        "restore the old value to continue it, or choose another tuner_name to begin a new one"
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "…"


def replay(log: Iterable[Entry], status: TuningStatus, scheduler: TrialScheduler) -> int:
    """Tells a log to status and scheduler, in its order; returns how many entries there were.

    Decisions are taken from the log, never computed again, so that a scheduler whose code has changed since continues
    what was decided then. So it is with checkpoints: none is given up later than it was then.
    """
    number = 0
    for entry in log:
        number += 1
        event = entry["event"]
        if event in (entries.REPORT, entries.COUNTED):
            record = status.records[entry["trial"]]
            if not ("replay" in entry or "late" in entry or "extra" in entry):
                scheduler.on_trial_result(record.trial, entry["metrics"])
            status.apply(entry)
        elif event == entries.SUGGEST:
            status.give_up_checkpoints(scheduler.expendable_checkpoints())
            _restore(entry, status, scheduler)
        elif event == entries.END:
            record = status.records[entry["trial"]]
            if "decision" in entry:
                scheduler.on_script_end(record.trial, record.last_result)
            status.apply(entry)
            tell_scheduler(scheduler, record)
        else:
            status.apply(entry)
    status.give_up_checkpoints(scheduler.expendable_checkpoints())
    return number


def _restore(entry: Entry, status: TuningStatus, scheduler: TrialScheduler) -> None:
    resumed = entry["attempt"] > 0
    scheduler.restore(
        TrialSuggestion(
            config=entry["config"],
            trial_id=entry["trial"] if resumed else None,
            checkpoint_trial_id=entry["checkpoint_from"],
            memo=entry.get("memo"),
        )
    )
    status.apply(entry)
    if not resumed:
        scheduler.on_trial_add(status.records[entry["trial"]].trial)


def hand_over(backend: TrialBackend, place: ExperimentPlace, store: Store, status: TuningStatus) -> None:
    """Opens a backend, and hands it what an earlier tuner left.

    Args:
        backend: Not open.
        place: Of the experiment.
        store: Where it is noted, before any trial is started, where the trials are.
        status: As the log has it.
    """
    backend.open(place)
    if status.records:
        backend.recall(_reported(status, backend.delete_checkpoints), status.wallclock_time)
    _note_trials_at(backend, store, status)
    backend.attach(_left_running(status))
    backend.settle(list(status.unsettled))


def _reported(status: TuningStatus, delete_checkpoints: bool) -> dict[int, dict[str, Any]]:
    """How far each trial has come, as far as it has a checkpoint of that."""
    return {
        trial_id: record.saved if delete_checkpoints and record.saved is not None else record.last_metrics
        for trial_id, record in status.records.items()
    }


def _note_trials_at(backend: TrialBackend, store: Store, status: TuningStatus) -> None:
    """Puts into the log where the backend, which is open, has its trials: the next tuner looks for them there."""
    at = dict(backend.trials_at())
    if at != status.trials_at:
        entry = {"event": entries.PLACE, "trials_at": at}
        store.append([entry])
        status.apply(entry)


def _left_running(status: TuningStatus) -> list[LeftRunning]:
    """The trials whose newest attempt has no end in the log."""
    return [
        LeftRunning(Trial(r.trial.trial_id, r.trial.config, r.trial.attempt), dict(r.delivered))
        for r in status.records.values()
        if r.status in (TrialStatus.in_progress, TrialStatus.stopping)
    ]
