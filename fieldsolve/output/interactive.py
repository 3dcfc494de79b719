"""Pages of pictures to turn and to hover over, which need no network: plotly's script is that of the installed package."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from typing import TYPE_CHECKING

from fieldsolve.numerics.errors import InputError
from fieldsolve.output.page import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WANTED: ContextVar[bool] = ContextVar("pages beside pictures", default=False)


@contextmanager
def pages() -> Iterator[None]:
    """While this is open, every folder of results gets a page of its pictures to turn and to hover over."""
    before = _WANTED.set(True)
    try:
        yield
    finally:
        _WANTED.reset(before)


def are_wanted() -> bool:
    """Whether folders of results get pages."""
    return _WANTED.get()


def plotly_script() -> str:
    """The text of plotly.js as the installed package has it. Raises InputError where it is not installed."""
    try:
        from plotly.offline import get_plotlyjs  # an extra
    except ImportError:
        raise InputError("plotly is not installed; install fieldsolve with its extra: pip install 'fieldsolve[web]'") from None
    return str(get_plotlyjs())


def embedded(values: object) -> str:
    """Values as JSON that stands in a script of a page, whatever the texts among them hold."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def page_of(figures: Mapping[str, "Figure"], title: str = "fieldsolve") -> str:
    """One offline page with the same pictures to zoom, to hover over and, where they are maps of the sphere, to turn.

    What plotly cannot show of a picture is named below it. Raises InputError where plotly is not installed.
    """
    from fieldsolve.output.converted import converted  # loads matplotlib

    parts, specs = [_WIDE, f"<script>{plotly_script()}</script>"], {}
    for number, (name, figure) in enumerate(figures.items()):
        found = converted(figure)
        specs[f"picture-{number}"] = found.spec
        width, height = found.size
        missing = f"<p>Not shown here, see {escape(name)}.png: {escape(', '.join(found.left_out))}.</p>" if found.left_out else ""
        size = f"width:{width:.0f}px;height:{height:.0f}px"
        parts.append(f"<figure class=wide><div id=picture-{number} style='{size}'></div>{missing}</figure>")
    parts.append(f'<script id="data" type="application/json">{embedded(specs)}</script>')
    return page(title, [*parts, _DRAW])


_WIDE = "<style>body{max-width:none;margin:1rem}</style>"  # pictures are as wide as they are

_DRAW = """<script>
for (const [name, picture] of Object.entries(JSON.parse(document.getElementById("data").textContent))) {
  Plotly.newPlot(name, picture.data, picture.layout, { displaylogo: false });
}
</script>"""
