"""Pages of the Python interface from docstrings, with links to the examples that use each name; and of the command line."""

import importlib
import inspect
from pathlib import Path
from typing import Any

from gallery import escaped

#: Title and modules of each page.
PAGES = {
    "core": ("Problems, potentials, solutions", ["fieldsolve"]),
    "terms": ("Terms of the energy", ["fieldsolve.equilibrium.terms"]),
    "grids": ("Grids and kernels", ["fieldsolve.grids"]),
    "encoders": (
        "Free encoders",
        ["fieldsolve.encoders", "fieldsolve.encoders.fronts", "fieldsolve.encoders.temperatures", "fieldsolve.encoders.windows"],
    ),
    "remedies": ("Remedies", ["fieldsolve.remedies"]),
    "diagnose": ("Diagnoses", ["fieldsolve.diagnose", "fieldsolve.diagnose.many.compare"]),
    "diagrams": ("Phase diagrams", ["fieldsolve.diagrams"]),
    "theorems": (
        "Theorems",
        [
            f"fieldsolve.theorems.{name}"
            for name in ("laws", "infonce", "consistency", "sharpness", "dispersion", "barriers", "batches")
        ],
    ),
    "explorer": ("The explorer, and pages of pictures", ["fieldsolve.explorer", "fieldsolve.output.interactive"]),
    "testing": ("Checks of your own critic, grid, term or metric", ["fieldsolve.testing"]),
}
_FIRST = ["Problem", "solve", "Solution", "plot", "save", "load", "Potential"]  # what most users need
_MOST = "Most need `fieldsolve.Problem`, `fieldsolve.solve` and `fieldsolve.diagnose`; the rest is by topic."
_USES = Path("gallery") / "uses"


def names_of(module: Any) -> list[str]:
    """The public functions and classes of a module: those that it lists, else those that it defines."""
    listed = getattr(module, "__all__", None)
    names = listed or [name for name, one in vars(module).items() if getattr(one, "__module__", None) == module.__name__]
    public = [name for name in names if not name.startswith("_") and callable(getattr(module, name))]
    if module.__name__ == "fieldsolve":
        # Grids have a page of their own.
        public = [name for name in public if not getattr(module, name).__module__.startswith("fieldsolve.grids")]
        public.sort(key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    return public


def _entry(module: Any, name: str, source: Path) -> str:
    one, full = getattr(module, name), f"{module.__name__}.{name}"
    kind = "autoclass" if inspect.isclass(one) else "autofunction"
    uses = source / _USES / f"{full}.examples"
    shown = f"\n.. minigallery:: {full}\n" if uses.exists() and uses.stat().st_size else ""
    return f".. {kind}:: {full}\n{shown}"


def _write(app: Any) -> None:
    source = Path(app.srcdir)
    folder = source / "api"
    folder.mkdir(exist_ok=True)
    seen: set[int] = set()
    for page, (title, modules) in PAGES.items():
        parts = [f"{title}\n{'=' * len(title)}\n"]
        for dotted in modules:
            module = importlib.import_module(dotted)
            fresh = [name for name in names_of(module) if id(getattr(module, name)) not in seen]
            seen |= {id(getattr(module, name)) for name in fresh}
            if not fresh:
                continue
            about = (inspect.getdoc(module) or "").split("\n\n")[0]
            parts.append(f"``{dotted}``\n{'-' * (len(dotted) + 4)}\n\n{escaped(about)}\n")
            parts += [_entry(module, name, source) for name in fresh]
        _put(folder / f"{page}.rst", "\n".join(parts))
    listed = "\n".join(f"   {page}" for page in PAGES)
    _put(
        folder / "index.rst",
        f"Python\n======\n\n{_MOST}\n\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n",
    )
    _put(source / "commands.md", _commands())


def _commands() -> str:
    """The help of every command."""
    import click

    from fieldsolve.cli import main

    parts = [
        "# Commands\n\nFor your embeddings: `diagnose`, `compare`, `check`, `move-gap`, `remedy`. For the theory: all others.\n"
    ]
    with click.Context(main, info_name="fieldsolve") as top:
        for name in main.list_commands(top):
            command = main.get_command(top, name)
            assert command is not None
            with click.Context(command, top, info_name=name, max_content_width=110, terminal_width=110) as ctx:
                parts.append(f"## fieldsolve {name}\n\n```text\n{command.get_help(ctx)}\n```\n")
    return "\n".join(parts)


def _put(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _docstring(app: Any, what: str, name: str, one: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text, whose formulas are no markup."""
    lines[:] = escaped("\n".join(lines)).splitlines()


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", _write, priority=900)  # after the gallery, which tells where names are used
    app.connect("autodoc-process-docstring", _docstring)
    return {"parallel_read_safe": True}
