"""The chain shows every tampering, and the chain of responsibility is read off it."""

from contextlib import closing
from dataclasses import replace
from random import Random
from sqlite3 import Connection as Sqlite
from sqlite3 import connect

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from andon.database import reading, writing
from tests.scenario.story import Story, stop, time_of
from ticketing import audit
from ticketing.audit import Break, responsibility
from ticketing.ticket import TicketEvent, TicketState


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Story:
    """A plant with two tickets, the first of them with 300 lines of audit."""
    story = Story.begins(tmp_path_factory.mktemp("audit"))
    start = time_of("10:00")
    words = [stop("M7", "E1", start + n * 1_000_000_000) for n in range(300)]
    story.hears([*words, stop("M8", "E1", start)], start)
    return story


def tampered(story: Story, *deeds: str) -> list[Break]:
    """What `verify` finds after these deeds, done behind the back of the append-only trigger, and undone again."""
    path = story.engine.url.database
    assert path is not None
    with closing(connect(path)) as original, closing(connect(":memory:")) as copy:
        original.backup(copy)
        for deed in ("UPDATE", "DELETE"):
            copy.execute(f"DROP TRIGGER ticket_event_no_{deed.lower()}")
        for deed in deeds:
            copy.execute(deed)
        copy.commit()
        return _verify(copy)


def _verify(copy: Sqlite) -> list[Break]:
    engine = create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)
    with engine.connect() as conn:
        return list(audit.verify(conn))


def test_an_untouched_audit_is_whole(written):
    with reading(written.engine) as conn:
        assert audit.verify(conn) == []


def test_an_audit_with_a_nul_in_a_reason_is_whole_on_either_database(tmp_path, stores):
    story = Story.begins(tmp_path, stores.open())
    story.at("10:00").stops("M7", "E1")
    story.tickets.comment(1, text="worn\0out", actor="chen", now_ns=time_of("10:01"))
    with reading(story.engine) as conn:
        assert audit.verify(conn) == []


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'somebody'",
        "at_ns = at_ns + 1",
        "reason = 'another'",
        "evidence = '[]'",
        "numbers = '{}'",
        "to_state = 'closed'",
        'changes = \'{"priority":["low","high"]}\'',
        "channel = 'console'",
    ],
)
def test_every_changed_column_is_found_at_its_row(written, change):
    seq = Random(change).randrange(2, 300)  # noqa: S311 - a row to tamper with, not a secret
    found = tampered(written, f"UPDATE ticket_event SET {change} WHERE ticket = 1 AND seq = {seq}")  # noqa: S608
    assert found == [Break(1, seq, "changed")]


def test_a_line_taken_out_is_found(written):
    assert tampered(written, "DELETE FROM ticket_event WHERE ticket = 1 AND seq = 42") == [
        Break(1, 42, "missing")
    ]


def test_lines_cut_off_at_the_end_are_found(written):
    found = tampered(written, "DELETE FROM ticket_event WHERE ticket = 1 AND seq > 290")
    assert found == [Break(1, 291, "cut_short")]


def test_a_whole_chain_taken_away_is_found(written):
    assert tampered(written, "DELETE FROM ticket_event WHERE ticket = 2") == [Break(2, 1, "cut_short")]


def test_lines_put_in_another_order_are_found(written):
    swapped = [
        "UPDATE ticket_event SET seq = 9999 WHERE ticket = 1 AND seq = 7",
        "UPDATE ticket_event SET seq = 7 WHERE ticket = 1 AND seq = 8",
        "UPDATE ticket_event SET seq = 8 WHERE ticket = 1 AND seq = 9999",
    ]
    assert tampered(written, *swapped) == [Break(1, 7, "not_linked")]


@pytest.mark.parametrize("deed", ["UPDATE ticket_event SET actor = 'x'", "DELETE FROM ticket_event"])
def test_the_database_itself_refuses_to_change_the_audit(tmp_path, stores, deed):
    story = Story.begins(tmp_path, stores.open())
    story.at("10:00").stops("M7", "E1")
    with pytest.raises(IntegrityError, match="append-only"), writing(story.engine) as conn:
        conn.execute(text(deed))


def event(seq: int, actor: str, action: str, **changes: object) -> TicketEvent:
    plain = TicketEvent(
        1, seq, seq * 10, actor, "console", action, None, TicketState.ASSIGNED, {}, "", {}, (), "", ""
    )
    return replace(plain, changes=changes)


def test_the_chain_of_responsibility_names_who_made_gave_has_and_last_touched_it():
    events = [
        event(1, "detector/stop_alarm@1", "opened"),
        event(2, "chen", "assign", assignee=[None, "zhang"]),
        event(3, "zhang", "decline", assignee=["zhang", None]),
        event(4, "wu", "assign", assignee=[None, "li"]),
        event(5, "li", "comment"),
    ]
    chain = responsibility(events)
    assert (chain.creator, chain.assigner, chain.handler) == ("detector/stop_alarm@1", "wu", "li")
    assert (chain.last_actor, chain.last_at_ns, chain.last_action) == ("li", 50, "comment")
    assert chain.hands == ((20, "zhang"), (40, "li"))
    assert responsibility([]) is None
