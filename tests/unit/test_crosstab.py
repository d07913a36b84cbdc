"""Any field is a dimension: each cell of a cross table is the number of the tickets behind it, and none is lost."""

import random
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Column, insert, select

from andon.database import reading, writing
from andon.events import MINUTE_NS, SECOND_NS
from tests.scenario.story import PLANT, stop
from ticketing import tables
from ticketing.analysis.crosstab import OTHERS, before, condition, cross, tickets_in
from ticketing.analysis.dimensions import codes, dimension
from ticketing.metrics.metric import Question
from ticketing.metrics.periods import ROLLING, month_at
from ticketing.monthly import ROLLING_NS, Span
from ticketing.parts.tables import part, part_lot, part_use, supplier
from ticketing.service import Tickets

NOW_NS = 1_774_000_000 * 10**9
SITE = PLANT.model_copy(update={"time_zone": "Asia/Shanghai"})
MARCH = month_at(NOW_NS, SITE.time_zone)
ASKED = Question(MARCH, MARCH.to_ns, SITE)
NUMBER = 300
FIELDS = ('{"brand":"A&B","bore":5.0}', '{"brand":"密封","ok":true}', "{}", '{"bore":12.5,"ok":false}')


@pytest.fixture(scope="module")
def engine(stores_to_read, tmp_path_factory):
    """A store with tickets of all kinds, some of March, some with parts."""
    made = stores_to_read.open()
    with writing(made) as conn:
        found = stop(SITE.assets[0].id, "jam", NOW_NS)
        Tickets(made, photos=tmp_path_factory.mktemp("photos")).apply(conn, [found], SITE, NOW_NS)
        like = dict(conn.execute(select(tables.ticket)).mappings().one())
        dice = random.Random(5)  # noqa: S311 - a story, no secret
        conn.execute(insert(tables.ticket), [_another(like, n, dice) for n in range(2, NUMBER)])
        _parts(conn)
    return made


def _another(like, n, dice):
    at_ns = dice.randrange(MARCH.from_ns - 20 * MINUTE_NS * 60, MARCH.to_ns + 20 * MINUTE_NS * 60)
    return {
        **like,
        "id": n,
        "number": f"A-{n}",
        "key": f"{n:064}",
        "opened_ns": at_ns,
        "asset": dice.choice([*(one.id for one in SITE.assets), "gone", ""]),
        "cause": dice.choice(["3.4", "2.1", "3.3", None]),
        "fault_type": dice.choice(["seal_failure", "spool_stuck", None]),
        "handler": dice.choice(["li", "zhang", None]),
        "urgent": dice.random() < 0.2,
        "priority": dice.randrange(4),
        "reopen_count": dice.randrange(3),
        "closure": dice.choice([None, "signed", "duplicate"]),
        "fields": dice.choice(FIELDS),
    }


def _parts(conn):
    conn.execute(insert(supplier), [_filled(supplier, code=code, name=code) for code in "XY"])
    conn.execute(insert(part), [_filled(part, code=code, name=code) for code in ("P1", "P2")])
    lots = [("P1", "a", "X"), ("P1", "b", "Y"), ("P2", "c", "X")]
    conn.execute(insert(part_lot), [_filled(part_lot, part=p, lot=lot, supplier=s) for p, lot, s in lots])
    uses = [(n, p, lot) for n in range(2, NUMBER) for k, (p, lot, _) in enumerate(lots) if n % (k + 3) == 0]
    conn.execute(
        insert(part_use),
        [_filled(part_use, ticket=n, part=p, lot=lot, asset="", quantity=1.0) for n, p, lot in uses],
    )


def _filled(table, **values):
    """A row with something in every column that must have it."""

    def some(column: Column):
        if column.nullable or column.server_default is not None:
            return None
        return 0 if column.type.python_type in {int, float, bool} else "x"

    row = {c.name: some(c) for c in table.columns if c.autoincrement is not True}
    return {name: value for name, value in {**row, **values}.items() if value is not None}


