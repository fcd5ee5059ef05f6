"""Saves figures as files: the same figure gives the same bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Suffix -> what not to write into the file: the date.
_METADATA: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def check_file_name(file_name: str | os.PathLike[str]) -> Path:
    """The path of a figure.

    Raises:
        CloudtuneError: Its suffix is not one of a format for figures.
    """
    path = Path(file_name).expanduser()
    if path.suffix.lower() not in _METADATA:
        raise CloudtuneError(f"the file name of a figure must end with {', '.join(_METADATA)}; {str(path)!r} does not")
    return path


def new_figure(**options: Any) -> Figure:
    """A figure that pyplot does not know: no window, and nothing to close.

    Raises:
        CloudtuneError: matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CloudtuneError("drawing needs matplotlib: pip install 'cloudtune[plot]'") from error
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path, dpi: int) -> None:
    """Saves a figure by the suffix of its file name; makes the folder if there is none."""
    import matplotlib as mpl

    path.parent.mkdir(parents=True, exist_ok=True)
    # Texts in pdf files stay texts (publishers ask for TrueType); names within svg files are not drawn anew each time.
    with mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "cloudtune"}):
        figure.savefig(path, dpi=dpi, metadata=_METADATA[path.suffix.lower()])
