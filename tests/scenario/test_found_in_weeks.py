"""Small facts that the weeks of `test_plant_weeks` found wanting, each told by itself."""

import json

from sqlalchemy import select

from andon.events import SECOND_NS
from andon.rules.alarms import AlarmDefinition, Count
from andon.rules.dedup import Dedup
from andon.rules.routing import Routing, RoutingRule
from andon.rules.suppression import Matcher
from tests.scenario.story import cleared, condition, stop, time_of
from ticketing import fieldwork, offers, reports, standing_in, store, suppressions, unmerging
from ticketing.clockwork import turn
from ticketing.demands import Hold
from ticketing.suppression import SuppressionKind
from ticketing.tables import occurrence
from ticketing.ticket import SubState, TicketState

WINDOW_ONLY = Dedup(mode="window_only")
ASKED = Routing(rules=(RoutingRule(name="asked", offer_to=2, offer_s=3600),))


def changed(plant, **topics):
    plant.plant = plant.plant.model_copy(update=topics)


def by(plant, number, actor, clock):
    version = plant.ticket(number).version
    return {"actor": actor, "now_ns": time_of(clock), "expected_version": version}


def merges(plant, number, of, clock):
    given = {"reason": "one cause", "approver": "chen", "plant": plant.plant}
    return plant.tickets.duplicate(number, of=of, **given, **by(plant, number, "chen", clock))


def splits(plant, number, component, clock):
    key = next(k.key for k in plant.detail(number).keys if k.inputs["component"] == component)
    given = {"key": key, "plant": plant.plant, "reason": "another cause"}
    return plant.tickets.split(number, **given, **by(plant, number, "chen", clock))


def test_what_is_split_off_is_found_by_its_own_number_and_no_other(plant):
    plant.at("10:00").shows("M7", "zone_d").stops("M7", "E2")
    new = splits(plant, 1, "E2", "10:30")
    found = {words: [t.id for t in plant.page(text=words).tickets] for words in ("a-1", "a-2", "m7")}
    assert (new.id, found) == (2, {"a-1": [1], "a-2": [2], "m7": [1, 2]})


def test_what_is_merged_is_offered_to_nobody_any_more(plant):
    changed(plant, routing=ASKED)
    plant.at("10:00").stops("M7", "E1").stops("M8", "E1")
    merges(plant, 2, 1, "10:05")
    with plant.tickets.looking() as conn:
        states = [{one.state for one in offers.of(conn, number)} for number in (1, 2)]
    assert states == [{"open"}, {"withdrawn"}]


def test_what_a_cause_absorbs_in_the_same_batch_is_offered_to_nobody(plant):
    changed(plant, routing=ASKED)
    at_ns = time_of("10:00")
    stops = [stop("M7", reason, at_ns + n * SECOND_NS) for n, reason in enumerate(("E1", "E2"))]
    moment = plant.at("10:00:05")
    plant.hears([*stops, condition("M7", "zone_d", at_ns + 2 * SECOND_NS)], moment.at_ns)
    with plant.tickets.looking() as conn:
        still = [
            one.ticket for t in plant.page().tickets for one in offers.of(conn, t.id) if one.state == "open"
        ]
    closed = {t.id for t in plant.page().tickets if not t.is_open}
    assert closed == {2}
    assert set(still) == {1}


def test_under_window_only_an_alarm_that_goes_on_at_another_ticket_stands_no_more_on_the_first(plant):
    changed(plant, dedup=WINDOW_ONLY)
    plant.at("10:00").stops("M7", "E1")
    plant.at("10:20").stops("M7", "E1")
    assert [t.alarm_active for t in plant.page().tickets] == [False, True]
    over = cleared(stop("M7", "E1", time_of("10:20")), time_of("10:40"))
    plant.at("10:40").says(over)
    assert [t.alarm_active for t in plant.page().tickets] == [False, False]


