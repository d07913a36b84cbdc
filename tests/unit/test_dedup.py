"""Which ticket a finding belongs to: the rule alone, without a database."""

from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from itertools import pairwise
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from pydantic import ValidationError

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Action, Family, Finding, Origin
from andon.rules.dedup import Dedup, KeyRule
from ticketing.dedup import (
    STANDARD,
    Joins,
    Late,
    Master,
    Opens,
    OpenTicket,
    Related,
    Reopens,
    Rules,
    consequences,
    decide,
    explicit_key,
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

    def test_the_hash_of_a_key_by_the_products_own_rules_stays_what_it_was(self):
        """A store of an earlier build has open tickets under it."""
        spoken = b'[1, "acme", "north", "M7", "machine_condition", "DE"]'
        assert key_of(finding(), tenant="acme", site="north").hash == sha256(spoken).hexdigest()

    @pytest.mark.parametrize("variant", ["so-4711", " SO-4711 ", "ＳＯ-４７１１", "So-4711\u3000"])
    def test_an_event_id_that_the_source_sends_is_the_key_whatever_else_it_says(self, variant):
        said = finding(text={"event_id": variant}, component="E1", family=Family.STOP)
        assert key_of(said).hash == explicit_key("SO-4711", asset="M7").hash
        assert key_of(said).inputs == {"tenant": "", "site": "", "asset": "M7", "event_id": "SO-4711"}
        assert key_of(said).hash != explicit_key("SO-4711", asset="M8").hash

    @pytest.mark.parametrize("missing", [{}, {"event_id": ""}, {"event_id": " \u3000"}])
    def test_without_a_serial_number_or_id_the_component_is_the_key_and_never_nothing(self, missing):
        assert key_of(finding(text=missing)) == key_of(finding())

    def test_the_first_rule_that_fits_says_what_the_key_is_made_of(self):
        rules = Rules(2, Dedup(keys=(KeyRule(source="mqtt", fields=("text.order", "condition")),)))
        order = {"order": "so-1"}
        one, other = (key_of(finding(text=order, component=c), rules=rules) for c in ("DE", "NDE"))
        assert one.hash == other.hash
        assert (one.inputs["text.order"], one.rule_version) == ("SO-1", 2)
        assert one.hash != key_of(finding(text=order, condition="zone_d"), rules=rules).hash
        elsewhere = finding(text=order, origin=Origin("opcua", 0, T))
        assert key_of(elsewhere, rules=rules).inputs["component"] == "DE"

    def test_what_the_rule_asks_for_and_the_finding_lacks_gives_way_to_the_component(self):
        rules = Rules(2, Dedup(keys=(KeyRule(fields=("text.serial",)),)))
        assert key_of(finding(), rules=rules).inputs["component"] == "DE"
        assert key_of(finding(component="NDE"), rules=rules).hash != key_of(finding(), rules=rules).hash

    def test_changed_rules_make_another_key_of_the_same_words(self):
        assert key_of(finding(), rules=Rules(2)).hash != key_of(finding()).hash

    @pytest.mark.parametrize("field", ["severity", "at_ns", "text.", "text.a b", ""])
    def test_a_key_of_what_changes_with_every_word_is_refused(self, field):
        with pytest.raises(ValidationError):
            KeyRule(fields=(field,))

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

    def test_a_changed_window_holds_to_the_nanosecond(self):
        closed = Master(1, T, CLOSED, settled_ns=T - HOUR_NS)
        half = Dedup(window_min=30)
        assert isinstance(decide(T + 2 * W - 1, T + 2 * W - 1, [closed], rules=half), Reopens)
        assert isinstance(decide(T + 2 * W, T + 2 * W, [closed], rules=half), Opens)

    def test_where_only_the_window_counts_an_open_ticket_takes_nothing_after_it(self):
        only = Dedup(mode="window_only")
        opens = decide(T + W, T + W, [Master(1, T, IN_PROGRESS)], rules=only)
        assert opens == Opens(FoldRule.WINDOW_OVER, {"apart_s": 900.0}, recurrence_of=1)
        assert isinstance(decide(T + W - 1, T + W - 1, [Master(1, T, IN_PROGRESS)], rules=only), Joins)
        assert isinstance(decide(T + W - 1, T + W - 1, [Master(1, T, CLOSED, T)], rules=only), Reopens)


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

    def test_how_late_is_too_late_is_a_rule(self):
        week = Dedup(lateness_h=168)
        assert isinstance(decide(T, T + 168 * HOUR_NS, [], rules=week), Opens)
        assert isinstance(decide(T, T + 168 * HOUR_NS + 1, [], rules=week), Late)


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

    def hear(self, at_ns: int, received_ns: int, rules: Dedup = STANDARD.told) -> None:
        match decide(at_ns, received_ns, list(self.masters.values()), rules=rules):
            case Opens():
                number = len(self.masters) + 1
                self.masters[number] = Master(number, at_ns, PENDING)
            case Reopens(ticket=ticket):
                self.masters[ticket] = Master(ticket, self.masters[ticket].anchor_ns, IN_PROGRESS)

    def settle(self, now_ns: int, *, closed: bool) -> None:
        """The newest that is open is resolved, or closed."""
        one = next((m for m in reversed(self.masters.values()) if m.is_open), None)
        if one is not None:
            settled_ns = one.settled_ns if one.settled_ns is not None else now_ns
            state = CLOSED if closed else RESOLVED
            self.masters[one.ticket] = replace(one, state=state, settled_ns=settled_ns)


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


def shuffled(seed: int) -> list[tuple[str, int, int]]:
    """A random story of one key: events of three hours in an order of their own, between people who settle tickets."""
    random = Random(seed)  # noqa: S311 - an order, not a secret
    now_ns, story = T, []
    for _ in range(random.randrange(5, 30)):
        now_ns += random.randrange(25) * MINUTE_NS
        late_ns = random.choice((0, 0, 1, 4, 14, 15, 16, 50, 180, 1500)) * MINUTE_NS - random.randrange(2)
        deed = random.choice(("hear", "hear", "hear", "hear", "resolve", "close"))
        story.append((deed, now_ns - max(late_ns, 0), now_ns))
    return story


def broken_after(seed: int, hear, window_ns: int = W, *, many_open: bool = False) -> bool:
    """Whether I1 or I2 does not hold somewhere in that story."""
    model = _Model()
    for deed, at_ns, now_ns in shuffled(seed):
        if deed == "hear":
            hear(model, at_ns, now_ns)
        else:
            model.settle(now_ns, closed=deed == "close")
        anchors = sorted(master.anchor_ns for master in model.masters.values())
        if any(later - earlier < window_ns for earlier, later in pairwise(anchors)):
            return True
        if not many_open and sum(master.is_open for master in model.masters.values()) > 1:
            return True
    return False


def one_sided(model: _Model, at_ns: int, _now_ns: int) -> None:
    """ "Attach if 0 <= t - anchor < 15 min", as the well-known tools have it."""
    if not any(0 <= at_ns - master.anchor_ns < W for master in model.masters.values()):
        model.masters[len(model.masters) + 1] = Master(len(model.masters) + 1, at_ns, PENDING)


SEEDS = range(5000)


@pytest.mark.parametrize("rules", [Dedup(), Dedup(window_min=40), Dedup(mode="window_only")], ids=str)
def test_in_5000_shuffled_sequences_with_late_events_both_invariants_hold(rules):
    hear = partial(_Model.hear, rules=rules)
    only = rules.mode == "window_only"
    assert [seed for seed in SEEDS if broken_after(seed, hear, rules.window_ns, many_open=only)] == []


def test_the_same_sequences_catch_the_comparison_that_looks_one_way():
    assert sum(broken_after(seed, one_sided, many_open=True) for seed in SEEDS[:500]) > 50


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
