"""Limits at work, told on a virtual clock: who is told, once, and what becomes of a ticket that nobody takes."""

import threading
from collections import Counter
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from andon.calendars import WEEKDAYS, Calendar
from andon.events import SECOND_NS
from andon.plant import Person
from andon.rules.sla import EscalationStep, Limit, Sla, SlaPolicy
from tests.scenario.story import PLANT, Story, condition, time_of
from tests.stores import Stores
from ticketing import drift, fieldwork, sla, store, timers
from ticketing.clocks import ClockKind, ClockState
from ticketing.clockwork import turn
from ticketing.demands import Hold
from ticketing.duty import Presence
from ticketing.message_tables import outbox
from ticketing.presence import keep
from ticketing.service import Tickets
from ticketing.ticket import SubState
from ticketing.topics import OF_KIND

MINUTE_NS = 60 * SECOND_NS
WEEK = Calendar(week=dict.fromkeys(WEEKDAYS[:5], ("08:00-12:00", "13:00-17:00")))
PEOPLE = (
    *PLANT.people,
    Person(id="he", name="He Yun", role="planner"),
    Person(id="lu", name="Lu Min", role="customer service supervisor"),
)
LEADER = (EscalationStep(to="line_leader"), EscalationStep(to="duty", at_min=30, repeat=3, every_min=60))


def policy(**limits):
    return SlaPolicy(name="test", **{name: Limit(**limit) for name, limit in limits.items()})


@pytest.fixture
def plant(plant):
    """A plant with people of every role, whose working time is 08:00-12:00 and 13:00-17:00 from Monday to Friday."""
    return working(plant)


def working(story: Story, *policies: SlaPolicy, **changes):
    terms = Sla(policies=policies, calendar="week", wall_conditions=())
    changed = {"people": PEOPLE, "calendars": {"week": WEEK}, "sla": terms, **changes}
    story.plant = PLANT.model_copy(update=changed)
    story.tickets = Tickets(story.engine, photos=story.tickets._photos, channels=("bus",))
    return story


def opens(plant, clock: str, asset: str = "M1", severity: int = 400) -> int:
    """A ticket, its clocks running."""
    plant.hears([condition(asset, "zone_d", time_of(clock), severity=severity)], time_of(clock))
    turns(plant, clock)
    return plant.page().tickets[-1].id


def turns(plant, clock: str, seconds: int = 1) -> int:
    """The engine's turns at that time, until nothing is due."""
    done = 0
    while n := turn(plant.tickets, plant.plant, time_of(clock) + seconds * SECOND_NS, turn_s=60):
        done += n
    return done


def by(plant, number: int, actor: str, clock: str):
    version = plant.ticket(number).version
    return {"actor": actor, "now_ns": time_of(clock), "expected_version": version}


def assigns(plant, number: int, clock: str):
    given = {"person": "zhang", "backup": "li", "plant": plant.plant, "reason": "r"}
    plant.tickets.assign(number, **given, **by(plant, number, "he", clock))


def accepts(plant, number: int, clock: str, person="zhang"):
    plant.tickets.accept(number, sub_state=SubState.SITE_SURVEY, **by(plant, number, person, clock))


def escalated(plant, number: int = 1) -> list[tuple[str, int, str]]:
    """Each line of it: the clock, how many levels it stands for, whom it names."""
    lines = [one for one in plant.detail(number).events if one.action in {"escalated", "reminded"}]
    return [(one.reason, int(one.numbers["together"]), *one.evidence) for one in lines]


def said(plant, kind: str):
    with plant.tickets.looking() as conn:
        found = conn.execute(select(outbox).where(outbox.c.kind == kind).order_by(outbox.c.id)).mappings()
        told = [msgspec.json.decode(row["content"]) for row in found]
    place = dict.fromkeys(("plant", "site", "area", "asset_name", "asset_name_zh"), "")
    for content in told:  # as the catalogue of the bus has promised
        msgspec.convert({**content, **place}, OF_KIND[kind].data, strict=True)
    return told


def clocks(plant, number: int = 1):
    with plant.tickets.looking() as conn:
        known = sla.clocks_of(conn, [number]).get(number, [])
    return {str(one.kind): one for one in known}


