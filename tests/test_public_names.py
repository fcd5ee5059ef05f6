"""The public names, pinned: what users type does not change by accident."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cloudtune

ROOT = Path(__file__).parents[1]

# Module -> the names users import from it.
PUBLIC = {
    "cloudtune": ["Reporter", "StoppingCriterion", "Tuner"],
    "cloudtune.report": ["Reporter"],
    "cloudtune.tuner": ["Tuner"],
    "cloudtune.stopping_criterion": ["StoppingCriterion"],
    "cloudtune.config_space": [
        "choice",
        "finrange",
        "logfinrange",
        "loguniform",
        "logordinal",
        "lograndint",
        "ordinal",
        "randint",
        "reverseloguniform",
        "uniform",
    ],
    "cloudtune.aws": ["TrainingJob", "get_execution_role"],
    "cloudtune.backend": ["LocalBackend", "PythonBackend", "SageMakerBackend", "SimulatorBackend"],
    "cloudtune.backend.local_backend": ["LocalBackend"],
    "cloudtune.backend.python_backend": ["PythonBackend"],
    "cloudtune.backend.sagemaker_backend": ["Cadence", "SageMakerBackend", "TrainingJob"],
    "cloudtune.backend.simulator_backend": ["SimulatedDelays", "SimulatorBackend"],
    "cloudtune.blackbox": [
        "Blackbox",
        "ConstantTime",
        "Curve",
        "NotInTable",
        "TabularBlackbox",
        "add_blackbox",
        "add_surrogate",
        "load_blackbox",
    ],
    "cloudtune.optimizer.baselines": [
        "ASHA",
        "BORE",
        "MOASHA",
        "MOBSTER",
        "PASHA",
        "BayesianOptimization",
        "GridSearch",
        "MedianStopping",
        "PopulationBasedTraining",
        "RandomSearch",
        "SyncHyperband",
    ],
    "cloudtune.optimizer.schedulers": [
        "FIFOScheduler",
        "HyperbandScheduler",
        "MedianStoppingRule",
        "ParetoHyperbandScheduler",
        "PopulationBasedTraining",
        "RayTuneScheduler",
        "SynchronousHyperbandScheduler",
    ],
    "cloudtune.optimizer.schedulers.fifo": ["FIFOScheduler"],
    "cloudtune.optimizer.schedulers.hyperband": ["HyperbandScheduler"],
    "cloudtune.optimizer.schedulers.median_rule": ["MedianStoppingRule"],
    "cloudtune.optimizer.schedulers.raytune": ["RayTuneScheduler"],
    "cloudtune.optimizer.schedulers.synchronous": ["SynchronousHyperbandScheduler"],
    "cloudtune.optimizer.searchers.searcher": ["Searcher"],
    "cloudtune.optimizer.scheduler": ["SchedulerDecision", "TrialScheduler", "TrialSuggestion"],
    "cloudtune.experiments": [
        "ComparativeResults",
        "ExperimentResult",
        "PlotParameters",
        "SubplotParameters",
        "TrialsOfExperimentResults",
        "list_experiments",
        "load_experiment",
        "load_experiments",
        "load_experiments_df",
        "sync",
    ],
    "cloudtune.studies": [
        "METHODS",
        "Account",
        "BenchmarkDefinition",
        "Catalogue",
        "Cell",
        "CellSettings",
        "ExtraArgument",
        "MethodArguments",
        "Plan",
        "launch_study",
    ],
    "cloudtune.callbacks": ["ProgressCallback", "TunerCallback"],
    "cloudtune.errors": [
        "BackendBroken",
        "CloudtuneError",
        "ExperimentLocked",
        "ExperimentMismatch",
        "ExperimentNotFound",
        "Fenced",
        "NewerFormat",
        "StorageFull",
        "TooManyFailures",
    ],
    "cloudtune.cli": ["main"],
    "cloudtune.localcloud": ["CloudSettings", "Fault", "InProcessCloud", "LocalCloud"],
}

# Callable -> the keyword arguments that scripts already pass.
KEYWORDS = {
    "cloudtune.backend.python_backend:PythonBackend": ["tune_function", "config_space"],
    "cloudtune.backend.local_backend:LocalBackend": [
        "entry_point",
        "rotate_gpus",
        "num_gpus_per_trial",
        "gpus_to_use",
        "delete_checkpoints",
        "pass_args_as_json",
    ],
    "cloudtune.optimizer.baselines:RandomSearch": [
        "config_space",
        "metric",
        "mode",
        "points_to_evaluate",
        "random_seed",
    ],
    "cloudtune.optimizer.baselines:ASHA": [
        "config_space",
        "metric",
        "mode",
        "resource_attr",
        "max_resource_attr",
        "grace_period",
        "reduction_factor",
        "type",
        "brackets",
    ],
    "cloudtune.tuner:Tuner": [
        "trial_backend",
        "scheduler",
        "stop_criterion",
        "n_workers",
        "tuner_name",
        "metadata",
        "callbacks",
        "max_failures",
        "asynchronous_scheduling",
        "wait_trial_completion_when_stopping",
        "print_update_interval",
        "results_update_interval",
        "save_tuner",
        "start_jobs_without_delay",
        "suffix_tuner_name",
        "trial_backend_path",
    ],
    "cloudtune.stopping_criterion:StoppingCriterion": [
        "max_wallclock_time",
        "max_num_trials_started",
        "max_num_trials_completed",
        "max_num_trials_finished",
        "max_num_evaluations",
        "max_cost",
        "min_metric_value",
        "max_metric_value",
    ],
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_exist_and_say_what_they_are(module: str) -> None:
    """Each name users import is there and has a docstring of its own."""
    found = importlib.import_module(module)
    for name in PUBLIC[module]:
        assert (getattr(found, name).__doc__ or "").strip(), f"{module}.{name} has no docstring"


@pytest.mark.parametrize("module", [name for name in PUBLIC if name.count(".") <= 1])
def test_public_names_are_listed(module: str) -> None:
    """A module that states its public names with ``__all__`` states these."""
    listed = getattr(importlib.import_module(module), "__all__", PUBLIC[module])
    assert set(PUBLIC[module]) <= set(listed)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("where", KEYWORDS)
def test_agreed_keywords_are_accepted(where: str) -> None:
    """Scripts that pass the agreed keyword arguments go on working."""
    module, _, name = where.partition(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        assert set(KEYWORDS[where]) <= set(parameters)


def test_an_unknown_name_is_refused_plainly() -> None:
    """A misspelt name gives the usual error, not one from the lazy import."""
    with pytest.raises(AttributeError, match="has no attribute 'Tunner'"):
        getattr(cloudtune, "Tunner")  # noqa: B009 - mypy would refuse the plain spelling


def test_lazy_names_are_offered_for_completion() -> None:
    """``dir(cloudtune)`` names what is imported on first use."""
    assert {"Reporter", "StoppingCriterion", "Tuner", "__version__"} <= set(dir(cloudtune))


def test_the_package_says_that_it_is_typed() -> None:
    """Users' type checkers read our annotations only if py.typed is installed with the package."""
    assert (Path(cloudtune.__file__).parent / "py.typed").exists()


def test_the_command_is_there() -> None:
    """``python -m cloudtune.cli`` is not needed: the installed script answers, with exit code 0."""
    program = "import sys; from cloudtune.cli import main; sys.argv = ['cloudtune', '--help']; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "tune" in done.stdout
