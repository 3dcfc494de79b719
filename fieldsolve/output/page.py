"""HTML that needs no network: pages, tables, pictures within, and what a notebook shows of an object."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape as escape
from typing import Any


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page."""
    return "\n".join([_HEAD.format(title=escape(title)), *parts, "</body></html>", ""])


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table, headings first."""
    cells = [
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for tag, row in zip(["th", *["td"] * (len(rows) - 1)], rows, strict=True)
    ]
    return f"<div class=wide><table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table></div>"


def picture(name: str, image: bytes, caption: str) -> str:
    """A picture with what it shows."""
    source = f"data:image/png;base64,{b64encode(image).decode()}"
    return f"<figure><img alt='{escape(name)}' src='{source}'><figcaption>{escape(caption)}</figcaption></figure>"


def card(title: str, rows: Mapping[str, object], draw: Callable[[], Any]) -> str:
    """What a notebook shows of an object: its title, a table of names and values (those that are None left out), and its picture.

    draw: the figure, made when it is called; where that fails there is none, and that is advised.
    """
    from fieldsolve.output.pictures import render_all  # loads matplotlib

    known = [[name, str(value)] for name, value in rows.items() if value is not None]
    pictures = [picture(title, one, "") for one in render_all(lambda: {"picture": draw()}, dpi=80).values()]
    return "\n".join([f"<b>{escape(title)}</b>", table([["", ""], *known]), *pictures])


_HEAD = """<!doctype html>
<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body{{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:70rem;margin:2rem auto;padding:0 1rem}}
h1{{font-size:1.6rem}}h2{{font-size:1.15rem;margin-top:2rem}}
.about{{color:#555}}.summary{{font-size:1.15rem;font-weight:600}}
summary{{cursor:pointer;margin-top:1.5rem}}.verdict li{{margin:.5rem 0}}
.wide{{overflow-x:auto}}pre{{background:#f5f5f5;padding:.6rem;overflow-x:auto;font-size:.85rem}}
table{{border-collapse:collapse;font-size:.85rem;width:100%}}
th,td{{border-bottom:1px solid #ddd;padding:.3rem .5rem;text-align:left;vertical-align:top}}
.number{{white-space:nowrap;font-variant-numeric:tabular-nums}}.meaning{{color:#444;min-width:18rem}}
figure{{margin:2rem 0}}img{{max-width:100%}}figcaption{{color:#555;font-size:.9rem}}
</style></head><body>"""
