"""The measures of ISA-18.2 and IEC 62682 are what a count by hand makes them, on both databases."""

import random
from itertools import pairwise

import pytest
from sqlalchemy import func, insert, select

from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from tests.scenario.story import PLANT, stop
from ticketing.alarm_rows import alarm_id, alarm_state
from ticketing.analysis.alarm_kpis import BASE_NS, DAY_NS, Measure, performance
from ticketing.analysis.alarm_words import TEN_NS, Asked, occurrences
from ticketing.service import Tickets
from ticketing.sql import upsert
from ticketing.suppression import area_of
from ticketing.tables import occurrence

NOW_NS = 1_774_000_000 * 10**9
FROM_NS = NOW_NS - BASE_NS
PLACES = ("acme/north/forming/L1/a", "acme/north/assembly/L2/b", "")
ASSETS = tuple(
    PLANT.assets[0].model_copy(update={"id": f"M{n}", "path": path}) for n, path in enumerate(PLACES)
)
SITE = PLANT.model_copy(update={"assets": ASSETS})
ALARMS = [(f"{n:024x}{0:040}", f"detector_{n % 3}", f"M{n % 3}", n % 4) for n in range(1, 24)]


@pytest.fixture(scope="module")
def engine(stores_to_read, tmp_path_factory):
    """A store with a month of alarms: quiet hours, a flood, one that chatters, one that stands for days."""
    made = stores_to_read.open()
    with writing(made) as conn:
        found = stop("M0", "jam", NOW_NS + DAY_NS)
        Tickets(made, photos=tmp_path_factory.mktemp("photos")).apply(conn, [found], SITE, NOW_NS)
        like = dict(conn.execute(select(occurrence)).mappings().one())
        state = dict(conn.execute(select(alarm_state)).mappings().one())
        rows = [_row(like, n, said) for n, said in enumerate(_said())]
        conn.execute(insert(occurrence), rows)
        upsert(conn, alarm_state, [_state(state, *one) for one in ALARMS])
    return made


def _said():
    """(alarm, action, when, family, rule) of each word."""
    dice = random.Random(7)  # noqa: S311 - a story, no secret
    for alarm in ALARMS[:20]:
        at_ns = FROM_NS - 2 * DAY_NS
        while at_ns < NOW_NS:
            at_ns += round(dice.expovariate(1 / 8) * HOUR_NS)
            over_ns = at_ns + dice.choice((5 * SECOND_NS, 20 * SECOND_NS, HOUR_NS, 30 * HOUR_NS))
            yield alarm, "raise", at_ns, "condition", dice.choice(("first", "first", "held_fleeting"))
            yield alarm, "update", at_ns + SECOND_NS, "condition", "while_open"
            yield alarm, "clear", over_ns, "condition", "cleared"
            at_ns = over_ns
    for n in range(14):  # a flood: 14 within ten minutes, then fewer than five
        yield ALARMS[n], "raise", FROM_NS + 5 * DAY_NS + n * SECOND_NS, "condition", "first"
    for n in range(8):  # chattering
        yield ALARMS[20], "raise", FROM_NS + 9 * DAY_NS + n * 20 * SECOND_NS, "condition", "first"
        yield ALARMS[20], "clear", FROM_NS + 9 * DAY_NS + (n * 20 + 15) * SECOND_NS, "condition", "cleared"
    for raised_s, over_s in ((0, 15), (35, 50), (70, 85)):  # too slow to be chattering
        yield ALARMS[20], "raise", FROM_NS + 11 * DAY_NS + raised_s * SECOND_NS, "condition", "first"
        yield ALARMS[20], "clear", FROM_NS + 11 * DAY_NS + over_s * SECOND_NS, "condition", "cleared"
    for raised_s, over_s in ((0, 5), (62, 90)):  # again within a minute of its end
        yield ALARMS[20], "raise", FROM_NS + 12 * DAY_NS + raised_s * SECOND_NS, "condition", "first"
        yield ALARMS[20], "clear", FROM_NS + 12 * DAY_NS + over_s * SECOND_NS, "condition", "cleared"
    yield ALARMS[21], "raise", FROM_NS + DAY_NS, "condition", "suppressed_shelved"  # by nobody
    yield ALARMS[22], "raise", FROM_NS + DAY_NS, "report", "reported"  # by a person


