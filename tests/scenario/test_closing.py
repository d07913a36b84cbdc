"""From arriving at the machine to the archive: parts, holds, approvals, signatures, stars, and what is owed after."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import msgspec
import pytest
from PIL import Image, ImageDraw
from sqlalchemy import select, update

from andon.calendars import Calendar
from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from andon.plant import Plant
from andon.ports import Message, NotifyError
from tests.scenario.story import ALL_TICKED, PLANT, Story, photo, time_of
from ticketing import audit, clockwork, deeds, deliveries, fieldwork, obligations
from ticketing.approvals import ApprovalState, in_state, pending_of
from ticketing.breaker import Breaker
from ticketing.closing import top_scene_tags
from ticketing.deeds import Doer
from ticketing.demands import Hold, SignedBy, Ticks
from ticketing.errors import DeedRefused, NoEdge, PhotoRefused, StaleVersion, StepRefused, TicketingError
from ticketing.fan_out import fan_out
from ticketing.message_tables import outbox
from ticketing.obligations import Owed
from ticketing.outbox import Channel, deliver
from ticketing.requisitions import RequisitionState
from ticketing.signing import sign_code
from ticketing.states import Step
from ticketing.subscriptions import Audience, Subscription
from ticketing.tables import ticket as tickets
from ticketing.ticket import Closure, SubState, TicketState
from ticketing.topics import types_of

T = time_of("10:00")
PHONE = "13812345678"


class Floor:
    """One ticket of a story, and what people do to it; each deed is a minute after the one before."""

    def __init__(self, story: Story, plant: Plant = PLANT) -> None:
        self.story = replace(story, plant=plant)
        self.now_ns = T
        self.story.at("10:00").stops("M7", "E1")

    def by(self, actor: str) -> dict[str, object]:
        self.now_ns += MINUTE_NS
        return {"actor": actor, "now_ns": self.now_ns, "expected_version": self.ticket.version}

    def doer(self, actor: str) -> Doer:
        self.now_ns += MINUTE_NS
        return Doer(self.story.tickets, actor, self.now_ns)

    @property
    def ticket(self):
        return self.story.ticket(1)

    def worked_on(self) -> "Floor":
        service, plant = self.story.tickets, self.story.plant
        service.assign(1, person="zhang", backup="li", plant=plant, reason="bearing", **self.by("chen"))
        service.accept(1, sub_state=SubState.SITE_SURVEY, **self.by("zhang"))
        return self

    def resolves(self, **changes: object) -> "Floor":
        self.now_ns += MINUTE_NS
        self.story.tickets.add_photo(
            1, body=photo(self.ticket.version), stage="repair", actor="zhang", now_ns=self.now_ns
        )
        said = {"summary": "seal replaced", "cause": "3.4", "same_kind": False, **changes}
        self.story.tickets.resolve(1, plant=self.story.plant, **said, **self.by("zhang"))
        return self

    def signs(self, who: str = "chen", **how: object) -> "Floor":
        self.story.tickets.sign(1, ticks=ALL_TICKED, plant=self.story.plant, **how, **self.by(who))
        return self

    def phoned(self) -> "Floor":
        """The requester had left a phone number."""
        with writing(self.story.engine) as conn:
            conn.execute(update(tickets).values(phone=PHONE, reporter="customer"))
        return self

    def told(self, kind: str) -> list[dict[str, object]]:
        with reading(self.story.engine) as conn:
            rows = conn.execute(select(outbox.c.content).where(outbox.c.kind == kind)).scalars()
            return [msgspec.json.decode(row) for row in rows]

    def code(self) -> str:
        return str(self.told("ticket.sign_code")[-1]["code"])

    def turn(self, at_ns: int) -> None:
        self.now_ns = at_ns
        clockwork.turn(self.story.tickets, self.story.plant, at_ns, turn_s=60)

    def actions(self) -> list[str]:
        return [event.action for event in self.story.detail(1).events]


@pytest.fixture
def floor(plant: Story) -> Floor:
    return Floor(plant)


def why(refused: pytest.ExceptionInfo[StepRefused]) -> dict[str, str]:
    return {str(m.demand): m.why for m in refused.value.missing}


class TestOnSite:
    def test_setting_off_and_arriving_are_deeds_on_record_that_the_requester_sees(self, floor):
        floor.worked_on()
        fieldwork.depart(floor.story.tickets, 1, **floor.by("zhang"))
        with pytest.raises(StepRefused) as refused:
            fieldwork.arrive(floor.story.tickets, 1, plant=PLANT, scan="SN-008", **floor.by("zhang"))
        assert why(refused) == {"arrival": "other_asset"}
        arrived = fieldwork.arrive(floor.story.tickets, 1, plant=PLANT, scan="sn-007", **floor.by("zhang"))
        assert (arrived.arrived_ns, arrived.sub_state) == (floor.now_ns, SubState.SITE_SURVEY)
        asked = deeds.request_part(floor.doer("zhang"), 1, part="SEAL-40", quantity=2, reason="torn")
        deeds.issue_part(floor.doer("wang"), asked.id, lot="L-77")
        floor.resolves()
        detail = floor.story.detail(1)
        assert [str(node.name) for node in detail.nodes] == [
            *("accepted", "departed", "arrived", "repairing", "parts_out", "solved"),
        ]
        assert [node.at_ns for node in detail.nodes] == sorted(node.at_ns for node in detail.nodes)
        assert next(e for e in detail.events if e.action == "arrive").evidence == ("sn-007",)

    def test_parts_are_asked_for_inside_the_ticket_and_hold_its_end(self, floor):
        floor.worked_on()
        service = floor.story.tickets
        waiting = {"sub_state": SubState.PARTS_ALLOCATION, "reason": "seal kit"}
        with pytest.raises(StepRefused) as refused:
            service.substate(1, **waiting, **floor.by("zhang"))
        assert why(refused) == {"evidence": "absent", "requisition": "absent"}
        asked = deeds.request_part(floor.doer("zhang"), 1, part="SEAL-40", quantity=1, reason="torn seal")
        assert service.substate(1, **waiting, **floor.by("zhang")).sub_state is SubState.PARTS_ALLOCATION
        assert floor.story.detail(1).events[-1].evidence == ("PR-1",)
        on = {"sub_state": SubState.SITE_SURVEY, "reason": "the kit is here"}
        for deed in (lambda: service.substate(1, **on, **floor.by("zhang")), floor.resolves):
            with pytest.raises(StepRefused) as refused:
                deed()
            assert set(why(refused).values()) == {"open"}
        issued = deeds.issue_part(floor.doer("wang"), asked.id, lot="L-77", note="from shelf 3")
        assert (issued.state, issued.lot, issued.settled_by) == (RequisitionState.ISSUED, "L-77", "wang")
        with pytest.raises(DeedRefused, match="not open") as settled:
            deeds.withdraw_part(floor.doer("zhang"), asked.id, reason="not needed")
        assert settled.value.code == "requisition_settled"
        service.substate(1, **on, **floor.by("zhang"))
        floor.resolves()
        floor.story.at("12:00").expects(tickets=1, resolved=1)

    def test_a_part_that_is_not_wanted_any_more_is_withdrawn_with_a_reason(self, floor):
        floor.worked_on()
        asked = deeds.request_part(floor.doer("zhang"), 1, part="SEAL-40", quantity=1, reason="torn seal")
        with pytest.raises(StepRefused) as refused:
            deeds.withdraw_part(floor.doer("zhang"), asked.id, reason="跟进中")
        assert why(refused) == {"reason": "vague"}
        deeds.withdraw_part(floor.doer("zhang"), asked.id, reason="the old one still seals")
        floor.resolves()

    @pytest.mark.parametrize("wrong", [{"part": " "}, {"quantity": 0}, {"reason": ""}])
    def test_a_requisition_says_what_how_many_and_why(self, floor, wrong):
        said = {"part": "SEAL-40", "quantity": 1, "reason": "torn", **wrong}
        with pytest.raises(StepRefused) as refused:
            deeds.request_part(floor.doer("zhang"), 1, **said)
        assert list(why(refused)) == list(wrong)
        assert floor.story.detail(1).requisitions == ()

    def test_work_that_is_done_asks_for_no_parts(self, floor):
        floor.worked_on().resolves()
        with pytest.raises(NoEdge):
            deeds.request_part(floor.doer("zhang"), 1, part="SEAL-40", quantity=1, reason="torn")

    def test_what_cannot_be_solved_for_now_stays_in_progress_and_says_so(self, floor):
        floor.worked_on()
        with pytest.raises(StepRefused) as refused:
            floor.resolves(summary="暂无法解决,等厂家")
        assert why(refused) == {"summary": "unsolved"}
        said = {"reason": "the maker has to come", "evidence": ("mail of Monday",)}
        held = fieldwork.hold(floor.story.tickets, 1, hold=Hold.UNSOLVED, **said, **floor.by("zhang"))
        assert (held.state, held.hold) == (TicketState.IN_PROGRESS, "unsolved")
        assert fieldwork.resume(floor.story.tickets, 1, reason="he is here", **floor.by("zhang")).hold is None

    def test_a_cause_of_the_sites_own_is_chosen_and_a_retired_one_is_not(self, plant):
        closing = {
            "causes": {
                "7.1": {"zh": "密封批次", "en": "Lot of seals"},
                "3.4": {"zh": "x", "en": "x", "retired": True},
            }
        }
        floor = Floor(plant, Plant.model_validate({**PLANT.model_dump(), "closing": closing})).worked_on()
        for code, reason in (("3.4", "retired"), ("9.9", "unknown"), (None, "absent")):
            with pytest.raises(StepRefused) as refused:
                floor.resolves(cause=code)
            assert why(refused) == {"cause": reason}
        assert floor.resolves(cause="7.1").ticket.cause == "7.1"


class TestApproval:
    def asks(self, floor: Floor, who: str = "li", step: Step = Step.CANCEL, **more: object):
        return deeds.ask_approval(floor.doer(who), 1, step=step, reason="the line was rebuilt", **more)

    def test_who_has_not_the_role_asks_and_another_who_has_it_grants(self, floor):
        given = {"reason": "the line was rebuilt", "plant": PLANT}
        for approver, lack in (("chen", "to_be_asked"), ("li", "no_role")):
            with pytest.raises(StepRefused) as refused:
                floor.story.tickets.cancel(1, approver=approver, **given, **floor.by("li"))
            assert why(refused) == {"approver": lack}
        asked = self.asks(floor)
        assert floor.ticket.state is TicketState.PENDING_DISPATCH
        assert floor.story.detail(1).approval == asked
        closed = deeds.grant(floor.doer("chen"), asked.id, PLANT)
        assert (closed.closure, closed.approver) == (Closure.CANCELLED, "chen")
        assert floor.story.detail(1).events[-1].evidence == ("AP-1", "li")
        assert floor.story.detail(1).approval is None

    def test_who_asks_cannot_grant_it_whatever_the_role(self, floor):
        asked = self.asks(floor, "chen")
        with pytest.raises(DeedRefused) as refused:
            deeds.grant(floor.doer("chen"), asked.id, PLANT)
        assert refused.value.code == "own_approval"
        with pytest.raises(DeedRefused) as refused:
            deeds.grant(floor.doer("wang"), asked.id, PLANT)
        assert refused.value.code == "not_an_approver"
        assert floor.ticket.is_open

    def test_of_two_approvers_at_once_one_decides(self, plant):
        leaders = [
            p.model_copy(update={"role": "line leader"}) for p in PLANT.people if p.id in {"wang", "zhang"}
        ]
        two = PLANT.model_copy(update={"people": (*PLANT.people[:2], *leaders, PLANT.people[3])})
        floor = Floor(plant, two)
        asked = self.asks(floor)
        deciders = [floor.doer(who) for who in ("chen", "wang", "chen", "wang")]

        def decides(by: Doer) -> str:
            try:
                deeds.grant(by, asked.id, two)
            except TicketingError as error:
                return error.code
            return "granted"

        with ThreadPoolExecutor(4) as pool:
            answers = sorted(pool.map(decides, deciders))
        assert answers == ["approval_decided"] * 3 + ["granted"]
        assert floor.actions().count("cancel") == 1

    def test_a_refusal_has_a_reason_and_the_work_goes_on(self, floor):
        asked = self.asks(floor)
        with pytest.raises(StepRefused):
            deeds.refuse(floor.doer("chen"), asked.id, PLANT, note=" ")
        refused = deeds.refuse(floor.doer("chen"), asked.id, PLANT, note="it stopped again today")
        assert (refused.state, refused.note) == (ApprovalState.REFUSED, "it stopped again today")
        assert floor.ticket.is_open
        assert self.asks(floor).id == 2

    def test_one_wish_at_a_time_and_only_for_what_the_ticket_can_do(self, floor):
        with pytest.raises(NoEdge):
            self.asks(floor, step=Step.CLOSE_UNSIGNED)
        with pytest.raises(DeedRefused) as refused:
            self.asks(floor, step=Step.RESOLVE)
        assert refused.value.code == "no_approval_needed"
        self.asks(floor)
        with pytest.raises(DeedRefused) as refused:
            self.asks(floor, step=Step.FALSE_ALARM)
        assert refused.value.code == "approval_pending"

    def test_what_the_ticket_has_moved_past_lapses_and_closes_nothing(self, floor):
        asked = self.asks(floor.worked_on())
        floor.resolves()
        with pytest.raises(DeedRefused) as late:
            deeds.grant(floor.doer("chen"), asked.id, PLANT)
        assert late.value.code == "approval_decided"
        assert floor.ticket.state is TicketState.RESOLVED
        with floor.story.tickets.looking() as conn:
            assert in_state(conn, ApprovalState.PENDING) == ()
            assert [one.id for one in in_state(conn, ApprovalState.LAPSED)] == [1]
        assert self.asks(floor, step=Step.CLOSE_UNSIGNED).id == 2

    def test_a_duplicate_can_be_asked_for_too(self, floor):
        floor.story.at("10:00").stops("M7", "E2")
        asked = self.asks(floor, step=Step.DUPLICATE, master=2)
        assert deeds.grant(floor.doer("chen"), asked.id, PLANT).duplicate_of == 2


class TestSignature:
    def test_a_code_on_the_requesters_phone_signs_even_in_the_handlers_hand(self, floor):
        floor.worked_on().phoned().resolves()
        sent = deeds.send_code(floor.doer("zhang"), 1)
        assert sent.phone.endswith("5678")
        assert "1381" not in sent.phone
        assert floor.told("ticket.sign_code")[0]["people"] == [f"tel:{PHONE}"]
        floor.signs("zhang", signed_by=SignedBy.SMS, code=floor.code())
        closed = floor.ticket
        assert (closed.signed_by, closed.signer, closed.closure) == ("sms", "customer", Closure.SIGNED)

    def refused(self, floor: Floor, code: str) -> str:
        with pytest.raises(StepRefused) as refused:
            floor.signs("zhang", signed_by=SignedBy.SMS, code=code)
        return why(refused)["signature"]

    def wrong(self, floor: Floor) -> str:
        return f"{(int(floor.code()) + 1) % 1_000_000:06}"

    def test_wrong_reissued_expired_and_spent_codes_are_told_apart(self, floor):
        floor.worked_on().phoned().resolves()
        assert self.refused(floor, "123456") == "code_absent"
        deeds.send_code(floor.doer("li"), 1)
        assert self.refused(floor, self.wrong(floor)) == "code_wrong"
        first = floor.code()
        deeds.send_code(floor.doer("li"), 1)
        if floor.code() != first:
            assert self.refused(floor, first) == "code_wrong"
        floor.now_ns += 10 * MINUTE_NS
        assert self.refused(floor, floor.code()) == "code_expired"
        deeds.send_code(floor.doer("li"), 1)
        assert [self.refused(floor, self.wrong(floor)) for _ in range(5)] == ["code_wrong"] * 5
        assert self.refused(floor, floor.code()) == "code_spent"
        assert floor.ticket.state is TicketState.RESOLVED

    def test_the_fifth_try_may_still_be_right_and_a_code_signs_once(self, floor):
        floor.worked_on().phoned().resolves()
        deeds.send_code(floor.doer("li"), 1)
        assert [self.refused(floor, self.wrong(floor)) for _ in range(4)] == ["code_wrong"] * 4
        code = floor.code()
        floor.signs("li", signed_by=SignedBy.SMS, code=code)
        with reading(floor.story.engine) as conn:
            assert conn.execute(select(sign_code.c.used_ns)).scalar_one() == floor.now_ns
        with writing(floor.story.engine) as conn:  # as if the ticket had come back to where the code was sent
            conn.execute(update(tickets).values(state="resolved", closed_ns=None, closure=None))
        assert self.refused(floor, code) == "code_used"

    def test_a_code_of_the_round_before_signs_nothing(self, floor):
        floor.worked_on().phoned().resolves()
        deeds.send_code(floor.doer("li"), 1)
        code = floor.code()
        floor.story.tickets.reject(1, reason="it leaks", evidence=("photo",), **floor.by("chen"))
        floor.resolves()
        assert self.refused(floor, code) == "code_absent"

    def test_the_code_stands_nowhere_but_in_its_message(self, floor):
        floor.worked_on().phoned().resolves()
        deeds.send_code(floor.doer("li"), 1)
        code = floor.code()
        with reading(floor.story.engine) as conn:
            row = conn.execute(select(sign_code)).mappings().one()
        assert code.encode() not in row["hash"] + row["salt"]
        assert not any(code in str(event) for event in floor.story.detail(1).events)
        with pytest.raises(DeedRefused) as refused:
            deeds.send_code(replace(floor.doer("li"), now_ns=row["sent_ns"] + 59 * SECOND_NS), 1)
        assert refused.value.code == "code_too_soon"

    def test_once_it_has_arrived_or_was_given_up_the_store_holds_it_no_more(self, floor):
        heard: list[str] = []

        class Pager:
            def send(self, message: Message, *_: object) -> str:
                heard.append(str(message.content["code"]))
                return "taken"

        class Wall:
            def send(self, *_: object) -> str:
                raise NotifyError("no such number", permanent=True)

        floor.worked_on().phoned().resolves()
        deeds.send_code(floor.doer("li"), 1)
        code, engine = floor.code(), floor.story.engine
        types = types_of("andon.ticket.sign-code.v1")
        ways = [
            Channel(Subscription(name, types=types), one(), Breaker())
            for name, one in (("sms", Pager), ("wall", Wall))
        ]
        while fan_out(engine, [way.subscription for way in ways], floor.story.plant, floor.now_ns):
            pass
        assert {one["code"] for one in floor.told("ticket.sign_code")} == {"", code}
        assert [dict(deliver(engine, way, floor.now_ns)) for way in ways] == [{"sent": 1}, {"dead": 1}]
        assert heard == [code]
        assert {one["code"] for one in floor.told("ticket.sign_code")} == {""}

    def test_without_a_phone_or_before_the_work_is_done_no_code_is_sent(self, floor):
        with pytest.raises(NoEdge):
            deeds.send_code(floor.doer("li"), 1)
        floor.worked_on().resolves()
        with pytest.raises(DeedRefused) as refused:
            deeds.send_code(floor.doer("li"), 1)
        assert refused.value.code == "no_phone"

    def test_two_of_three_ticks_cost_a_try_and_close_nothing(self, floor):
        floor.worked_on().phoned().resolves()
        deeds.send_code(floor.doer("li"), 1)
        with pytest.raises(StepRefused) as refused:
            floor.story.tickets.sign(
                1,
                ticks=Ticks(True, True, False),
                plant=PLANT,
                signed_by=SignedBy.SMS,
                code=floor.code(),
                **floor.by("li"),
            )
        assert why(refused) == {"three_ticks": "not_all_three"}
        floor.signs("li", signed_by=SignedBy.SMS, code=floor.code())

    def test_a_drawn_signature_of_this_round_signs_and_is_no_photo_of_the_work(self, floor):
        floor.worked_on().resolves()
        how = {"signed_by": SignedBy.SIGNATURE, "signer": "Mr Chen, customer"}
        with pytest.raises(StepRefused) as refused:
            floor.signs("chen", **how)
        assert why(refused) == {"signature": "absent"}
        with pytest.raises(PhotoRefused) as blank:
            floor.story.tickets.add_photo(
                1, body=photo(), stage="signature", actor="chen", now_ns=floor.now_ns
            )
        assert blank.value.code == "signature_blank"
        floor.story.tickets.add_photo(1, body=drawn(), stage="signature", actor="chen", now_ns=floor.now_ns)
        with pytest.raises(StepRefused) as refused:
            floor.signs("zhang", **how)
        assert why(refused) == {"other_signer": "is_handler"}
        floor.signs("chen", **how)
        assert (floor.ticket.signed_by, floor.ticket.signer) == ("signature", "Mr Chen, customer")
        floor.story.tickets.reopen(1, reason="leaks", evidence=("x",), plant=PLANT, **floor.by("li"))
        assert floor.story.detail(1).given.photos == floor.story.detail(1).given.signatures == 0


def drawn() -> bytes:
    picture = Image.new("RGB", (60, 20), "white")
    ImageDraw.Draw(picture).line((5, 15, 30, 5, 55, 15), fill="black", width=2)
    written = BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


class TestAfterClosing:
    def test_the_archive_wants_a_scene_tag_and_the_signature_does_not(self, floor):
        floor.worked_on().resolves().signs()
        with pytest.raises(StepRefused) as refused:
            fieldwork.archive(floor.story.tickets, 1, scene_tag=None, plant=PLANT, **floor.by("chen"))
        assert why(refused) == {"scene_tag": "absent"}
        tag = "new_staff_misoperation"
        kept = fieldwork.archive(floor.story.tickets, 1, scene_tag=tag, plant=PLANT, **floor.by("chen"))
        assert (kept.state, kept.scene_tag, kept.archived_ns) == (TicketState.CLOSED, tag, floor.now_ns)
        with floor.story.tickets.looking() as conn:
            (top,) = top_scene_tags(conn, PLANT)
        assert (top.code, top.tickets, top.label.zh) == (tag, 1, "新员工误操作")

    def test_the_handlers_tag_is_enough_for_the_archive_and_going_on_takes_it_out(self, floor):
        floor.worked_on().resolves(scene_tag="environment").signs()
        fieldwork.archive(floor.story.tickets, 1, scene_tag=None, plant=PLANT, **floor.by("chen"))
        opened = floor.story.tickets.reopen(
            1, reason="leaks", evidence=("photo",), plant=PLANT, **floor.by("li")
        )
        assert (opened.archived_ns, opened.scene_tag) == (None, "environment")

    def test_after_15_minutes_only_an_administrator_opens_it_again(self, plant):
        chief = PLANT.people[2].model_copy(update={"role": "管理员"})
        floor = Floor(plant, PLANT.model_copy(update={"people": (*PLANT.people[:2], chief, PLANT.people[3])}))
        floor.worked_on().resolves().signs()
        again = {"reason": "it leaks", "evidence": ("photo",), "plant": floor.story.plant}
        floor.now_ns = floor.ticket.closed_ns + 14 * MINUTE_NS
        for who in ("li", "chen"):
            with pytest.raises(StepRefused) as refused:
                floor.story.tickets.reopen(1, **again, **floor.by(who))
            assert why(refused) == {"administrator": "absent"}
        assert floor.story.tickets.reopen(1, **again, **floor.by("wang")).reopen_count == 1

    def test_the_knowledge_entry_is_owed_within_a_day_reminded_of_and_told_once_overdue(self, floor):
        floor.worked_on().resolves().signs()
        closed_ns = floor.ticket.closed_ns
        (owed,) = floor.story.detail(1).obligations
        assert (owed.kind, owed.due_ns - closed_ns) == (Owed.KNOWLEDGE, 24 * HOUR_NS)
        assert owed.owner in {person.id for person in PLANT.people}
        for hours in (17, 18, 19, 24, 25, 40):
            floor.turn(closed_ns + hours * HOUR_NS)
        assert floor.actions().count("obligation") == floor.actions().count("obligation_overdue") == 1
        assert floor.told("ticket.obligation")[0]["people"] == [owed.owner]
        assert set(floor.told("ticket.obligation_overdue")[0]["people"]) == {owed.owner, "chen"}
        with pytest.raises(StepRefused):
            deeds.fulfil(floor.doer("chen"), 1, Owed.KNOWLEDGE, note="done")
        done = deeds.fulfil(floor.doer("chen"), 1, Owed.KNOWLEDGE, note="KB-12: seals of lot L-77")
        assert (done.done_by, done.done_ns) == ("chen", floor.now_ns)
        with pytest.raises(DeedRefused) as refused:
            deeds.fulfil(floor.doer("chen"), 1, Owed.KNOWLEDGE, note="KB-12: seals of lot L-77")
        assert refused.value.code == "not_owed"

    def test_what_is_done_in_time_is_not_reminded_of_and_a_new_round_owes_anew(self, floor):
        floor.worked_on().resolves().signs()
        closed_ns = floor.ticket.closed_ns
        floor.story.tickets.reopen(1, reason="leaks", evidence=("x",), plant=PLANT, **floor.by("li"))
        assert floor.story.detail(1).obligations == ()
        floor.turn(closed_ns + 20 * HOUR_NS)
        assert "obligation" not in floor.actions()
        floor.resolves().signs()
        deeds.fulfil(floor.doer("chen"), 1, Owed.KNOWLEDGE, note="KB-12: seals of lot L-77")
        floor.turn(closed_ns + 90 * HOUR_NS)
        assert not {"obligation", "obligation_overdue"} & set(floor.actions())

    def test_less_than_three_stars_call_for_a_review_within_48_hours(self, floor):
        floor.worked_on().resolves().signs()
        with pytest.raises(StepRefused) as refused:
            deeds.rate(floor.doer("zhang"), 1, PLANT, stars=5)
        assert why(refused) == {"other_signer": "is_handler"}
        for stars in (0, 6):
            with pytest.raises(StepRefused):
                deeds.rate(floor.doer("li"), 1, PLANT, stars=stars)
        rated = deeds.rate(floor.doer("li"), 1, PLANT, stars=2, comment="took two days")
        review = next(o for o in floor.story.detail(1).obligations if o.kind is Owed.REVIEW)
        assert (review.owner, review.due_ns - rated.at_ns) == ("chen", 48 * HOUR_NS)
        with pytest.raises(DeedRefused) as twice:
            deeds.rate(floor.doer("li"), 1, PLANT, stars=5)
        assert twice.value.code == "already_rated"
        with floor.story.tickets.looking() as conn:
            assert [o.kind for o in obligations.open_obligations(conn, "chen")][-1] is Owed.REVIEW

    def test_three_stars_call_for_none_and_open_work_is_not_rated(self, floor):
        with pytest.raises(NoEdge):
            deeds.rate(floor.doer("li"), 1, PLANT, stars=5)
        floor.worked_on().resolves().signs()
        deeds.rate(floor.doer("li"), 1, PLANT, stars=3)
        assert [o.kind for o in floor.story.detail(1).obligations] == [Owed.KNOWLEDGE]

    def test_nothing_is_closed_by_time_unless_the_site_wants_it(self, floor):
        floor.worked_on().resolves()
        floor.turn(floor.now_ns + 400 * 24 * HOUR_NS)
        assert floor.ticket.state is TicketState.RESOLVED

    def test_a_site_that_wants_it_closes_what_nobody_signs_and_marks_it(self, plant):
        site = Plant.model_validate({**PLANT.model_dump(), "closing": {"unsigned_after_days": 7}})
        floor = Floor(plant, site).worked_on().resolves()
        first_ns = floor.ticket.resolved_ns
        floor.story.tickets.reject(1, reason="leaks", evidence=("x",), **floor.by("chen"))
        floor.now_ns += 24 * HOUR_NS
        floor.resolves()
        floor.turn(first_ns + 7 * 24 * HOUR_NS)
        assert floor.ticket.state is TicketState.RESOLVED  # the timer of the round before
        floor.turn(floor.ticket.resolved_ns + 7 * 24 * HOUR_NS)
        closed = floor.ticket
        assert (closed.closure, closed.signer, closed.approver) == (
            Closure.UNSIGNED,
            None,
            "rule/close_unsigned",
        )


class TestRecord:
    def test_a_stale_step_is_told_what_was_done_since_it_looked(self, floor):
        seen = floor.ticket.version
        floor.worked_on()
        floor.story.tickets.comment(1, text="called the maker", actor="li", now_ns=floor.now_ns)
        with pytest.raises(StaleVersion) as refused:
            floor.story.tickets.cancel(
                1,
                reason="not needed",
                approver="chen",
                plant=PLANT,
                actor="chen",
                now_ns=floor.now_ns,
                expected_version=seen,
            )
        assert [event.action for event in refused.value.since] == ["assign", "accept", "comment"]
        assert refused.value.since[0].changes["assignee"] == [None, "zhang"]
        with pytest.raises(StaleVersion) as refused:
            floor.story.tickets.decline(
                1, reason="r", evidence=("e",), actor="zhang", now_ns=floor.now_ns, expected_version=seen + 1
            )
        assert [event.action for event in refused.value.since] == ["accept", "comment"]

    def test_every_deed_is_in_the_chain_and_a_refused_one_leaves_nothing(self, floor):
        floor.worked_on().phoned()
        asked = deeds.request_part(floor.doer("zhang"), 1, part="SEAL-40", quantity=1, reason="torn")
        deeds.issue_part(floor.doer("wang"), asked.id, lot="L-77")
        floor.resolves().signs()
        before = floor.story.detail(1)
        for deed in (
            lambda: deeds.rate(floor.doer("zhang"), 1, PLANT, stars=5),
            lambda: deeds.issue_part(floor.doer("wang"), asked.id),
            lambda: deeds.send_code(floor.doer("li"), 1),
            lambda: deeds.fulfil(floor.doer("li"), 1, Owed.REVIEW, note="a long talk about seals"),
            lambda: deeds.ask_approval(floor.doer("li"), 1, step=Step.CANCEL, reason="not needed"),
            lambda: fieldwork.archive(
                floor.story.tickets, 1, scene_tag="magic", plant=PLANT, **floor.by("chen")
            ),
        ):
            with pytest.raises(TicketingError):
                deed()
        assert floor.story.detail(1) == before
        with reading(floor.story.engine) as conn:
            assert audit.verify(conn) == []
            assert pending_of(conn, 1) is None


class TestCodeOnTheBus:
    def test_it_goes_at_once_to_the_number_by_the_channel_that_names_its_topic_and_is_not_shown(self, floor):
        floor.worked_on().phoned().resolves()
        deeds.send_code(floor.doer("zhang"), 1)
        code = floor.code()
        night = Calendar(week={"sun": ("03:00-03:01",)})
        sms = Subscription(
            "sms",
            Audience.PERSON,
            types_of("andon.ticket.sign-code.v1"),
            people={"chen": "139"},
            recipients=("chen",),
            group_wait_s=30.0,
            hours=night,
        )
        others = Subscription("erp"), Subscription("mail", Audience.PERSON, recipients=("chen",))
        fan_out(floor.story.engine, (sms, *others), PLANT, floor.now_ns)
        with reading(floor.story.engine) as conn:
            rows = conn.execute(select(outbox).where(outbox.c.channel != "bus")).mappings().all()
            (row,) = [one for one in rows if one["kind"] == "ticket.sign_code"]
            shown = deliveries.one(conn, row["id"])
        assert (row["channel"], row["recipient"], row["next_ns"]) == ("sms", f"tel:{PHONE}", floor.now_ns)
        assert sms.addresses(row["recipient"], ()) == (PHONE,)
        assert PHONE not in row["key"]
        assert shown is not None
        assert code not in str(shown)
        assert PHONE not in str(shown)
