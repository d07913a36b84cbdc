"""The store of tickets at one moment: read on while others write, copied into a file, and put back.

SQLite's online backup copies the pages that one read transaction sees; PostgreSQL's `pg_dump` copies what the snapshot of
a transaction of ours sees. Both leave the writers alone.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, inspect, make_url, text
from sqlalchemy import Engine as Database

from andon.backups import NotDone
from andon.database import open_database, reading

SQLITE, DUMP = "andon.sqlite", "store.dump"
_PAGES_AT_ONCE = 256


@contextlib.contextmanager
def sqlite_at_one_moment(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees the file as it is now, whatever is written meanwhile."""
    with contextlib.closing(
        sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)
    ) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield conn


def copy_sqlite(source: sqlite3.Connection, target: Path, step: Callable[[int], None]) -> None:
    """Copy what that connection sees; `step` is told the bytes of each piece, and may wait."""
    size = int(source.execute("PRAGMA page_size").fetchone()[0])
    left = [-1]

    def progress(_status: int, remaining: int, total: int) -> None:
        before = total if left[0] < 0 else left[0]
        left[0] = remaining
        step((before - remaining) * size)

    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA synchronous=OFF")  # it is a step on the way into the archive
        source.backup(copy, pages=_PAGES_AT_ONCE, progress=progress)
        copy.execute("PRAGMA journal_mode=DELETE")  # all of it in the one file
    target.chmod(0o600)


@contextlib.contextmanager
def store_at_one_moment(
    where: Path | str,
) -> Iterator[tuple[Connection, Callable[[Path, Callable[[int], None]], None]]]:
    """The store as it is now: a connection that reads it, and how to copy it into a file."""
    database = open_database(where)
    try:
        with reading(database) as conn:
            conn.execute(text("SELECT 1 FROM batch LIMIT 1")).first()  # from here on nothing of it changes
            if isinstance(where, Path):
                yield conn, lambda target, step: _copy_sqlite_of(conn, target, step)
            else:
                snapshot = str(conn.execute(text("SELECT pg_export_snapshot()")).scalar_one())
                yield conn, lambda target, _step: _pg_dump(where, snapshot, target)
    finally:
        database.dispose()


def put_dump(dump: Path, url: str) -> None:
    """Fill an empty PostgreSQL database from a dump, whole or not at all; NotDone if it is not empty."""
    database: Database = open_database(url)
    try:
        with reading(database) as conn:
            there = inspect(conn).get_table_names()
    finally:
        database.dispose()
    if there:
        raise NotDone(f"the database has {len(there)} tables: give the URL of an empty one")
    _run(
        "pg_restore",
        "--exit-on-error",
        "--single-transaction",
        "--no-owner",
        "--dbname",
        libpq(url),
        str(dump),
    )


def libpq(url: str) -> str:
    """The URL as PostgreSQL's own programs take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def program(name: str) -> str:
    """Where that program of PostgreSQL's is; NotDone says how to do without it."""
    found = shutil.which(name)
    if found is None:
        raise NotDone(
            f"{name} is not on the PATH: install PostgreSQL's client programs, of the server's version or a later one"
        )
    return found


def _copy_sqlite_of(conn: Connection, target: Path, step: Callable[[int], None]) -> None:
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the dialect says so
    copy_sqlite(driver, target, step)


def _pg_dump(url: str, snapshot: str, target: Path) -> None:
    _run(
        "pg_dump",
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--snapshot={snapshot}",
        f"--file={target}",
        libpq(url),
    )


def _run(name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's; it finds the password where we do, in PGPASSWORD or ~/.pgpass."""
    done = subprocess.run(  # noqa: S603 - found above
        [program(name), *arguments], capture_output=True, text=True, check=False, env=os.environ
    )
    if done.returncode:
        raise NotDone(
            f"{name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
        )