def test_a_failure_that_a_late_end_shows_lies_where_its_finding_does(plant):
    changed(plant, dedup=WINDOW_ONLY)
    plant.at("10:00").stops("M7", "E1")
    plant.at("15:00").stops("M7", "E1")
    plant.at("15:00:01").says(cleared(stop("M7", "E1", time_of("10:00")), time_of("14:00")), arrives="15:10")
    with plant.tickets.looking() as conn:
        lies = {one.finding: one.ticket for n in (1, 2) for one in store.occurrences(conn, n)}
        links = [
            (link.failure, link.ticket)
            for one in plant.problems()
            for link in store.problem(conn, one.id).links
        ]
    assert len(links) == 2
    assert all(lies[failure] == ticket for failure, ticket in links)


def test_a_report_about_a_machine_whose_alarm_stands_leaves_it_standing(plant):
    plant.at("10:00").stops("M7", "E1")
    said = json.dumps({"asset": "M7", "description": "it leaks", "type": "hardware_fault"}).encode()
    came = reports.receive(plant.tickets, said, actor="li", came_by="api", now_ns=time_of("10:02"))
    taken = reports.take(plant.tickets, came.id, plant.plant, time_of("10:02"))
    assert (taken.ticket, plant.ticket(1).alarm_active) == (1, True)


def test_an_end_that_an_off_delay_holds_back_lies_on_no_ticket_yet(plant):
    changed(plant, alarms=(AlarmDefinition(code="sticky", reason="E5", off_delay_s=900),))
    with plant.tickets.transaction(time_of("09:00")) as book:
        given = {
            "matcher": Matcher(asset="M7"),
            "reason": "paint",
            "owner": "chen",
            "ends_ns": time_of("09:30"),
        }
        suppressions.asked(book, plant.plant, kind=SuppressionKind.SHELVE, **given)
    plant.at("09:10").stops("M7", "E5")
    again = stop("M7", "E5", time_of("10:00"))
    plant.hears([again, cleared(again, time_of("10:01"))], time_of("10:02"))
    with plant.tickets.looking() as conn:
        held = conn.execute(select(occurrence).where(occurrence.c.action == "clear")).all()
    assert [(one.rule, one.ticket) for one in held] == [("held_off_delay", None)]


def test_two_ends_heard_before_their_beginnings_come_to_their_tickets_in_one_batch(plant):
    began = [stop("M7", reason, time_of("10:00")) for reason in ("E1", "E2")]
    plant.hears([cleared(one, time_of("10:01")) for one in began], time_of("10:02"))
    plant.hears(began, time_of("10:03"))
    with plant.tickets.looking() as conn:
        lies = conn.execute(select(occurrence.c.finding, occurrence.c.ticket)).all()
    where = {row.finding: row.ticket for row in lies}
    assert all(where[one.id] == where[cleared(one, time_of("10:01")).id] is not None for one in began)


def test_what_is_handed_over_waits_for_nothing_until_its_new_person_says_so(plant):
    plant.at("10:00").stops("M7", "E1")
    given = {"person": "zhang", "backup": "li", "plant": plant.plant, "reason": "by hand"}
    plant.tickets.assign(1, **given, **by(plant, 1, "chen", "10:01"))
    for clock in ("10:02", "11:02"):
        holds(plant, plant.ticket(1).assignee, clock)
        if clock == "10:02":
            moved = {**given, "person": "wang", "evidence": ("photo",)}
            after = plant.tickets.transfer(1, **moved, **by(plant, 1, "chen", "10:04"))
        else:
            why = standing_in.Reason("ill", actor="chen", channel="console")
            after = standing_in.hand_to_backup(plant.tickets, plant.plant, 1, time_of("11:04"), why)
        assert (after.state, after.hold) == (TicketState.ASSIGNED, None)


def holds(plant, person, clock):
    plant.tickets.accept(1, sub_state=SubState.SITE_SURVEY, **by(plant, 1, person, clock))
    waits = {"hold": Hold.PLANNED_STOP, "reason": "the line runs on", "evidence": ("photo",)}
    fieldwork.hold(plant.tickets, 1, **waits, **by(plant, 1, person, f"{clock}:30"))


