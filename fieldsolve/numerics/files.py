"""Files that users name: regular ones that are there and can be read, before anything waits for them or loads them."""

import os
import stat
from pathlib import Path

from fieldsolve.numerics.errors import InputError

_LONGEST = 200  # name that a message shows


def require_file(path: Path) -> os.stat_result:
    """What is known of a regular file. Raises InputError where there is none: a pipe or device could be waited for for ever."""
    name = str(path) if len(str(path)) < _LONGEST else f"{str(path)[: _LONGEST // 2]}..."
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file") from None
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero byte
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: is a folder; name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is a pipe or device; save what comes out of it to a file, and name that")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read: you have no permission")
    return status
