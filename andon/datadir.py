"""A data directory: one instance at a time, its database, its console's secret."""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine as Database

from andon import declarations, manifest, plants
from andon.database import add_missing_columns, open_database, writing
from ingest import deadletters, freshness, gaps
from ticketing import store


class Busy(Exception):
    """Another instance works on this data directory."""


@contextlib.contextmanager
def only_instance(data: Path) -> Iterator[None]:
    """Hold the data directory, or raise Busy naming who does."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
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


def open_store(data: Path) -> Database:
    """The database of a data directory with all tables in place."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(data / "andon.sqlite")
    with writing(database) as conn:  # parts start together: the second waits for the first
        for metadata in (
            manifest.metadata,
            plants.metadata,
            declarations.metadata,
            deadletters.metadata,
            gaps.metadata,
            freshness.metadata,
            store.metadata,
        ):
            metadata.create_all(conn)
            add_missing_columns(conn, metadata)
    return database


def token_of(data: Path) -> str:
    """The secret of this data directory's console: made once, random, readable by its owner alone."""
    path = data / "console.token"
    if not path.exists():
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text().strip()
