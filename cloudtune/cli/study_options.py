"""The flags of studies as options of a command."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.failures import PlainErrorsCommand

if TYPE_CHECKING:
    from cloudtune.studies.catalogue import Catalogue
    from cloudtune.studies.extra_arguments import ExtraArgument
    from cloudtune.studies.flags import Flag

_CATALOGUE = "cloudtune.catalogue"
_TYPES: Mapping[type, click.ParamType[Any]] = {int: click.INT, float: click.FLOAT, str: click.STRING, bool: click.BOOL}


class StudyCommand(PlainErrorsCommand):
    """A command with the flags of studies, in the spelling of launch scripts.

    ``--n_workers`` may be typed ``--n-workers``; a flag of several values takes them one after the other
    (``--method RS ASHA``) as well as repeated; a flag of yes or no takes ``1``, ``0``, ``true``, ``false`` or nothing.

    Args:
        catalogue: Of benchmarks, methods and arguments of one's own. None: ``--catalogue`` names it.
        without: Names of flags that this command does not have.
        defaults: Name -> default, for flags whose default is another one here.
    """

    def __init__(
        self,
        *args: Any,
        catalogue: Catalogue | None = None,
        without: Collection[str] = (),
        defaults: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["context_settings"] = {
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
            "token_normalize_func": _dashed,
            **kwargs.get("context_settings", {}),
        }
        super().__init__(*args, **kwargs)
        self._catalogue = catalogue
        self._without = without
        self._defaults = defaults or {}

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The flags of studies, arguments of one's own, and options of the command itself. Made when it is called."""
        from cloudtune.studies.flags import FLAGS
        from cloudtune.studies.options import own_arguments

        flags = [_option(flag, self._defaults.get(flag.name)) for flag in FLAGS if flag.name not in self._without]
        known: Catalogue | None = ctx.meta.get(_CATALOGUE, self._catalogue)
        own = [] if known is None else [_extra_option(argument) for argument in own_arguments(known)]
        where = [_catalogue_option()] if self._catalogue is None else []
        return [*flags, *own, *where, *super().get_params(ctx)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses arguments, of which several may follow one flag.

        Raises:
            click.UsageError: Also where the catalogue cannot be read.
        """
        from cloudtune.errors import CloudtuneError

        try:
            ctx.meta[_CATALOGUE] = self._catalogue or _named_catalogue(args)
            params = self.get_params(ctx)
        except CloudtuneError as error:
            if "--debug" in args:
                raise
            raise click.UsageError(str(error)) from error
        options = {_dashed(name): one for one in params for name in one.opts}
        return super().parse_args(ctx, _one_value_each(args, options))


def catalogue_at_work() -> Catalogue:
    """The catalogue of the command at work.

    Raises:
        NoCatalogue: There is none in the usual place, and none was named.
    """
    from cloudtune.studies.catalogue_file import load_catalogue

    found: Catalogue | None = click.get_current_context().meta.get(_CATALOGUE)
    return found if found is not None else load_catalogue()


def _named_catalogue(args: list[str]) -> Catalogue | None:
    """Which arguments of one's own there are has to be known before others are parsed."""
    from cloudtune.studies.catalogue_file import USUAL_FILE, load_catalogue

    named = None
    for word, following in zip(args, [*args[1:], ""], strict=False):
        if word == "--catalogue" or word.startswith("--catalogue="):
            named = word.partition("=")[2] or following
    return load_catalogue(named) if named or USUAL_FILE.is_file() else None


def _catalogue_option() -> click.Option:
    from cloudtune.studies.catalogue_file import USUAL_FILE

    return click.Option(
        ["--catalogue"],
        expose_value=False,
        metavar="FILE.py|MODULE[:NAME]",
        help=f"Has the benchmarks and methods. [default: {USUAL_FILE}, below the current directory]",
    )


def _extra_option(argument: ExtraArgument) -> click.Option:
    """The option of an argument of one's own."""
    return click.Option(
        [f"--{argument.name}", argument.name],
        type=_TYPES[argument.type],
        help=_told(argument.help, argument.default),
        metavar="[BOOLEAN]" if argument.type is bool else None,
    )


def _option(flag: Flag, default: Any) -> click.Option:
    kind: click.ParamType[Any] = _TYPES[flag.type]
    metavar = flag.metavar or None
    if flag.choices:
        kind = click.Choice(flag.choices)
    elif flag.least is not None:
        kind = click.IntRange(min=flag.least)
    elif flag.above is not None:
        kind = click.FloatRange(min=flag.above, min_open=True)
    if flag.type is bool:
        metavar = "[0|1]"
    elif flag.several:
        metavar = f"{metavar or flag.type.__name__.upper().replace('STR', 'NAME').replace('INT', 'N')}..."
    return click.Option(
        [f"--{flag.name}", flag.name],
        type=kind,
        multiple=flag.several,
        default=default,
        help=_told(flag.help, flag.default if default is None else default),
        metavar=metavar,
    )


def _told(text: str, default: Any) -> str:
    if default is None or default is False or "[default:" in text:
        return text
    return f"{text} [default: {default}]"


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _one_value_each(args: list[str], options: Mapping[str, click.Parameter]) -> list[str]:
    """The same arguments with one value behind each flag, as click wants them.

    Raises:
        click.UsageError: A flag of one value was given two different ones, of which click would take the last.
    """
    plain: list[str] = []
    single: dict[str, str] = {}
    rest = list(args)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        option = options.get(_dashed(name))
        if word == "--":
            return [*plain, word, *rest]
        if not isinstance(option, click.Option) or option.is_flag:
            plain.append(word)
            continue
        values = [value] if equals else []
        if option.multiple:
            while rest and not rest[0].startswith("-"):
                values.append(rest.pop(0))
        elif option.type is click.BOOL and not equals:
            values = [rest.pop(0)] if rest and not rest[0].startswith("-") else ["true"]
        if not option.multiple and (said := (values or rest)[:1]):
            before = single.setdefault(_dashed(name), said[0])
            if before != said[0]:
                raise click.UsageError(f"{name} takes one value, and was given {before} and {said[0]}; give it once")
        if not values:
            plain.append(word)
        plain += [f"{name}={one}" for one in values]
    return plain
