"""How far some work is: what everything that takes longer than a second tells whoever watches."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """So much is done, of how much (None where nobody knows), how much of that failed, and what is being done.

    expected: about how many seconds all of it will take, where that is known before.
    """

    done: int
    total: int | None = None
    what: str = ""
    failed: int = 0
    expected: float | None = None


Watch = Callable[[Progress], None]
