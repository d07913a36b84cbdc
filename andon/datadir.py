"""A data directory: one instance at a time, where its store is, its console's secret."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine as Database

from andon.config import ConfigError
from andon.database import open_database
from andon.schema import bring_up

URL_FILE = "store.url"
_OURS_ALONE = 0o700


class Busy(Exception):
    """Another instance works on this data directory."""


class Elsewhere(ConfigError):
    """The data directory belongs to another store than the one that is asked for."""


def for_its_owner(data: Path) -> None:
    """Make the data directory, or close to others one that a packager made; a folder of other things is left as it is.

    What is written in it is the owner's alone too: `andon` begins with a umask of 077.
    """
    data.mkdir(parents=True, exist_ok=True, mode=_OURS_ALONE)
    open_to_others = data.stat().st_mode & ~_OURS_ALONE & 0o777
    if open_to_others and (has_store(data) or not any(data.iterdir())):
        with contextlib.suppress(PermissionError):  # somebody else's, who lets us in
            data.chmod(_OURS_ALONE)


@contextlib.contextmanager
def only_instance(data: Path) -> Iterator[None]:
    """Hold the data directory, or raise Busy naming who does."""
    for_its_owner(data)
    with (data / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise Busy(
                f"{data} is in use by process {file.read().strip() or '?'}; stop it or give another --data"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def store_at(data: Path) -> Path | str:
    """Where the store of a data directory is: at the URL that it was begun with, else in a file of its own."""
    with contextlib.suppress(FileNotFoundError):
        return (data / URL_FILE).read_text("utf-8").strip()
    return data / "andon.sqlite"


def has_store(data: Path) -> bool:
    """Whether anything was ever installed there."""
    return (data / URL_FILE).exists() or (data / "andon.sqlite").exists()


def place_store(data: Path, url: str | None) -> None:
    """Bind a new data directory to the store that andon.toml names; Elsewhere if it is bound to another one.

    Journal, snapshots and store tell one story: the store of another installation would not go with them.
    """
    wanted: Path | str = url or data / "andon.sqlite"
    if has_store(data) and store_at(data) != wanted:
        raise Elsewhere(
            f"{data} has its store at {store_at(data)}, and [store] url says {url or 'nothing'}: "
            "give [store] url what it was, or begin with a new data directory"
        )
    if url is not None and not (data / URL_FILE).exists():
        for_its_owner(data)
        partial = data / f"{URL_FILE}.partial"
        partial.write_text(url + "\n", "utf-8")
        partial.rename(data / URL_FILE)


def open_store(data: Path) -> Database:
    """The database of a data directory with all tables in place, those of an earlier build brought up to date."""
    for_its_owner(data)
    database = open_database(store_at(data))
    bring_up(database)
    return database


def token_of(data: Path) -> str:
    """The secret of this data directory's console: made once, random, readable by its owner alone."""
    path = data / "console.token"
    if not path.exists():
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text().strip()
