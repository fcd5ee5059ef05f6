"""For training scripts that take their configuration as a JSON file: ``LocalBackend(..., pass_args_as_json=True)``. ::

    parser = argparse.ArgumentParser()
    add_config_json_to_argparse(parser)
    add_checkpointing_to_argparse(parser)
    config = load_config_json(vars(parser.parse_args()))

Types arrive intact (lists, dictionaries, booleans, None), and there may be more of it than a command line holds.
Standard library only, and Python 3.8 syntax.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, Mapping, Union

from cloudtune.constants import ST_CONFIG_JSON_FILENAME

if TYPE_CHECKING:
    import argparse


def add_config_json_to_argparse(parser: argparse.ArgumentParser) -> None:
    """Adds ``--st_config_json_filename`` to the arguments of a script; None when the script is started by hand."""
    parser.add_argument(
        "--" + ST_CONFIG_JSON_FILENAME,
        type=str,
        default=None,
        help="JSON file with the configuration, set by the tuner",
    )


def load_config_json(args: Union[argparse.Namespace, Mapping[str, Any]]) -> Dict[str, Any]:
    """The script's arguments, with the configuration of the JSON file, if there is one, over them.

    Args:
        args: What argparse has read, or ``vars`` of it.

    Raises:
        FileNotFoundError: If the file is not there.
        ValueError: If the file does not hold a JSON object.
    """
    config = dict(args if isinstance(args, Mapping) else vars(args))
    path = config.pop(ST_CONFIG_JSON_FILENAME, None)
    if path is None:
        return config
    with open(path, encoding="utf-8") as file:
        try:
            loaded = json.load(file)
        except ValueError as error:
            raise ValueError("%s is not JSON (%s); correct the file" % (path, error)) from error
    if not isinstance(loaded, dict):
        raise ValueError("%s holds a JSON %s; it must be an object of names and values" % (path, type(loaded).__name__))
    return {**config, **loaded}
