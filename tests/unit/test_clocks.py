"""The clocks of a ticket: deadlines by working time, what moves them, what they show."""

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.calendars import WEEKDAYS, Calendar
from andon.events import SECOND_NS, Family
from andon.plant import Plant
from andon.rules.sla import EscalationStep, Fitting, Limit, Sla, SlaPolicy
from ticketing.clocks import ClockKind, ClockState, Stretch, Terms, Wall, policy_of, read, readings, terms_of
from ticketing.ticket import Headline, Ticket, TicketEvent, TicketState

MINUTE_NS = 60 * SECOND_NS
SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
HOLIDAYS = {date(2026, 10, day): () for day in range(1, 8)}
DAY = Calendar(
    time_zone="Asia/Shanghai",
    week=dict.fromkeys(WEEKDAYS[:5], ("08:00-12:00", "13:00-17:30")),
    days={**HOLIDAYS, date(2026, 10, 10): "mon"},
)
SHIFTS = Calendar(
    time_zone="Europe/Berlin", week=dict.fromkeys(WEEKDAYS, ("06:00-14:00", "14:00-22:00", "22:00-06:00"))
)
NIGHT = Calendar(time_zone="Europe/Berlin", week=dict.fromkeys(WEEKDAYS, ("22:00-06:00",)))


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * SECOND_NS


def due(text: str, minutes: float, calendar: Calendar, zone: ZoneInfo = SHANGHAI) -> str:
    """When a limit that began then is reached, in the same zone."""
    terms = Terms("p", Limit(minutes=minutes), "c", calendar)
    began_ns = at(text, zone)
    due_ns = read(Stretch(ClockKind.RESPONSE, began_ns), terms, began_ns).due_ns
    assert due_ns is not None
    return datetime.fromtimestamp(due_ns / SECOND_NS, zone).isoformat(" ", "minutes")[:16]


@pytest.mark.parametrize(
    ("began", "minutes", "reached"),
    [
        ("2026-09-30 17:20", 15, "2026-10-08 08:05"),  # the holiday week
        ("2026-10-09 17:20", 15, "2026-10-10 08:05"),  # the Saturday that makes up for it
        ("2026-03-02 11:50", 15, "2026-03-02 13:05"),
        ("2026-03-02 12:30", 15, "2026-03-02 13:15"),  # in the lunch break
        ("2026-03-06 17:20", 120, "2026-03-09 09:50"),
        ("2026-12-31 17:20", 15, "2027-01-01 08:05"),
    ],
)
def test_a_limit_is_counted_in_working_time(began: str, minutes: float, reached: str) -> None:
    assert due(began, minutes, DAY) == reached


@pytest.mark.parametrize(
    ("began", "minutes", "reached"),
    [
        ("2026-03-02 23:50", 15, "2026-03-03 00:05"),  # over midnight, the month's and the year's end
        ("2026-02-28 23:50", 15, "2026-03-01 00:05"),
        ("2026-12-31 23:50", 15, "2027-01-01 00:05"),
        ("2026-12-31 05:50", 15, "2026-12-31 22:05"),
        ("2026-03-28 22:00", 7 * 60, "2026-03-29 06:00"),  # a night of seven hours
        ("2026-10-24 22:00", 8 * 60, "2026-10-25 05:00"),  # one of nine
    ],
)
def test_a_night_shift_is_one_shift_whatever_ends_in_it(began: str, minutes: float, reached: str) -> None:
    assert due(began, minutes, NIGHT, BERLIN) == reached


@pytest.mark.parametrize("began", ["2026-03-28 23:30", "2026-10-24 23:30", "2026-02-28 21:59"])
def test_three_shifts_a_day_leave_no_hole(began: str) -> None:
    terms = Terms("p", Limit(minutes=600), "c", SHIFTS)
    clock = read(Stretch(ClockKind.RESPONSE, at(began, BERLIN)), terms, at(began, BERLIN))
    assert clock.due_ns == at(began, BERLIN) + 600 * MINUTE_NS


def reading(stretch: Stretch, now: str, minutes: float = 60, **limit: object):
    return read(stretch, Terms("p", Limit(minutes=minutes, **limit), "c", DAY), at(now))


def test_to_the_very_end_of_the_limit_is_in_time() -> None:
    began, ended = at("2026-03-02 09:00"), at("2026-03-02 10:00")
    done = Stretch(ClockKind.RESPONSE, began, ended, met=True)
    assert reading(done, "2026-03-02 12:00").state is ClockState.MET
    late = reading(replace(done, to_ns=ended + 1), "2026-03-02 12:00")
    assert (late.state, late.late, late.taken_ns) == (ClockState.BREACHED, False, 60 * MINUTE_NS + 1)
    running = Stretch(ClockKind.RESPONSE, began)
    assert reading(running, "2026-03-02 10:00").state is ClockState.RUN
    assert reading(running, "2026-03-02 10:00").levels[0].at_ns == ended + 1
    assert reading(running, "2026-03-02 10:01").late


