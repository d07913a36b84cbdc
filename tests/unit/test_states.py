"""Every pair of states, every demand."""

from dataclasses import replace
from itertools import product

import pytest

from andon.events import MINUTE_NS, SECOND_NS, Declared, Family
from andon.plant import Plant
from andon.rules.closing import Label
from ticketing import causes
from ticketing.causes import CAUSES, Cause, refuses
from ticketing.demands import CHECKS, Demand, Given, Hold, SignedBy, Ticks
from ticketing.errors import Missing, NoEdge, StepRefused
from ticketing.outcomes import proposed, repaired
from ticketing.states import EDGES, Step, again, check, lacks, next_steps, steps_between
from ticketing.ticket import (
    Closure,
    Headline,
    Outcome,
    SubState,
    Suggestion,
    Ticket,
    TicketState,
)

T = 1_750_000_000 * SECOND_NS
PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState

ALLOWED = {
    (PENDING, ASSIGNED),
    (PENDING, CLOSED),
    (ASSIGNED, PENDING),
    (ASSIGNED, ASSIGNED),
    (ASSIGNED, IN_PROGRESS),
    (ASSIGNED, CLOSED),
    (IN_PROGRESS, ASSIGNED),
    (IN_PROGRESS, IN_PROGRESS),
    (IN_PROGRESS, RESOLVED),
    (IN_PROGRESS, CLOSED),
    (RESOLVED, IN_PROGRESS),
    (RESOLVED, CLOSED),
    (CLOSED, CLOSED),
    (CLOSED, PENDING),
    (CLOSED, IN_PROGRESS),
}

EVERYTHING = Given(
    actor="wang",
    person="zhang",
    backup="li",
    reason="bearing skill, lightest load",
    evidence=("note: see log",),
    sub_state=SubState.SITE_SURVEY,
    hold=Hold.WAITING_PARTS,
    scan="M7",
    photos=1,
    summary="outer ring replaced",
    cause="3.4",
    same_kind=False,
    scene_tag="wear_in_service",
    ticks=Ticks(solved=True, no_derived_risk=True, no_further_support=True),
    approver="chen",
    master=7,
)


def ticket(state: TicketState, **changes) -> Ticket:
    plain = Ticket(
        id=1,
        number="A-1",
        type="equipment_repair",
        asset="M7",
        line="L1",
        headline=Headline(Family.STOP, "E-217", "stop", 500, 1.0, T, "f1"),
        priority="medium",
        state=state,
        key="k",
        anchor_ns=T,
        first_event_ns=T,
        last_event_ns=T,
        opened_ns=T,
        trace_id="mqtt:0",
        assignee=None if state is PENDING else "zhang",
        backup=None if state is PENDING else "li",
    )
    return replace(plain, **changes)


def missing(step: Step, state: TicketState, given: Given, **changes) -> dict[str, str]:
    with pytest.raises(StepRefused) as refused:
        check(ticket(state, **changes), step, given)
    assert refused.value.code == "step_refused"
    return {m.demand: m.why for m in refused.value.missing}


@pytest.mark.parametrize(("from_state", "to_state"), list(product(TicketState, TicketState)))
def test_each_of_the_25_pairs_is_an_edge_with_demands_or_refused_with_the_way_out(from_state, to_state):
    if (from_state, to_state) in ALLOWED:
        steps = steps_between(from_state, to_state)
        assert steps
        assert all(demands for demands in steps.values())
        return
    with pytest.raises(NoEdge) as refused:
        steps_between(from_state, to_state)
    assert refused.value.code == "no_edge"
    assert set(refused.value.allowed) == {str(to) for source, to in ALLOWED if source is from_state}


def test_the_table_has_no_edge_that_this_test_does_not_know():
    assert set(EDGES) == ALLOWED


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (s, step)
        for s, step in product(TicketState, Step)
        if not any(s is a and step in v for (a, _), v in EDGES.items())
    ],
)
def test_a_step_that_does_not_start_here_is_refused_with_what_can_be_done(state, step):
    with pytest.raises(NoEdge) as refused:
        check(ticket(state), step, EVERYTHING)
    assert refused.value.wanted == step


@pytest.mark.parametrize(
    ("state", "step", "to"),
    [
        (a, step, b)
        for (a, b), steps in EDGES.items()
        for step in steps
        if step not in {Step.ACCEPT, Step.DEPART, Step.ARRIVE, Step.RESUME} and a is not CLOSED
    ],
)
def test_with_everything_given_every_step_leads_where_its_edge_says(state, step, to):
    assert check(ticket(state), step, EVERYTHING) is to


