"""What keeps an alarm from becoming a ticket: shelves, maintenance, alarms above; what happens when that is over."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS, Declaration, Declared, Finding, Origin
from andon.plant import Asset, Plant
from andon.rules.suppression import Matcher
from andon.rules.windows import MaintenanceWindow
from tests.scenario.story import PLANT, Story, cleared, stop, time_of
from tests.stores import Stores
from ticketing import alarm_desk, maintenance, suppressions
from ticketing.alarm_rows import alarm_state
from ticketing.clockwork import turn
from ticketing.errors import DeedRefused
from ticketing.message_tables import outbox
from ticketing.service import Tickets
from ticketing.suppression import Suppression, SuppressionKind
from ticketing.suppressions import Listed, suppressed
from ticketing.tables import occurrence

SHELVE, WINDOW = SuppressionKind.SHELVE, SuppressionKind.MAINTENANCE_WINDOW
LINE = Asset(id="L1", name="Line 1", asset_class="line", path="acme/north/forming/L1")


@pytest.fixture
def plant(tmp_path: Path) -> Story:
    """On SQLite: what is asked of the database is asked of both where it says so."""
    return Story.begins(tmp_path)


@pytest.fixture
def either(tmp_path: Path, stores: Stores) -> Story:
    """On each database."""
    return Story.begins(tmp_path, stores.open())


def asks(
    plant: Story,
    at: str,
    until: str | None,
    kind: SuppressionKind = SHELVE,
    *,
    starts: str = "",
    one_shot: bool = False,
    **matcher: object,
) -> Suppression:
    with plant.tickets.transaction(time_of(at)) as book:
        return suppressions.asked(
            book,
            plant.plant,
            kind=kind,
            matcher=Matcher(**matcher),
            reason="bearing on order",
            owner="chen",
            starts_ns=time_of(starts) if starts else None,
            ends_ns=time_of(until) if until else None,
            one_shot=one_shot,
        )


START_NS = time_of("10:00")
ASSETS = st.sampled_from(["M1", "M2", "M4", "L1"])
WORDS = st.tuples(st.integers(0, 200), ASSETS, st.booleans())
SPANS = st.tuples(
    st.sampled_from([SHELVE, WINDOW]),
    st.integers(0, 150),
    st.integers(1, 200),
    st.sampled_from(["M1", "M2", "L1"]),
)


def plant_asks(plant: Story, kind: SuppressionKind, start_ns: int, end_ns: int, asset: str) -> None:
    with plant.tickets.transaction(start_ns) as book:
        suppressions.asked(
            book,
            plant.plant,
            kind=kind,
            matcher=Matcher(asset=asset),
            reason="why",
            owner="chen",
            starts_ns=start_ns,
            ends_ns=end_ns,
        )


def turns(plant: Story, until_ns: int) -> None:
    """Each second step of the clockwork that is due until then, at its own time."""
    while turn(plant.tickets, plant.plant, until_ns, turn_s=60):
        pass


def ends(plant: Story, at: str, number: int) -> None:
    with plant.tickets.transaction(time_of(at)) as book:
        suppressions.end_early(book, number, actor="chen", reason="part came earlier", channel="api")


def passes(plant: Story, until: str) -> None:
    """The clock goes on: all timers that are due by then are done at that time."""
    while turn(plant.tickets, plant.plant, time_of(until), turn_s=60):
        pass


def listed(plant: Story, at: str, *, ended: bool = False) -> list[Listed]:
    with reading(plant.engine) as conn:
        return list(suppressions.listed(conn, time_of(at), ended=ended))


def outcomes(plant: Story) -> dict[str, str | None]:
    with reading(plant.engine) as conn:
        return dict(conn.execute(select(suppressed.c.finding, suppressed.c.outcome)).all())


def on_tickets(plant: Story) -> dict[str, int | None]:
    with reading(plant.engine) as conn:
        return dict(conn.execute(select(occurrence.c.finding, occurrence.c.ticket)).all())


def messages(plant: Story) -> list[str]:
    with reading(plant.engine) as conn:
        return list(conn.execute(select(outbox.c.kind).order_by(outbox.c.id)).scalars())


class TestShelves:
    def test_a_shelved_alarm_opens_no_ticket_and_is_told_once_when_the_shelf_ends(
        self, either: Story
    ) -> None:
        plant = either
        asks(plant, "10:00", "12:00", asset="M1")
        plant.at("10:30").stops("M1", "E1").expects(tickets=0)
        plant.at("10:40").stops("M1", "E1").expects(tickets=0)
        assert [(one.held, one.folded) for one in listed(plant, "11:00")] == [(2, 0)]
        passes(plant, "11:59")
        plant.at("11:59").expects(tickets=0)
        passes(plant, "12:00")
        (ticket,) = plant.page().tickets
        assert (ticket.anchor_ns, ticket.occurrence_count) == (time_of("10:30"), 2)
        assert ticket.opened_ns == time_of("12:00")
        assert ticket.alarm_active
        assert messages(plant).count("ticket.opened") == 1
        (ended,) = listed(plant, "12:00", ended=True)
        assert (ended.held, ended.folded, ended.over) == (0, 2, 0)
        assert [one.action for one in ended.events] == ["begun", "reminded", "expired"]
        passes(plant, "13:00")
        assert messages(plant).count("ticket.opened") == 1

    def test_what_was_over_by_then_is_only_on_record(self, plant: Story) -> None:
        asks(plant, "10:00", "12:00", asset="M1")
        raised = stop("M1", "E1", time_of("10:30"))
        plant.at("10:30").says(raised)
        plant.at("10:45").says(cleared(raised, time_of("10:45")))
        passes(plant, "12:00")
        plant.at("12:00").expects(tickets=0)
        assert set(outcomes(plant).values()) == {"over"}
        assert set(on_tickets(plant).values()) == {None}
        assert messages(plant) == []

    def test_its_owner_is_reminded_before_it_ends_and_not_if_it_was_taken_off(self, plant: Story) -> None:
        plant.at("09:00").stops("M1", "E1").stops("M2", "E1")
        asks(plant, "10:00", "12:00", asset="M1")
        taken_off = asks(plant, "10:00", "12:00", asset="M2")
        ends(plant, "11:00", taken_off.id)
        passes(plant, "11:44")
        assert "ticket.shelf_ends" not in messages(plant)
        passes(plant, "11:45")
        assert messages(plant).count("ticket.shelf_ends") == 1
        (shelf,) = listed(plant, "11:45")
        assert [one.action for one in shelf.events] == ["begun", "reminded"]

    def test_another_machine_is_not_meant(self, plant: Story) -> None:
        asks(plant, "10:00", "12:00", asset="M1")
        plant.at("10:30").stops("M2", "E1").expects(tickets=1)

    def test_of_overlapping_ones_the_last_lets_go(self, either: Story) -> None:
        plant = either
        asks(plant, "10:00", "11:00", asset="M1")
        asks(plant, "10:15", "12:00", asset="M1", component="E1")
        plant.at("10:10").stops("M1", "E1")
        plant.at("10:30").stops("M1", "E1")
        passes(plant, "11:00")
        plant.at("11:00").expects(tickets=0)
        (left,) = listed(plant, "11:00")
        assert left.held == 2
        passes(plant, "12:00")
        plant.at("12:00").expects(tickets=1)

    def test_taken_off_early_it_is_told_at_once(self, plant: Story) -> None:
        shelf = asks(plant, "10:00", "12:00", asset="M1")
        plant.at("10:30").stops("M1", "E1")
        ends(plant, "10:40", shelf.id)
        passes(plant, "10:40")
        plant.at("10:40").expects(tickets=1)
        (ended,) = listed(plant, "10:40", ended=True)
        assert [(one.action, one.actor, one.reason) for one in ended.events][1:] == [
            ("ended", "chen", "part came earlier")
        ]
        passes(plant, "12:00")
        assert len(listed(plant, "12:00", ended=True)[0].events) == 2, "it does not expire as well"

    def test_once_only_ends_with_the_alarm(self, plant: Story) -> None:
        asks(plant, "10:00", "14:00", one_shot=True, asset="M1", component="E1")
        raised = stop("M1", "E1", time_of("10:30"))
        plant.at("10:30").says(raised)
        plant.at("10:45").says(cleared(raised, time_of("10:45")))
        passes(plant, "10:46")
        assert set(outcomes(plant).values()) == {"over"}
        plant.at("11:15").stops("M1", "E1").expects(tickets=1)

    def test_shelved_when_it_already_has_a_ticket_that_goes_on_as_it_is(self, plant: Story) -> None:
        plant.at("09:55").stops("M1", "E1").expects(tickets=1)
        asks(plant, "10:00", "12:00", asset="M1")
        plant.at("10:30").stops("M1", "E1").expects(tickets=1)
        assert plant.ticket(1).occurrence_count == 1
        passes(plant, "12:00")
        assert plant.ticket(1).occurrence_count == 2
        assert messages(plant).count("ticket.opened") == 1

    def test_taken_out_of_service_meanwhile_it_stays_quiet_when_the_shelf_ends(self, either: Story) -> None:
        plant = either
        asks(plant, "10:00", "12:00", asset="M1")
        plant.at("10:30").stops("M1", "E1")
        with plant.tickets.transaction(time_of("11:00")) as book:
            (one,) = book.conn.execute(select(alarm_state.c.id)).scalars()
            by = {"actor": "chen", "channel": "api", "reason": "the sensor is changed"}
            alarm_desk.remove_from_service(book, plant.plant, one, **by)
        passes(plant, "12:00")
        plant.at("12:00").expects(tickets=0)
        with plant.tickets.transaction(time_of("13:00")) as book:
            alarm_desk.return_to_service(book, plant.plant, one, **by)
        passes(plant, "13:00")
        plant.at("13:00").expects(tickets=1)

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("suppression_too_long", {"until": "18:01", "asset": "M1"}),
            ("suppression_of_everything", {"until": "12:00"}),
            ("unknown_asset", {"until": "12:00", "asset": "M99"}),
            ("suppression_times", {"until": "09:00", "asset": "M1"}),
            ("suppression_times", {"until": "12:00", "asset": "M1", "starts": "11:00"}),
            ("suppression_without_end", {"until": None, "kind": WINDOW, "asset": "M1"}),
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_is_kept(
        self, plant: Story, code: str, said: dict[str, object]
    ) -> None:
        with pytest.raises(DeedRefused) as refused:
            asks(plant, "10:00", **said)
        assert refused.value.code == code
        assert listed(plant, "10:00") == []


class TestMaintenance:
    def test_what_happens_inside_is_no_repeat_failure(self, plant: Story) -> None:
        plant.at("08:00").stops("M1", "E1").repairs(1).signs(1)
        asks(plant, "10:00", "12:00", WINDOW, asset="M1")
        plant.at("10:30").stops("M1", "E1")
        passes(plant, "12:00")
        plant.at("12:00").expects(tickets=2, problems=0)
        plant.at("13:30").stops("M1", "E7").expects(tickets=3, problems=1)

    def test_the_same_on_a_shelf_is_one(self, plant: Story) -> None:
        plant.at("08:00").stops("M1", "E1").repairs(1).signs(1)
        asks(plant, "10:00", "12:00", asset="M1")
        plant.at("10:30").stops("M1", "E1")
        passes(plant, "12:00")
        plant.at("12:00").expects(tickets=2, problems=1)

    def test_one_that_is_planned_holds_nothing_before_it_begins(self, plant: Story) -> None:
        asks(plant, "09:00", "12:00", WINDOW, starts="10:00", under="acme/north/forming/L1")
        plant.at("09:59").stops("M2", "E1").expects(tickets=1)
        plant.at("10:00").stops("M4", "E1").expects(tickets=1)
        passes(plant, "12:00")
        plant.at("12:00").expects(tickets=2)

    def test_a_window_of_every_week_is_written_down_when_it_holds_something(self, either: Story) -> None:
        plant = either
        week = {"mon": ("10:00-12:00",)}
        window = MaintenanceWindow(name="greasing", matcher=Matcher(asset="M1"), week=week, owner="chen")
        plant.plant = PLANT.model_copy(update={"maintenance_windows": (window,)})
        plant.at("10:30").stops("M1", "E1").expects(tickets=0)
        plant.at("10:40").stops("M1", "E7").expects(tickets=0)
        (found,) = listed(plant, "11:00")
        assert (found.suppression.origin, found.held) == ("window/greasing", 2)
        passes(plant, "12:00")
        plant.at("12:00").expects(tickets=2)
        plant.at("+8 Mon 10:30").stops("M1", "E9").expects(tickets=2)
        assert len(listed(plant, "+8 Mon 10:30")) == 1

    def test_of_a_weekly_window_that_was_ended_early_nothing_is_held_any_more(self, plant: Story) -> None:
        window = MaintenanceWindow(name="w", matcher=Matcher(asset="M1"), week={"mon": ("10:00-12:00",)})
        plant.plant = PLANT.model_copy(update={"maintenance_windows": (window,)})
        plant.at("10:30").stops("M1", "E1")
        ends(plant, "11:00", listed(plant, "11:00")[0].suppression.id)
        plant.at("11:30").stops("M1", "E7").expects(tickets=1)

    def test_what_is_heard_after_its_end_and_happened_inside_is_told_if_it_stands_and_is_no_failure(
        self, plant: Story
    ) -> None:
        plant.at("08:00").stops("M1", "E1").repairs(1).signs(1)
        asks(plant, "10:00", "12:00", WINDOW, asset="M1")
        passes(plant, "12:00")
        over, stands = stop("M1", "E7", time_of("10:30")), stop("M1", "E9", time_of("10:40"))
        plant.hears([over, stands, cleared(over, time_of("10:35"))], time_of("13:00"))
        passes(plant, "13:00")
        plant.at("13:00").expects(tickets=2, problems=0)
        assert sorted(filter(None, outcomes(plant).values())) == ["folded", "over"]


def with_line() -> Plant:
    return PLANT.model_copy(update={"assets": (*PLANT.assets, LINE)})


class TestInhibition:
    """M2 stands on line L1, M1 on L2."""

    def test_below_a_line_that_stands_no_stop_opens_a_ticket(self, plant: Story) -> None:
        plant.plant = with_line()
        line = stop("L1", "E0", time_of("10:00"))
        plant.at("10:00").says(line).expects(tickets=1)
        plant.at("10:01").stops("M2", "E1").stops("M4", "E1").expects(tickets=1)
        plant.at("10:01").stops("M1", "E1").expects(tickets=2)
        plant.at("10:02").shows("M2", "zone_d").expects(tickets=3)
        (found,) = listed(plant, "10:05")
        assert (found.suppression.kind, found.held) == ("inhibit", 2)

    def test_when_it_runs_again_those_that_stand_still_are_told(self, either: Story) -> None:
        plant = either
        plant.plant = with_line()
        line, m2, m4 = (stop(m, "E1", time_of("10:00")) for m in ("L1", "M2", "M4"))
        plant.at("10:00").says(line)
        plant.at("10:01").says(m2).says(m4)
        plant.at("10:30").says(cleared(line, time_of("10:30")))
        plant.at("10:30").says(cleared(m2, time_of("10:30"))).expects(tickets=1)
        passes(plant, "10:31")
        plant.at("10:31").expects(tickets=2)
        assert plant.ticket(2).asset == "M4"

    def test_where_the_line_is_heard_first_to_run_again_the_machines_may_take_a_moment(
        self, plant: Story
    ) -> None:
        plant.plant = with_line()
        line, m2 = stop("L1", "E1", time_of("10:00")), stop("M2", "E1", time_of("10:00"))
        plant.at("10:00").says(line).says(m2)
        plant.at("10:30").says(cleared(line, time_of("10:30")))
        passes(plant, "10:30:05")
        plant.at("10:30:06").says(cleared(m2, time_of("10:30:06")))
        passes(plant, "10:31")
        plant.at("10:31").expects(tickets=1)
        assert set(outcomes(plant).values()) == {"over"}

    def test_a_line_that_never_says_that_it_runs_hides_nothing_for_ever(self, plant: Story) -> None:
        plant.plant = with_line()
        plant.at("10:00").stops("L1", "E1").stops("M2", "E1").expects(tickets=1)
        passes(plant, "+8 Mon 10:00")
        plant.at("+8 Mon 10:00").expects(tickets=2)

    def test_without_an_asset_above_nothing_is_inhibited(self, plant: Story) -> None:
        plant.at("10:00").stops("M2", "E1").stops("M4", "E1").expects(tickets=2)
        assert listed(plant, "10:01") == []


def declares(plant: Story, at: str, what: Declared, asset: str = "M1") -> None:
    origin = Origin("engine", time_of(at) % 1_000_003, time_of(at))
    said = Declaration(time_of(at), asset, None, what, "wu.gang", "belt", None, origin)
    with writing(plant.engine) as conn:
        maintenance.take(conn, [said], time_of(at))


class TestDeclaredMaintenance:
    def test_it_holds_the_machines_alarms_until_it_is_declared_over(self, either: Story) -> None:
        plant = either
        plant.at("08:00").stops("M1", "E1").repairs(1).signs(1)
        declares(plant, "10:00", Declared.MAINTENANCE_BEGINS)
        raised = stop("M1", "E7", time_of("10:30"))
        plant.at("10:30").says(raised).stops("M1", "E8").stops("M2", "E1").expects(tickets=2)
        plant.at("10:40").says(cleared(raised, time_of("10:40")))
        (found,) = listed(plant, "11:00")
        assert (found.suppression.owner, found.suppression.ends_ns, found.held) == ("wu.gang", None, 2)
        declares(plant, "11:00", Declared.MAINTENANCE_ENDS)
        passes(plant, "11:00")
        plant.at("11:00").expects(tickets=3, problems=0)
        plant.at("11:30").stops("M1", "E9").expects(tickets=4, problems=1)

    def test_it_ends_where_it_was_begun_so_that_the_detectors_hear_of_it(self, plant: Story) -> None:
        declares(plant, "10:00", Declared.MAINTENANCE_BEGINS)
        (one,) = listed(plant, "10:05")
        with pytest.raises(DeedRefused, match="declare that it is over"):
            ends(plant, "10:10", one.suppression.id)
        assert listed(plant, "10:10") == [one]


class TestWhateverOverlaps:
    """Each occurrence that was held ends as exactly one of folded and over, and no ticket opens while it is held."""

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_all_that_was_held_ends_once(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        plant = Story.begins(tmp_path_factory.mktemp("any"))
        plant.plant = with_line()
        spans = data.draw(st.lists(SPANS, min_size=1, max_size=4))
        words = data.draw(st.lists(WORDS, min_size=1, max_size=12))
        restart = data.draw(st.integers(0, 11))
        waiting = sorted(spans, key=lambda span: span[1])
        raised: dict[str, Finding] = {}
        for place, (minute, asset, over) in enumerate(sorted(words)):
            now_ns = START_NS + minute * MINUTE_NS + place
            if place == restart:  # another process: nothing but the store is left
                plant = Story(plant.engine, Tickets(plant.engine), plant.plant)
            while waiting and waiting[0][1] <= minute:
                kind, start, length, whose = waiting.pop(0)
                at = START_NS + start * MINUTE_NS
                plant_asks(plant, kind, at, at + length * MINUTE_NS, whose)
            before = {one.id for one in plant.page().tickets}
            turns(plant, now_ns)
            said = raised.get(asset)
            if said is not None or not over:
                said = cleared(said, now_ns) if over and said else stop(asset, "E1", now_ns)
                raised |= {} if over else {asset: said}
                plant.hears([replace(said, origin=replace(said.origin, received_ns=now_ns))], now_ns)
            at = (now_ns - START_NS) / MINUTE_NS
            held = {whose for _, start, length, whose in spans if start <= at < start + length}
            assert not held & {one.asset for one in plant.page().tickets if one.id not in before}
        turns(plant, START_NS + 40 * HOUR_NS)
        found, lies = outcomes(plant), on_tickets(plant)
        assert set(found.values()) <= {"folded", "over"}
        assert all((lies[name] is not None) == (outcome == "folded") for name, outcome in found.items())
        standing = {one.asset for one in plant.page().tickets if one.alarm_active}
        last = {asset: over for _, asset, over in sorted(words) if not over or asset in raised}
        assert standing == {asset for asset, over in last.items() if not over and asset in raised}
        opened = messages(plant).count("ticket.opened")
        assert opened == plant.page().total, "nothing is told twice"
