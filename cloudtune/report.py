"""The Reporter: how a training script tells its tuner what it has measured. ::

    from cloudtune import Reporter

    report = Reporter()
    for epoch in range(1, 10):
        ...
        report(epoch=epoch, validation_error=0.12)

A report is one JSON line. It is appended to the trial's report file, printed to stdout behind ``[tune-metric]:``, and
the tuner is woken. Without a tuner (a script started by hand) it is only printed.

Every trial pays for importing this module, and it may run in an old image: Python 3.8 syntax, and nothing is imported
but json, os, sys and time.
"""

import json
import os
import sys
import time

from cloudtune.constants import (
    CONFIG_PREFIX,
    ENV_PRICE_PER_SECOND,
    ENV_REPORT_FILE,
    ENV_TRIAL,
    ENV_WAKE_FIFO,
    MAX_REPORT_BYTES,
    MAX_REPORT_DEPTH,
    RESERVED_PREFIX,
    ST_WORKER_COST,
    ST_WORKER_ITER,
    ST_WORKER_TIME,
    ST_WORKER_TIMESTAMP,
    TRIAL_ID,
    TUNE_METRIC_TAG,
)

TYPE_CHECKING = False  # typing's own would cost an import
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple, Type

# By number, so that errno need not be imported; POSIX systems agree on these.
_ENXIO = 6  # a named pipe that nobody reads
_EBADF = 9
_ENOSPC = 28

_RESERVED_PREFIXES = (RESERVED_PREFIX, CONFIG_PREFIX)

# Room for the fields that the Reporter adds: at most 4, of 20 characters with 24 digits.
_LARGEST = MAX_REPORT_BYTES - 200


