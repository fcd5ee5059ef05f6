"""How the flags of studies are typed: both spellings, several values, yes and no, arguments of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from benchmarking.definitions import BENCHMARKS
from cloudtune.cli.failures import debug_option
from cloudtune.cli.study_options import StudyCommand, catalogue_at_work
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.extra_arguments import ExtraArgument
from cloudtune.studies.flags import FLAGS
from tests.own_modules import own_modules

CATALOGUE = Catalogue(
    BENCHMARKS,
    extra_arguments=[
        ExtraArgument("brackets", int, help="Of ASHA."),
        ExtraArgument("is_quick", bool, False),
        ExtraArgument("kind", str, "stopping"),
    ],
)


@pytest.fixture(autouse=True)
def _own_modules() -> Iterator[None]:
    with own_modules("launchers", "named_catalogue"):
        yield


class Typed:
    """A command with the flags of studies that notes what it was given."""

    def __init__(self, catalogue: Catalogue | None = CATALOGUE, **options: Any) -> None:
        self.given: dict[str, Any] = {}
        self.catalogue: Catalogue | None = None

        @click.command("typed", cls=StudyCommand, catalogue=catalogue, **options)
        @click.option("--json", "as_json", is_flag=True)
        @debug_option
        def command(**values: Any) -> None:
            self.catalogue = catalogue_at_work()
            self.given = {name: value for name, value in values.items() if value not in (None, (), False)}

        self.command = command

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(self.command, list(words))

    def values(self, *words: str) -> dict[str, Any]:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return self.given


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--n_workers", "8"], {"n_workers": (8,)}),
        (["--n-workers", "8"], {"n_workers": (8,)}),
        (["--n_workers=8"], {"n_workers": (8,)}),
        (["--n_workers", "2", "4", "8"], {"n_workers": (2, 4, 8)}),
        (["--n_workers", "2", "--n-workers", "4"], {"n_workers": (2, 4)}),
        (["--method", "RS", "ASHA", "--num_seeds", "5"], {"method": ("RS", "ASHA"), "num_seeds": 5}),
        (["--scale_max_wallclock_time", "1"], {"scale_max_wallclock_time": True}),
        (["--scale_max_wallclock_time", "true"], {"scale_max_wallclock_time": True}),
        (["--scale_max_wallclock_time"], {"scale_max_wallclock_time": True}),
        (["--scale-max-wallclock-time", "--num-seeds", "2"], {"scale_max_wallclock_time": True, "num_seeds": 2}),
        (["--scale_max_wallclock_time", "0"], {}),
        (["--scale_max_wallclock_time=false"], {}),
        (
            ["--brackets", "3", "--is-quick", "--kind", "promotion"],
            {"brackets": 3, "is_quick": True, "kind": "promotion"},
        ),
        (["--json"], {"as_json": True}),
    ],
)
def test_spellings(words: list[str], expected: dict[str, Any]) -> None:
    """Of launch scripts and of the other commands; values behind each other or repeated; yes and no."""
    assert Typed().values(*words) == expected


def test_no_is_not_the_same_as_nothing() -> None:
    """Whoever types 0 is heard: what has another default must be told from what was not given."""
    typed = Typed()
    seen: list[Any] = []
    callback = typed.command.callback
    assert callback is not None
    typed.command.callback = lambda **values: seen.append((values["wait"], values["is_quick"]))
    typed.run("--wait", "0", "--is_quick", "0")
    typed.run()
    assert seen == [(False, False), (None, None)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n_workers", "0"], "Invalid value for '--n_workers': 0 is not in the range x>=1"),
        (["--n_workers", "2", "many"], "Invalid value for '--n_workers': 'many' is not a valid"),
        (["--n_workers"], "requires an argument"),
        (["--use_spot", "maybe"], "Invalid value for '--use_spot': 'maybe' is not a valid boolean"),
        (["--n_wokers", "2"], "No such option"),
        (["--max_wallclock_time", "0"], "0.0 is not in the range x>0"),
        (["--backend", "cloud"], "'cloud' is not one of 'sagemaker', 'local', 'simulator'"),
        (["--num_seeds", "2", "3"], "Got unexpected extra argument (3)"),
        (["--num_seeds", "2", "--num-seeds", "3"], "--num-seeds takes one value, and was given 2 and 3; give it once"),
        (["--num_seeds=2", "--num_seeds", "3"], "--num_seeds takes one value, and was given 2 and 3; give it once"),
        (["--use_spot", "--use_spot", "0"], "--use_spot takes one value, and was given true and 0; give it once"),
        (["stray"], "Got unexpected extra argument (stray)"),
        (["--", "--n_workers"], "Got unexpected extra argument (--n_workers)"),
    ],
)
def test_mistakes_are_usage_errors(words: list[str], message: str) -> None:
    """With the flag in the spelling of its definition, and exit code 2."""
    result = Typed().run(*words)
    assert result.exit_code == 2
    assert message in result.output


def test_help_tells_all_flags_and_defaults() -> None:
    """Those of every study, of the catalogue, and of the command; defaults are the members' own."""
    text = " ".join(Typed(defaults={"backend": "local"}, without=("wait",)).run("--help").output.split())
    for flag in FLAGS:
        assert (f"--{flag.name} " in text) == (flag.name != "wait")
    for told in ("--brackets INTEGER Of ASHA.", "--kind TEXT [default: stopping]", "[default: local]"):
        assert told in text
    assert "--catalogue" not in text
    assert "--catalogue" in Typed(None).run("--help").output


