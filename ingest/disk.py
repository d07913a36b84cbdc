"""How full the disk under a data directory is, and a reserve on it that can be given up.

On a full disk nothing may be acknowledged any more, but tickets and alarms have to go on. So the sources stop
before the disk is full to the last byte, and the engine has a file of its own to delete when even that is gone.
"""

import contextlib
import errno
import os
import sqlite3
from enum import IntEnum
from pathlib import Path

from andon.config import Keeping

POSTGRESQL_FULL = "53100"  # its SQLSTATE for a full disk
_MARGIN_PERCENT = 1.0
"""A level is left only when so much more is free, so that it does not come and go with each file."""
_SHARE_FOR_RESERVE = 50
"""The reserve is at most this part of a disk: what is given up must not let the sources write again."""


class Level(IntEnum):
    """What the disk asks for."""

    FINE = 0
    LOW = 1  # a person should know
    SHED = 2  # history that nothing needs any more has to go
    FULL = 3  # nothing may be received any more


class Disk:
    """The disk under `folder`, judged by the limits in `keeping`."""

    def __init__(self, folder: Path, keeping: Keeping) -> None:
        self._folder = folder
        self._limits = (keeping.low_percent, keeping.shed_percent, keeping.full_percent)
        self._plenty_bytes = keeping.plenty_bytes
        self._level = Level.FINE
        self.used_percent = 0.0
        self.free_bytes = 0

    def look(self) -> Level:
        """The level now. OSError if the folder is gone."""
        disk = os.statvfs(self._folder)
        self.free_bytes = disk.f_bavail * disk.f_frsize
        usable = (disk.f_blocks - disk.f_bfree + disk.f_bavail) * disk.f_frsize or 1
        self.used_percent = 100.0 * (1.0 - self.free_bytes / usable)
        plenty = 0 < self._plenty_bytes <= self.free_bytes
        reached = 0 if plenty else sum(self.used_percent >= limit for limit in self._limits)
        held = 0 if plenty else sum(self.used_percent >= limit - _MARGIN_PERCENT for limit in self._limits)
        self._level = Level(max(reached, min(held, self._level)))
        return self._level

    def is_full(self) -> bool:
        """Whether nothing may be received any more."""
        return self.look() is Level.FULL


class Reserve:
    """A file of `size_bytes` (at most a fiftieth of its disk) that is there only to be given up."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        disk = os.statvfs(path.parent)
        self._size_bytes = min(size_bytes, disk.f_blocks * disk.f_frsize // _SHARE_FOR_RESERVE)

    def make(self) -> bool:
        """Take the space if it is not taken and there is twice as much; whether it is taken."""
        if self._path.exists() or self._size_bytes == 0:
            return True
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < 2 * self._size_bytes:
            return False
        partial = self._path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
            partial.rename(self._path)
        except OSError:
            partial.unlink(missing_ok=True)
            return False
        return True

    def give_up(self) -> bool:
        """Free the space; False if it was free already."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
            return True
        return False


def says_full(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, means that there is no space left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        if getattr(error, "sqlstate", None) == POSTGRESQL_FULL:
            return True
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if isinstance(error, sqlite3.Error) and code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
            return True
        error = error.__cause__
    return False
