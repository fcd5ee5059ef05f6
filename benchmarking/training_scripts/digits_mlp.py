"""Trains a network with two hidden layers to read scikit-learn's scanned digits, and reports after every epoch.

The 1,797 images (8 x 8 pixels) are the test set of E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten
Digits", UCI Machine Learning Repository, 1998. A third of each class is held out for validation, always the same.

What was learned is saved after each epoch, before its report, so a trial that was paused or killed goes on where it was
and reports the numbers that it would have reported without the break.
"""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

# Trials share the machine's cores; a network this small gains nothing from more than one thread. Numpy reads this once.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# ruff: noqa: E402 - see above
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from cloudtune.checkpoint import add_checkpointing_to_argparse, resume_from, save_checkpoint
from cloudtune.report import Reporter

if TYPE_CHECKING:
    import numpy.typing as npt

CHECKPOINT_FILE = "model.pkl"
SPLIT_SEED = 20260101
VALIDATION_SHARE = 1 / 3


def split_digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Images scaled to [0, 1], their labels, and a mask of those held out for validation, a third of each class."""
    images, labels = load_digits(return_X_y=True)
    generator = np.random.default_rng(SPLIT_SEED)
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        held_out[members[: round(len(members) * VALIDATION_SHARE)]] = True
    return (images / 16.0).astype(np.float32), labels.astype(np.int64), held_out


def train(arguments: argparse.Namespace) -> None:
    """Trains from the last saved epoch, or from the beginning, to ``max_epochs``; saves and reports each epoch."""
    images, labels, held_out = split_digits()
    saved = load(arguments.st_checkpoint_dir)
    epoch, network = (0, new_network(arguments)) if saved is None else saved
    report = Reporter()
    while epoch < arguments.max_epochs:
        network.partial_fit(images[~held_out], labels[~held_out], classes=np.arange(10))
        epoch += 1
        error = float(np.mean(network.predict(images[held_out]) != labels[held_out]))
        save(arguments.st_checkpoint_dir, epoch, network)
        report(epoch=epoch, validation_error=error, train_loss=float(network.loss_))


def new_network(arguments: argparse.Namespace) -> MLPClassifier:
    """A network that has not learned anything yet.

    It gets a generator and not a number: with a number every epoch would go through the images in the same order. The
    generator is saved with the network.
    """
    return MLPClassifier(
        hidden_layer_sizes=(arguments.width, arguments.width),
        learning_rate_init=arguments.learning_rate,
        batch_size=arguments.batch_size,
        alpha=arguments.alpha,
        random_state=np.random.RandomState(arguments.random_seed),
    )


def load(directory: str | None) -> tuple[int, MLPClassifier] | None:
    """The epoch saved last and the network as it was then, with its optimizer and random state; None if nothing was."""

    def read(path: str) -> tuple[int, MLPClassifier]:
        saved: tuple[int, MLPClassifier] = pickle.loads(Path(path).read_bytes())
        return saved

    return resume_from(directory, read, CHECKPOINT_FILE)


def save(directory: str | None, epoch: int, network: MLPClassifier) -> None:
    """Saves what :func:`load` reads."""
    save_checkpoint(directory, lambda path: Path(path).write_bytes(pickle.dumps((epoch, network))), CHECKPOINT_FILE)


def parser() -> argparse.ArgumentParser:
    """The script's arguments; the tuned ones have no default."""
    made = argparse.ArgumentParser(description="Trains a small network to read scanned digits.")
    made.add_argument("--learning_rate", type=float, required=True, help="step size of Adam")
    made.add_argument("--batch_size", type=int, required=True, help="images per step")
    made.add_argument("--width", type=int, required=True, help="units in each of the two hidden layers")
    made.add_argument("--alpha", type=float, required=True, help="weight of the L2 penalty")
    made.add_argument("--max_epochs", type=int, default=27, help="train to the end of this epoch")
    made.add_argument("--random_seed", type=int, default=0, help="seed of the initial weights and of the batches")
    add_checkpointing_to_argparse(made)
    return made


if __name__ == "__main__":
    train(parser().parse_args())