def test_a_pause_over_the_weekend_costs_its_working_time_and_no_more() -> None:
    friday, monday = at("2026-03-06 16:00"), at("2026-03-09 10:00")
    held = Stretch(ClockKind.RESOLUTION, at("2026-03-06 15:00"), holds=((friday, None),))
    paused = reading(held, "2026-03-08 12:00", 240)
    assert (paused.state, paused.due_ns, paused.left_ns) == (ClockState.PAUSED, None, 180 * MINUTE_NS)
    assert paused.levels == ()
    resumed = replace(held, holds=((friday, monday),))
    clock = reading(resumed, "2026-03-09 11:00", 240)
    assert (clock.state, clock.due_ns) == (ClockState.RUN, at("2026-03-09 14:00"))
    assert clock.taken_ns == 120 * MINUTE_NS


def test_a_limit_that_passed_before_the_pause_stays_passed() -> None:
    held = Stretch(ClockKind.RESOLUTION, at("2026-03-02 09:00"), holds=((at("2026-03-02 11:00"), None),))
    clock = reading(held, "2026-03-03 09:00")
    assert (clock.state, clock.due_ns, clock.late) == (ClockState.BREACHED, at("2026-03-02 10:00"), True)


def test_minutes_before_the_limit_are_counted_backward_through_the_calendar() -> None:
    steps = (
        EscalationStep(to="a", at_min=-120),
        EscalationStep(to="b"),
        EscalationStep(to="c", at_min=30, repeat=3, every_min=60),
        EscalationStep(to="d", at_min=90),
    )
    stretch = Stretch(ClockKind.RESOLUTION, at("2026-03-06 15:00"))
    clock = reading(stretch, "2026-03-06 15:00", 240, steps=steps)
    assert clock.due_ns == at("2026-03-09 09:30")
    assert [(one.number, [s.to for s in one.steps], one.at_ns) for one in clock.levels] == [
        (0, ["a"], at("2026-03-06 17:00")),
        (1, ["b"], at("2026-03-09 09:30") + 1),
        (2, ["c"], at("2026-03-09 10:00") + 1),
        (3, ["c", "d"], at("2026-03-09 11:00") + 1),
        (4, ["c"], at("2026-03-09 12:00") + 1),
    ]
    short = reading(stretch, "2026-03-06 15:00", 60, steps=steps)
    assert [one.number for one in short.levels] == [1, 2, 3, 4]  # no warning from before it began


# ---------------------------------------------------------------------------- policies


HEAD = Headline(
    family=Family.MACHINE_CONDITION,
    component="DE",
    condition="zone_d",
    severity=500,
    confidence=1,
    at_ns=0,
    finding="f",
)


def ticket(**changes: object) -> Ticket:
    known = dict.fromkeys(
        ("anchor_ns", "first_event_ns", "last_event_ns", "opened_ns"), at("2026-03-06 15:00")
    )
    words = {"number": "A-1", "asset": "M1", "line": "L1", "priority": "medium", "key": "k", "trace_id": "t"}
    made = Ticket(
        id=1,
        type="equipment_repair",
        headline=HEAD,
        state=TicketState.PENDING_DISPATCH,
        **known,
        **words,
    )
    return replace(made, **changes)


def plant(**sla: object) -> Plant:
    return Plant(name="p", calendars={"day": DAY, "shifts": SHIFTS}, sla=Sla(calendar="day", **sla))


@pytest.mark.parametrize(
    ("changes", "policy", "response_min"),
    [
        ({"type": "hardware_fault"}, "hardware_fault", 15),
        ({"type": "configuration_enquiry"}, "configuration_enquiry", 120),
        ({"type": "customer_complaint"}, "customer_complaint", 120),
        ({"type": "process_abnormality"}, "process_abnormality", 30),
        ({"type": "spare_part_requisition"}, "spare_part_requisition", 240),
        ({"fault_type": "line_stop"}, "line_stop", 15),
        ({"priority": "critical"}, "critical", 15),
        ({}, "usual", 120),
    ],
)
def test_the_policies_that_ship(changes: dict[str, object], policy: str, response_min: float) -> None:
    one = ticket(**changes)
    assert policy_of(one, plant()).name == policy
    terms = terms_of(ClockKind.RESPONSE, one, plant())
    assert terms is not None
    assert terms.limit.minutes == response_min
    wall = policy in {"line_stop", "critical"}
    assert (terms.calendar, isinstance(terms.measure, Wall)) == ("" if wall else "day", wall)
    dwell, signoff = (terms_of(kind, one, plant()) for kind in (ClockKind.DWELL, ClockKind.SIGNOFF))
    assert (dwell.limit.minutes, signoff.limit.minutes, signoff.calendar) == (120, 24 * 60, "")


