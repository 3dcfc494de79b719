"""Pages that live at the repository's root, as NOTATION.md, where the site needs them; and links to them."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = {
    "NOTATION.md": "notation.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
}


def linked(text: str, folder: str = "") -> str:
    """A page's text, with its links to other pages as they are on the site; folder: where the page is, below the root."""
    for source, page in PAGES.items():
        for prefix in ("../", "", "docs/"):
            text = text.replace(f"]({prefix}{source}", f"]({page}")
        text = text.replace(f"]({Path(source).name}", f"]({page}") if folder else text
    text = re.sub(r"\]\((?:\.\./)?docs/", "](", text)
    return text.replace("](benchmarks/README.md)", "](benchmarks.md)")


def _write(app: Any) -> None:
    for source, page in PAGES.items():
        text = linked((ROOT / source).read_text(encoding="utf-8"), str(Path(source).parent) if "/" in source else "")
        target = Path(app.srcdir) / page
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def _read(app: Any, name: str, source: list[str]) -> None:
    if (Path(app.srcdir) / f"{name}.md").exists():
        source[0] = linked(source[0])


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", _write)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
