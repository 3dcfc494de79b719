"""Every link inside the site leads somewhere: files and places in them, checked in what was built."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The places of a page, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.places |= {value for name in ("id", "name") if (value := found.get(name))}
        self.links += [value for name in ("href", "src") if (value := found.get(name))]


def broken(folder: Path) -> list[str]:
    """The links of a site that lead nowhere in it."""
    below = {path: path.relative_to(folder) for path in folder.rglob("*.html")}
    found = [path for path, name in below.items() if str(name) != "explorer.html" and name.parts[0] != "_static"]
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in found}
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            has_place = not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].places
            if not target.exists() or not has_place:
                wrong.append(f"{path.relative_to(folder)}: {link}")
    return wrong


def _check(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        wrong = broken(Path(app.outdir).resolve())
        if not (Path(app.outdir) / "index.html").exists():
            wrong.append("there is no index.html")
        if wrong:
            raise ValueError("links that lead nowhere:\n" + "\n".join(wrong))


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", _check, priority=900)
    return {"parallel_read_safe": True}
