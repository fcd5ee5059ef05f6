"""Trains a transformer language model on WikiText-2, and reports its loss on the validation text after every epoch.

The text (Merity et al. 2017, "Pointer Sentinel Mixture Models", ICLR) is read from a folder, see ``--dataset_path``, or
from an input channel; nothing is downloaded. A GPU is used if there is one, then in mixed precision.

What was learned is saved after each epoch, before its report. All that is random in an epoch follows from the seed and
the number of the epoch, so that a trial that was paused or killed goes on as it would have gone on without the break;
on a GPU up to the order in which it sums.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time

# Where there is no GPU, trials share the machine's cores, and sums in another order would be other numbers. torch reads
# this once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from corpus import Corpus, DataMissing, data_folder, in_columns, pieces
from language_model import LanguageModel
from torch import nn

from cloudtune.checkpoint import (
    add_checkpointing_to_argparse,
    checkpoint_model_at_rung_level,
    pytorch_load_save_functions,
    resume_from_checkpointed_model,
)
from cloudtune.report import Reporter

#: Columns in which text is evaluated: as many whatever batch_size is, so that losses of trials can be compared.
EVALUATION_COLUMNS = 10


class Training:
    """A model in training.

    Args:
        arguments: Of the script.
        corpus: What it learns from.
    """

    def __init__(self, arguments: argparse.Namespace, corpus: Corpus) -> None:
        self.arguments = arguments
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.half = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        self.is_mixed = arguments.precision == "half" or (arguments.precision == "auto" and self.device.type == "cuda")
        self.train_text = in_columns(corpus.train, arguments.batch_size).to(self.device)
        torch.manual_seed(seed_of(arguments.random_seed, 0))
        self.model = LanguageModel(
            len(corpus.numbers),
            arguments.emsize,
            arguments.nhead,
            arguments.nhid,
            arguments.nlayers,
            arguments.dropout,
            arguments.bptt,
        ).to(self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=arguments.lr, momentum=arguments.momentum)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, 1, gamma=arguments.lr_decay)
        # Half precision on GPUs has so few exponents that small gradients vanish unless they are scaled.
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.is_mixed and self.device.type == "cuda")

    def state(self) -> dict[str, object]:
        """What a checkpoint holds, by name."""
        return {name: getattr(self, name) for name in ("model", "optimizer", "schedule", "scaler")}

    def loss(self, words: torch.Tensor, next_words: torch.Tensor) -> torch.Tensor:
        """Mean over a piece of text of -log p(next word), in nats."""
        with torch.autocast(self.device.type, dtype=self.half, enabled=self.is_mixed):
            logits = self.model(words)
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), next_words.flatten())

    def train_epoch(self, epoch: int) -> float:
        """Goes through the training text once; the mean loss while it learned."""
        torch.manual_seed(seed_of(self.arguments.random_seed, epoch))
        self.model.train()
        total = torch.zeros((), device=self.device)
        for words, next_words in pieces(self.train_text, self.arguments.bptt):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(words, next_words)
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.arguments.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            total += loss.detach() * len(words)
        self.schedule.step()
        return float(total) / (len(self.train_text) - 1)

    def evaluate(self, text: torch.Tensor) -> float:
        """Mean loss on a text that the model does not learn from."""
        columns = in_columns(text, EVALUATION_COLUMNS).to(self.device)
        self.model.eval()
        with torch.no_grad():
            total = sum(float(self.loss(*piece)) * len(piece[0]) for piece in pieces(columns, self.arguments.bptt))
        return total / (len(columns) - 1)


def train(arguments: argparse.Namespace) -> None:
    """Trains from the last saved epoch, or from the beginning, to ``max_epochs``; saves and reports each epoch.

    Raises:
        DataMissing: There is no text, or too little of it.
    """
    corpus = Corpus(data_folder(arguments.dataset_path))
    training = Training(arguments, corpus)
    load, save = pytorch_load_save_functions(training.state())
    done = resume_from_checkpointed_model(vars(arguments), load)
    report = Reporter()
    for epoch in range(done + 1, arguments.max_epochs + 1):
        began = time.monotonic()
        train_loss = training.train_epoch(epoch)
        metrics = {"epoch": epoch, "train_loss": train_loss, "epoch_seconds": time.monotonic() - began}
        metrics.update(losses("val", training.evaluate(corpus.valid)))
        if epoch == arguments.max_epochs and corpus.test is not None:
            metrics.update(losses("test", training.evaluate(corpus.test)))
        checkpoint_model_at_rung_level(vars(arguments), save, epoch)
        report(**metrics)


def losses(part: str, loss: float) -> dict[str, float]:
    """A loss, and the perplexity that it means; a model that has diverged has one beyond all numbers."""
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return {f"{part}_loss": loss, f"{part}_perplexity": perplexity}


def seed_of(random_seed: int, epoch: int) -> int:
    """Seed of all that is random in an epoch; of the initial weights for epoch 0."""
    return random_seed * 1_000_003 + epoch


def parser() -> argparse.ArgumentParser:
    """The script's arguments; the tuned ones have no default."""
    made = argparse.ArgumentParser(description="Trains a transformer language model on WikiText-2.")
    made.add_argument("--lr", type=float, required=True, help="step size of SGD in the first epoch")
    made.add_argument("--momentum", type=float, required=True, help="of SGD, from 0 to below 1")
    made.add_argument("--clip", type=float, required=True, help="longest gradient; a longer one is shortened to it")
    made.add_argument("--dropout", type=float, required=True, help="share of units left out in training")
    made.add_argument("--batch_size", type=int, required=True, help="columns into which the training text is cut")
    made.add_argument("--max_epochs", type=int, default=40, help="train to the end of this epoch")
    made.add_argument("--bptt", type=int, default=35, help="words of a column that are seen at once")
    made.add_argument("--emsize", type=int, default=200, help="width of embeddings and layers")
    made.add_argument("--nhead", type=int, default=2, help="attention heads of a layer")
    made.add_argument("--nhid", type=int, default=200, help="width of the feed-forward part of a layer")
    made.add_argument("--nlayers", type=int, default=2, help="layers")
    made.add_argument("--lr_decay", type=float, default=0.95, help="factor of the step size from epoch to epoch")
    made.add_argument("--random_seed", type=int, default=0, help="seed of the initial weights and of dropout")
    made.add_argument("--dataset_path", help="folder with train.txt, valid.txt and test.txt [default: the channel's]")
    made.add_argument(
        "--precision",
        choices=["auto", "float", "half"],
        default="auto",
        help="of multiplications; auto: half on a GPU, else float",
    )
    add_checkpointing_to_argparse(made)
    return made


if __name__ == "__main__":
    try:
        train(parser().parse_args())
    except DataMissing as missing:
        sys.exit(f"transformer_wikitext2: {missing}")