def test_flags_that_a_command_does_not_have() -> None:
    """Are refused, not ignored."""
    result = Typed(without=("wait",)).run("--wait")
    assert result.exit_code == 2
    assert "No such option" in result.output
    assert "--wait" in result.output


# ---------------------------------------------------------------------- catalogues by name

SOURCE = """
from benchmarking.definitions import BENCHMARKS
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.extra_arguments import ExtraArgument

{name} = Catalogue(BENCHMARKS, default_methods=["{method}"], extra_arguments=[ExtraArgument("rungs", int)])
"""


def test_arguments_of_a_catalogue_that_is_named(tmp_path: Path) -> None:
    """The flags that a file's catalogue has are there, wherever it is named among the others."""
    path = tmp_path / "named_catalogue.py"
    path.write_text(SOURCE.format(name="CATALOGUE", method="GS"))
    typed = Typed(None)
    assert typed.values("--rungs", "3", "--catalogue", str(path)) == {"rungs": 3}
    assert typed.values(f"--catalogue={path}", "--rungs=4") == {"rungs": 4}
    assert typed.catalogue is not None
    assert typed.catalogue.default_methods == ("GS",)
    assert "--rungs INTEGER" in typed.run("--catalogue", str(path), "--help").output


def test_a_catalogue_where_launch_scripts_have_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is taken where none is named; without one, the command says how to write one."""
    monkeypatch.chdir(tmp_path)
    typed = Typed(None)
    assert "--rungs" not in typed.run("--help").output
    result = typed.run()
    assert result.exit_code == 1
    assert result.output.startswith(
        "Error: there is no catalogue launchers/catalogue.py here; name a file that has one"
    )
    (tmp_path / "launchers").mkdir()
    (tmp_path / "launchers" / "catalogue.py").write_text(SOURCE.format(name="CATALOGUE", method="RS"))
    assert typed.values("--rungs", "2") == {"rungs": 2}


def test_a_catalogue_that_cannot_be_read(tmp_path: Path) -> None:
    """Is told of in one line."""
    result = Typed(None).run("--catalogue", str(tmp_path / "absent.py"))
    assert result.exit_code == 2
    assert f"Error: there is no file {tmp_path}/absent.py; write one" in result.output


def test_an_argument_called_like_a_flag() -> None:
    """The command says so before it does anything."""
    result = Typed(Catalogue(BENCHMARKS, extra_arguments=[ExtraArgument("n_workers")])).run()
    assert result.exit_code == 2
    assert "an argument of one's own cannot be called 'n_workers'" in result.output
