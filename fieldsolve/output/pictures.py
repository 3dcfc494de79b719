"""Figures as files, and the user's names in them."""

import io
import warnings
from collections.abc import Callable, Mapping

from matplotlib import rc_context
from matplotlib.figure import Figure

from fieldsolve.numerics.errors import Advice
from fieldsolve.output import interactive

_METADATA: dict[str, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}

#: The kinds of file that a figure can be.
KINDS = tuple(_METADATA)


def render(figure: Figure, kind: str, dpi: int = 130) -> bytes:
    """A figure as png, svg or pdf: the same bytes for the same figure."""
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "fieldsolve"}):
        figure.savefig(file, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return file.getvalue()


def render_all(draw: Callable[[], Mapping[str, Figure]], dpi: int = 130, kind: str = "png") -> dict[str, bytes]:
    """Figures as files by `NAME.KIND`; none if drawing fails, which is advised: numbers are written without their pictures."""
    try:
        return {f"{name}.{kind}": render(figure, kind, dpi) for name, figure in draw().items()}
    except Exception as error:  # whatever a user's matplotlib, its LaTeX or its fonts raise
        cause = (str(error).strip().splitlines() or [""])[0]
        message = f"no picture, matplotlib failed: {type(error).__name__}: {cause}; the numbers are whole"
        warnings.warn(message, Advice, stacklevel=1)
        return {}


def folder_pictures(draw: Callable[[], Mapping[str, Figure]], dpi: int = 130) -> dict[str, bytes]:
    """The pictures of a folder: PNG files as of `render_all`, and where `interactive.pages` is open a page of them.

    The page of one picture has its name, that of several is figures.html.
    """
    drawn: dict[str, Figure] = {}

    def once() -> dict[str, Figure]:
        drawn.update(draw())
        return drawn

    files = render_all(once, dpi)
    if files and interactive.are_wanted():
        name = next(iter(drawn)) if len(drawn) == 1 else "figures"
        try:
            files[f"{name}.html"] = interactive.page_of(drawn, name).encode("utf-8", "replace")
        except Exception as error:
            warnings.warn(f"no page: {type(error).__name__}: {error}; numbers and pictures are whole", Advice, stacklevel=1)
    return files


def verbatim(name: str) -> str:
    """A user's name as matplotlib shows it to the letter, not as a formula."""
    return name.replace("$", r"\$")
