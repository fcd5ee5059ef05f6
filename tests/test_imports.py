"""Who may import whom, and when.

import-linter keeps the layers (pyproject.toml); here stand the rules about late imports and about packages that are
still to come, so that they hold from their first line on.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "cloudtune").rglob("*.py"))

# Third-party package -> the files that may import it, anywhere in the file.
ONLY_IN = {
    "boto3": ["cloudtune/aws/*", "cloudtune/agent/*", "cloudtune/localcloud/*"],
    "botocore": ["cloudtune/aws/*", "cloudtune/agent/*", "cloudtune/localcloud/*"],
    "moto": ["cloudtune/localcloud/*"],
    "sagemaker": ["cloudtune/aws/*"],
    "torch": ["cloudtune/optimizer/searchers/bayesian*", "cloudtune/checkpoint.py"],
    "botorch": ["cloudtune/optimizer/searchers/bayesian*"],
    "gpytorch": ["cloudtune/optimizer/searchers/bayesian*"],
    "sklearn": ["cloudtune/optimizer/searchers/bore_classifiers.py", "cloudtune/blackbox/*"],
    "optuna": ["cloudtune/optimizer/searchers/optuna_*"],
    "ray": ["cloudtune/optimizer/schedulers/raytune*"],
    "click": ["cloudtune/cli/*"],
    "matplotlib": ["cloudtune/cli/*", "cloudtune/experiments/*"],
}

# Third-party package -> the files that may import it at module level. Elsewhere, the function that needs it imports it.
AT_MODULE_LEVEL = {
    "matplotlib": [],
    "torch": ["cloudtune/optimizer/searchers/bayesian*"],
    "pandas": ["cloudtune/blackbox/*", "cloudtune/experiments/*"],
    "sagemaker": [],
    "sklearn": [],
    "optuna": ["cloudtune/optimizer/searchers/optuna_storage.py"],  # derives from its class; imported late
    "ray": [],
}

STANDARD_LIBRARY_ONLY = [
    "cloudtune/__init__.py",
    "cloudtune/report.py",
    "cloudtune/checkpoint.py",
    "cloudtune/config_json.py",
    "cloudtune/constants.py",
]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imported(statements: list[ast.stmt], late: bool) -> Iterator[str]:
    """Names of the modules imported in the statements; those inside functions only if ``late``."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif is_type_checking(node) or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not late):
            continue
        else:
            children = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
            for child in children:
                if isinstance(child, ast.stmt):
                    yield from imported([child], late)
                elif isinstance(child, ast.ExceptHandler | ast.match_case):
                    yield from imported(child.body, late)


def packages(path: Path, late: bool) -> set[str]:
    """Top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imported(ast.parse(path.read_text()).body, late)}


def breaches(rules: dict[str, list[str]], late: bool) -> list[str]:
    return [
        f"{named(path)} imports {package}"
        for path in PACKAGE
        for package in sorted(packages(path, late) & set(rules))
        if not any(fnmatch(named(path), pattern) for pattern in rules[package])
    ]


def modules_after(statement: str) -> set[str]:
    """What ``sys.modules`` holds after a statement in a fresh interpreter."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


def test_the_finder_sees_imports_wherever_they_stand() -> None:
    """The rules below are only as good as what finds the imports: nested, guarded and late ones, but no type hints."""
    source = """
import a
if True:
    from b.c import d
try:
    import e
except ImportError:
    import f
with x:
    import g
class K:
    import h
    def m(self):
        import late
if TYPE_CHECKING:
    import never
match x:
    case 1:
        import i
"""
    body = ast.parse(source).body
    assert set(imported(body, late=False)) == {"a", "b.c", "e", "f", "g", "h", "i"}
    assert set(imported(body, late=True)) - set(imported(body, late=False)) == {"late"}


def test_heavy_packages_are_imported_only_where_they_belong() -> None:
    """One place talks to AWS, one draws, one fits models: nobody else imports what they need for it."""
    assert breaches(ONLY_IN, late=True) == []


