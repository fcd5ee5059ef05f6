"""Which code makes a record: a digest of the sources that an experiment runs, and the versions of its libraries."""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import tokenize
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

from benchmarking.study.experiment import Experiment
from benchmarking.study.plan import REGRET

ROOT = Path(__file__).parents[2]

#: Values of configurations.
_CONFIGS = ("cloudtune/config_*.py",)
_OPTIMIZER = ("cloudtune/optimizer/**/*.py",)
#: What every simulated experiment runs, but for what only tells how it went: the store, and what is printed.
_SIMULATED = (
    "benchmarking/study/playing.py",
    "benchmarking/study/stragglers.py",
    "benchmarking/study/tables.py",
    "cloudtune/backend/simulator_backend/*.py",
    "cloudtune/backend/trial_backend.py",
    "cloudtune/blackbox/*.py",
    "cloudtune/active_time.py",
    "cloudtune/end_intake.py",
    "cloudtune/end_judge.py",
    "cloudtune/journal.py",
    "cloudtune/report_intake.py",
    "cloudtune/report_judge.py",
    "cloudtune/starting.py",
    "cloudtune/stopping_criterion.py",
    "cloudtune/suggesting.py",
    "cloudtune/tuning_loop.py",
    "cloudtune/winding_down.py",
    *_CONFIGS,
    *_OPTIMIZER,
)
_REGRET = (
    "benchmarking/regret/optimizers.py",
    "benchmarking/regret/problems.py",
    "benchmarking/study/peers.py",
    *_CONFIGS,
)
_MODELS = ("BayesianOptimization", "MOBSTER", "cloudtune")
_ASHA = ("ASHA", "PASHA", "MOBSTER")
#: Parts of the optimizer that only these methods of the study run.
_OF_SOME: Mapping[str, Sequence[str]] = {
    "schedulers/brackets.py": _ASHA,
    "schedulers/fifo.py": ("RandomSearch", "BayesianOptimization", "random", "cloudtune"),
    "schedulers/halving.py": ("SyncHyperband",),
    "schedulers/hyperband.py": _ASHA,
    "schedulers/kept_checkpoints.py": (),
    "schedulers/median_rule.py": (),
    "schedulers/moasha.py": (),
    "schedulers/non_dominated.py": (),
    "schedulers/pasha.py": ("PASHA",),
    "schedulers/pbt.py": (),
    "schedulers/perturbation.py": (),
    "schedulers/population.py": (),
    "schedulers/raytune*.py": (),
    "schedulers/resource_levels.py": (*_ASHA, "SyncHyperband"),
    "schedulers/rungs.py": (*_ASHA, "SyncHyperband"),
    "schedulers/soft_ranking.py": ("PASHA",),
    "schedulers/synchronous.py": ("SyncHyperband",),
    "searchers/bayesian/*.py": _MODELS,
    "searchers/bore*.py": (),
    "searchers/grid_searcher.py": (),
    "searchers/optuna_*.py": (),
}
_LIBRARIES: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(_MODELS, ("botorch", "gpytorch", "torch")),
    "optuna-gp": ("optuna", "torch"),
    "optuna-tpe": ("optuna",),
    "botorch": ("botorch", "gpytorch", "torch"),
}

#: ``sources``: their digest; and the version of each library, "" where it is not installed.
Fingerprint = dict[str, str]


def fingerprint(experiment: Experiment, root: Path = ROOT) -> Fingerprint:
    """Of what runs an experiment; comments and docstrings do not change it.

    Args:
        experiment: Of whose method.
        root: Folder of the project's sources.
    """
    method = experiment.setup.method
    names = sources(method, experiment.claim == REGRET, root)
    return {"sources": _digest(root, names), **{library: _version(library) for library in _LIBRARIES.get(method, ())}}


@functools.lru_cache(maxsize=256)
def sources(method: str, for_regret: bool, root: Path = ROOT) -> tuple[str, ...]:
    """The files that a method runs in the study, sorted, relative to the root."""
    patterns: Sequence[str] = _SIMULATED
    if for_regret:
        patterns = (*_REGRET, *_OPTIMIZER) if method in ("cloudtune", "random") else _REGRET
    found = {path.relative_to(root).as_posix() for pattern in patterns for path in root.glob(pattern)}
    return tuple(sorted(name for name in found if _runs(method, name)))


def _runs(method: str, name: str) -> bool:
    return all(
        method in methods for pattern, methods in _OF_SOME.items() if fnmatch(name, f"cloudtune/optimizer/{pattern}")
    )


@functools.lru_cache(maxsize=256)
def _digest(root: Path, names: tuple[str, ...]) -> str:
    content = hashlib.sha256()
    for name in names:
        content.update(f"{name} {_digest_of_file(root / name)}\n".encode())
    return content.hexdigest()[:16]


@functools.lru_cache(maxsize=4096)
def _digest_of_file(path: Path) -> str:
    """Looked up once in a process, which goes on with the code that it has when the file changes."""
    return hashlib.sha256(without_prose(path.read_text(encoding="utf-8")).encode()).hexdigest()


def without_prose(source: str) -> str:
    """Python source without comments, docstrings and empty lines; on every version of Python the same."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline) if "#" in source else ():
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            prose = node.body[0]
            for row in range(prose.lineno, (prose.end_lineno or prose.lineno) + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


@functools.lru_cache(maxsize=16)
def _version(library: str) -> str:
    try:
        return metadata.version(library).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""