class TestEscalation:
    def test_a_response_that_nobody_gives_goes_up_step_by_step_each_once(self, plant):
        working(plant, policy(response={"minutes": 15, "steps": LEADER}))
        opens(plant, "08:00")
        assert (turns(plant, "08:15", 0), escalated(plant)) == (0, [])
        turns(plant, "08:15")
        leader = ("response", 1, "line_leader: chen (on_shift)")
        assert escalated(plant) == [leader]
        turns(plant, "08:16")
        assert escalated(plant) == [leader]
        turns(plant, "08:45")
        assert escalated(plant) == [leader, ("response", 1, "duty: he (on_shift)")]
        (first, second) = said(plant, "ticket.escalated")
        assert first["people"] == ["chen"]
        assert (first["clock"], first["policy"], first["limit_s"]) == ("response", "test", 900.0)
        assert first["due"] == "2026-03-02T08:15:00.000Z"
        assert second["people"] == ["he"]
        line = plant.detail(1).events[1]
        assert (line.actor, line.numbers["limit_min"], line.numbers["level"]) == ("rule/test", 15, 0)

    def test_three_steps_that_came_due_while_the_server_was_down_are_one(self, plant):
        working(plant, policy(response={"minutes": 15, "steps": LEADER}))
        opens(plant, "08:00")
        turns(plant, "09:50")
        assert escalated(plant) == [("response", 3, "duty: he (on_shift)")]
        turns(plant, "09:55")
        assert len(escalated(plant)) == 1
        turns(plant, "10:45")
        assert [one[:2] for one in escalated(plant)] == [("response", 3), ("dwell", 1), ("response", 1)]
        turns(plant, "+8 16:59")
        assert Counter(one[0] for one in escalated(plant)) == {"response": 2, "dwell": 1, "resolution": 1}

    def test_an_answer_in_the_very_moment_of_the_limit_is_in_time(self, plant):
        opens(plant, "08:00")
        opens(plant, "08:00", asset="M2")
        assigns(plant, 1, "10:00")
        turns(plant, "10:00")
        assert (clocks(plant)["response"].state, escalated(plant)) == (ClockState.MET, [])
        assert clocks(plant, 2)["response"].state is ClockState.BREACHED
        assigns(plant, 2, "10:00:02")
        turns(plant, "10:01")
        late = clocks(plant, 2)["response"]
        assert (late.state, late.taken_ns) == (ClockState.BREACHED, 7202 * SECOND_NS)

    def test_an_answer_stops_the_steps_of_the_response_but_not_of_the_resolution(self, plant):
        working(
            plant,
            policy(
                response={"minutes": 15, "steps": LEADER},
                resolution={"minutes": 60, "steps": LEADER},
                update={"minutes": 600},
            ),
        )
        opens(plant, "08:00")
        assigns(plant, 1, "08:10")
        accepts(plant, 1, "08:11")
        turns(plant, "09:00")
        assert escalated(plant) == [("resolution", 1, "line_leader: chen (on_shift)")]

    def test_two_hours_without_an_update_arm_it_again_and_any_update_disarms_it(self, plant):
        opens(plant, "08:00")
        assigns(plant, 1, "08:05")
        accepts(plant, 1, "08:06")
        plant.tickets.comment(1, text="looking", actor="zhang", now_ns=time_of("09:00"))
        turns(plant, "10:10")
        assert [one[0] for one in escalated(plant)] == ["dwell"]
        turns(plant, "11:00")
        assert [one[0] for one in escalated(plant)] == ["dwell", "update"]
        assert clocks(plant)["update"].late
        plant.tickets.comment(1, text="found", actor="zhang", now_ns=time_of("11:30"))
        turns(plant, "11:30")
        assert not clocks(plant)["update"].late

    def test_a_priority_that_rises_past_the_new_limit_is_told_at_once_and_once(self, plant):
        opens(plant, "08:00")
        working(
            plant,
            policy(response={"minutes": 30, "steps": LEADER}).model_copy(
                update={"when": SlaPolicy(name="w").when.model_copy(update={"priorities": ("high",)})}
            ),
        )
        turns(plant, "08:44")
        assert escalated(plant) == []
        plant.hears([condition("M1", "zone_d", time_of("08:45"), severity=800)], time_of("08:45"))
        turns(plant, "08:45")
        assert escalated(plant) == [("response", 1, "line_leader: chen (on_shift)")]
        assert clocks(plant)["response"].due_ns == time_of("08:30")

    def test_a_calendar_that_is_edited_moves_the_clocks_that_run(self, plant):
        opens(plant, "Fri 16:00")
        assert clocks(plant)["response"].due_ns == time_of("+8 10:00") - 3600 * SECOND_NS
        saturday = WEEK.model_copy(update={"days": {date(2026, 3, 7): "mon"}})
        plant.plant = plant.plant.model_copy(update={"calendars": {"week": saturday}})
        turns(plant, "Fri 16:30")
        assert clocks(plant)["response"].due_ns == time_of("Sat 09:00")
        turns(plant, "Sat 09:00")
        assert sorted(one[0] for one in escalated(plant)) == ["dwell", "response"]
        plant.plant = plant.plant.model_copy(update={"calendars": {"week": WEEK}})
        turns(plant, "Sat 10:00")
        assert (clocks(plant)["response"].late, len(escalated(plant))) == (False, 2)
        turns(plant, "+8 Tue 08:00")
        assert Counter(one[0] for one in escalated(plant))["response"] == 2  # the level after the first

    def test_two_engines_tell_it_once(self, plant):
        for n in range(1, 11):
            opens(plant, "08:00", asset=f"M{n}")
        both = threading.Barrier(2)

        def poll():
            tickets = Tickets(plant.engine, channels=("bus",))
            both.wait(60)
            while turn(tickets, plant.plant, time_of("10:01"), turn_s=0):
                pass

        pollers = [threading.Thread(target=poll) for _ in range(2)]
        for one in pollers:
            one.start()
        for one in pollers:
            one.join(100)
        turns(plant, "10:01")
        assert [[one[0] for one in escalated(plant, n)] for n in range(1, 11)] == [
            ["dwell", "response"]
        ] * 10 or [sorted(one[0] for one in escalated(plant, n)) for n in range(1, 11)] == [
            ["dwell", "response"]
        ] * 10


