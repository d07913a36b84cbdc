"""Opening the database: SQLite that survives a power cut by default, PostgreSQL by URL. The one place for both.

Both give the same promise: one writes at a time, and sees all that was written before. SQLite has one write lock per
file; on PostgreSQL `writing` takes one advisory lock per database before its first look, and every statement of READ
COMMITTED sees what had been committed when it began. So "look up, then insert" is one step on either.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

from sqlalchemy import (
    DDL,
    ColumnElement,
    Connection,
    Engine,
    Table,
    UnaryExpression,
    and_,
    create_engine,
    event,
    literal,
    make_url,
    or_,
    text,
    true,
    tuple_,
)
from sqlalchemy.sql.operators import desc_op

ONE_WRITER = 0x616E646F6E  # "andon": the advisory lock that writers of one database take in turn
_LOCK = text(f"SELECT pg_advisory_xact_lock({ONE_WRITER})")

_SQLITE_REFUSES = (
    "CREATE TRIGGER {name}_no_{deed} BEFORE {deed} ON {name} "
    "BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
)
_POSTGRESQL_SAYS = (
    "CREATE FUNCTION {name}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "RAISE EXCEPTION '{name} is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
)
_POSTGRESQL_REFUSES = (
    "CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
    "EXECUTE FUNCTION {name}_refuse()"
)


def open_database(target: Path | str) -> Engine:
    """An engine on a SQLite file (WAL, synchronous=FULL) or on a PostgreSQL URL."""
    return _postgresql(target) if isinstance(target, str) else _sqlite(target)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: the write lock is taken at once, so that looking up and inserting are one step."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One snapshot to read from."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def behind(order: Sequence[ColumnElement[Any]], place: Sequence[object] | None) -> ColumnElement[bool]:
    """What stands behind a place in a list of that order: how a page begins where the one before it ended.

    `order` is what the list is ordered by, the last of it unique; `place` holds a row's values of it, None: before all.
    """
    if place is None:
        return true()
    ways = [(each.element, True) if _falls(each) else (each, False) for each in order]
    values = [literal(value, column.type) for (column, _), value in zip(ways, place, strict=True)]
    if len({falls for _, falls in ways}) == 1:  # one comparison of rows, which an index can answer
        here, there = tuple_(*(column for column, _ in ways)), tuple_(*values)
        return here < there if ways[0][1] else here > there
    equal: list[ColumnElement[bool]] = []
    after: list[ColumnElement[bool]] = []
    for (column, falls), value in zip(ways, values, strict=True):
        after.append(and_(*equal, column < value if falls else column > value))
        equal.append(column == value)
    return or_(*after)


Machines = frozenset[str] | None
"""The ids of those machines that somebody sees; None: everything, also what is of no machine."""


def among(asset: ColumnElement[str] | ColumnElement[str | None], machines: Machines) -> ColumnElement[bool]:
    """What is of those machines."""
    return true() if machines is None else asset.in_(sorted(machines))


def _falls(each: ColumnElement[Any]) -> TypeGuard[UnaryExpression[Any]]:
    return isinstance(each, UnaryExpression) and each.modifier is desc_op


def append_only(table: Table) -> None:
    """Let the database itself refuse, as an IntegrityError, every change of a row that is there; say so before it is made."""
    name = table.name
    words = {"sqlite": [_SQLITE_REFUSES.format(name=name, deed=deed) for deed in ("update", "delete")]}
    words["postgresql"] = [_POSTGRESQL_SAYS.format(name=name), _POSTGRESQL_REFUSES.format(name=name)]
    for dialect, some in words.items():
        for one in some:
            made = DDL(one)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made.execute_if(dialect=dialect))


def number_past(conn: Connection, table: Table) -> None:
    """Let the next `id` of the table follow the highest that is there, after rows with ids of their own.

    SQLite's AUTOINCREMENT does so by itself.
    """
    if conn.dialect.name == "postgresql":
        highest = f"(SELECT max(id) FROM {table.name})"  # noqa: S608 - the name of a table of ours
        conn.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {highest})"))


def _sqlite(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: str) -> Engine:
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415 - who works on SQLite does not wait for it

    class WithoutNul(StrDumperUnknown):
        """A machine's text may hold a NUL, which PostgreSQL's cannot: it becomes U+FFFD, and the message is kept."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))

    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), pool_pre_ping=True)

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:
        connection.adapters.register_dumper(str, WithoutNul)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            connection.execute(_LOCK)

    return engine
