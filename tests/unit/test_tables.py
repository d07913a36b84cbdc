"""The tables and statements are valid on both databases, and their number does not grow with the batch."""

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

from andon.events import SECOND_NS
from tests.scenario.story import Story, stop, time_of
from ticketing import aftermath, book, fan_out, intake, moving, outbox, recall, sql, standing, tables
from ticketing.sql import metadata, to_json

MODULES = (aftermath, book, fan_out, intake, moving, outbox, recall, standing)


def statements() -> list[ClauseElement]:
    """Every statement that a module holds as a constant."""
    found = []
    for module in MODULES:
        for value in vars(module).values():
            several = value if isinstance(value, tuple) else (value,)
            found += [one for one in several if isinstance(one, ClauseElement) and hasattr(one, "compile")]
    return found


def test_every_statement_compiles_on_postgresql():
    found = statements()
    assert len(found) > 40
    for statement in found:
        statement.compile(dialect=postgresql.dialect())
    for table in metadata.sorted_tables:
        assert "ON CONFLICT" in str(
            sql._upsert("postgresql", table, ()).compile(dialect=postgresql.dialect())
        )
    assert "value + excluded" in str(tables._add("postgresql").compile(dialect=postgresql.dialect()))


def asked(engine: Engine) -> list[str]:
    """The statements that the engine is asked to run from now on."""
    log: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _k, sql, *_: log.append(sql))
    return log


@pytest.mark.parametrize("assets", [1, 20])
def test_four_hundred_findings_take_no_more_statements_than_twenty(tmp_path, stores, assets):
    story = Story.begins(tmp_path, stores.open())
    log = asked(story.engine)
    taken = []
    for round_, size in enumerate((20, 400)):
        at_ns = time_of("10:00") + round_ * 3600 * SECOND_NS
        words = [stop(f"M{n % assets + 1}", f"E{round_}-{n}", at_ns) for n in range(size)]
        log.clear()
        story.hears(words, at_ns)
        taken.append(len(log))
    assert taken[1] <= taken[0] + 2
    assert taken[0] < 70 + assets, "whose experience is on which machine is asked for each machine"


def test_json_is_canonical():
    assert to_json({"b": 1, "a": float("nan")}) == '{"a":null,"b":1}'
    with pytest.raises(TypeError):
        to_json({"a": object()})
