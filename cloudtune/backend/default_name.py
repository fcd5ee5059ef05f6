"""What an experiment is called if the user does not say."""

from __future__ import annotations

import re
import unicodedata

#: As long as the name of an experiment may be.
MAX_LENGTH = 63


def default_name(text: str, fallback: str) -> str:
    """A valid name of an experiment that is like the name of a script or function.

    Letters lose their accents, whatever else a name may not have becomes a dash, and what is too long is cut.

    Args:
        text: Name of the script or function.
        fallback: The name if nothing of ``text`` can be kept.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub("[^a-zA-Z0-9]+", "-", plain).strip("-")[:MAX_LENGTH].rstrip("-") or fallback
