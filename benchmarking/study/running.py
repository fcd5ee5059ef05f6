"""Runs what a file of records does not hold yet, in a pool of processes; a run that was killed goes on."""

from __future__ import annotations

import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarking.study.experiment import Experiment
from benchmarking.study.fingerprint import fingerprint
from benchmarking.study.peers import regret_course
from benchmarking.study.plan import REGRET
from benchmarking.study.playing import Record, play
from benchmarking.study.records import append, digest_of, valid

Told = Callable[[int, int, Record], None]


def record_of(experiment: Experiment) -> Record:
    """Runs an experiment; ``took`` are the real seconds, all else is the same whenever and wherever it runs."""
    logging.getLogger("cloudtune").setLevel(logging.ERROR)
    # Before its modules are loaded, some of which are only when they are needed.
    made_by = {"digest": digest_of(experiment), "code": fingerprint(experiment)}
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = regret_course(experiment) if experiment.claim == REGRET else play(experiment)
    took = round(time.perf_counter() - begin, 2)
    return {"key": experiment.key, **made_by, **outcome, "took": took}


def run(
    path: Path,
    experiments: Sequence[Experiment],
    processes: int = 2,
    time_limit: float | None = None,
    told: Told | None = None,
    fresh_code: bool = False,
) -> int:
    """Runs the experiments that have no record, and appends theirs as they finish.

    Args:
        path: The file of records.
        experiments: Whose tables are there.
        processes: How many work; 1: this one does.
        time_limit: Seconds after which no further experiment begins.
        told: Called after each with how many are done, of how many, and the record.
        fresh_code: A record that other code has made is as none.

    Returns:
        How many experiments have no record still.
    """
    found = valid(path, experiments)
    there = found.of_present_code() if fresh_code else found.records
    missing = [experiment for experiment in experiments if experiment.key not in there]
    until = None if time_limit is None else time.monotonic() + time_limit
    due = _until(missing, until)
    finished = map(record_of, due) if processes == 1 else _pooled(due, min(processes, len(missing)))
    done = 0
    for done, record in enumerate(finished, 1):
        append(path, record)
        if told is not None:
            told(done, len(missing), record)
    return len(missing) - done


def _until(experiments: Sequence[Experiment], end: float | None) -> Iterator[Experiment]:
    for experiment in experiments:
        if end is not None and time.monotonic() >= end:
            return
        yield experiment


def _pooled(due: Iterator[Experiment], processes: int) -> Iterator[Record]:
    """Records as they finish. Each worker has a pipe of its own, and ends when this process does, however it ends."""
    context: Any = multiprocessing.get_context("spawn")
    workers: list[Any] = []
    busy: list[Connection] = []
    try:
        for _ in range(processes):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_work, args=(theirs,), daemon=True)
            worker.start()
            theirs.close()
            workers.append((worker, ours))
            _give(ours, due, busy)
        while busy:
            for ready in wait(busy):
                assert isinstance(ready, Connection)
                busy.remove(ready)
                record = ready.recv()
                if isinstance(record, Exception):
                    raise record
                _give(ready, due, busy)
                yield record
    finally:
        for worker, pipe in workers:
            pipe.close()
            worker.join(timeout=1)
            if worker.is_alive():
                worker.terminate()
                worker.join()


def _give(pipe: Connection, due: Iterator[Experiment], busy: list[Connection]) -> None:
    experiment = next(due, None)
    if experiment is not None:
        pipe.send(experiment)
        busy.append(pipe)


def _work(pipe: Connection) -> None:
    try:
        while True:
            experiment = pipe.recv()
            try:
                answer: Record | Exception = record_of(experiment)
            except Exception as error:  # noqa: BLE001 - told to the process that asked, which raises it
                answer = RuntimeError(f"{experiment.key}: {type(error).__name__}: {error}")
            pipe.send(answer)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # Nobody asks any more.