def test_every_demand_has_a_check():
    assert set(CHECKS) == set(Demand)


class TestDispatch:
    def test_a_ticket_goes_to_a_person_with_a_backup_for_a_reason_never_to_nobody(self):
        assert missing(Step.ASSIGN, PENDING, Given(actor="chen")) == {
            "person": "absent",
            "backup": "absent",
            "reason": "absent",
        }

    def test_a_department_is_no_person(self):
        given = replace(EVERYTHING, person="maintenance dept", known_people=frozenset({"zhang", "li"}))
        assert missing(Step.ASSIGN, PENDING, given) == {"person": "unknown"}

    def test_nobody_is_the_backup_of_himself(self):
        assert missing(Step.ASSIGN, PENDING, replace(EVERYTHING, backup="zhang")) == {
            "backup": "same_as_person"
        }

    def test_the_scores_are_reason_enough_for_the_suggested_person(self):
        suggested = ticket(PENDING, suggestion=Suggestion("zhang", "li", "lightest", "bearing"))
        assert check(suggested, Step.ASSIGN, replace(EVERYTHING, reason="")) is ASSIGNED

    def test_only_the_assignee_accepts_and_says_how_it_begins(self):
        given = Given(actor="wang")
        assert missing(Step.ACCEPT, ASSIGNED, given) == {
            "assignee_accepts": "not_the_assignee",
            "sub_state": "absent",
        }
        accepted = Given(actor="zhang", sub_state=SubState.REMOTE_DIAGNOSIS)
        assert check(ticket(ASSIGNED), Step.ACCEPT, accepted) is IN_PROGRESS

    @pytest.mark.parametrize(("state", "step"), [(ASSIGNED, Step.DECLINE), (RESOLVED, Step.REJECT)])
    def test_every_way_back_needs_a_reason_and_evidence(self, state, step):
        assert missing(step, state, Given(actor="wang", evidence=("  ",))) == {
            "reason": "absent",
            "evidence": "absent",
        }


class TestResolve:
    def test_nothing_given_names_all_four(self):
        assert missing(Step.RESOLVE, IN_PROGRESS, Given(actor="zhang")) == {
            "photo": "absent",
            "summary": "absent",
            "cause": "absent",
            "same_kind": "absent",
        }

    @pytest.mark.parametrize(
        ("change", "lack"),
        [
            ({"photos": 0}, {"photo": "absent"}),
            ({"summary": " \n"}, {"summary": "absent"}),
            ({"summary": "跟进中,稍后处理"}, {"summary": "vague"}),
            ({"summary": "现场暂无法解决,等厂家"}, {"summary": "unsolved"}),
            ({"requisitions": 1}, {"no_requisition": "open"}),
            ({"scene_tag": "magic"}, {"scene_tag": "unknown"}),
            ({"cause": "9.9"}, {"cause": "unknown"}),
            ({"same_kind": None}, {"same_kind": "absent"}),
        ],
    )
    def test_each_one_alone_is_refused(self, change, lack):
        assert missing(Step.RESOLVE, IN_PROGRESS, replace(EVERYTHING, **change)) == lack

    def test_there_are_23_causes_each_with_a_chinese_and_an_english_label(self):
        assert len(CAUSES) == 23
        assert all(cause.zh and cause.en for cause in CAUSES.values())
        assert len({cause.zh for cause in CAUSES.values()}) == len({c.en for c in CAUSES.values()}) == 23

    def test_a_retired_code_stays_readable_and_cannot_be_chosen(self):
        retired = {"1.9": Cause("1.9", "旧", "old", retired=True)}
        assert causes.refuses("1.9", retired) == "retired"
        closing = {
            "causes": {
                "3.4": {"zh": "磨损", "en": "Worn out"},
                "1.0": {"zh": "x", "en": "x", "retired": True},
                "7.1": {"zh": "密封", "en": "Seal"},
            }
        }
        own = causes.causes_of(Plant.model_validate({"name": "p", "closing": closing}))
        assert len(own) == 24
        assert (own["3.4"].en, own["6.2"].tunes) == ("Worn out", True)
        assert (refuses("1.0", own), refuses("7.1", own), refuses("7.1")) == ("retired", None, "unknown")
        assert refuses("6.1") is None


