"""The explorer on the site: made anew where it is not there, or older than what makes it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import fieldsolve

NAME = "explorer.html"


def _write(app: Any, error: Exception | None) -> None:
    page, package = Path(app.outdir) / NAME, Path(fieldsolve.__file__).parent
    if error is not None or app.builder.format != "html":
        return
    changed = max(path.stat().st_mtime for path in package.rglob("*") if path.suffix in (".py", ".js", ".css", ".html"))
    if not page.exists() or page.stat().st_mtime < changed:
        subprocess.run([sys.executable, "-m", "fieldsolve", "explore", "-o", str(page), "--quiet", "--force"], check=True)


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", _write, priority=400)
    return {"parallel_read_safe": True}
