"""Which values must not travel: credentials of AWS, and what the environment holds under the name of a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from cloudtune.remote.pickling import SHORTEST_SECRET, CannotShip

if TYPE_CHECKING:
    from cloudtune.aws.clients import Aws
    from cloudtune.aws.source_files import SourceFile

#: Words that are secrets' own, also behind another one without a dash between (PGPASSWORD); words that are so by
#: themselves only (AUTH, and not OAUTHOR); and words that are so only behind another one (MYSQL_PWD, and not PWD).
_SECRET_NAME = re.compile(
    r"(?:SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY)(?:_|S?$)"
    r"|(?:^|_)(?:CREDENTIALS?|AUTH|(?:ACCOUNT|AZURE_STORAGE|DEPLOY|ENCRYPTION|MASTER|SIGNING|SSH)_?KEY)(?:_|S?$)"
    r"|_(?:PAT|PWD|PASS)$|(?:^|_)SSHPASS$"
)
#: What else names with such a word are of.
_NO_SECRET_NAME = re.compile(
    r"_(?:ID|FILE|PATH|DIR|URI|URL|SOCK|HOST|PORT|NAME|USER|TTL|EXPIRATION|TYPE|METHOD|SERVER|DOMAIN|ENDPOINT|ISSUER"
    r"|PROVIDER|REGION|SCOPES?)$"
)
#: The address of a database, a proxy or a package index with a password in it; several may stand in one variable.
_ADDRESS = re.compile(r"://(?P<login>(?P<user>[^/\s:@]*):(?P<password>[^/\s@]+)@[^/\s,;]+)")
#: Settings of a connection, with a password or key among them.
_SETTING = re.compile(r"(?:^|;)\s*(?:password|pwd|accountkey|sharedaccesskey)\s*=\s*(?P<password>[^;]+)", re.IGNORECASE)
_PIECE = 1024 * 1024


def secret_values(environment: Mapping[str, str], aws: Aws | None = None) -> dict[str, str]:
    """Values that must not travel, by what to call them in a message.

    Args:
        environment: Variables of this process.
        aws: The credentials that it has used are such values.
    """
    found = {}
    for name, value in environment.items():
        if len(value) < SHORTEST_SECRET:
            continue
        if _is_secret_name(name.upper()) and not os.path.exists(value):
            found[name] = value
        else:
            found.update({what: part for what, part in _within(name, value) if len(part) >= SHORTEST_SECRET})
    if aws is not None:
        known = set(found.values())
        own = {name: value for name, value in aws.secrets().items() if len(value) >= SHORTEST_SECRET}
        found.update({name: value for name, value in own.items() if value not in known})
    return found


def _is_secret_name(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _NO_SECRET_NAME.search(name)


def _within(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Secrets that are parts of a value: what is between ``//`` and a host, and passwords by themselves."""
    # A database of one's own often has a user whose name is its password.
    addresses = [one for one in _ADDRESS.finditer(value) if one["password"] != one["user"]]
    for number, one in enumerate((*addresses, *_SETTING.finditer(value)), 1):
        of = f"{name} ({number})" if number > 1 else name
        yield f"the password in {of}", one["password"]
        if "login" in one.groupdict():
            yield f"the login in {of}", one["login"]


def check_files(files: Iterable[SourceFile], secrets: Mapping[str, str]) -> None:
    """Looks for secrets in files.

    Raises:
        CannotShip: A file holds one; the message names the file, never the value.
    """
    if not secrets:
        return
    values = {name: value.encode() for name, value in secrets.items()}
    longest = max(map(len, values.values()))
    for file in files:
        for piece in _pieces(file.path, longest):
            for name, value in values.items():
                if value in piece:
                    raise CannotShip(
                        f"{file.path} holds the value of {name}, and credentials are never sent along; take it out of "
                        "the file, or list the file in .cloudtuneignore"
                    )


def check_text(text: str, where: str, secrets: Mapping[str, str]) -> None:
    """The same for a text; ``where`` it is, is told."""
    for name, value in secrets.items():
        if value in text:
            raise CannotShip(
                f"{where} holds the value of {name}, and credentials are never sent along; take it out, and have the "
                "image bring what it is needed for"
            )


def _pieces(path: str, overlap: int) -> Iterator[bytes]:
    """A file piece by piece; each begins with the end of the one before."""
    with open(path, "rb") as file:
        before = b""
        while read := file.read(_PIECE):
            yield before + read
            before = (before + read)[-overlap:]
