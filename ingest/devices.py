"""The devices of a listener: one file beside the data, kept by `andon device`, read anew by the listener when it changes.

It holds hashes of passwords, never a password.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, RootModel, field_validator

from andon.config import ConfigError, check
from ingest.credentials import User

_NAME = re.compile(r"[A-Za-z0-9](?:\.?[A-Za-z0-9_-]){0,63}", re.ASCII)
_Stamp = tuple[int, int, int] | None


class Device(User):
    """One device; it has a place to publish to, and is none that may publish anywhere by oversight."""

    topics: tuple[str, ...] = Field(min_length=1)
    since: str = ""


class _File(RootModel[dict[str, Device]]):
    @field_validator("root")
    @classmethod
    def _named(cls, devices: dict[str, Device]) -> dict[str, Device]:
        for name in devices:
            check_name(name)
        return devices


def check_name(name: str) -> None:
    """ValueError unless the name can stand in a topic, a file and a log as it is.

    A name with a wildcard would widen any rule that is made of it (CVE-2017-7650).

    >>> check_name("press-7.north")
    >>> check_name("press/+")
    Traceback (most recent call last):
    ...
    ValueError: 'press/+' cannot name a device: letters, digits, - _ and single dots between them, at most 64
    """
    if not _NAME.fullmatch(name) or len(name) > 64:
        raise ValueError(
            f"{name[:80]!r} cannot name a device: letters, digits, - _ and single dots between them, at most 64"
        )


def devices_at(data: Path, source: str) -> Path:
    """The file of that listener in a data directory."""
    return data / "devices" / f"{source}.json"


def load(path: Path) -> dict[str, Device]:
    """The devices in the file, none if it is not there; ConfigError if it cannot be used."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return check(_File, document, str(path)).root


def save(path: Path, devices: Mapping[str, Device]) -> None:
    """Put them in place of those that are there, at once or not at all; for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({name: one.model_dump(mode="json") for name, one in sorted(devices.items())}, indent=1)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


class Roll:
    """The devices as the file last had them; a file that cannot be used leaves them as they were, and `error` says why."""

    def __init__(self, path: Path | None) -> None:
        self.devices: Mapping[str, User] = {}
        self.error: str | None = None
        self._path = path
        self._stamp: _Stamp = None
        self.look()

    def look(self) -> None:
        """Read the file if it has changed."""
        stamp = _stamp_of(self._path)
        if self._path is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.devices, self.error = load(self._path), None
        except ConfigError as error:
            self.error = str(error)


def _stamp_of(path: Path | None) -> _Stamp:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else None
