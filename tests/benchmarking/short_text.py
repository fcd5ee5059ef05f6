"""A few kB of text with rules that a language model can learn, in the files that WikiText-2 consists of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

_WORDS = {
    "thing": ("cat", "dog", "bird", "fish", "horse", "cow"),
    "kind": ("small", "big", "red", "old"),
    "does": ("sees", "hears", "likes", "follows"),
}
_LINE = ("the", "kind", "thing", "does", "the", "thing", ".")
#: Lines of each part.
_LINES: Mapping[str, int] = {"train": 400, "valid": 60, "test": 60}

#: Small enough for a second an epoch, and sensible for the text above.
QUICK = {"lr": 2.0, "momentum": 0.1, "clip": 0.25, "dropout": 0.1, "batch_size": 16, "d_model": 16}


def write_text(folder: Path, names: str = "{}.txt") -> Path:
    """Writes train, valid and test; the same each time.

    Args:
        folder: Where; it is made.
        names: Of the files, with the name of the part in place of the braces.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    for part, lines in _LINES.items():
        text = [" ".join(str(random.choice(_WORDS.get(word, (word,)))) for word in _LINE) for _ in range(lines)]
        (folder / names.format(part)).write_text("\n".join(text) + "\n", encoding="utf-8")
    return folder
