"""The filter patterns of CloudWatch Logs, as far as FilterLogEvents knows them here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cloudtune.localcloud.aws_error import AwsError

# An optional sign, then a phrase in double quotes or a bare term.
_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_]+))(?=\s|$)')


@dataclass(frozen=True)
class FilterPattern:
    """Which messages to keep: terms are found anywhere in a message, upper and lower case being different.

    Known are bare terms (letters, digits, underscores) and phrases in double quotes, all of which must be there;
    ``-term``, which must not; and ``?term``, of which one must be there where nothing else is asked for. As AWS's
    guide warns, ``?term`` beside other terms counts for nothing.

    Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail",
    Amazon CloudWatch Logs User Guide.
    """

    required: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> FilterPattern:
        """Raises AwsError InvalidParameterException for what is not known here: JSON, fields, regular expressions.

        And for what AWS refuses itself, such as a bare term with punctuation.
        """
        pattern = cls()
        place = {"": pattern.required, "?": pattern.optional, "-": pattern.excluded}
        position = len(text) - len(text.lstrip())
        while position < len(text):
            term = _TERM.match(text, position)
            if not term:
                raise AwsError(
                    "InvalidParameterException",
                    f"Invalid filter pattern: {text!r}. The local cloud knows terms of letters, digits and "
                    'underscores, "phrases", -excluded and ?optional ones.',
                )
            phrase = term[3] if term[2] is None else re.sub(r"\\(.)", r"\1", term[2])
            place[term[1]].append(phrase)
            position = term.end()
            position += len(text[position:]) - len(text[position:].lstrip())
        return pattern

    def matches(self, message: str) -> bool:
        """Whether FilterLogEvents gives the message."""
        if not (self.required or self.excluded):
            return not self.optional or any(term in message for term in self.optional)
        return all(term in message for term in self.required) and not any(term in message for term in self.excluded)