class TestOnTheWay:
    def test_only_who_works_on_it_sets_off_and_arrives(self):
        for step in (Step.DEPART, Step.ARRIVE):
            assert missing(step, IN_PROGRESS, EVERYTHING) == {"at_work": "not_at_work"}
            for who in ("zhang", "li"):
                assert check(ticket(IN_PROGRESS), step, replace(EVERYTHING, actor=who)) is IN_PROGRESS
            helped = ticket(IN_PROGRESS, collaborators={"wang": "support"})
            assert check(helped, step, EVERYTHING) is IN_PROGRESS

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ({"scan": "M8"}, "other_asset"),
            ({"scan": "https://plant.example/report/m7?x=1"}, None),
            ({"scan": " sn-007 ", "codes": frozenset({"SN-007"})}, None),
            ({"position": "12.5,3.0"}, None),
            ({"evidence": ("the code is scratched off",)}, None),
            ({"evidence": ("ok",)}, "absent"),
            ({}, "absent"),
        ],
    )
    def test_arriving_is_shown_by_the_machines_code_a_position_or_a_note(self, given, why):
        lack = {m.demand: m.why for m in lacks(ticket(IN_PROGRESS), Step.ARRIVE, Given("zhang", **given))}
        assert lack == ({} if why is None else {"arrival": why})

    @pytest.mark.parametrize(
        ("before", "to", "is_open", "why"),
        [
            (SubState.SITE_SURVEY, SubState.PARTS_ALLOCATION, 0, "absent"),
            (SubState.SITE_SURVEY, SubState.PARTS_ALLOCATION, 1, None),
            (SubState.PARTS_ALLOCATION, SubState.SITE_SURVEY, 1, "open"),
            (SubState.PARTS_ALLOCATION, SubState.SITE_SURVEY, 0, None),
            (SubState.SITE_SURVEY, SubState.REMOTE_DIAGNOSIS, 1, None),
        ],
    )
    def test_waiting_for_parts_has_a_requisition_and_ends_with_its_issue(self, before, to, is_open, why):
        given = replace(EVERYTHING, sub_state=to, requisitions=is_open)
        lack = lacks(ticket(IN_PROGRESS, sub_state=before), Step.SUBSTATE, given)
        assert [m.why for m in lack] == ([] if why is None else [why])

    def test_what_cannot_be_solved_for_now_is_put_on_hold_once_and_goes_on(self):
        given = replace(EVERYTHING, hold=Hold.UNSOLVED)
        assert check(ticket(IN_PROGRESS), Step.HOLD, given) is IN_PROGRESS
        held = {"hold": "unsolved"}
        assert missing(Step.HOLD, IN_PROGRESS, given, **held) == {"hold": "on_hold"}
        assert Step.RESUME in next_steps(ticket(IN_PROGRESS, **held), Given())
        assert Step.RESUME not in next_steps(ticket(IN_PROGRESS), Given())
        assert missing(Step.RESUME, IN_PROGRESS, EVERYTHING) == {"on_hold": "absent"}


class TestSignOff:
    @pytest.mark.parametrize(
        "ticks",
        [Ticks(True, True, False), Ticks(True, False, True), Ticks(False, True, True), Ticks()],
    )
    def test_two_of_three_ticks_are_not_enough(self, ticks):
        assert missing(Step.SIGN, RESOLVED, replace(EVERYTHING, ticks=ticks)) == {
            "three_ticks": "not_all_three"
        }

    @pytest.mark.parametrize("role", ["handler", "assignee"])
    def test_who_did_the_work_cannot_sign_for_it(self, role):
        given = replace(EVERYTHING, actor="wu")
        assert missing(Step.SIGN, RESOLVED, given, **{role: "wu"}) == {"other_signer": "is_handler"}

    @pytest.mark.parametrize("who", ["handler", "signer"])
    def test_nobody_takes_in_or_draws_a_signature_for_his_own_work(self, who):
        drawn = replace(EVERYTHING, signed_by=SignedBy.SIGNATURE, signatures=1, signer="customer")
        assert check(ticket(RESOLVED, handler="wu"), Step.SIGN, drawn) is CLOSED
        given = replace(drawn, **{"handler": {"actor": "wu"}, "signer": {"signer": "wu"}}[who])
        assert missing(Step.SIGN, RESOLVED, given, handler="wu") == {"other_signer": "is_handler"}

    def test_a_signature_has_to_be_there_and_a_code_to_be_right(self):
        drawn = replace(EVERYTHING, signed_by=SignedBy.SIGNATURE)
        assert missing(Step.SIGN, RESOLVED, drawn) == {"signature": "absent"}
        sms = replace(EVERYTHING, actor="zhang", signed_by=SignedBy.SMS, code_refused="code_wrong")
        asked = {"reporter": "customer"}
        assert missing(Step.SIGN, RESOLVED, sms, **asked) == {"signature": "code_wrong"}
        right = replace(sms, code_refused=None)
        assert check(ticket(RESOLVED, **asked), Step.SIGN, right) is CLOSED
        assert missing(Step.SIGN, RESOLVED, right, reporter="zhang") == {"other_signer": "is_handler"}

    def test_nobody_closes_unsigned_without_a_reason_and_an_approver(self):
        assert missing(Step.CLOSE_UNSIGNED, RESOLVED, Given(actor="chen")) == {
            "reason": "absent",
            "approver": "absent",
        }


