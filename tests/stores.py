"""New empty stores for a test, in SQLite files or on one real PostgreSQL server for the whole session."""

import functools
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection

import pytest
from sqlalchemy import Engine, event

from andon import schema
from andon.benches.postgres import MISSING, Postgres, programs, server
from andon.database import open_database, writing

DATABASES = ("sqlite", "postgresql")


def _without_fsync(connection: Connection, _record: object) -> None:
    """A story tests rules, not power cuts."""
    connection.execute("PRAGMA synchronous=OFF")


@functools.cache
def _prepared() -> bytes:
    """A SQLite file with all tables: to copy it takes a twentieth of what making them takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prepared.sqlite"
        engine = open_database(path)
        with writing(engine) as conn:
            schema.make(conn)
        engine.dispose()  # the last to close it leaves all in the one file
        return path.read_bytes()


def opened(path: Path) -> Engine:
    """The SQLite store that is there, or a new one with all tables."""
    if not path.exists():
        path.write_bytes(_prepared())
    engine = open_database(path)
    event.listen(engine, "connect", _without_fsync)
    return engine


@dataclass
class Shelf:
    """A server and the databases on it that are empty and free: to empty one is quicker than to make one."""

    server: Postgres
    free: list[Engine] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def take(self) -> Engine:
        """An empty database with all tables."""
        if self.free:
            return self.free.pop()
        return open_database(self.server.create(f"shelf_{next(self._numbers)}"))

    def give_back(self, engine: Engine) -> None:
        """Empty it, the append-only audit too."""
        names = [table.name for metadata in schema.METADATA for table in metadata.sorted_tables]
        words = ["SET LOCAL session_replication_role = replica", *map("DELETE FROM {}".format, names)]
        words.append("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'")
        with engine.begin() as conn:
            conn.exec_driver_sql("; ".join(words))
        self.free.append(engine)


@dataclass
class Stores:
    """Stores with all tables in them, on SQLite where there is no shelf. What a test opens is closed when it ends."""

    folder: Path
    shelf: Shelf | None = None
    _opened: list[Engine] = field(default_factory=list)
    _lent: list[Engine] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def open(self) -> Engine:
        """An empty store; what a test does to its rows is undone, what it does to its tables is not."""
        if self.shelf is None:
            return self.at(self.new())
        self._lent.append(self.shelf.take())
        return self._lent[-1]

    def new(self) -> Path | str:
        """Where a store of one's own is: a file, or a URL, with all tables."""
        if self.shelf is not None:
            return self.shelf.server.create()
        path = self.folder / f"store-{next(self._numbers)}.sqlite"
        path.write_bytes(_prepared())
        return path

    def bare(self) -> Path | str:
        """Where a database without any tables is."""
        if self.shelf is None:
            return self.folder / f"bare-{next(self._numbers)}.sqlite"
        return self.shelf.server.create(template="template0")

    def at(self, where: Path | str) -> Engine:
        """What is there, opened."""
        engine = open_database(where)
        self._opened.append(engine)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _without_fsync)
        return engine

    def give_back(self) -> None:
        """Be done with what was opened so far: for tests of many examples."""
        for engine in self._opened:
            engine.dispose()
        lent, self._lent, self._opened = self._lent, [], []
        for engine in lent:
            assert self.shelf is not None
            self.shelf.give_back(engine)

    def close(self) -> None:
        """Let go of all."""
        self.give_back()
        if self.shelf is not None:
            self.shelf.server.drop_all()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Shelf]:
    """A real server for the session, whose new databases have all tables."""
    if programs() is None:
        pytest.skip(MISSING)
    with server() as running:
        engine = open_database(running.create("andon_template"))
        with writing(engine) as conn:
            schema.make(conn)
        engine.dispose()
        running.template = "andon_template"
        shelf = Shelf(running)
        yield shelf
        for engine in shelf.free:
            engine.dispose()


def _stores(request: pytest.FixtureRequest, folder: Path) -> Iterator[Stores]:
    on_server = request.param == "postgresql"
    made = Stores(folder, request.getfixturevalue("postgresql") if on_server else None)
    yield made
    made.close()


@pytest.fixture(params=DATABASES)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """Stores for this test, which runs once on each database."""
    yield from _stores(request, tmp_path)


@pytest.fixture(scope="module", params=DATABASES)
def stores_to_read(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    """Stores for a module, whose story is told once on each database and then only looked at."""
    yield from _stores(request, tmp_path_factory.mktemp("read"))
