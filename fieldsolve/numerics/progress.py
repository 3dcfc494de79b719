"""How far some work is: what everything that takes longer than a second tells whoever watches."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """So much is done, of how much (None where nobody knows), how much of that failed, and what is being done."""

    done: int
    total: int | None = None
    what: str = ""
    failed: int = 0


Watch = Callable[[Progress], None]
