"""Opening the database: SQLite that survives a power cut by default, PostgreSQL by URL. The one place for both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, inspect, text
from sqlalchemy.schema import CreateColumn


def open_database(target: Path | str) -> Engine:
    """An engine on a SQLite file (WAL, synchronous=FULL) or on a PostgreSQL URL."""
    if isinstance(target, str):
        return create_engine(target)
    engine = create_engine(f"sqlite:///{target}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: the write lock is taken at once, so that looking up and inserting are one step."""
    with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One snapshot to read from."""
    with engine.connect() as connection, connection.begin():
        yield connection


def add_missing_columns(conn: Connection, metadata: MetaData) -> None:
    """Give the tables of an earlier version the columns that they lack: each is nullable or has a server default."""
    known = inspect(conn)
    for table in metadata.sorted_tables:
        there = {column["name"] for column in known.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                said = CreateColumn(column).compile(dialect=conn.dialect)
                conn.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {said}"))
        for index in table.indexes:
            index.create(conn, checkfirst=True)
