"""The examples as a gallery: each is run, and its picture is that of its own `plot`."""

import ast
import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Copies to run, as deep in the tree as the examples: they look for data from where they are.
COPIES = ROOT / ".gallery"
DATA = ROOT.parent / "shared" / "data"

_SECTION = """Examples
========

Each solves a problem, checks what it found against closed forms or bounds, and draws it: `python examples/NAME.py` does the same.
"""


def escaped(text: str) -> str:
    """Plain text as reStructuredText shows it to the letter, outside backticks; what is in backticks is code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"`{part}`" if part.startswith("`") else re.sub(r"([\\*|_`])", r"\\\1", part) for part in parts
    )  # fmt: skip


def _page(source: str) -> str:
    """An example with its docstring as a page of the gallery: a title, and paragraphs."""
    tree = ast.parse(source)
    text = ast.get_docstring(tree) or ""
    title, _, rest = text.partition("\n")
    paragraphs = []
    for part in rest.strip().split("\n\n"):
        lines = part.splitlines()
        if all(line.startswith("    ") for line in lines):
            paragraphs.append("::\n\n" + "\n".join(lines))
        else:
            paragraphs.append(escaped(part))
    heading = escaped(title.rstrip("."))
    body = "\n\n".join([f"{heading}\n{'=' * len(heading)}", *paragraphs])
    end = tree.body[0].end_lineno or 0
    code = "\n".join(source.splitlines()[end:])
    return f'r"""\n{body}\n"""\n{code}\n'


def has_data(path: Path) -> bool:
    """Whether what an example reads is here."""
    return "def available()" not in path.read_text(encoding="utf-8") or DATA.is_dir()


def write_copies() -> None:
    shutil.rmtree(COPIES, ignore_errors=True)
    COPIES.mkdir()
    (COPIES / "README.rst").write_text(_SECTION, encoding="utf-8")
    for path in sorted((ROOT / "examples").iterdir()):
        if path.suffix == ".py":
            name = path.name if has_data(path) else f"shown_{path.name}"
            # Run from the folder that it is in, and without a __file__.
            text = path.read_text(encoding="utf-8").replace("Path(__file__)", f'Path("{name}").absolute()')
            (COPIES / name).write_text(_page(text), encoding="utf-8")
        elif path.suffix == ".toml":
            shutil.copy(path, COPIES)


def scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """The pictures that an example has saved: their names begin with its number."""
    from sphinx_gallery.scrapers import figure_rst

    names, source = [], Path(block_vars["src_file"])
    for saved in sorted(source.parent.glob(f"{source.name[:3]}*.png")):
        names.append(next(block_vars["image_path_iterator"]))
        saved.replace(names[-1])
    return str(figure_rst(names, gallery_conf["src_dir"]))


def _without_data(app: Any, name: str, source: list[str]) -> None:
    """Examples whose data is not here are shown with the picture that they made where it is."""
    found = re.fullmatch(r"gallery/shown_(\w+)", name)
    if found is not None:
        picture = f".. image:: /pictures/{found[1]}.png\n   :alt: the picture of this example\n\n"
        note = "It needs embeddings that are not part of this project; this is its picture.\n\n"
        heading = re.search(r"\n=+\n", source[0])
        assert heading is not None
        source[0] = source[0][: heading.end()] + "\n" + note + picture + source[0][heading.end() :]


def setup(app: Any) -> dict[str, bool]:
    write_copies()
    app.config.sphinx_gallery_conf = {
        "examples_dirs": str(COPIES),
        "gallery_dirs": "gallery",
        "filename_pattern": r"/\d\d_\w+\.py$",
        "image_scrapers": ("gallery.scraper",),
        "backreferences_dir": "gallery/uses",
        "doc_module": ("fieldsolve",),
        "reset_modules": (),
        "remove_config_comments": True,
        "download_all_examples": False,
        "show_signature": False,
        "min_reported_time": 0,
        "within_subsection_order": "FileNameSortKey",
        "abort_on_example_error": True,
        "run_stale_examples": False,
        "parallel": 2,
        "thumbnail_size": (480, 270),
    }
    app.connect("source-read", _without_data)
    return {"parallel_read_safe": True}
