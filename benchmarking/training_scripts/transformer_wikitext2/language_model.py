"""A transformer that tells which word comes next (Vaswani et al. 2017, "Attention Is All You Need", NeurIPS)."""

from __future__ import annotations

import math

import torch
from torch import nn


class LanguageModel(nn.Module):  # type: ignore[misc]  # types of torch are not looked at: it need not be there
    """An encoder whose positions see what came before them only.

    Args:
        num_words: Size of the vocabulary.
        width: Of embeddings and layers; a multiple of ``nhead``.
        nhead: Attention heads of a layer.
        nhid: Width of the feed-forward part of a layer.
        nlayers: Layers.
        dropout: Share of units that are left out in training.
        longest: Most steps that a piece of text has.
    """

    def __init__(
        self, num_words: int, width: int, nhead: int, nhid: int, nlayers: int, dropout: float, longest: int
    ) -> None:
        super().__init__()
        self.scale = math.sqrt(width)
        self.embedding = nn.Embedding(num_words, width)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(width, nhead, nhid, dropout)
        self.layers = nn.TransformerEncoder(layer, nlayers, enable_nested_tensor=False)
        self.to_words = nn.Linear(width, num_words)
        self.register_buffer("positions", positional_encoding(longest, width), persistent=False)
        mask = torch.full((longest, longest), float("-inf")).triu(diagonal=1)
        self.register_buffer("mask", mask, persistent=False)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.to_words.weight, -0.1, 0.1)
        nn.init.zeros_(self.to_words.bias)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Logits of the next word.

        Args:
            words: Steps by columns.

        Returns:
            Steps by columns by words of the vocabulary.
        """
        steps = len(words)
        embedded = self.embedding(words) * self.scale + self.positions[:steps]
        logits: torch.Tensor = self.to_words(self.layers(self.dropout(embedded), mask=self.mask[:steps, :steps]))
        return logits


def positional_encoding(longest: int, width: int) -> torch.Tensor:
    """Sines and cosines of different wavelengths for each position: steps by 1 by width."""
    position = torch.arange(longest).unsqueeze(1)
    frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    encoding = torch.zeros(longest, 1, width)
    encoding[:, 0, 0::2] = torch.sin(position * frequency)
    encoding[:, 0, 1::2] = torch.cos(position * frequency)[:, : width // 2]
    return encoding