def _row(like, n, said):
    alarm, action, at_ns, family, rule = said
    key, detector, asset, _ = alarm
    more = {"action": action, "at_ns": at_ns, "family": family, "rule": rule, "ticket": None}
    return {**like, "finding": f"f{n:05}", "key": key, "detector": detector, "asset": asset, **more}


def _state(like, key, detector, asset, priority):
    more = {"active": False, "active_since_ns": None, "key": key, "detector": detector, "asset": asset}
    return {**like, "id": alarm_id(key, detector), "priority": priority, **more}


ASKED = Asked(FROM_NS, NOW_NS, SITE)


@pytest.fixture(scope="module")
def words(engine):
    """Every word of the month, by alarm, in order."""
    with reading(engine) as conn:
        rows = conn.execute(select(occurrence).order_by(occurrence.c.at_ns, occurrence.c.finding)).all()
    by = {}
    for one in rows:
        if one.action != "update" and one.family != "report" and FROM_NS <= one.at_ns < NOW_NS:
            by.setdefault(alarm_id(one.key, one.detector), []).append(one)
    return by


@pytest.fixture(scope="module")
def told(words):
    return [one for some in words.values() for one in some if _is_told(one)]


def _is_told(one):
    return one.action == "raise" and not one.rule.startswith(("held_", "suppressed_"))


@pytest.fixture(scope="module")
def found(engine):
    with reading(engine) as conn:
        return performance(conn, ASKED)


def test_rate_and_intervals_agree_with_a_count_by_hand(found, told):
    area = {one.id: area_of(one.path) for one in ASSETS}
    slots = {}
    for one in told:
        place = area[one.asset], (one.at_ns - FROM_NS) // TEN_NS
        slots[place] = slots.get(place, 0) + 1
    values = found.values
    assert found.alarms == len(told) > 500
    assert len(found.areas) == 3
    assert values[Measure.RATE] == pytest.approx(len(told) / (30 * 144 * 3))
    assert values[Measure.PEAK] == max(slots.values())
    busy = sorted((n for n in slots.values() if n > 10), reverse=True)
    assert [one.alarms for one in found.busy] == busy
    assert values[Measure.BUSY] == pytest.approx(100 * len(busy) / (30 * 144 * 3))


def test_each_alarm_agrees_with_a_count_by_hand(found, words, told):
    by_hand = {}
    for name, some in words.items():
        raises = [one for one in some if _is_told(one)]
        by_hand[name] = (
            len(raises),
            sum(_chatters(some, one) for one in raises),
            sum(_fleets(some, one) for one in raises),
        )
    assert {one.alarm: (one.number, one.chattering, one.fleeting) for one in found.every} == {
        name: counts for name, counts in by_hand.items() if counts[0]
    }
    assert [one.number for one in found.every] == sorted((n for n, *_ in by_hand.values() if n), reverse=True)
    chattering = {name for name, counts in by_hand.items() if counts[1]}
    assert alarm_id(*ALARMS[20][:2]) in chattering
    assert found.values[Measure.CHATTERING] == len(chattering)
    assert found.values[Measure.FLEETING] == sum(1 for counts in by_hand.values() if counts[2]) > 0
    top = sum(sorted((n for n, *_ in by_hand.values()), reverse=True)[:10])
    assert found.values[Measure.TOP_TEN] == pytest.approx(100 * top / len(told))


def _chatters(some, one):
    before = some[: some.index(one) + 1]
    third = len(before) > 4 and one.at_ns - before[-5].at_ns <= MINUTE_NS
    sixth = len(before) > 5 and one.at_ns - before[-6].at_ns <= 5 * MINUTE_NS
    return third or sixth


def _fleets(some, one):
    after = some[some.index(one) + 1 :][:2]
    if not after or after[0].action != "clear" or after[0].at_ns - one.at_ns >= 10 * SECOND_NS:
        return False
    return len(after) < 2 or after[1].at_ns - after[0].at_ns > MINUTE_NS