class TestPeople:
    def test_with_nobody_on_shift_the_person_on_duty_is_told_or_the_next_shift(self, plant):
        nights = Calendar(week=dict.fromkeys(WEEKDAYS, ("22:00-24:00",)))
        people = tuple(
            one.model_copy(update={"calendar": "nights"}) if one.id == "chen" else one for one in PEOPLE
        )
        both = {"calendars": {"week": WEEK, "nights": nights}, "people": people}
        working(plant, policy(response={"minutes": 15, "steps": LEADER[:1]}), **both)
        opens(plant, "08:00")
        turns(plant, "08:15")
        assert escalated(plant) == [("response", 1, "line_leader: he (duty)")]
        wait = PLANT.routing.model_copy(update={"off_shift": "next_shift"})
        working(plant, policy(response={"minutes": 15, "steps": LEADER[:1]}), **both, routing=wait)
        second = opens(plant, "09:00", asset="M2")
        turns(plant, "21:59")
        assert (escalated(plant, second), clocks(plant, second)["response"].late) == ([], True)
        turns(plant, "22:00")
        assert escalated(plant, second)[-1][2] == "line_leader: chen (on_shift)"

    def test_an_assignee_on_leave_is_stood_in_for_by_the_backup(self, plant):
        steps = ({"to": "assignee"},)
        working(plant, policy(resolution={"minutes": 60, "steps": steps}, claim={"minutes": 600}))
        opens(plant, "08:00")
        assigns(plant, 1, "08:10")
        with plant.tickets.transaction(time_of("08:20")) as book:
            keep(book, Presence("zhang", book.now_ns, leave_until_ns=time_of("Tue 08:00")))
        turns(plant, "09:00")
        assert escalated(plant) == [("resolution", 1, "assignee: li (backup)")]
        assert said(plant, "ticket.escalated")[0]["people"] == ["li", "zhang"]

    def test_a_claim_that_is_missed_goes_to_the_backup(self, plant):
        opens(plant, "08:00")
        assigns(plant, 1, "08:10")
        turns(plant, "08:25", 0)
        assert plant.ticket(1).assignee == "zhang"
        turns(plant, "08:25")
        ticket = plant.ticket(1)
        assert (ticket.assignee, ticket.claim_misses, ticket.state) == ("li", 1, "assigned")
        assert escalated(plant)[-1] == ("claim", 1, "line_leader: chen (on_shift)")
        accepts(plant, 1, "08:30", person="li")
        turns(plant, "09:30")
        with plant.tickets.looking() as conn:
            kept = [one.state for one in sla.clocks_of(conn, [1])[1] if one.kind is ClockKind.CLAIM]
        assert kept == [ClockState.BREACHED, ClockState.MET]

    def test_who_waits_a_day_for_the_signature_reminds_the_requester_and_the_supervisor(self, plant):
        opens(plant, "08:00")
        plant.at("09:00").repairs(1)
        turns(plant, "Tue 09:00", 0)
        assert escalated(plant) == []
        turns(plant, "Tue 09:00")
        assert escalated(plant) == [
            ("signoff", 1, "requester: chen (named)"),
            ("signoff", 1, "customer_service_supervisor: lu (on_shift)"),
        ]
        first, second = said(plant, "ticket.reminded")
        assert (first["people"], first["channel"]) == (["chen"], "console")
        assert (second["people"], second["channel"]) == (["lu"], "mail")
        plant.at("Tue 10:00").signs(1)
        turns(plant, "+8 10:00")
        assert len(escalated(plant)) == 2
        with plant.tickets.looking() as conn:
            assert timers.one(conn, sla.KIND, "ticket/1").state is timers.TimerState.DONE


