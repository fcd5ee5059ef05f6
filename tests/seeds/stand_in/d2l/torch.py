"""What the book's chapters take from ``d2l.torch``: models, trainers and data, here in numpy.

The data are real: the 1,797 scanned digits that scikit-learn carries, read from its file without importing it, because
every trial is a process of its own and would pay for the import. The models are real too, a softmax regression and a
network with one hidden layer, trained by stochastic gradient descent: how well they do depends on the learning rate.
"""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_NUM_PIXELS = 64


def __getattr__(name: str) -> Any:
    if name == "plt":
        import matplotlib.pyplot as plt

        return plt
    raise AttributeError(f"the stand-in for d2l has no {name!r}; add it if a chapter uses it")


def set_figsize(figsize: Sequence[float] = (3.5, 2.5)) -> None:
    """Sets the size of the figures to come, in inches."""
    import matplotlib.pyplot as plt

    plt.rcParams["figure.figsize"] = tuple(figsize)


class Tensor:
    """A number that answers to the moves with which a framework's tensor is brought to numpy."""

    def __init__(self, value: float) -> None:
        self._value = value

    def cpu(self) -> Tensor:
        """Where it is already."""
        return self

    def detach(self) -> Tensor:
        """No gradient hangs on it."""
        return self

    def numpy(self) -> Array:
        """The number as an array without dimensions."""
        return np.asarray(self._value)


def numpy(tensor: Tensor) -> Array:
    """The value of a tensor."""
    return tensor.detach().numpy()


class FashionMNIST:
    """The digits: a third to validate on; the rest to train on, each as it is and shifted by one pixel each way."""

    def __init__(self, batch_size: int = 64, resize: tuple[int, int] = (28, 28)) -> None:
        self.batch_size = batch_size
        self.resize = resize
        table = _digits()
        order = np.random.default_rng(0).permutation(len(table))
        images, labels = table[order, :_NUM_PIXELS] / 16.0, table[order, _NUM_PIXELS].astype(np.int64)
        cut = 2 * len(table) // 3
        mixed = np.random.default_rng(3).permutation(5 * cut)
        self.train = _with_shifted(images[:cut])[mixed], np.tile(labels[:cut], 5)[mixed]
        self.val = images[cut:], labels[cut:]

    def get_dataloader(self, train: bool) -> Iterator[tuple[Array, Labels]]:
        """Batches of (images, labels)."""
        images, labels = self.train if train else self.val
        for start in range(0, len(images), self.batch_size):
            yield images[start : start + self.batch_size], labels[start : start + self.batch_size]


def _digits() -> Array:
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the digits images come with scikit-learn: pip install scikit-learn")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    numbers = np.fromstring(gzip.decompress(path.read_bytes()).replace(b"\n", b","), sep=",")
    return numbers.reshape(-1, _NUM_PIXELS + 1)


def _with_shifted(images: Array) -> Array:
    squares = images.reshape(-1, 8, 8)
    shifted = [np.roll(squares, by, axis) for axis in (1, 2) for by in (-1, 1)]
    return np.concatenate([squares, *shifted]).reshape(-1, _NUM_PIXELS)


def init_cnn(weights: Array) -> Array:
    """Scales standard normal weights as Glorot and Bengio (2010, equation 12) do, for a layer of this shape."""
    return np.asarray(weights * np.sqrt(2.0 / sum(weights.shape)))


class _Network:
    """Layers with ReLU between them and a softmax at the end, trained on the cross entropy."""

    def __init__(self, sizes: Sequence[int], lr: float) -> None:
        self.lr = lr
        generator = np.random.default_rng(1)
        self.weights = [init_cnn(generator.standard_normal(shape)) for shape in itertools.pairwise(sizes)]
        self.biases = [np.zeros(size) for size in sizes[1:]]

    def apply_init(self, inputs: Sequence[Array], init: Callable[[Array], Array]) -> None:
        """Draws the weights anew and scales them by ``init``; ``inputs`` shows what one batch looks like."""
        assert inputs[0].shape[1] == self.weights[0].shape[0]
        generator = np.random.default_rng(2)
        self.weights = [init(generator.standard_normal(weights.shape)) for weights in self.weights]

    def forward(self, images: Array) -> list[Array]:
        """The outputs of all layers; the last holds the class probabilities."""
        outputs = [images]
        for weights, biases in zip(self.weights, self.biases, strict=True):
            last = len(outputs) == len(self.weights)
            sums = outputs[-1] @ weights + biases
            outputs.append(_softmax(sums) if last else np.maximum(sums, 0.0))
        return outputs

    def step(self, images: Array, labels: Labels) -> None:
        """One step of gradient descent on one batch."""
        outputs = self.forward(images)
        slope = outputs[-1].copy()
        slope[np.arange(len(labels)), labels] -= 1.0
        slope /= len(labels)
        for layer in reversed(range(len(self.weights))):
            gradient = outputs[layer].T @ slope
            slope_below = (slope @ self.weights[layer].T) * (outputs[layer] > 0)
            self.biases[layer] -= self.lr * slope.sum(axis=0)
            self.weights[layer] -= self.lr * gradient
            slope = slope_below


def _softmax(sums: Array) -> Array:
    powers = np.exp(sums - sums.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class LeNet(_Network):
    """A network with one hidden layer of 64 units."""

    def __init__(self, lr: float = 0.1, num_classes: int = 10) -> None:
        super().__init__((_NUM_PIXELS, 64, num_classes), lr)


class AlexNet(_Network):
    """A softmax regression."""

    def __init__(self, lr: float = 0.1, num_classes: int = 10) -> None:
        super().__init__((_NUM_PIXELS, num_classes), lr)


class Trainer:
    """Trains one epoch per call."""

    def __init__(self, max_epochs: int, num_gpus: int = 0) -> None:
        self.max_epochs = max_epochs
        self.num_gpus = num_gpus

    def fit(self, model: _Network, data: FashionMNIST) -> None:
        """Trains ``max_epochs`` epochs and remembers model and data."""
        self.model, self.data = model, data
        for _ in range(self.max_epochs):
            self.fit_epoch()

    def fit_epoch(self) -> None:
        """One more pass over the training images."""
        # The book's take seconds. Trials of no length would hardly ever run at the same time.
        time.sleep(0.1)
        for images, labels in self.data.get_dataloader(True):
            self.model.step(images, labels)

    def validate(self) -> Tensor:
        """The share of validation images that are classified wrongly."""
        images, labels = self.data.val
        return Tensor(float(np.mean(self.model.forward(images)[-1].argmax(axis=1) != labels)))


class HPOTrainer(Trainer):
    """The trainer of the tuning chapters."""

    def validation_error(self) -> Tensor:
        """As :meth:`Trainer.validate`."""
        return self.validate()