def test_priorities_and_stale_alarms_agree_with_a_count_by_hand(found, words, told):
    by_key = {alarm_id(key, detector): priority for key, detector, _, priority in ALARMS}
    names = ("low", "medium", "high", "critical")
    for n, name in enumerate(names):
        mine = sum(by_key[alarm_id(one.key, one.detector)] == n for one in told)
        assert found.priorities[name] == mine
    spans = [
        (name, one.at_ns, after.at_ns)
        for name, some in words.items()
        for one, after in pairwise(some)
        if _is_told(one) and after.action == "clear" and after.at_ns - one.at_ns > DAY_NS
    ]
    stands = [one for one in found.stale if one[2] is None]
    assert sorted(one for one in found.stale if one[2] is not None) == sorted(spans)
    assert stands == []
    days = [
        len({name for name, since, until in spans if since + DAY_NS < day + DAY_NS and until > day})
        for day in range(FROM_NS, NOW_NS, DAY_NS)
    ]
    assert found.values[Measure.STALE] == max(days) > 0


def test_a_flood_begins_at_more_than_ten_and_ends_at_fewer_than_five(engine):
    one = SITE.model_copy(
        update={"assets": tuple(each.model_copy(update={"path": PLACES[0]}) for each in ASSETS)}
    )
    with reading(engine) as conn:
        found = performance(conn, Asked(FROM_NS, NOW_NS, one))
    begin_ns = FROM_NS + 5 * DAY_NS
    flood = next(each for each in found.floods if each.from_ns == begin_ns)
    assert flood.alarms >= 14
    assert flood.to_ns == begin_ns + TEN_NS
    assert found.peak is not None
    assert found.peak.from_ns == begin_ns
    assert found.values[Measure.FLOOD] == pytest.approx(
        100 * sum(each.to_ns - each.from_ns for each in found.floods) / BASE_NS
    )


def test_what_nobody_answers_for_is_told_and_what_people_do_is_no_alarm(engine, found, words):
    assert [one.alarm for one in found.unauthorised] == [alarm_id(*ALARMS[21][:2])]
    reported = alarm_id(*ALARMS[22][:2])
    assert reported not in words
    assert reported not in {one.alarm for one in found.every}
    with reading(engine) as conn:
        updates = conn.execute(select(func.count()).where(occurrence.c.action == "update")).scalar_one()
    assert updates > found.alarms / 2


def test_every_number_leads_to_its_occurrences(engine, found):
    with reading(engine) as conn:
        assert len(occurrences(conn, ASKED)) == found.alarms
        for one in found.every[:5]:
            assert len(occurrences(conn, ASKED, alarm=one.alarm)) == one.number
        for n, name in enumerate(("low", "medium", "high", "critical")):
            assert len(occurrences(conn, ASKED, priority=n)) == found.priorities[name]
        for one in found.busy:
            inside = Asked(one.from_ns, one.to_ns, SITE)
            assert len(occurrences(conn, inside, area=one.area)) == one.alarms
        paged, after = [], None
        while page := occurrences(conn, ASKED, limit=100, after=after):
            paged += page
            after = page[-1].at_ns, page[-1].finding
        assert paged == list(occurrences(conn, ASKED))


def test_less_than_thirty_days_and_nothing_at_all_are_said(engine):
    with reading(engine) as conn:
        first = conn.execute(select(func.min(occurrence.c.at_ns))).scalar_one()
        short = performance(conn, Asked(first - BASE_NS, first + 10 * DAY_NS, SITE))
        none = performance(conn, Asked(first - BASE_NS, first - DAY_NS, SITE))
        whole = performance(conn, ASKED)
        nobodys = performance(conn, Asked(FROM_NS, NOW_NS, SITE, frozenset()))
    assert (short.base_ns, short.enough) == (10 * DAY_NS, False)
    assert whole.enough
    assert none.values[Measure.RATE] is None
    assert none.values[Measure.GRAVE] is None
    assert nobodys.alarms == 0