class TestHold:
    def test_work_that_waits_for_parts_stops_the_resolution_and_still_dwells(self, plant):
        opens(plant, "Fri 08:00")
        assigns(plant, 1, "Fri 08:05")
        accepts(plant, 1, "Fri 08:06")
        given = {"hold": Hold.WAITING_PARTS, "reason": "a seal", "evidence": ["R-1"]}
        fieldwork.hold(plant.tickets, 1, **given, **by(plant, 1, "zhang", "Fri 09:00"))
        turns(plant, "Fri 09:00")
        assert clocks(plant)["resolution"].state is ClockState.PAUSED
        turns(plant, "Fri 11:00")
        assert [one[0] for one in escalated(plant)] == ["dwell"]
        turns(plant, "+8 08:00")
        assert clocks(plant)["resolution"].state is ClockState.PAUSED
        fieldwork.resume(plant.tickets, 1, reason="it is here", **by(plant, 1, "zhang", "+8 10:00"))
        turns(plant, "+8 10:00")
        resolution = clocks(plant)["resolution"]
        assert resolution.state is ClockState.RUN
        assert resolution.due_ns == WEEK.add(time_of("+8 10:00"), 23 * 60 * MINUTE_NS)


class TestDrift:
    def test_the_list_is_made_before_the_days_first_shift_and_not_on_days_off(self, plant):
        monday = time_of("00:00")
        due = [monday]
        for _ in range(6):
            due.append(drift.next_ns(plant.plant, due[-1]))
        assert [datetime.fromtimestamp(one / SECOND_NS, UTC).strftime("%a %d %H:%M") for one in due[1:]] == [
            *("Mon 02 07:45", "Tue 03 07:45", "Wed 04 07:45", "Thu 05 07:45", "Fri 06 07:45"),
            "Mon 09 07:45",
        ]

    def test_who_lets_two_claims_pass_or_gives_no_update_is_on_it_by_name(self, plant):
        for asset in ("M1", "M2", "M3"):
            opens(plant, "08:00", asset=asset)
        assigns(plant, 1, "08:10")
        turns(plant, "08:25")
        assert plant.ticket(1).assignee == "li"
        turns(plant, "08:41")
        ticket = plant.ticket(1)
        assert (ticket.claim_misses, ticket.state, ticket.assignee) == (2, "pending_dispatch", None)
        assigns(plant, 2, "09:00")
        accepts(plant, 2, "09:01")
        turns(plant, "16:59")
        turns(plant, "Tue 07:45")
        with plant.tickets.looking() as conn:
            found, days = drift.kept(conn), drift.days(conn)
        assert (found.day, days) == (date(2026, 3, 3), {date(2026, 3, 3): 2})
        by_ticket = {one.ticket: one for one in found.items}
        assert (by_ticket[1].reasons[0], by_ticket[1].missed_by) == ("claims", ("zhang", "li"))
        assert (by_ticket[2].person, by_ticket[2].reasons) == ("zhang", ("update",))
        assert {content["number"] for content in said(plant, "ticket.drifting")} == {"A-1", "A-2"}
        turns(plant, "Tue 07:46")
        assert len(said(plant, "ticket.drifting")) == 2

    def test_after_days_of_being_down_there_is_one_list(self, plant):
        opens(plant, "08:00")
        turns(plant, "+8 Wed 11:00")
        with plant.tickets.looking() as conn:
            assert drift.days(conn) == {date(2026, 3, 11): 0}
            running = [one for one in timers.of(conn, "plant") if one.state is timers.TimerState.RUN]
            coming = [one for one in running if one.kind == drift.KIND]
        assert [one.due_ns for one in coming] == [time_of("+8 Thu 07:45")]