def test_optional_and_slow_packages_are_imported_late() -> None:
    """Starting the tuner never pays for figures, tables or models, and works without the extras."""
    assert breaches(AT_MODULE_LEVEL, late=False) == []


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_what_a_training_script_imports_needs_only_the_standard_library(name: str) -> None:
    """A training image need not have numpy, and its start must not pay for it; only torch is looked up late."""
    late = {"torch"} if name == "cloudtune/checkpoint.py" else set()
    assert packages(ROOT / name, late=False) <= {*sys.stdlib_module_names, "cloudtune"}
    assert packages(ROOT / name, late=True) <= {*sys.stdlib_module_names, "cloudtune"} | late
    ours = {
        module for module in imported(ast.parse((ROOT / name).read_text()).body, late=True) if "cloudtune" in module
    }
    assert ours <= {"cloudtune.constants"}


def test_the_agent_knows_nothing_of_the_rest() -> None:
    """What runs inside a job travels alone, with boto3 at most."""
    for path in sorted((ROOT / "cloudtune" / "agent").rglob("*.py")):
        assert packages(path, late=True) <= {*sys.stdlib_module_names, "cloudtune", "boto3", "botocore"}, path
        ours = {name for name in imported(ast.parse(path.read_text()).body, late=True) if name.startswith("cloudtune")}
        allowed = ("cloudtune.agent", "cloudtune.constants", "cloudtune.report", "cloudtune.checkpoint")
        assert all(name.startswith(allowed) for name in ours), path


def test_only_the_command_line_uses_the_local_cloud() -> None:
    """Product code that knew the stand-in for AWS could come to depend on it."""
    users = [
        named(path)
        for path in PACKAGE
        if any(
            name.startswith("cloudtune.localcloud") for name in imported(ast.parse(path.read_text()).body, late=True)
        )
    ]
    assert all(name.startswith(("cloudtune/cli/", "cloudtune/localcloud/")) for name in users), users


def test_the_optimizer_does_no_input_or_output() -> None:
    """Schedulers must be replayable from a log: no files, processes, network or clock in them."""
    forbidden = {"io", "os", "pathlib", "shutil", "socket", "subprocess", "tempfile", "threading", "time", "random"}
    for path in sorted((ROOT / "cloudtune" / "optimizer").rglob("*.py")):
        assert not packages(path, late=True) & forbidden, named(path)


@pytest.mark.defect("E9")
def test_importing_the_reporter_loads_next_to_nothing() -> None:
    """Every trial pays for this import: nothing third-party, and no module of ours but the constants."""
    extra = modules_after("import cloudtune.report") - modules_after("import json, os, time")
    assert {name for name in extra if name.startswith("cloudtune")} <= {
        "cloudtune",
        "cloudtune.report",
        "cloudtune.constants",
    }
    assert not {name for name in extra if name.partition(".")[0] not in {*sys.stdlib_module_names, "cloudtune"}}


def test_importing_cloudtune_loads_only_itself() -> None:
    """``import cloudtune`` costs an interpreter start and no more: the public names come when they are used."""
    assert modules_after("import cloudtune") - modules_after("pass") == {"cloudtune"}


@pytest.mark.parametrize(
    "statement",
    [
        "from cloudtune import Tuner, StoppingCriterion, Reporter",
        "from cloudtune.backend import LocalBackend, PythonBackend",
        "from cloudtune.optimizer.baselines import ASHA",
        "from cloudtune.experiments import load_experiment",
        "import cloudtune.cli",
    ],
)
def test_starting_a_tuner_loads_no_slow_package(statement: str) -> None:
    """pandas, matplotlib, scipy and boto3 take longer to import than many a trial takes to run."""
    slow = {"pandas", "matplotlib", "scipy", "sklearn", "boto3", "botocore", "torch", "moto", "sagemaker"}
    assert not modules_after(statement) & slow
