"""The tokens of GetLogEvents: where a reader stands in a log stream."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudtune.localcloud.aws_error import AwsError

_TOKEN = re.compile(r"([fb])/([0-9a-f]{12})([0-9]{14})([0-9]{14})([0-9]{14})/s")


@dataclass(frozen=True)
class StreamToken:
    """A place between two lines of one *chunk*: the lines that arrived from ``begin`` to before ``end``, by time.

    A reader goes through the lines that are there when it comes, oldest first, then through those that have arrived
    since, again oldest first, and so on. So a line that arrives late with an old time is neither lost to a reader that
    is past its time, nor does it shift the pages of one that is not.

    Args:
        forward: Whether the reader goes on with later lines or with earlier ones.
        identity: Of the stream.
        begin: Position of the chunk's first line.
        end: Position after the chunk's last line.
        index: How many lines of the chunk, by time, lie before the place.
    """

    forward: bool
    identity: int
    begin: int
    end: int
    index: int

    def __str__(self) -> str:
        direction = "f" if self.forward else "b"
        return f"{direction}/{self.identity:012x}{self.begin:014d}{self.end:014d}{self.index:014d}/s"

    @classmethod
    def parse(cls, text: str, identity: int, lines: int) -> StreamToken:
        """The token that ``text`` spells, for the stream of that identity that has so many lines.

        Raises AwsError InvalidParameterException where it is no token of that stream.
        """
        found = _TOKEN.fullmatch(text)
        if found:
            token = cls(found[1] == "f", int(found[2], 16), *(int(found[group]) for group in (3, 4, 5)))
            chunk = token.end - token.begin
            if token.identity == identity and token.end <= lines and 0 <= token.index <= chunk:
                return token
        raise AwsError("InvalidParameterException", "The specified nextToken is invalid.")
