"""A store gets its tables in one of two ways, made or migrated, and both lead to the same; nothing is lost on the way."""

import importlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from andon import declarations, schema
from andon.commands.check import verdicts
from andon.config import ConfigError, Store, check
from andon.database import reading, writing
from andon.datadir import Elsewhere, has_store, open_store, place_store, store_at
from andon.declarations import DeclarationRefused
from andon.events import Declaration, Declared, Origin
from andon.schema import HEAD, METADATA, SchemaTooNew, bring_up
from simulators.plant import Simulation
from tests.scenario.story import Story, time_of
from tests.scenario.virtual_line import START_NS, VirtualLine
from tests.stores import Stores
from ticketing import audit, clockwork, timers
from ticketing.ticket import Ticket

TRIGGERS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
    "postgresql": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname",
}
CURE = "a table has changed: write its migration with `make migration NAME='what changes'`, and read it"


def differences(conn: Connection) -> list[object]:
    """What the store's tables, columns, types, defaults and indexes have that the code's have not, or the other way."""
    context = MigrationContext.configure(conn, opts={"include_object": schema.compared})
    return list(compare_metadata(context, list(METADATA)))


def triggers(conn: Connection) -> list[tuple[str, str]]:
    rows = conn.execute(text(TRIGGERS[conn.dialect.name])).all()
    return [(row[0], " ".join(row[1].replace("IF NOT EXISTS ", "").split())) for row in rows]


def age(engine: Engine) -> None:
    """Make the store what a build before the revisions had left."""
    baseline = importlib.import_module("andon.migrations.versions.r0001_baseline").metadata.tables
    with writing(engine) as conn:
        conn.execute(text("DROP TABLE ticket_words"))
        for table in (table for one in reversed(METADATA) for table in reversed(one.sorted_tables)):
            was = baseline.get(table.name)
            if was is None:
                conn.execute(text(f"DROP TABLE IF EXISTS {table.name}"))
                continue
            for index in table.indexes - {
                one for one in table.indexes if one.name in {w.name for w in was.indexes}
            }:
                conn.execute(text(f"DROP INDEX {index.name}"))
            for column in table.columns:
                if column.name not in was.columns:
                    conn.execute(text(f'ALTER TABLE {table.name} DROP COLUMN "{column.name}"'))
        for words in (
            "DROP TABLE alembic_version",
            "DROP TABLE delivery",
            "DROP INDEX outbox_of_channel",
            "ALTER TABLE outbox DROP COLUMN critical",
            "ALTER TABLE outbox DROP COLUMN parcel",
            "ALTER TABLE occurrence DROP COLUMN set_version",
            "DROP TABLE label",
        ):
            conn.execute(text(words))
        if conn.dialect.name == "postgresql":  # they outlive their tables
            made = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname LIKE '%_refuse'"
            for name in conn.execute(text(made)).scalars().all():
                if name.removesuffix("_refuse") not in baseline:
                    conn.execute(text(f"DROP FUNCTION {name}()"))


def test_a_store_that_was_migrated_from_nothing_is_like_one_that_was_made(stores: Stores) -> None:
    made, migrated = stores.open(), stores.at(stores.bare())
    schema.begin_at_nothing(migrated)
    assert bring_up(migrated) == ""
    with reading(made) as new, reading(migrated) as old:
        assert differences(old) == [], CURE
        assert differences(new) == []
        assert triggers(old) == triggers(new) != []
        assert schema.revision_of(old) == schema.revision_of(new) == HEAD


def kept(ticket: Ticket) -> tuple[object, ...]:
    """What a build before had of a ticket, as far as people see it."""
    names = ("number", "state", "headline", "priority", "summary", "cause", "signer", "version", "audit_hash")
    return tuple(getattr(ticket, name) for name in names)


