"""The text that a language model learns from: words as numbers, and batches of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import torch

#: Stands for the end of a line, and for words that the training text does not have.
END_OF_LINE, UNKNOWN = "<eos>", "<unk>"

#: Names under which WikiText-2 is published, for each of its parts.
FILE_NAMES = {
    "train": ("wiki.train.tokens", "train.txt"),
    "valid": ("wiki.valid.tokens", "valid.txt"),
    "test": ("wiki.test.tokens", "test.txt"),
}

#: Where SageMaker, and cloudtune beside the loop, say that the data of a channel lies.
CHANNEL_VARIABLES = ("SM_CHANNEL_WIKITEXT2", "SM_CHANNEL_TRAINING")

SOURCE = "https://github.com/pytorch/examples/tree/main/word_language_model/data/wikitext-2"


class DataMissing(Exception):
    """The text is not where it was looked for; the message says where to get it and where to put it."""


class Corpus:
    """The words of training, validation and test text as numbers.

    The vocabulary is that of the training text, in the order in which its words first come, so that it is the same in
    every trial.

    Args:
        folder: Holds the three files.

    Raises:
        DataMissing: One that is needed is not there, or has no words.
    """

    def __init__(self, folder: Path) -> None:
        self.numbers: dict[str, int] = {UNKNOWN: 0, END_OF_LINE: 1}
        for word in _words(folder, "train"):
            self.numbers.setdefault(word, len(self.numbers))
        self.train = self._read(folder, "train")
        self.valid = self._read(folder, "valid")
        #: None where there is no such file: it is not needed for tuning.
        self.test = self._read(folder, "test") if _file(folder, "test") is not None else None

    def _read(self, folder: Path, part: str) -> torch.Tensor:
        unknown = self.numbers[UNKNOWN]
        return torch.tensor([self.numbers.get(word, unknown) for word in _words(folder, part)], dtype=torch.long)


def data_folder(given: str | None) -> Path:
    """The folder with the text: the one given, else that of an input channel.

    Raises:
        DataMissing: Neither is there.
    """
    found = given or next((os.environ[name] for name in CHANNEL_VARIABLES if os.environ.get(name)), None)
    if found is None:
        raise DataMissing(
            "nothing says where WikiText-2 lies; get train.txt, valid.txt and test.txt from "
            f"{SOURCE} and name their folder with --dataset_path, or in an input channel called wikitext2"
        )
    return Path(found)


def in_columns(words: torch.Tensor, columns: int) -> torch.Tensor:
    """The text cut into so many parts of one length, side by side; the few words that are left over are dropped.

    Raises:
        DataMissing: It is too short: a model learns to tell the next word, so that each column needs two.
    """
    steps = len(words) // columns
    if steps < 2:
        raise DataMissing(
            f"a text of {len(words)} words cannot be cut into {columns} columns of at least two; give more text, or a "
            "smaller batch_size"
        )
    return words[: steps * columns].view(columns, steps).t().contiguous()


def pieces(columns: torch.Tensor, bptt: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Words, and those that come next, each ``bptt`` steps by columns; the last piece may be shorter."""
    for start in range(0, len(columns) - 1, bptt):
        end = min(start + bptt, len(columns) - 1)
        yield columns[start:end], columns[start + 1 : end + 1]


def _words(folder: Path, part: str) -> Iterator[str]:
    file = _file(folder, part)
    if file is None:
        raise DataMissing(
            f"there is no {' or '.join(FILE_NAMES[part])} in {folder}; get train.txt, valid.txt and test.txt from "
            f"{SOURCE} and put them there, or name their folder with --dataset_path"
        )
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield from line.split()
            yield END_OF_LINE


def _file(folder: Path, part: str) -> Path | None:
    return next((folder / name for name in FILE_NAMES[part] if (folder / name).is_file()), None)