def test_the_board_has_what_is_overdue_the_longest_first(plant):
    opens(plant, "08:00")
    opens(plant, "08:30", asset="M3")
    opens(plant, "09:30", asset="M2")
    turns(plant, "10:45")
    with plant.tickets.looking() as conn:
        page = store.tickets(conn, store.Filter(overdue=True), sort=store.Sort.DUE)
        found = store.tickets(conn, store.Filter(text="press"), sort=store.Sort.DUE)
    assert [one.id for one in page.tickets] == [1, 2]
    assert [one.id for one in found.tickets] == [1, 2, 3]


class Rounds(RuleBasedStateMachine):
    """One ticket, random deeds, jumps of the clock and engines that are away, against a model that only knows minutes.

    A response is due in 30 min, and told at once, 10 and 20 min later; a resolution in 120, told 30 before and then.
    """

    stores: Stores
    terms = policy(
        response={"minutes": 30, "clock": "wall", "steps": [{"to": "duty", "repeat": 3, "every_min": 10}]},
        resolution={
            "minutes": 120,
            "clock": "wall",
            "steps": [{"to": "duty", "at_min": -30}, {"to": "duty"}],
        },
    ).model_copy(update={"without": ("claim", "update", "dwell", "signoff")})

    def __init__(self):
        super().__init__()
        self.story = working(Story.begins(self.stores.folder, self.stores.open()), self.terms)
        self.minute = self.ran = 0
        self.engine_runs, self.answered, self.held = True, False, False
        self.passed = {"resolution": 0, "response": 0}
        self.told: list[tuple[str, int]] = []
        self.story.hears([condition("M1", "zone_d", self.now_ns, severity=400)], self.now_ns)

    def teardown(self):
        self.stores.give_back()

    @property
    def now_ns(self) -> int:
        return time_of("00:00") + self.minute * MINUTE_NS

    @property
    def by(self):
        return {"now_ns": self.now_ns, "expected_version": self.story.ticket(1).version}

    def over(self, clock: str) -> int:
        """How many levels of a clock have come due, by the model."""
        if clock == "response":
            return 0 if self.answered else sum(self.minute > step for step in (30, 40, 50))
        return 0 if self.held and self.ran <= 120 else (self.ran >= 90) + (self.ran > 120)

    def turns(self) -> None:
        turn(self.story.tickets, self.story.plant, self.now_ns, turn_s=60)
        for clock, passed in self.passed.items():
            if self.over(clock) > passed:  # of several that came due while nobody looked, the last
                self.told.append((clock, self.over(clock) - passed))
                self.passed[clock] = self.over(clock)

    @rule(minutes=st.integers(1, 6))
    def time_passes(self, minutes):
        for _ in range(minutes):
            self.time_jumps(1)

    @rule(minutes=st.integers(7, 60))
    def time_jumps(self, minutes):
        self.minute += minutes
        self.ran += 0 if self.held else minutes
        if self.engine_runs:
            self.turns()

    @rule(runs=st.booleans())
    def the_engine_goes_or_comes(self, runs):
        self.engine_runs = runs
        if runs:
            self.turns()

    @rule()
    def somebody_says_something(self):
        self.story.tickets.comment(1, text="looking", actor="zhang", now_ns=self.now_ns)
        self.answered = True

    @precondition(lambda self: self.story.ticket(1).state == "pending_dispatch")
    @rule()
    def it_is_taken(self):
        given = {"person": "zhang", "backup": "li", "plant": self.story.plant, "reason": "r"}
        self.story.tickets.assign(1, **given, actor="he", **self.by)
        self.story.tickets.accept(1, sub_state=SubState.SITE_SURVEY, actor="zhang", **self.by)
        self.answered = True

    @precondition(lambda self: self.story.ticket(1).state == "in_progress")
    @rule()
    def it_waits_or_goes_on(self):
        said = {"reason": "r", "actor": "zhang", **self.by}
        if self.held:
            fieldwork.resume(self.story.tickets, 1, **said)
        else:
            fieldwork.hold(self.story.tickets, 1, hold=Hold.WAITING_PARTS, evidence=["e"], **said)
        self.held = not self.held

    @invariant()
    def every_step_was_told_once_none_early_and_none_is_missing(self):
        assert [one[:2] for one in escalated(self.story)] == self.told


def test_random_rounds_tell_every_step_once(tmp_path):
    Rounds.stores = Stores(tmp_path)
    few = settings(
        max_examples=8,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(Rounds, settings=few)