def test_the_first_policy_that_fits_holds_and_what_it_leaves_out_is_usual() -> None:
    mine = SlaPolicy(
        name="gold",
        when=Fitting(grades=("gold",), urgent=True, lines=("L1",)),
        response=Limit(minutes=5, calendar="shifts"),
        without=("claim",),
    )
    here = plant(policies=(mine,))
    gold = ticket(grade="gold", urgent=True)
    for other in (ticket(grade="gold"), ticket(urgent=True), ticket(grade="gold", urgent=True, line="L2")):
        assert policy_of(other, here).name == "usual"
    response, claim, dwell = (
        terms_of(kind, gold, here) for kind in (ClockKind.RESPONSE, ClockKind.CLAIM, ClockKind.DWELL)
    )
    assert (response.policy, response.limit.minutes, response.calendar) == ("gold", 5, "shifts")
    assert claim is None
    assert (dwell.limit.minutes, dwell.calendar) == (120, "day")


def test_a_calendar_that_is_not_there_and_one_that_never_works_are_refused() -> None:
    with pytest.raises(ValueError, match="sla: there is no calendar 'nights' under calendars"):
        Plant(name="p", sla=Sla(calendar="nights"))
    policy = SlaPolicy(name="x", response=Limit(minutes=5, calendar="nights"))
    with pytest.raises(ValueError, match="sla policy x: response: there is no calendar 'nights'"):
        Plant(name="p", sla=Sla(policies=(policy,)))
    with pytest.raises(ValueError, match="never works"):
        Plant.model_validate({"name": "p", "calendars": {"empty": {"week": {"mon": []}}}})
    with pytest.raises(ValueError, match="twice: usual"):
        Sla(policies=(SlaPolicy(name="usual"),))


# ---------------------------------------------------------------------------- from the audit


def line(time: str, action: str, state: TicketState, **more: object) -> TicketEvent:
    known = {"ticket": 1, "seq": 0, "actor": "chen", "channel": "console", "changes": {}, "reason": ""}
    known |= {"numbers": {}, "evidence": (), "prev_hash": "", "hash": "", "from_state": state}
    return TicketEvent(at_ns=at(f"2026-03-06 {time}"), action=action, to_state=state, **{**known, **more})


PENDING, ASSIGNED, WORKING, RESOLVED, CLOSED = TicketState
OPENED = line("09:00", "opened", PENDING, from_state=None, channel="engine", actor="detector/x@1")
ASSIGN = line("09:10", "assign", ASSIGNED, from_state=PENDING, changes={"assignee": [None, "li"]})
ACCEPT = line("09:15", "accept", WORKING, from_state=ASSIGNED, actor="li", changes={"sub_state": [None, "x"]})


def found(*lines: TicketEvent, now: str = "11:00", **changes: object):
    return {
        (str(one.kind), one.from_ns): one
        for one in readings(ticket(**changes), lines, plant(), at(f"2026-03-06 {now}"))
    }


def one(clocks, kind: str, began: str):
    return clocks[kind, at(f"2026-03-06 {began}")]


def test_the_first_deed_of_a_person_is_the_response_and_acceptance_ends_the_claim() -> None:
    seen = found(OPENED, ASSIGN, ACCEPT)
    response = one(seen, "response", "09:00")
    assert (response.state, response.taken_ns) == (ClockState.MET, 10 * MINUTE_NS)
    claim = one(seen, "claim", "09:10")
    assert (claim.state, claim.taken_ns) == (ClockState.MET, 5 * MINUTE_NS)
    assert one(seen, "resolution", "09:00").due_ns == at("2026-03-10 17:00")
    assert one(seen, "dwell", "09:15").due_ns == at("2026-03-06 11:15")
    assert one(seen, "update", "09:15").due_ns == at("2026-03-06 11:15")


