"""Which ticket a finding belongs to: the rule alone, without a database."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Action, Family, Finding, Origin
from ticketing.dedup import (
    Joins,
    Late,
    Master,
    Opens,
    OpenTicket,
    Related,
    Reopens,
    consequences,
    decide,
    key_of,
    relation,
    time_of,
)
from ticketing.ticket import Clock, FoldRule, TicketState

T = 1_750_000_000 * SECOND_NS
W = 15 * MINUTE_NS
PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


def finding(**changes) -> Finding:
    plain = Finding(
        id="f1",
        asset="M7",
        component="DE",
        family=Family.MACHINE_CONDITION,
        condition="zone_c",
        action=Action.RAISE,
        at_ns=T,
        onset_ns=T,
        severity=500,
        confidence=1.0,
        numbers=(),
        evidence={},
        detector="velocity_zones",
        version="1",
        parameters_hash="",
        origin=Origin("mqtt", 0, T),
    )
    return replace(plain, **changes)


def decided(at_ns: int, *masters: Master, related: Related | None = None, received_ns: int | None = None):
    return decide(at_ns, at_ns if received_ns is None else received_ns, masters, related)


class TestKey:
    def test_zone_band_energy_and_outer_race_of_one_bearing_are_one_cause(self):
        keys = {
            key_of(finding(condition=condition, severity=severity, at_ns=T + severity)).hash
            for condition, severity in (
                ("zone_c", 400),
                ("band_energy_rise", 500),
                ("bearing_outer_race", 700),
            )
        }
        assert len(keys) == 1

    @pytest.mark.parametrize("other", [{"asset": "M8"}, {"component": "NDE"}, {"family": Family.TEMPERATURE}])
    def test_another_asset_component_or_family_is_another_cause(self, other):
        assert key_of(finding()).hash != key_of(finding(**other)).hash

    def test_the_same_machine_name_on_two_tenants_is_two_causes(self):
        assert key_of(finding(), tenant="a").hash != key_of(finding(), tenant="b").hash
        assert key_of(finding(), tenant="a", site="b").hash != key_of(finding(), tenant="a b").hash

    @pytest.mark.parametrize("variant", [" e-217 ", "E-217", "e－217", "Ｅ-217"])
    def test_case_blanks_and_full_width_forms_of_a_reason_make_no_difference(self, variant):
        said, written = (
            key_of(finding(family=Family.STOP, component=reason)) for reason in (variant, "E-217")
        )
        assert said.hash == written.hash

    def test_the_key_keeps_its_inputs_and_the_version_of_its_rule(self):
        key = key_of(finding(), tenant="acme", site="north")
        assert key.rule_version == 1
        assert key.inputs == {
            "tenant": "acme",
            "site": "north",
            "asset": "M7",
            "family": "machine_condition",
            "component": "DE",
        }


class TestTime:
    def test_a_source_clock_that_runs_ahead_is_held_to_the_time_of_receipt(self):
        assert time_of(T + 24 * HOUR_NS, T) == (T, Clock.RECEIVED)

    def test_a_buffered_event_keeps_its_own_time_and_its_clock_is_one_that_nobody_has_checked(self):
        assert time_of(T - 5 * MINUTE_NS, T) == (T - 5 * MINUTE_NS, Clock.SOURCE)
        assert time_of(T - 5 * MINUTE_NS - 1, T) == (T - 5 * MINUTE_NS - 1, Clock.UNCHECKED)
        assert time_of(T - 9 * HOUR_NS, T) == (T - 9 * HOUR_NS, Clock.UNCHECKED)


class TestWindow:
    def test_the_first_event_opens(self):
        assert decided(T) == Opens(FoldRule.FIRST)

    def test_same_event_within_15_minutes_joins_the_master_ticket(self):
        master = Master(1, T, PENDING)
        assert decided(T + 252 * SECOND_NS, master) == Joins(1, FoldRule.SAME_EVENT, {"apart_s": 252.0})

    @pytest.mark.parametrize("side", [-1, 1])
    def test_one_nanosecond_short_of_15_minutes_reopens_a_closed_one_and_15_minutes_opens(self, side):
        master = Master(1, T, CLOSED, settled_ns=T - 2 * W)
        assert isinstance(decided(T + side * (W - 1), master), Reopens)
        opens = decided(T + side * W, master)
        assert isinstance(opens, Opens)
        assert opens.recurrence_of == 1

    def test_a_standing_alarm_joins_its_open_ticket_however_long_ago_it_was_opened(self):
        assert decided(T + 3 * HOUR_NS, Master(1, T, IN_PROGRESS)).rule is FoldRule.WHILE_OPEN

    def test_a_late_event_before_the_anchor_joins(self):
        joins = decided(T - 4 * MINUTE_NS, Master(1, T, ASSIGNED), received_ns=T + MINUTE_NS)
        assert joins == Joins(1, FoldRule.SAME_EVENT, {"apart_s": -240.0})

    def test_between_two_masters_the_earlier_anchor_is_preferred(self):
        masters = (Master(1, T, CLOSED, T + HOUR_NS), Master(2, T + 20 * MINUTE_NS, PENDING))
        assert decided(T + 10 * MINUTE_NS, *masters).ticket == 1


class TestSettled:
    @pytest.mark.parametrize("state", [PENDING, ASSIGNED, IN_PROGRESS])
    def test_unresolved_work_takes_every_event(self, state):
        assert isinstance(decided(T + 9 * HOUR_NS, Master(1, T, state)), Joins)

    def test_a_failure_after_the_resolution_reopens(self):
        reopens = decided(T + 2 * HOUR_NS, Master(1, T, RESOLVED, T + HOUR_NS))
        assert reopens == Reopens(1, FoldRule.FAILED_AFTER_RESOLVED, {"since_s": 3600.0})

    def test_an_event_from_before_the_resolution_only_joins(self):
        joins = decided(T + HOUR_NS, Master(1, T, RESOLVED, T + HOUR_NS))
        assert joins.rule is FoldRule.BEFORE_SETTLED

    def test_closed_at_minute_10_an_event_of_minute_12_reopens(self):
        closed = Master(1, T, CLOSED, T + 10 * MINUTE_NS)
        assert decided(T + 12 * MINUTE_NS, closed).rule is FoldRule.AGAIN_WITHIN_WINDOW

    def test_an_event_after_the_window_of_a_closed_ticket_opens_its_recurrence(self):
        opens = decided(T + 2 * HOUR_NS, Master(1, T, CLOSED, T + HOUR_NS))
        assert opens == Opens(FoldRule.AFTER_CLOSED, {"since_s": 3600.0}, recurrence_of=1)

    def test_a_closed_master_is_not_reopened_beside_an_open_one(self):
        closed = Master(1, T, CLOSED, T + 5 * MINUTE_NS)
        still_open = Master(2, T + 40 * MINUTE_NS, ASSIGNED)
        assert decided(T + 14 * MINUTE_NS, closed, still_open, received_ns=T + HOUR_NS).ticket == 2


class TestLate:
    def test_later_than_a_day_opens_nothing(self):
        late = decided(T, received_ns=T + 24 * HOUR_NS + 1)
        assert isinstance(late, Late)
        assert isinstance(decided(T, received_ns=T + 24 * HOUR_NS), Opens)

    def test_later_than_a_day_reopens_nothing_and_joins_what_it_belongs_to(self):
        closed = Master(1, T, CLOSED, T + MINUTE_NS)
        joins = decided(T + 2 * MINUTE_NS, closed, received_ns=T + 30 * HOUR_NS)
        assert joins.rule is FoldRule.LATE
        assert joins.ticket == 1


class TestRelation:
    bearing = OpenTicket(1, Family.MACHINE_CONDITION, 700, T, T)
    stop = OpenTicket(2, Family.STOP, 800, T, T)

    def test_a_stop_is_the_consequence_of_the_open_machine_condition(self):
        related = relation(T + 5 * HOUR_NS, Family.STOP, [self.bearing])
        assert related == Related(1, FoldRule.CONSEQUENCE, 5 * HOUR_NS)
        joins = decided(T + 5 * HOUR_NS, related=related)
        assert joins == Joins(1, FoldRule.CONSEQUENCE, {"apart_s": 18_000.0}, new_key=True)

    def test_of_two_open_conditions_the_graver_one_is_the_cause(self):
        mild = OpenTicket(3, Family.MACHINE_CONDITION, 300, T, T)
        assert relation(T, Family.STOP, [mild, self.bearing]).ticket == 1

    def test_a_condition_heard_within_10_minutes_joins_the_stop_that_it_caused(self):
        assert relation(T + 9 * MINUTE_NS, Family.MACHINE_CONDITION, [self.stop]).rule is FoldRule.CAUSE
        assert relation(T + 10 * MINUTE_NS, Family.MACHINE_CONDITION, [self.stop]) is None

    @pytest.mark.parametrize("family", [Family.TEMPERATURE, Family.DATA_QUALITY, Family.ELECTRICAL])
    def test_a_silent_sensor_or_a_hot_motor_has_nothing_to_do_with_the_stop(self, family):
        assert relation(T, family, [self.stop, self.bearing]) is None

    def test_the_own_open_ticket_comes_before_any_relation(self):
        related = Related(1, FoldRule.CONSEQUENCE, 0)
        assert decided(T, Master(5, T - HOUR_NS, ASSIGNED), related=related).ticket == 5

    @given(st.integers(-30, 30))
    def test_stop_and_condition_meet_or_not_whichever_is_heard_first(self, minutes):
        """With the condition at T and the stop `minutes` later (or earlier), both orders give the same."""
        stop_ns = T + minutes * MINUTE_NS
        stop_last = relation(stop_ns, Family.STOP, [OpenTicket(1, Family.MACHINE_CONDITION, 500, T, T)])
        condition_last = relation(
            T, Family.MACHINE_CONDITION, [OpenTicket(1, Family.STOP, 500, stop_ns, stop_ns)]
        )
        assert (stop_last is None) == (condition_last is None)

    def test_every_stop_of_a_cascade_would_have_joined_the_cause(self):
        cascade = [OpenTicket(n, Family.STOP, 500, T + n * MINUTE_NS, T) for n in (3, 2, 1)]
        earlier = OpenTicket(9, Family.STOP, 500, T - HOUR_NS, T - HOUR_NS)
        assert [t.ticket for t in consequences(T, [*cascade, earlier])] == [1, 2, 3]


@dataclass
class _Model:
    """One key as the store would hold it: its masters, changed only through decisions and people's steps."""

    masters: dict[int, Master] = field(default_factory=dict)

    def hear(self, at_ns: int, received_ns: int) -> None:
        match decide(at_ns, received_ns, list(self.masters.values())):
            case Opens():
                number = len(self.masters) + 1
                self.masters[number] = Master(number, at_ns, PENDING)
            case Reopens(ticket=ticket):
                self.masters[ticket] = Master(ticket, self.masters[ticket].anchor_ns, IN_PROGRESS)