def test_the_store_of_an_earlier_build_comes_up_with_its_tickets_and_their_audit(stores: Stores) -> None:
    engine = stores.at(stores.new())
    story = Story.begins(stores.folder, engine)
    story.at("10:00").stops("M7", "E1").stops("M8", "E2")
    story.at("11:00").repairs(1).signs(1)
    before = [kept(ticket) for ticket in story.page().tickets], story.detail(1).events
    age(engine)
    assert bring_up(engine) == ""
    assert bring_up(engine) is None
    assert ([kept(ticket) for ticket in story.page().tickets], story.detail(1).events) == before
    assert [ticket.id for ticket in story.page(text="sn-007").tickets] == [1], "it is found by its words"
    with reading(engine) as conn:
        assert not timers.of(conn, "ticket/2")
    clockwork.turn(story.tickets, story.plant, time_of("11:01"), turn_s=60)
    with reading(engine) as conn:
        assert timers.of(conn, "ticket/2"), "the limits of what was open then are watched from now on"
    with reading(engine) as conn:
        assert differences(conn) == []
        assert audit.verify(conn) == []
    story.at("12:00").stops("M7", "E1").expects(tickets=3)
    with pytest.raises(IntegrityError, match="append-only"), writing(engine) as conn:
        conn.execute(text("DELETE FROM ticket_event"))


def test_a_step_that_fails_leaves_the_store_as_it_was(stores: Stores) -> None:
    engine = stores.at(stores.new())
    age(engine)
    with writing(engine) as conn:  # in the way of an index of the step, after its columns have been added
        conn.execute(text("CREATE TABLE outbox_of_channel (x INTEGER)"))
    with pytest.raises(Exception, match="outbox_of_channel"):
        bring_up(engine)
    with reading(engine) as conn:
        assert schema.revision_of(conn) == ""
        assert any("critical" in str(one) for one in differences(conn))


def test_a_store_of_a_later_build_is_refused_and_left_alone(stores: Stores) -> None:
    engine = stores.at(stores.new())
    with writing(engine) as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        SchemaTooNew, match=rf"schema 9999; this one knows up to {HEAD}.*install that version"
    ):
        bring_up(engine)
    with reading(engine) as conn:
        assert schema.revision_of(conn) == "9999"


def test_parts_that_open_an_old_store_at_once_migrate_it_once(stores: Stores) -> None:
    where = stores.new()
    age(stores.at(where))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: bring_up(stores.at(where)), range(4)))
    assert sorted(found, key=str) == ["", None, None, None]


def test_the_revisions_are_numbered_in_a_line() -> None:
    known = ScriptDirectory.from_config(schema._config())
    assert known.get_current_head() == HEAD
    assert [one.revision for one in known.walk_revisions()] == list(reversed(schema.REVISIONS))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_statements_of_the_way_up_can_be_printed(
    capsys: pytest.CaptureFixture[str], dialect: str
) -> None:
    schema.statements(dialect)  # type: ignore[arg-type]
    said = capsys.readouterr().out
    virtual = said.count("CREATE VIRTUAL TABLE")
    assert virtual == (dialect == "sqlite")
    assert said.count("CREATE TABLE") == 1 + sum(len(one.sorted_tables) for one in METADATA) - virtual
    assert ("plpgsql" in said) == (dialect == "postgresql")


def test_of_two_who_begin_maintenance_at_once_one_is_refused(stores: Stores) -> None:
    engine = stores.open()

    def begins(who: int) -> str:
        try:
            with writing(engine) as conn:
                what = Declared.MAINTENANCE_BEGINS
                declarations.ask(conn, asset="M7", what=what, by=f"p{who}", now_ns=who)
        except DeclarationRefused as refused:
            return refused.code
        return "begun"

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(begins, range(6)))
    assert sorted(answers) == ["begun"] + ["maintenance_begun"] * 5


def test_who_reads_sees_one_moment_and_cannot_write(stores: Stores) -> None:
    engine = stores.open()
    with reading(engine) as conn:
        assert declarations.recent(conn, 9) == []
        with writing(engine) as other:
            declarations.ask(other, asset="M7", what=Declared.REPAIR, by="li", now_ns=1)
        assert declarations.recent(conn, 9) == []
    with reading(engine) as conn:
        assert len(declarations.recent(conn, 9)) == 1