def test_every_cell_of_every_dimension_is_the_number_of_the_tickets_behind_it(engine):
    with reading(engine) as conn:
        for code in codes(SITE):
            one = dimension(code)
            table = cross(conn, one, None, ASKED, most=(6, 6))
            behind = {
                key: [
                    found.ticket
                    for found in tickets_in(
                        conn, Question(*_span(), (condition(one, key, ASKED, table.rows),))
                    )
                ]
                for key in table.rows
            }
            assert {key: len(some) for key, some in behind.items()} == table.of_row, code
            everyone = Counter(ticket for some in behind.values() for ticket in some)
            assert len(everyone) == table.total, code
            assert one.several or max(everyone.values()) == 1, code


def _span():
    return MARCH, MARCH.to_ns, SITE


def test_two_dimensions_agree_with_a_count_by_hand(engine):
    pairs = (("model", "cause"), ("hour", "fault_type"), ("supplier", "month"), ("field:brand", "priority"))
    with reading(engine) as conn:
        for left, right in pairs:
            rows, columns = dimension(left), dimension(right)
            table = cross(conn, rows, columns, ASKED)
            for (row, column), number in table.counts.items():
                wheres = condition(rows, row, ASKED), condition(columns, column, ASKED)
                assert number == len(tickets_in(conn, Question(*_span(), wheres))), (left, row, right, column)
            counted = tickets_in(conn, ASKED)
            assert table.total == len(counted)
            if not (rows.several or columns.several):
                assert sum(table.counts.values()) == table.total


def test_hours_are_those_of_the_plants_clock_and_what_is_left_out_is_said(engine):
    with reading(engine) as conn:
        table = cross(conn, dimension("hour"), None, ASKED)
        t = tables.ticket.c
        rows = conn.execute(select(t.opened_ns, t.closure)).all()
    inside = [row for row in rows if MARCH.from_ns <= row.opened_ns < MARCH.to_ns]
    zone = ZoneInfo(SITE.time_zone)
    hours = Counter(
        f"{datetime.fromtimestamp(row.opened_ns // SECOND_NS, zone):%H}"
        for row in inside
        if row.closure != "duplicate"
    )
    assert table.of_row == hours
    assert list(table.rows) == sorted(hours)
    assert table.left_out == sum(row.closure == "duplicate" for row in inside) > 0


def test_beside_a_month_stands_the_one_before_and_of_one_that_goes_on_as_much_of_it(engine):
    april = month_at(MARCH.to_ns, SITE.time_zone)
    hours_10 = 10 * 60 * MINUTE_NS
    spans = {
        "all": (april, april.to_ns, MARCH.from_ns, MARCH.to_ns),
        "a part": (april, april.from_ns + hours_10, MARCH.from_ns, MARCH.from_ns + hours_10),
        "30 days": (
            *(Span(None, MARCH.to_ns, MARCH.to_ns + ROLLING_NS), MARCH.to_ns + ROLLING_NS),
            *(MARCH.to_ns - ROLLING_NS, MARCH.to_ns),
        ),
    }
    with reading(engine) as conn:
        for name, (span, now_ns, from_ns, to_ns) in spans.items():
            was = len(tickets_in(conn, Question(Span(None, from_ns, to_ns), now_ns, SITE)))
            found = before(conn, Question(span, now_ns, SITE), was // 2)
            assert (found.total, found.period) == (was, ROLLING if name == "30 days" else MARCH.name), name
            assert found.change == round((was // 2) / was - 1, 4), name
        nothing = month_at(MARCH.from_ns - 40 * 24 * 60 * MINUTE_NS, SITE.time_zone)
        assert before(conn, Question(nothing, MARCH.to_ns, SITE), 3).change is None


def test_what_finds_no_place_stands_together_under_others(engine):
    with reading(engine) as conn:
        asset = dimension("asset")
        table = cross(conn, asset, None, ASKED, most=(3, 3))
        whole = cross(conn, asset, None, ASKED)
    assert table.rows[-1] == OTHERS
    assert len(table.rows) == 3
    assert sum(table.of_row.values()) == sum(whole.of_row.values()) == table.total