class Invariants(RuleBasedStateMachine):
    """Events in any order and lateness, between people who resolve and close: I1 and I2 hold after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.model = _Model()
        self.now_ns = T

    @rule(seconds=st.integers(0, 40 * 60))
    def time_passes(self, seconds):
        self.now_ns += seconds * SECOND_NS

    @rule(late_s=st.one_of(st.integers(0, 60), st.integers(0, 3 * 3600), st.integers(0, 40 * 3600)))
    def an_event_comes(self, late_s):
        self.model.hear(self.now_ns - late_s * SECOND_NS, self.now_ns)

    @rule(which=st.integers(0, 5), closed=st.booleans())
    def somebody_settles_one(self, which, closed):
        still_open = [m for m in self.model.masters.values() if m.is_open]
        if still_open:
            one = still_open[which % len(still_open)]
            state = CLOSED if closed else RESOLVED
            settled = one.settled_ns if one.settled_ns is not None else self.now_ns
            self.model.masters[one.ticket] = Master(one.ticket, one.anchor_ns, state, settled)

    @invariant()
    def any_two_masters_are_anchored_at_least_15_minutes_apart(self):
        anchors = sorted(m.anchor_ns for m in self.model.masters.values())
        assert all(later - earlier >= W for earlier, later in pairwise(anchors))

    @invariant()
    def at_most_one_master_is_open(self):
        assert sum(m.is_open for m in self.model.masters.values()) <= 1


TestInvariants = Invariants.TestCase
TestInvariants.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


class OneSided(Invariants):
    """The planted mutant: "attach if 0 <= t - anchor < 15 min", as the well-known tools have it."""

    @rule(late_s=st.integers(0, 3600))
    def an_event_comes(self, late_s):
        at_ns = self.now_ns - late_s * SECOND_NS
        masters = self.model.masters
        if not any(0 <= at_ns - m.anchor_ns < W for m in masters.values()):
            masters[len(masters) + 1] = Master(len(masters) + 1, at_ns, PENDING)


class Eager(Invariants):
    """The planted mutant that reopens what is near its anchor without looking for one that is open."""

    @rule(late_s=st.integers(0, 3600))
    def an_event_comes(self, late_s):
        at_ns = self.now_ns - late_s * SECOND_NS
        near = [m for m in self.model.masters.values() if abs(at_ns - m.anchor_ns) < W]
        if near and near[0].done_before(at_ns):
            self.model.masters[near[0].ticket] = Master(near[0].ticket, near[0].anchor_ns, IN_PROGRESS)
        else:
            self.model.hear(at_ns, self.now_ns)


@pytest.mark.parametrize("mutant", [OneSided, Eager])
def test_the_invariants_catch_a_planted_mutant(mutant):
    found = settings(
        max_examples=1000,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate],
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(mutant, settings=found)
