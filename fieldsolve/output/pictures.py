"""Figures as files."""

import io

from matplotlib import rc_context
from matplotlib.figure import Figure

_METADATA: dict[str, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}

#: The kinds of file that a figure can be.
KINDS = tuple(_METADATA)


def render(figure: Figure, kind: str, dpi: int = 130) -> bytes:
    """A figure as png, svg or pdf: the same bytes for the same figure."""
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "fieldsolve"}):
        figure.savefig(file, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return file.getvalue()
