"""The tables of a store: made for a new one, brought up to date for an earlier build's, refused if a later build's.

A new store is made in one go and marked with the newest revision; the migrations are for those that are there. A test
proves that both ways lead to the same schema.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    select,
)
from sqlalchemy import Engine as Database

from andon import declarations, manifest, once, plants
from andon.access import tables as access
from andon.config import ConfigError
from andon.database import reading, writing
from ingest import deadletters, freshness, gaps
from ticketing import store
from ticketing.clockwork import HANDLERS as _HANDLERS  # noqa: F401 - what happens later brings its tables along
from ticketing.distribution import report_mail as _report_mail  # noqa: F401 - so do reports that go out by e-mail
from ticketing.requests import tables as _requests  # noqa: F401 - the same
from ticketing.search import ticket_words

if TYPE_CHECKING:
    from alembic.config import Config

METADATA = (
    manifest.metadata,
    plants.metadata,
    declarations.metadata,
    deadletters.metadata,
    gaps.metadata,
    freshness.metadata,
    store.metadata,
    access.metadata,
    once.metadata,
)
VERSIONS = Path(__file__).with_name("migrations") / "versions"
REVISIONS = tuple(sorted(path.name[1:5] for path in VERSIONS.glob("r[0-9]*.py")))
HEAD = REVISIONS[-1]
Dialect = Literal["sqlite", "postgresql"]

_at = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


class SchemaTooNew(ConfigError):
    """The store was written by a later build; the text says what to do."""


def compared(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Whether Alembic compares that table: the index of words is the database's own, and so are the tables in it."""
    return not (kind == "table" and (name or "").startswith(ticket_words.name))


def bring_up(database: Database) -> str | None:
    """Give the store the tables of this build; the revision that it came from, None if nothing had to be done.

    A store of a build before the revisions comes from "". Whoever comes at the same time waits and finds it done.
    SchemaTooNew leaves it untouched; so does whatever else goes wrong: a step is taken whole or not at all.
    """
    with reading(database) as conn:
        if revision_of(conn) == HEAD:
            return None
    with writing(database) as conn:
        at = revision_of(conn)
        if at == HEAD:
            return None
        if at is None:
            make(conn)
            return None
        if at and at not in REVISIONS:
            raise SchemaTooNew(
                f"the store was written by a later Andon (schema {at}; this one knows up to {HEAD}): "
                "install that version again, or restore the store from before the upgrade"
            )
        from alembic import command  # noqa: PLC0415 - most starts have nothing to migrate, and need not load it

        command.upgrade(_config(connection=conn), "head")
        return at


def revision_of(conn: Connection) -> str | None:
    """The schema that a store has: "" if of a build before the revisions, None if it has no tables yet."""
    there = inspect(conn)
    if there.has_table(_at.name):
        return conn.execute(select(_at.c.version_num)).scalar_one_or_none() or ""
    return "" if there.has_table(manifest.batches.name) or there.has_table("ticket") else None


def begin_at_nothing(database: Database) -> None:
    """Mark an empty database as older than all revisions, so that `bring_up` takes every step."""
    with writing(database) as conn:
        _at.create(conn)


def make(conn: Connection) -> None:
    """All tables, and the mark that they are of this build, in an empty database."""
    for metadata in (*METADATA, _at.metadata):
        metadata.create_all(conn)
    conn.execute(insert(_at).values(version_num=HEAD))


def statements(dialect: Dialect, since: str = "") -> None:
    """Print the SQL that leads from a revision (from nothing, if none is given) to the newest."""
    from alembic import command  # noqa: PLC0415

    command.upgrade(_config(dialect=dialect), f"{since}:head" if since else "head", sql=True)


def revise(database: Database, title: str) -> None:
    """For developers: write the next migration, from the store's schema to the tables as they are in the code."""
    from alembic import command  # noqa: PLC0415

    number = f"{int(HEAD) + 1:04}"
    with writing(database) as conn:
        command.revision(_config(connection=conn), title, autogenerate=True, rev_id=number)


def _config(**attributes: object) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes=dict(attributes))
    config.set_main_option("script_location", "andon:migrations")
    config.set_main_option("file_template", "r%%(rev)s_%%(slug)s")
    return config
