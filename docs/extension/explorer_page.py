"""The explorer on the site: made anew where it is not there."""

import subprocess
import sys
from pathlib import Path
from typing import Any

NAME = "explorer.html"


def _write(app: Any, error: Exception | None) -> None:
    page = Path(app.outdir) / NAME
    if error is None and app.builder.format == "html" and not page.exists():
        subprocess.run([sys.executable, "-m", "fieldsolve", "explore", "-o", str(page), "--quiet"], check=True)


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", _write, priority=400)
    return {"parallel_read_safe": True}
