"""Which messages leave when, and which together: grouping, quiet hours, digests, what is critical; on a virtual clock."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from andon.calendars import WEEKDAYS, Calendar
from andon.events import SECOND_NS
from ticketing.parcels import MINUTE_NS, Waiting, parcels
from ticketing.subscriptions import Audience, Subscription


def row(number: int, ticket: int, from_s: float, **more: object) -> Waiting:
    return Waiting(number, (ticket, ""), int(from_s * SECOND_NS), **more)


def at(seconds: float) -> int:
    return int(seconds * SECOND_NS)


def test_what_happens_to_one_ticket_inside_the_wait_is_one_parcel_and_others_are_their_own():
    rows = [row(1, 7, 30), row(2, 8, 31), row(3, 7, 55)]
    assert parcels(rows, at(29.9), group=True) == []
    assert parcels(rows, at(30), group=True) == [(1, 3)]
    assert parcels(rows, at(31), group=True) == [(1, 3), (2,)]


def test_without_grouping_each_is_its_own_in_order():
    assert parcels([row(1, 7, 0), row(2, 7, 0), row(3, 7, 9)], at(1)) == [(1,), (2,)]


def test_critical_waits_for_nothing_and_takes_along_what_was_said_of_its_ticket():
    rows = [row(1, 7, 30), row(2, 8, 30), row(3, 7, 30, critical=True)]
    assert parcels(rows, 0, group=True) == [(1, 3)]
    assert parcels(rows, 0) == [(1,), (3,)]


def test_a_parcel_that_was_tried_stays_as_it_is_and_holds_its_tickets_up():
    tried = [row(1, 7, 20, parcel=1), row(2, 7, 20, parcel=1)]
    rows = [*tried, row(3, 7, 0), row(4, 7, 0, critical=True), row(5, 8, 0)]
    assert parcels(rows, at(10), group=True) == [(5,)]
    assert parcels(rows, at(20), group=True) == [(1, 2), (5,)]
    one_by_one = [row(1, 7, 20, parcel=1), row(2, 7, 0, parcel=2), row(3, 8, 0, parcel=3)]
    assert parcels(one_by_one, at(10)) == [(3,)]


def test_a_flood_is_one_digest_a_minute_and_what_is_critical_goes_beside_it():
    rows = [row(n, n, 0) for n in range(1, 12)]
    assert len(parcels(rows[:10], 0, group=True, digest_over=10)) == 10
    assert parcels(rows, 0, group=True, digest_over=10) == [tuple(range(1, 12))]
    later = [row(20, 20, 5), row(21, 21, 5, critical=True)]
    just_now = {"group": True, "digest_over": 10, "sent_ns": [0], "digest_ns": 0}
    assert parcels(later, at(5), **just_now) == [(21,)]
    assert parcels(later, MINUTE_NS, **just_now) == [(21,), (20,)]


def test_what_was_sent_in_the_last_minute_counts_for_the_flood():
    rows = [row(1, 1, 0), row(2, 2, 0)]
    sent = [at(-50)] * 9
    assert parcels(rows, 0, digest_over=10, sent_ns=sent) == [(1, 2)]
    assert parcels(rows, at(10), digest_over=10, sent_ns=sent) == [(1,), (2,)]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 90), st.booleans()), max_size=40),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 5)),
)
def test_everything_leaves_once_in_the_order_of_its_ticket(said, group, digest_over):
    """A plant that speaks for a while, and a channel that always works: whatever the settings, nothing is lost."""
    arrived = sorted(range(len(said)), key=lambda n: said[n][1])
    left: list[int] = []
    sent: list[int] = []
    digest_ns = None
    for second in range(0, 600, 7):
        now_ns = at(second)
        waiting = [
            row(n, said[at_][0], said[at_][1] + (0 if said[at_][2] else 30), critical=said[at_][2])
            for n, at_ in enumerate(arrived)
            if said[at_][1] <= second and n not in left
        ]
        recent = [one for one in sent if now_ns - one < MINUTE_NS]
        leaving = parcels(
            waiting, now_ns, group=group, digest_over=digest_over, sent_ns=recent, digest_ns=digest_ns
        )
        assert not [one for one in waiting if one.critical and one.id not in {n for p in leaving for n in p}]
        for parcel in leaving:
            left += parcel
            sent.append(now_ns)
            if len({said[arrived[n]][0] for n in parcel}) > 1:
                digest_ns = now_ns
    assert sorted(left) == list(range(len(said)))
    for ticket in range(1, 5):
        of_ticket = [n for n in left if said[arrived[n]][0] == ticket]
        assert of_ticket == sorted(of_ticket)


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def test_outside_the_hours_a_message_waits_for_the_next_shift_and_a_critical_one_does_not():
    day = Calendar(week=dict.fromkeys(WEEKDAYS[:5], ("08:00-17:00",)))
    quiet = Subscription(name="x", audience=Audience.PERSON, group_wait_s=30, hours=day)
    friday_night = moment("2026-03-06T16:59:45")
    assert quiet.from_ns(friday_night, critical=False) == moment("2026-03-09T08:00:00")
    assert quiet.from_ns(friday_night, critical=True) == friday_night
    assert quiet.from_ns(moment("2026-03-06T12:00:00"), critical=False) == moment("2026-03-06T12:00:30")
