"""PythonBackend: every trial is a call of a function, in a process of its own."""

from __future__ import annotations

import inspect
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloudtune.backend.arguments import plain
from cloudtune.backend.default_name import default_name
from cloudtune.backend.function_transport import PackedFunction, pack_function
from cloudtune.backend.supervised_backend import SupervisedBackend
from cloudtune.constants import ST_CHECKPOINT_DIR
from cloudtune.trial import Config, Trial


class PythonBackend(SupervisedBackend):
    """Calls ``tune_function(**config)`` for every trial, in a process of its own.

    The function is sent by value, with the globals, closure and defaults that it refers to: neither the script nor the
    notebook it is written in is imported or run again. If it has a parameter ``st_checkpoint_dir``, it gets a directory
    of the trial's own. A crash of one trial touches no other.

    In a trial, ``__main__`` holds what the function refers to and nothing else. So functions and classes of the script
    can be given to a ``multiprocessing.Pool`` that forks; one that spawns finds only those of importable modules.

    Args:
        tune_function: The function. It reports with a :class:`~cloudtune.report.Reporter`.
        config_space: Domains and constants of the function's parameters.
        rotate_gpus: Give every trial GPUs of its own, where there are at least two, or ``gpus_to_use`` names them.
        num_gpus_per_trial: How many.
        gpus_to_use: Which GPUs to share out; trials see no others. By default those of ``CUDA_VISIBLE_DEVICES``, else
            all. Without ``rotate_gpus`` it has no effect.
        delete_checkpoints: Delete a trial's checkpoints when it is stopped, has completed or failed.
        reuse_processes: Run several trials in one process, one after another. Quicker where the function's imports are
            slow; but what a trial leaves in its process (imported modules, threads, GPU memory) the next one finds.
        stop_grace: Seconds a trial has to end after SIGTERM, before SIGKILL.

    Raises:
        ValueError: The function cannot be called with the names in the config space, or refers to something that cannot
            be sent to another process.
    """

    def __init__(
        self,
        tune_function: Callable[..., Any],
        config_space: Mapping[str, Any] | None = None,
        rotate_gpus: bool = True,
        num_gpus_per_trial: int = 1,
        gpus_to_use: Sequence[int | str] | None = None,
        delete_checkpoints: bool = False,
        reuse_processes: bool = False,
        stop_grace: float = 10.0,
    ) -> None:
        super().__init__(rotate_gpus, num_gpus_per_trial, gpus_to_use, delete_checkpoints, stop_grace)
        if not callable(tune_function):
            raise ValueError(f"tune_function must be a function, got {tune_function!r}")
        self.tune_function = tune_function
        self.reuse_processes = reuse_processes
        self.config_space = None if config_space is None else dict(config_space)
        self._saves_checkpoints = _check_signature(tune_function, self.config_space)
        pack_function(tune_function)  # complains now rather than in each trial

    @property
    def default_name(self) -> str:  # type: ignore[override]
        """The function's name, as far as an experiment may be called so."""
        name = getattr(self.tune_function, "__name__", type(self.tune_function).__name__)
        return default_name(name, fallback="function")

    def __getstate__(self) -> dict[str, Any]:
        packed = pack_function(self.tune_function)
        return {**super().__getstate__(), "tune_function": packed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state["tune_function"]
        assert isinstance(packed, PackedFunction)
        self.__dict__.update(state, tune_function=packed.load())

    def _hello(self) -> tuple[dict[str, Any], bytes | None]:
        packed = pack_function(self.tune_function)  # anew: globals may have changed since the backend was made
        path = [os.fspath(entry) for entry in sys.path if isinstance(entry, (str, os.PathLike))]
        return {"reuse": self.reuse_processes, "by_dill": packed.by_dill, "path": path}, packed.data

    def _request(self, trial: Trial, checkpoints: str) -> dict[str, Any]:
        config = {name: plain(value) for name, value in trial.config.items()}
        if self._saves_checkpoints:
            config[ST_CHECKPOINT_DIR] = checkpoints
        if _survives_json(config):
            return {"config": {"plain": config}}
        return {"config": {"pickled": _pickled(config).hex()}}


def _check_signature(function: Callable[..., Any], space: Mapping[str, Any] | None) -> bool:
    """Checks that the function can be called with the names in the space. True if it wants the checkpoint directory."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some callables written in C do not tell
        return False
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    wants_checkpoint_dir = ST_CHECKPOINT_DIR in named
    if space is not None:
        name = getattr(function, "__name__", repr(function))
        given = {*space, ST_CHECKPOINT_DIR}
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
        missing = positional + [p.name for p in named.values() if p.default is p.empty and p.name not in given]
        if missing:
            raise ValueError(
                f"function {name!r} has the parameter {missing[0]!r}, which is not in the config space; add it there, "
                "or give it a default"
            )
        unexpected = [key for key in space if key not in named]
        if unexpected and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise ValueError(
                f"function {name!r} has no parameter {unexpected[0]!r}, which is in the config space; add it to the "
                "function, or remove it from the config space"
            )
    return wants_checkpoint_dir


def _survives_json(value: object) -> bool:
    """Whether JSON gives the value back as it is (a tuple, say, would come back as a list)."""
    kind = type(value)
    if kind is dict:
        assert isinstance(value, dict)
        return all(type(key) is str and _survives_json(item) for key, item in value.items())
    if kind is list:
        assert isinstance(value, list)
        return all(map(_survives_json, value))
    return value is None or kind in (bool, int, float, str)


def _pickled(config: Config) -> bytes:
    try:
        return pickle.dumps(config)
    except Exception as error:
        bad = next((name for name, value in config.items() if not _can_pickle(value)), None)
        raise ValueError(
            f"the value of {bad!r} in the configuration cannot be sent to another process ({error}); use numbers, "
            "strings, or lists and dicts of them"
        ) from error


def _can_pickle(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True