class TestGivingUp:
    @pytest.mark.parametrize("step", [Step.CANCEL, Step.FALSE_ALARM, Step.DUPLICATE])
    @pytest.mark.parametrize("state", [PENDING, ASSIGNED, IN_PROGRESS])
    def test_before_it_is_resolved_it_can_be_given_up_with_reason_and_approver(self, state, step):
        lack = missing(step, state, Given(actor="chen"))
        assert lack.items() >= {"reason": "absent", "approver": "absent"}.items()
        assert check(ticket(state), step, EVERYTHING) is CLOSED

    def test_nothing_is_a_duplicate_of_itself(self):
        assert missing(Step.DUPLICATE, PENDING, replace(EVERYTHING, master=1)) == {"master": "itself"}

    @pytest.mark.parametrize(
        ("actor", "approver", "why"),
        [
            ("chen", "chen", None),
            ("chen", "sun", None),
            ("wang", "chen", "to_be_asked"),
            ("wang", "wang", "no_role"),
            ("chen", "wang", "no_role"),
        ],
    )
    def test_who_has_the_role_decides_and_who_has_not_asks(self, actor, approver, why):
        approvers = frozenset({"chen", "sun"})
        given = replace(EVERYTHING, actor=actor, approver=approver, approvers=approvers)
        lack = {m.demand: m.why for m in lacks(ticket(PENDING), Step.CANCEL, given)}
        assert lack == ({} if why is None else {"approver": why})

    def test_a_reason_says_something(self):
        vague = replace(EVERYTHING, reason="稍后处理")
        assert missing(Step.CANCEL, PENDING, vague) == {"reason": "vague"}


class TestAfterClosing:
    def test_anybody_opens_it_again_within_15_minutes_and_an_administrator_later(self):
        closed = {"closed_ns": T}
        given = replace(EVERYTHING, administrators=frozenset({"chen"}), now_ns=T + 15 * MINUTE_NS - 1)
        assert check(ticket(CLOSED, **closed), Step.REOPEN, given) is IN_PROGRESS
        late = replace(given, now_ns=T + 15 * MINUTE_NS)
        assert missing(Step.REOPEN, CLOSED, late, **closed) == {"administrator": "absent"}
        chen = replace(late, actor="chen")
        assert check(ticket(CLOSED, **closed), Step.REOPEN, chen) is IN_PROGRESS

    def test_the_archive_wants_the_scene_tag_once(self):
        assert missing(Step.ARCHIVE, CLOSED, Given("chen")) == {"scene_tag": "absent"}
        assert check(ticket(CLOSED, scene_tag="environment"), Step.ARCHIVE, Given("chen")) is CLOSED
        assert missing(Step.ARCHIVE, CLOSED, EVERYTHING, archived_ns=T) == {"not_archived": "absent"}
        assert Step.ARCHIVE not in next_steps(ticket(CLOSED, archived_ns=T), Given())

    def test_a_retired_tag_is_not_chosen_any_more_and_stays_on_what_has_it(self):
        tags = {"old": Label(zh="旧", en="old", retired=True)}
        chosen = Given("chen", scene_tag="old", scene_tags=tags)
        assert missing(Step.ARCHIVE, CLOSED, chosen) == {"scene_tag": "retired"}
        tagged = ticket(CLOSED, scene_tag="old")
        assert check(tagged, Step.ARCHIVE, Given("chen", scene_tags=tags)) is CLOSED