def test_neither_machines_nor_the_requesters_remark_are_a_response() -> None:
    said = {"from_state": PENDING, "changes": {"priority": ["low", "medium"]}}
    joined = line("09:05", "joined", PENDING, channel="engine", actor="detector/x@1", **said)
    offered = line("09:06", "routed", PENDING, channel="engine", actor="rule/usual")
    asked = line("09:07", "comment", PENDING, actor="wang")
    report = line("09:08", "joined", PENDING, channel="web", actor="visitor")
    seen = found(OPENED, joined, offered, asked, report, requester="wang")
    assert one(seen, "response", "09:00").ended_ns is None
    assert ("update", at("2026-03-06 09:07")) not in seen
    helped = line("09:09", "comment", PENDING, actor="li")
    assert one(found(OPENED, asked, helped, requester="wang"), "response", "09:00").ended_ns == helped.at_ns


def test_on_hold_resolution_and_update_stand_and_dwell_goes_on() -> None:
    hold = line("10:00", "hold", WORKING, changes={"hold": [None, "waiting_parts"]})
    seen = found(OPENED, ASSIGN, ACCEPT, hold, now="13:30")
    resolution, update = one(seen, "resolution", "09:00"), one(seen, "update", "10:00")
    assert (resolution.state, update.state) == (ClockState.PAUSED, ClockState.PAUSED)
    assert resolution.left_ns == 23 * 60 * MINUTE_NS
    assert one(seen, "dwell", "09:15").late
    resume = line("14:00", "resume", WORKING, changes={"hold": ["waiting_parts", None]})
    seen = found(OPENED, ASSIGN, ACCEPT, hold, resume, now="14:30")
    assert one(seen, "resolution", "09:00").due_ns == DAY.add(at("2026-03-06 14:00"), 23 * 60 * MINUTE_NS)
    assert one(seen, "update", "14:00").due_ns == at("2026-03-06 16:00")


def test_what_cannot_be_solved_for_now_stops_no_clock() -> None:
    hold = line("10:00", "hold", WORKING, changes={"hold": [None, "unsolved"]})
    assert one(found(OPENED, ASSIGN, ACCEPT, hold), "resolution", "09:00").state is ClockState.RUN


def test_reopening_begins_a_new_cycle_and_keeps_what_the_old_one_took() -> None:
    resolve = line("10:00", "resolve", RESOLVED, from_state=WORKING)
    reject = line("11:00", "reject", WORKING, from_state=RESOLVED)
    seen = found(OPENED, ASSIGN, ACCEPT, resolve, reject, now="11:30")
    first = one(seen, "resolution", "09:00")
    assert (first.state, first.taken_ns) == (ClockState.MET, 60 * MINUTE_NS)
    assert one(seen, "resolution", "11:00").state is ClockState.RUN
    assert one(seen, "response", "11:00").ended_ns is None
    assert one(seen, "signoff", "10:00").state is ClockState.VOID
    sign = line("12:00", "sign", CLOSED, from_state=RESOLVED)
    closed = found(OPENED, ASSIGN, ACCEPT, resolve, sign, now="12:30")
    assert one(closed, "signoff", "10:00").state is ClockState.MET
    assert all(clock.ended_ns is not None for clock in closed.values())


def test_priority_up_moves_the_deadline_from_the_original_start() -> None:
    lines = (OPENED, line("10:00", "joined", PENDING, channel="engine", actor="detector/x@1"))
    assert one(found(*lines), "response", "09:00").due_ns == at("2026-03-06 11:00")
    critical = one(found(*lines, priority="critical"), "response", "09:00")
    assert (critical.due_ns, critical.late) == (at("2026-03-06 09:15"), True)


@given(
    st.lists(st.integers(1, 4 * 24 * 60), min_size=1, max_size=9),
    st.integers(1, 3000),
    st.integers(0, 20_000),
)
def test_a_limit_is_used_up_by_the_working_time_in_which_the_clock_ran(
    gaps: list[int], minutes: int, wait: int
) -> None:
    """However often it stood: the running time up to the deadline is the limit, to the nanosecond."""
    moments = [at("2026-09-25 10:00")]
    for gap in gaps:
        moments.append(moments[-1] + gap * MINUTE_NS)
    pairs = list(zip(moments[1::2], [*moments[2::2], None], strict=False))
    stretch = Stretch(ClockKind.RESOLUTION, moments[0], holds=tuple(pairs))
    clock = read(stretch, Terms("p", Limit(minutes=minutes), "c", DAY), moments[-1] + wait * MINUTE_NS)
    if clock.due_ns is None:
        assert clock.state is ClockState.PAUSED
        assert clock.taken_ns <= minutes * MINUTE_NS
        return
    ran = [(a, clock.due_ns if b is None else min(b, clock.due_ns)) for a, b in stretch.ran()]
    assert sum(DAY.between(a, b) for a, b in ran if a < b) == minutes * MINUTE_NS
    assert clock.late == (moments[-1] + wait * MINUTE_NS > clock.due_ns)
