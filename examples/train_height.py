"""A training script that trains nothing: the loss of a made-up curve falls with the steps, faster for a larger width.

Reports ``epoch`` and ``mean_loss`` after every step. Run by ``standalone_scheduler.py`` and ``local_searcher.py``.
"""

from argparse import ArgumentParser

from cloudtune import Reporter


def mean_loss(step: int, width: float, height: float) -> float:
    """The loss after ``step`` steps: it falls from above 10 towards ``height`` squared over 1,000."""
    return 10 / (1 + 0.1 * step * (1 + width)) + height**2 / 1000


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--height", type=float, required=True)
    args, _ = parser.parse_known_args()

    report = Reporter()
    for epoch in range(1, args.steps + 1):
        report(epoch=epoch, mean_loss=mean_loss(epoch, args.width, args.height))