class TestAgain:
    def test_a_closed_ticket_that_nobody_had_goes_back_to_dispatch(self):
        closed = ticket(CLOSED, assignee=None, closure=Closure.CANCELLED)
        assert check(closed, Step.FAIL_AGAIN, EVERYTHING) is PENDING
        assert check(ticket(CLOSED), Step.FAIL_AGAIN, EVERYTHING) is IN_PROGRESS

    def test_what_was_said_at_the_end_is_void(self):
        done = ticket(
            RESOLVED,
            handler="zhang",
            summary="done",
            cause="3.4",
            same_kind=True,
            resolved_ns=T,
            reopen_count=1,
        )
        undone = again(done, IN_PROGRESS)
        assert (undone.handler, undone.summary, undone.cause, undone.same_kind) == (None, "", None, None)
        assert (undone.resolved_ns, undone.reopen_count) == (None, 2)
        assert undone.assignee == "zhang"
        assert undone.sub_state is SubState.SITE_SURVEY


class TestProposal:
    BEARING = Headline(Family.MACHINE_CONDITION, "DE-bearing", "zone_d", 800, 1.0, T, "f1")

    @pytest.mark.parametrize(
        ("outcome", "what"),
        [
            (Outcome.FIXED, Declared.REPAIR),
            (Outcome.OPERATING_CHANGE, Declared.OPERATING_CHANGE),
            (Outcome.FALSE_ALARM, None),
            (Outcome.PLANNED, None),
            (Outcome.DUPLICATE, None),
            (None, None),
        ],
    )
    def test_a_repair_and_an_operating_change_propose_to_learn_the_baseline_anew(self, outcome, what):
        closed = ticket(CLOSED, headline=self.BEARING, outcome=outcome)
        assert proposed(closed) is what
        steps = next_steps(closed, EVERYTHING)
        assert ({Step.RELEARN, Step.KEEP_BASELINE} <= set(steps)) is (what is not None)

    @pytest.mark.parametrize("family", [Family.STOP, Family.DATA_QUALITY, Family.ELECTRICAL])
    def test_where_nothing_was_learned_nothing_is_proposed(self, family):
        closed = ticket(CLOSED, headline=replace(self.BEARING, family=family), outcome=Outcome.FIXED)
        assert missing(Step.RELEARN, CLOSED, EVERYTHING, headline=closed.headline) == {"proposal": "absent"}
        assert proposed(closed) is None

    def test_it_is_answered_once_and_declined_with_a_reason(self):
        fixed = {"headline": self.BEARING, "outcome": Outcome.FIXED}
        assert check(ticket(CLOSED, **fixed), Step.RELEARN, Given(actor="chen")) is CLOSED
        assert missing(Step.KEEP_BASELINE, CLOSED, Given(actor="chen"), **fixed) == {"reason": "absent"}
        for answer in (True, False):
            asked = {**fixed, "relearn": answer}
            assert missing(Step.RELEARN, CLOSED, EVERYTHING, **asked) == {"proposal": "answered"}

    def test_an_open_ticket_proposes_nothing_and_going_on_voids_what_was_said(self):
        assert proposed(ticket(RESOLVED, headline=self.BEARING, outcome=Outcome.FIXED)) is None
        undone = again(
            ticket(CLOSED, headline=self.BEARING, outcome=Outcome.FIXED, relearn=False), IN_PROGRESS
        )
        assert (undone.outcome, undone.relearn) == (None, None)

    def test_a_root_cause_that_says_nothing_was_wrong_makes_it_a_false_alarm(self):
        said = {code: repaired(ticket(RESOLVED, cause=code)) for code in CAUSES}
        assert {code for code, outcome in said.items() if outcome is Outcome.FALSE_ALARM} == {"6.2", "6.3"}
        assert said["6.1"] is Outcome.FIXED


def test_the_checklist_names_what_is_missing_for_each_next_step():
    steps = next_steps(ticket(IN_PROGRESS), Given(photos=1))
    assert set(steps) == {
        Step.TRANSFER,
        Step.DEPART,
        Step.ARRIVE,
        Step.SUBSTATE,
        Step.HOLD,
        Step.RESOLVE,
        Step.CANCEL,
        Step.DUPLICATE,
        Step.FALSE_ALARM,
    }
    assert [m.demand for m in steps[Step.RESOLVE]] == ["summary", "cause", "same_kind"]
    assert Step.FAIL_AGAIN not in next_steps(ticket(RESOLVED), Given())


def test_lacks_say_why():
    assert lacks(ticket(PENDING), Step.ASSIGN, replace(EVERYTHING, person="")) == (Missing("person"),)
