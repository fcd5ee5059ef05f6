"""Trains a transformer language model on WikiText-2, and reports its loss on the validation text after every epoch.

The text (Merity et al. 2017, "Pointer Sentinel Mixture Models", ICLR) is read from a folder, see ``--dataset_path``, or
from an input channel; nothing is downloaded. A GPU is used if there is one.

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
        self.is_mixed = arguments.precision == "half"
        self.train_text = in_columns(corpus.train, arguments.batch_size).to(self.device)
        torch.manual_seed(seed_of(arguments.seed, 0))
        self.model = LanguageModel(
            len(corpus.numbers),
            arguments.d_model,
            arguments.nhead,
            arguments.d_model * arguments.ffn_ratio,
            arguments.nlayers,
            arguments.dropout,
            arguments.bptt,
        ).to(self.device)
        self.optimizer = optimizer_of(arguments, self.model)
        # Half precision on GPUs has so few exponents that small gradients vanish unless they are scaled.
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.is_mixed and self.device.type == "cuda")

    def state(self) -> dict[str, object]:
        """What a checkpoint holds, by name."""
        return {name: getattr(self, name) for name in ("model", "optimizer", "scaler")}

    def loss(self, words: torch.Tensor, next_words: torch.Tensor) -> torch.Tensor:
        """Mean over a piece of text of -log p(next word), in nats."""
        with torch.autocast(self.device.type, dtype=self.half, enabled=self.is_mixed):
            logits = self.model(words)
        return nn.functional.cross_entropy(logits.float().flatten(0, 1), next_words.flatten())

    def train_epoch(self, epoch: int) -> float:
        """Goes through the training text once; the mean loss while it learned."""
        torch.manual_seed(seed_of(self.arguments.seed, epoch))
        self.model.train()
        total = torch.zeros((), device=self.device)
        for words, next_words in pieces(self.train_text, self.arguments.bptt):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(words, next_words)
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            if self.arguments.clip > 0:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.arguments.clip)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            total += loss.detach() * len(words)
        return float(total) / (len(self.train_text) - 1)

    def evaluate(self, text: torch.Tensor) -> float:
        """Mean loss on a text that the model does not learn from."""
        columns = in_columns(text, EVALUATION_COLUMNS).to(self.device)
        self.model.eval()
        with torch.no_grad():
            total = sum(float(self.loss(*piece)) * len(piece[0]) for piece in pieces(columns, self.arguments.bptt))
        return total / (len(columns) - 1)


def train(arguments: argparse.Namespace) -> None:
    """Trains from the last saved epoch, or from the beginning, to ``epochs``; saves and reports each epoch.

    Raises:
        DataMissing: There is no text, or too little of it.
    """
    corpus = Corpus(data_folder(arguments.dataset_path))
    training = Training(arguments, corpus)
    load, save = pytorch_load_save_functions(training.state())
    done = resume_from_checkpointed_model(vars(arguments), load)
    report = Reporter()
    for epoch in range(done + 1, arguments.epochs + 1):
        began = time.monotonic()
        train_loss = training.train_epoch(epoch)
        metrics = {"epoch": epoch, "train_loss": train_loss, "epoch_seconds": time.monotonic() - began}
        metrics.update(losses("val", training.evaluate(corpus.valid)))
        if epoch == arguments.epochs and corpus.test is not None:
            metrics.update(losses("test", training.evaluate(corpus.test)))
        checkpoint_model_at_rung_level(vars(arguments), save, epoch)
        report(**metrics)


def losses(part: str, loss: float) -> dict[str, float]:
    """A loss, and the perplexity that it means; a model that has diverged has one beyond all numbers."""
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return {f"{part}_loss": loss, f"{part}_perplexity": perplexity}


def optimizer_of(arguments: argparse.Namespace, model: nn.Module) -> torch.optim.Optimizer:
    """SGD, or Adam (Kingma and Ba 2015, ICLR), whose first moment then forgets at the rate ``momentum``."""
    if arguments.optimizer_name == "adam":
        return torch.optim.Adam(model.parameters(), lr=arguments.lr, betas=(arguments.momentum, 0.999))
    return torch.optim.SGD(model.parameters(), lr=arguments.lr, momentum=arguments.momentum)


def seed_of(seed: int, epoch: int) -> int:
    """Seed of all that is random in an epoch; of the initial weights for epoch 0."""
    return seed * 1_000_003 + epoch


def parser() -> argparse.ArgumentParser:
    """The script's arguments; the tuned ones have no default."""
    made = argparse.ArgumentParser(description="Trains a transformer language model on WikiText-2.")
    made.add_argument("--lr", type=float, required=True, help="step size")
    made.add_argument("--momentum", type=float, required=True, help="of steps, from 0 to below 1")
    made.add_argument("--clip", type=float, required=True, help="longest gradient, others are shortened to it; 0: any")
    made.add_argument("--dropout", type=float, required=True, help="share of units left out in training")
    made.add_argument("--batch_size", type=int, required=True, help="columns into which the training text is cut")
    made.add_argument("--epochs", type=int, default=40, help="train to the end of this epoch")
    made.add_argument("--bptt", type=int, default=35, help="words of a column that are seen at once")
    made.add_argument("--d_model", type=int, default=256, help="width of embeddings and layers")
    made.add_argument("--ffn_ratio", type=int, default=1, help="of a layer's feed-forward part: its width by d_model")
    made.add_argument("--nhead", type=int, default=2, help="attention heads of a layer")
    made.add_argument("--nlayers", type=int, default=2, help="layers")
    made.add_argument("--optimizer_name", choices=["sgd", "adam"], default="sgd", help="what takes the steps")
    made.add_argument("--precision", choices=["float", "half"], default="float", help="of multiplications")
    made.add_argument("--seed", type=int, default=1111, help="seed of the initial weights and of dropout")
    made.add_argument("--dataset_path", help="folder with train.txt, valid.txt and test.txt [default: the channel's]")
    add_checkpointing_to_argparse(made)
    return made


if __name__ == "__main__":
    try:
        train(parser().parse_args())
    except DataMissing as missing:
        sys.exit(f"transformer_wikitext2: {missing}")