def test_a_number_that_history_gave_is_not_given_again(stores: Stores) -> None:
    engine = stores.open()
    told = Declaration(5, "M7", None, Declared.REPAIR, "li", "", None, Origin("engine", 1, 5), id=41)
    with writing(engine) as conn:
        declarations.settle(conn, [told])
    with writing(engine) as conn:
        assert declarations.ask(conn, asset="M7", what=Declared.REPAIR, by="li", now_ns=1).id == 42


def test_a_machines_text_with_a_nul_in_it_is_kept_and_its_audit_holds(stores: Stores) -> None:
    story = Story.begins(stores.folder, stores.open())
    story.at("10:00").stops("M7", "E\x001", text={"message": "jam\x00med"})
    story.at("10:05").stops("M7", "E\x001").expects(tickets=1)
    with reading(story.engine) as conn:
        assert audit.verify(conn) == []


class TestByUrl:
    """The store of a data directory is where andon.toml says: nobody is told twice, and nobody elsewhere."""

    @pytest.mark.parametrize("stores", ["postgresql"], indirect=True)
    def test_the_engine_works_on_it_and_repeats_itself_after_a_kill(self, stores: Stores) -> None:
        data = stores.folder / "data"
        place_store(data, url_of(stores))
        simulation = Simulation(3, START_NS)
        line = VirtualLine(data, simulation).runs(0, 2)
        line.closed()
        again = VirtualLine(data, simulation)
        assert (again.repeated > 0, again.engine.differs) == (True, [])
        again.closed()
        stage = open_store(data)
        with reading(stage) as conn:
            assert conn.execute(text("SELECT count(*) FROM batch")).scalar_one() > 10
        assert not (data / "andon.sqlite").exists()
        stage.dispose()

    def test_a_data_directory_keeps_the_store_that_it_was_begun_with(self, stores: Stores) -> None:
        data, url = stores.folder / "data", url_of(stores)
        place_store(data, url)
        open_store(data).dispose()
        place_store(data, url)
        assert has_store(data)
        assert store_at(data) == (url or data / "andon.sqlite")
        with pytest.raises(Elsewhere, match="begin with a new data directory"):
            place_store(data, "postgresql://andon@/another")

    def test_check_says_how_the_store_is(self, stores: Stores) -> None:
        data, url = stores.folder / "data", url_of(stores)
        settings = stores.folder / "andon.toml"
        settings.write_text(f"[store]\nurl = {json.dumps(url)}\n" if url else "")
        assert "empty" in about_store(settings, data) or "will be made" in about_store(settings, data)
        place_store(data, url)
        open_store(data).dispose()
        assert f"schema {HEAD}" in about_store(settings, data)


def url_of(stores: Stores) -> str | None:
    return None if stores.shelf is None else str(stores.bare())


def about_store(settings: Path, data: Path) -> str:
    return next(one.text for one in verdicts(settings, data, lambda: START_NS) if one.name == "store")


def test_check_says_that_a_server_does_not_answer(tmp_path: Path) -> None:
    settings = tmp_path / "andon.toml"
    settings.write_text('[store]\nurl = "postgresql://andon@127.0.0.1:1/andon?connect_timeout=5"\n')
    (found,) = (one for one in verdicts(settings, tmp_path / "d", lambda: START_NS) if one.name == "store")
    assert found.state == "wrong"
    assert "PGPASSWORD" in found.cure


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://andon:secret@localhost/andon", "leave the password out"),
        ("postgresql://andon@localhost/andon?password=secret", "leave the password out"),
        ("postgresql://andon@db.plant/andon", "sslmode=verify-full"),
        ("postgresql://andon@db.plant/andon?sslmode=prefer", "sslmode=verify-full"),
        ("mysql://andon@localhost/andon", "postgresql://user@host/database"),
        ("postgresql://andon@localhost", "postgresql://user@host/database"),
    ],
)
def test_an_address_that_would_tell_a_secret_is_refused(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check(Store, {"url": url}, "andon.toml")


def test_an_address_of_a_server_with_tls_or_a_socket_is_taken() -> None:
    for url in ("postgresql://andon@db.plant/andon?sslmode=verify-full", "postgresql:///andon?host=/run/pg"):
        assert check(Store, {"url": url}, "andon.toml").url == url