def test_a_ticket_on_which_nothing_is_left_says_nothing_of_what_it_is_merged_with(plant):
    plant.at("10:00").stops("M7", "E1")
    plant.at("10:20").shows("M8", "zone_d")
    merges(plant, 1, 2, "10:30")
    splits(plant, 2, "DE", "10:40")
    unmerging.take_back(plant.tickets, 1, reason="two", evidence=("seen",), **by(plant, 1, "chen", "10:50"))
    assert plant.ticket(2).occurrence_count == 0
    merges(plant, 3, 2, "11:00")
    both = plant.ticket(2)
    assert (both.first_event_ns, both.last_event_ns) == (time_of("10:20"), time_of("10:20"))
    assert both.headline.condition == "zone_d"


def test_what_a_delay_held_and_a_window_holds_on_is_counted_once(plant):
    changed(plant, alarms=(AlarmDefinition(code="often", reason="E7", count=Count(n=3, within_s=1800)),))
    plant.at("10:00").stops("M7", "E7")
    with plant.tickets.transaction(time_of("10:05")) as book:
        given = {
            "matcher": Matcher(asset="M7"),
            "reason": "paint",
            "owner": "chen",
            "ends_ns": time_of("11:30"),
        }
        suppressions.asked(book, plant.plant, kind=SuppressionKind.SHELVE, **given)
    for clock, counted in (("10:31", (0, 1, 0)), ("11:31", (0, 0, 1))):
        while turn(plant.tickets, plant.plant, time_of(clock)):
            pass
        with plant.tickets.looking() as conn:
            now = store.metrics(conn)
        assert (now.held, now.suppressed, now.opened) == counted


def test_what_is_split_off_or_taken_back_from_a_merge_is_offered(plant):
    changed(plant, routing=ASKED)
    plant.at("10:00").shows("M7", "zone_d").stops("M7", "E2").stops("M8", "E1")
    new = splits(plant, 1, "E2", "10:30")
    merges(plant, 2, 1, "10:35")
    unmerging.take_back(plant.tickets, 2, reason="two", evidence=("seen",), **by(plant, 2, "chen", "10:50"))
    while turn(plant.tickets, plant.plant, time_of("10:51")):
        pass
    with plant.tickets.looking() as conn:
        states = [{one.state for one in offers.of(conn, number)} for number in (new.id, 2)]
    assert states == [{"open"}, {"withdrawn", "open"}]


def test_a_failure_told_late_makes_the_next_one_its_repeat_once(plant):
    plant.at("15:00").stops("M7", "E1").expects(problems=0)
    plant.at("10:00").stops("M7", "E2", arrives="15:30").expects(problems=1)
    (task,) = plant.problems()
    with plant.tickets.looking() as conn:
        links = store.problem(conn, task.id).links
    assert [(link.at_ns, link.counted_from) for link in sorted(links, key=lambda link: link.at_ns)] == [
        (time_of("10:00"), "first"),
        (time_of("15:00"), "activation"),
    ]
    plant.at("08:00").stops("M7", "E3", arrives="15:40").expects(problems=1)


def test_what_was_held_back_before_two_days_of_downtime_is_told_after_them(plant):
    changed(plant, alarms=(AlarmDefinition(code="slow", reason="E4", on_delay_s=600),))
    plant.at("Mon 10:00").stops("M7", "E4").expects(tickets=0)
    while turn(plant.tickets, plant.plant, time_of("Wed 12:00")):
        pass
    plant.at("Wed 12:00").expects(tickets=1)


def test_the_repair_of_a_ticket_that_another_machine_was_merged_into_counts_for_its_own(plant):
    plant.at("Mon 10:00").stops("M7", "E1").runs("M7")
    plant.at("Mon 12:00").stops("M8", "E1").runs("M8")
    merges(plant, 2, 1, "Mon 12:10")
    plant.at("Wed 10:00").repairs(1).signs(1)
    plant.at("Fri 09:00").stops("M7", "E3").expects(problems=1)