def _plain(value: "Any") -> "Any":
    """What a numpy scalar, or an array or tensor without dimensions, stands for. Called for what JSON does not know."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        number = item()
        if isinstance(number, (bool, int, float, str)):
            return number
    raise TypeError(type(value).__name__)


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


class Reporter:
    """Reports metrics to the tuner: ``report = Reporter(); report(epoch=3, validation_error=0.12)``.

    To the metrics it adds ``st_worker_iter`` (reports before this one), ``st_worker_timestamp`` (Unix time, seconds),
    ``st_worker_time`` (seconds since the Reporter was made), and, where the price of the instance is known,
    ``st_worker_cost`` (US dollars for these seconds).

    It may be called from several threads. The environment is read when it is made.

    Args:
        add_time: Whether to add ``st_worker_timestamp`` and ``st_worker_time``.
        add_cost: Whether to add ``st_worker_cost`` where the price is known.

    Raises:
        ValueError: If the price in the environment is not a number.
    """

    def __init__(self, add_time: bool = True, add_cost: bool = True) -> None:
        self.add_time = add_time
        self.add_cost = add_cost
        self._start = time.perf_counter()
        environment = os.environ
        self._file_name = environment.get(ENV_REPORT_FILE)
        self._fifo_name = environment.get(ENV_WAKE_FIFO)
        self._trial = environment.get(ENV_TRIAL)
        self._file = None  # type: Optional[int]
        self._fifo = None  # type: Optional[int]
        self._line_is_torn = False
        self._numbers = iter(range(sys.maxsize))  # next() of it is atomic: no two threads get the same number
        price = environment.get(ENV_PRICE_PER_SECOND)
        self._price = None  # type: Optional[float]
        if add_cost and price:
            try:
                self._price = float(price)
            except ValueError:
                raise ValueError(
                    "the environment variable %s must be a number of dollars, got %r; unset it if no price is known"
                    % (ENV_PRICE_PER_SECOND, price)
                ) from None

    def __reduce__(self) -> "Tuple[Type[Reporter], Tuple[bool, bool]]":
        # A function sent to a trial may refer to a Reporter made before: it reports for the trial that it arrives in.
        return type(self), (self.add_time, self.add_cost)

    def __call__(self, /, **metrics: "Any") -> None:
        """Reports ``metrics``, whatever their names, to the tuner.

        NaN and infinity are allowed; numpy scalars and tensors without dimensions are converted.

        Raises:
            ValueError: No metric is given, a value is None, a name is ``trial_id`` or begins with ``st_`` or
                ``config_``, a value has more than 50 lists and dictionaries in one another, or the report is over
                49,800 bytes as JSON.
            TypeError: JSON cannot carry a value.
            OSError: The report file cannot be written, for instance because the disk is full.
        """
        if not metrics:
            raise ValueError("a report needs at least one metric, as in report(epoch=3, validation_error=0.12)")
        for key, value in metrics.items():
            if value is None:
                raise ValueError("the value of %r in a report is None; report a number, or leave the key out" % key)
            if key.startswith(_RESERVED_PREFIXES) or key == TRIAL_ID:
                _raise_for_name(key)
        try:
            line = _encode(metrics)
        except (TypeError, ValueError, RecursionError):
            _raise_for_unsuitable(metrics)
            raise
        if "\\ud" in line:
            _check_text(metrics)
        if len(line) > _LARGEST:
            _raise_for_size(metrics, len(line))
        if line.count("[") + line.count("{") > MAX_REPORT_DEPTH:
            _check_depth(metrics)
        line = line[:-1] + self._own_fields() + "}"
        if self._file_name:
            self._append(line.encode())
        self._show(line)
        if self._fifo_name and self._trial:
            self._wake()

    def _own_fields(self) -> str:
        fields = ',"%s":%d' % (ST_WORKER_ITER, next(self._numbers))
        elapsed = time.perf_counter() - self._start
        if self.add_time:
            fields += ',"%s":%r,"%s":%r' % (ST_WORKER_TIMESTAMP, time.time(), ST_WORKER_TIME, elapsed)
        if self._price is not None:
            fields += ',"%s":%r' % (ST_WORKER_COST, self._price * elapsed)
        return fields

    def _append(self, line: bytes) -> None:
        """Appends the line with one ``write``, so that lines of several threads or processes never mix."""
        data = line + b"\n"
        if self._line_is_torn:
            data = b"\n" + data
        try:
            try:
                written = os.write(self._opened_file(), data)
            except OSError as error:
                if error.errno != _EBADF:
                    raise
                self._file = None  # the script has closed all its files, as daemons do
                written = os.write(self._opened_file(), data)
        except OSError as error:
            raise self._unwritten(error.errno, error.strerror) from error
        if written < len(data):
            self._line_is_torn = written > 0 or self._line_is_torn
            raise self._unwritten(_ENOSPC, "it took only %d of %d bytes" % (written, len(data)))
        self._line_is_torn = False

    def _opened_file(self) -> int:
        if self._file is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            opened = os.open(str(self._file_name), flags, 0o666)
            if self._file is not None:  # another thread was quicker
                os.close(opened)
            else:
                self._file = opened
        return self._file

    def _unwritten(self, number: "Optional[int]", reason: "Optional[str]") -> OSError:
        return OSError(
            number,
            "the report could not be written to %s (%s); free space on its disk, or make it writable"
            % (self._file_name, reason),
        )

    def _show(self, line: str) -> None:
        try:
            sys.stdout.write(TUNE_METRIC_TAG + line + "\n")
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError):
            # stdout is closed, broken or None. If the report file has the line, nothing is lost.
            if not self._file_name:
                raise

    def _wake(self) -> None:
        line = ("%s\n" % self._trial).encode()
        try:
            try:
                os.write(self._opened_fifo(), line)
            except OSError as error:
                if error.errno != _EBADF:
                    raise
                self._fifo = None
                os.write(self._opened_fifo(), line)
        except (FileNotFoundError, BrokenPipeError):
            pass  # nobody listens; the pipe stays open, for it may have another reader by the next report
        except BlockingIOError:
            pass  # the pipe is full: the tuner has yet to read that there is news
        except OSError as error:
            if error.errno != _ENXIO:
                raise

    def _opened_fifo(self) -> int:
        if self._fifo is None:
            opened = os.open(str(self._fifo_name), os.O_WRONLY | os.O_NONBLOCK)
            if self._fifo is not None:  # another thread was quicker
                os.close(opened)
            else:
                self._fifo = opened
        return self._fifo


def _raise_for_name(key: str) -> None:
    if key.startswith(RESERVED_PREFIX):
        reason = "begins with %r, which is reserved for cloudtune" % RESERVED_PREFIX
    elif key == TRIAL_ID:
        reason = "names a column that cloudtune adds to the results"
    else:
        reason = "begins with %r, as the hyperparameters do in the results" % CONFIG_PREFIX
    raise ValueError("the key %r in a report %s; rename it" % (key, reason))


def _raise_for_unsuitable(metrics: "Dict[str, Any]") -> None:
    for key, value in metrics.items():
        try:
            _encode({key: value})
        except (TypeError, ValueError, RecursionError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                "the value of %r in a report, of type %s, cannot be written as JSON; report a number, a string, or a "
                "list or dictionary of them (of an array with one element: value.item())" % (key, type(value).__name__)
            ) from error


def _check_text(metrics: "Dict[str, Any]") -> None:
    for key, value in metrics.items():
        try:
            json.dumps({key: value}, ensure_ascii=False, default=_plain).encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "%a in a report holds text that is not valid Unicode; repair it or leave it out" % key
            ) from error


def depth(value: "Any") -> int:
    """How many lists, tuples and dictionaries lie in one another, ``value`` included; 0 if it is none of them."""
    levels = 0
    items = [value]
    while True:
        inner = [item for item in items if isinstance(item, (dict, list, tuple))]
        if not inner:
            return levels
        levels += 1
        items = [part for item in inner for part in (item.values() if isinstance(item, dict) else item)]


def _check_depth(metrics: "Dict[str, Any]") -> None:
    for key, value in metrics.items():
        levels = depth(value)
        if levels > MAX_REPORT_DEPTH:
            raise ValueError(
                "the value of %r in a report has %d lists or dictionaries in one another; the limit is %d: flatten it"
                % (key, levels, MAX_REPORT_DEPTH)
            )


def _raise_for_size(metrics: "Dict[str, Any]", size: int) -> None:
    sizes = {key: len(_encode(value)) for key, value in metrics.items()}
    largest = max(sizes, key=lambda key: sizes[key])
    raise ValueError(
        "a report has %d bytes as JSON, %d of them for %r; the limit is %d: save large values to a file in the "
        "checkpoint directory and report its name" % (size, sizes[largest], largest, _LARGEST)
    )
