"""What people report: stored before it is decided, one ticket for one event, refused with what is missing (rules 6 to 18)."""

import json
import threading
from collections.abc import Mapping

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from andon.database import reading, writing
from andon.events import Family, Json
from andon.plant import Person, Plant
from andon.rules.types import TICKET_TYPES, CustomField, TicketType, Trigger
from tests.scenario.story import PLANT, Story, time_of
from ticketing import reports
from ticketing.clockwork import turn
from ticketing.errors import Missing, StepRefused
from ticketing.report import MAX_BYTES
from ticketing.reports import Intake
from ticketing.ticket import FoldRule

REPAIR: Mapping[str, Json] = {"type": "equipment_repair", "asset": "M7", "description": "漏油了，地上一滩"}


def body(**said: Json) -> bytes:
    return json.dumps({**REPAIR, **said}, ensure_ascii=False).encode()


def reports_to(
    plant: Story, clock: str, *, raw: bytes | None = None, key: str | None = None, **said: Json
) -> Intake:
    """A report as a web form sends it: stored, then decided."""
    now_ns = time_of(clock)
    came = reports.receive(
        plant.tickets,
        raw if raw is not None else body(**said),
        actor="chen",
        came_by="api",
        now_ns=now_ns,
        idempotency=key,
    )
    return reports.take(plant.tickets, came.id, plant.plant, now_ns)


def counts(plant: Story) -> Mapping[str, int]:
    with reading(plant.engine) as conn:
        return reports.counts(conn)


def test_a_report_opens_a_ticket_with_all_that_was_said(plant: Story) -> None:
    said = reports_to(
        plant,
        "10:00",
        reporter="张工",
        phone="+86 138-0013-8000",
        fault_type="hydraulic_leak",
        urgent=True,
        grade="A",
        region="华东",
        channel="phone",
        order_number="SO-4711",
    )
    assert said.ticket is not None
    assert said.rule is FoldRule.FIRST
    ticket = plant.ticket(said.ticket)
    assert (ticket.type, ticket.fault_type, ticket.urgent, ticket.priority) == (
        *("equipment_repair", "hydraulic_leak"),
        *(True, "medium"),
    )
    assert (ticket.description, ticket.channel, ticket.event_id) == (REPAIR["description"], "phone", "M7")
    assert (ticket.reporter, ticket.requester, ticket.phone) == ("张工", "张工", "13800138000")
    assert (ticket.grade, ticket.region, ticket.line) == ("A", "华东", "L2")
    assert (
        plant.page(text="13800138000").total
        == plant.page(text="so-4711").total
        == plant.page(text="滩").total
        == 1
    )
    opened = plant.detail(said.ticket).events[0]
    assert (opened.actor, opened.channel) == ("chen", "phone")


def test_without_a_reporter_the_machines_owner_signs(plant: Story) -> None:
    said = reports_to(plant, "10:00", serial="sn-007 ", asset="")
    assert plant.ticket(said.ticket or 0).requester == "chen"
    assert plant.ticket(said.ticket or 0).asset == "M7"


@pytest.mark.parametrize("written", ["13800138000", "138-0013-8000", "+86 138 0013 8000", "(138) 0013 8000"])
def test_a_ticket_is_found_by_the_telephone_however_it_is_written(plant: Story, written: str) -> None:
    reports_to(plant, "10:00", phone="+86 138-0013-8000")
    reports_to(plant, "10:01", asset="M8", phone="0572-886601", order_number="4711-0022-33")
    assert [ticket.id for ticket in plant.page(text=written).tickets] == [1]
    assert [ticket.id for ticket in plant.page(text="4711-0022-33").tickets] == [2]


def test_a_refusal_without_an_event_id_says_which_would_do(plant: Story) -> None:
    was = reports_to(plant, "10:00", asset="", type="configuration_enquiry")
    assert was.missing == (Missing("event_id", "one_of:serial,order_number,phone"),)


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"[]", b"x" * (MAX_BYTES + 5000)])
def test_what_cannot_be_read_is_kept_and_refused(plant: Story, raw: bytes) -> None:
    was = reports_to(plant, "10:00", raw=raw)
    assert was.refusal in {"report_unreadable", "report_too_large"}
    assert was.body == raw[: MAX_BYTES + 1]


def test_three_parties_at_once_make_one_ticket(plant: Story) -> None:
    """Rule 16: customer service, pre-sales and operations tell of one machine, each in words and types of its own."""
    begin = threading.Barrier(3)
    told = [
        {"type": "customer_complaint", "phone": "057288660155", "description": "客户说压机漏油"},
        {"type": "hardware_fault", "description": "press 7 leaks", "serial": "SN-007", "asset": ""},
        {"type": "equipment_repair", "description": "M7 漏油", "fault_type": "hydraulic_leak"},
    ]

    def one(said: dict[str, Json]) -> None:
        begin.wait()
        reports_to(plant, "10:00", **said)

    threads = [threading.Thread(target=one, args=(said,)) for said in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plant.at("10:00").expects(tickets=1)
    (ticket,) = plant.page().tickets
    words = {occurrence.text["description"] for occurrence in plant.detail(ticket.id).occurrences}
    assert words == {said["description"] for said in told}
    assert (ticket.occurrence_count, ticket.phone, ticket.fault_type) == (3, "057288660155", "hydraulic_leak")
    assert counts(plant) == {"received": 3, "tickets": 3, "refusals": 0, "lost": 0}


def test_reports_of_one_event_join_while_its_ticket_is_open_and_another_opens_when_it_is_closed(
    plant: Story,
) -> None:
    first = reports_to(plant, "10:00")
    assert reports_to(plant, "10:14").rule is FoldRule.SAME_EVENT
    assert reports_to(plant, "15:00").rule is FoldRule.WHILE_OPEN
    plant.at("16:00").repairs(first.ticket or 0).signs(first.ticket or 0)
    again = reports_to(plant, "17:00")
    assert again.rule is FoldRule.AFTER_CLOSED
    assert again.ticket != first.ticket


def test_a_report_joins_the_ticket_of_a_stop_of_that_machine(plant: Story) -> None:
    plant.at("10:00").stops("M7", "E1").expects(tickets=1)
    said = reports_to(plant, "10:14", fault_type="hydraulic_leak", reporter="zhang")
    assert said.rule is FoldRule.REPORTED
    ticket = plant.ticket(said.ticket or 0)
    assert (ticket.description, ticket.reporter, ticket.requester) == (REPAIR["description"], "zhang", "chen")
    assert ticket.headline.condition == "stop"
    plant.at("10:14").expects(tickets=1)
    assert reports_to(plant, "18:00").ticket == ticket.id  # the ticket holds the report's key from now on


def test_a_machine_that_speaks_after_the_person_joins_the_persons_ticket(plant: Story) -> None:
    said = reports_to(plant, "10:00")
    plant.at("10:00:30").stops("M7", "E1").expects(tickets=1)
    ticket = plant.ticket(said.ticket or 0)
    assert ticket.headline.condition == "stop"
    assert ticket.type == "equipment_repair"
    assert plant.detail(ticket.id).occurrences[0].fold.rule is FoldRule.REPORTED


def test_a_report_joins_an_old_ticket_on_which_a_stop_has_just_begun(plant: Story) -> None:
    plant.at("08:00").shows("M7", "zone_d")
    plant.at("10:00").stops("M7", "E1").expects(tickets=1)
    assert reports_to(plant, "10:05").rule is FoldRule.REPORTED


def test_what_does_not_belong_to_the_stop_opens_a_ticket_of_its_own(plant: Story) -> None:
    plant.at("10:00").stops("M7", "E1")
    enquiry = reports_to(plant, "10:05", type="configuration_enquiry")
    assert enquiry.rule is FoldRule.FIRST
    plant.at("10:20").expects(tickets=2)
    plant.at("11:00").stops("M8", "E1")
    assert reports_to(plant, "11:15", asset="M8").rule is FoldRule.FIRST  # the window is half-open
    plant.at("12:00").shows("M9", "stuck_value")  # which is a sensor's contact
    contradicting = reports_to(plant, "12:05", asset="M9", fault_type="hydraulic_leak")
    assert contradicting.rule is FoldRule.FIRST


def test_who_knows_only_the_order_or_the_telephone_joins_who_knows_the_machine(plant: Story) -> None:
    """Rule 16: customer service has a caller, pre-sales an order, operations the machine; one event all the same."""
    operations = reports_to(plant, "10:00", order_number="SO-1", phone="13800138000")
    sales = reports_to(
        plant, "10:05", asset="", type="customer_complaint", phone="0571-1", order_number="so-1"
    )
    service = reports_to(plant, "10:10", asset="", type="customer_complaint", phone="+8613800138000")
    assert {sales.ticket, service.ticket} == {operations.ticket}
    assert (sales.rule, service.rule) == (FoldRule.SAME_NUMBER, FoldRule.SAME_NUMBER)
    again = reports_to(plant, "16:00", asset="", type="customer_complaint", phone="13800138000")
    assert (again.ticket, again.rule) == (operations.ticket, FoldRule.WHILE_OPEN)


def test_the_same_caller_about_another_machine_another_order_or_later_is_another_event(plant: Story) -> None:
    first = reports_to(plant, "10:00", phone="13800138000", order_number="SO-1", fault_type="hydraulic_leak")
    other = reports_to(plant, "10:01", asset="M8", phone="13800138000", order_number="SO-3")
    order = reports_to(
        plant, "10:02", asset="", type="configuration_enquiry", phone="13800138000", order_number="SO-2"
    )
    fault = reports_to(
        plant,
        "10:03",
        asset="",
        serial="X-1",
        type="hardware_fault",
        order_number="SO-1",
        fault_type="network_fault",
    )
    late = reports_to(plant, "10:18", asset="", serial="X-2", type="hardware_fault", order_number="SO-1")
    assert len({one.ticket for one in (first, other, order, fault, late)}) == 5
    assert {one.rule for one in (first, other, order, fault, late)} == {FoldRule.FIRST}


def test_order_numbers_and_telephones_are_events_too(plant: Story) -> None:
    said: dict[str, Json] = {"asset": "", "type": "configuration_enquiry"}
    first = reports_to(plant, "10:00", order_number="so-4711 ", **said)
    assert reports_to(plant, "10:05", order_number="ＳＯ-4711", **said).ticket == first.ticket
    phoned = reports_to(plant, "10:00", phone="138 0013 8000", **said)
    assert reports_to(plant, "10:05", phone="+86-13800138000", **said).ticket == phoned.ticket != first.ticket


def test_two_failures_told_by_people_within_72_h_open_an_rca_and_requests_never_do(plant: Story) -> None:
    first = reports_to(plant, "10:00")
    plant.at("11:00").repairs(first.ticket or 0).signs(first.ticket or 0)
    reports_to(plant, "12:00", type="configuration_enquiry", asset="", serial="other")
    plant.at("12:00").expects(problems=0)
    reports_to(plant, "Tue 10:00")
    plant.at("Tue 10:00").expects(problems=1)
    enquiry = reports_to(
        plant, "10:00", asset="M8", type="spare_part_requisition", fields={"part": "S-1", "quantity": 2}
    )
    plant.at("11:00").repairs(enquiry.ticket or 0).signs(enquiry.ticket or 0)
    reports_to(
        plant, "12:00", asset="M8", type="spare_part_requisition", fields={"part": "S-1", "quantity": 2}
    )
    plant.at("Tue 10:00").expects(problems=1)


def test_a_report_whose_bringer_died_is_finished_by_the_timer(plant: Story) -> None:
    """Rule 13: between the record and its ticket the process ended; lost counts it until the engine takes it up."""
    now_ns = time_of("10:00")
    for raw in (body(), b"not even json"):
        reports.receive(plant.tickets, raw, actor="chen", came_by="api", now_ns=now_ns)
    with reading(plant.engine) as conn:
        assert [one.id for one in reports.lost(conn)] == [1, 2]
        assert not reports.lost(conn, before_ns=now_ns)
    turn(plant.tickets, plant.plant, now_ns + reports.AFTER_NS - 1, turn_s=60)
    assert counts(plant)["lost"] == 2
    turn(plant.tickets, plant.plant, now_ns + reports.AFTER_NS, turn_s=60)
    assert counts(plant) == {"received": 2, "tickets": 1, "refusals": 1, "lost": 0}
    (ticket,) = plant.page().tickets
    assert ticket.first_event_ns == now_ns


def test_a_report_that_cannot_be_decided_leaves_nothing_half_written(
    plant: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = reports.receive(plant.tickets, body(), actor="chen", came_by="api", now_ns=time_of("10:00"))

    def dies(*_: object, **__: object) -> None:
        raise OSError("the process ends here")

    with monkeypatch.context() as patched:
        patched.setattr(reports, "_decide", dies)
        with pytest.raises(OSError, match="ends here"):
            reports.take(plant.tickets, came.id, plant.plant, time_of("10:00"))
    plant.at("10:00").expects(tickets=0)
    assert reports.take(plant.tickets, came.id, plant.plant, time_of("10:01")).ticket is not None
    assert reports.take(plant.tickets, came.id, plant.plant, time_of("10:02")).ticket is not None
    plant.at("10:02").expects(tickets=1)
    assert plant.page().tickets[0].occurrence_count == 1


def test_an_idempotency_key_makes_a_repeated_post_the_same_report(plant: Story) -> None:
    one = reports_to(plant, "10:00", key="form-1")
    assert reports_to(plant, "10:01", key="form-1") == one
    other = reports_to(plant, "10:02", key="form-1", description="something else")
    assert (other.refusal, other.ticket) == ("idempotency_key_reused", None)
    assert plant.page().tickets[0].occurrence_count == 1
    assert counts(plant) == {"received": 2, "tickets": 1, "refusals": 1, "lost": 0}


def test_nobody_can_change_what_came_in(plant: Story) -> None:
    reports_to(plant, "10:00")
    with pytest.raises(IntegrityError), writing(plant.engine) as conn:
        conn.execute(update(reports.intake).values(body=b"{}"))


def seal_brand(*mandatory: str) -> Plant:
    """The plant after its heat map showed that seals fail: their brand is asked for from now on (rule 9)."""
    field = CustomField.model_validate(
        {
            "name": "seal_brand",
            "zh": "密封圈品牌",
            "en": "Seal brand",
            "kind": "choice",
            "choices": ["NOK", "Parker"],
            "mandatory": mandatory,
        }
    )
    repair = TICKET_TYPES[0].model_copy(update={"fields": (field,)})
    return PLANT.model_copy(update={"ticket_types": (repair, *TICKET_TYPES[1:])})


def test_a_field_made_mandatory_later_is_asked_at_resolving_never_of_what_was_reported_before(
    plant: Story,
) -> None:
    before = reports_to(plant, "10:00")
    plant.plant = seal_brand("opening", "resolving")
    refused = reports_to(plant, "10:05", asset="M8")
    assert refused.missing == (Missing("fields.seal_brand"),)
    taken = reports_to(plant, "10:06", asset="M8", fields={"seal_brand": "NOK"})
    assert plant.ticket(taken.ticket or 0).fields == {"seal_brand": "NOK"}
    with pytest.raises(StepRefused) as error:
        plant.at("11:00").repairs(before.ticket or 0)
    assert error.value.missing == (Missing("fields", "seal_brand"),)
    plant.at("11:00").repairs(taken.ticket or 0)


def test_a_type_that_was_taken_out_keeps_its_tickets_readable(plant: Story) -> None:
    said = reports_to(plant, "10:00")
    plant.plant = PLANT.model_copy(update={"ticket_types": TICKET_TYPES[1:]})
    assert plant.ticket(said.ticket or 0).type == "equipment_repair"
    plant.at("12:00").repairs(said.ticket or 0).signs(said.ticket or 0)
    plant.at("13:00").stops("M3", "E1")
    assert plant.page(asset="M3").tickets[0].type == "process_abnormality"  # the first that is left


@pytest.mark.parametrize(
    ("condition", "changes", "code", "fault"),
    [
        ("stop", {"family": Family.STOP}, "equipment_repair", "line_stop"),
        ("zone_d", {}, "equipment_repair", None),
        ("process_change", {}, "process_abnormality", None),
        ("silent_sensor", {"family": Family.DATA_QUALITY}, "hardware_fault", None),
        ("stuck_value", {"family": Family.DATA_QUALITY}, "hardware_fault", "sensor_contact"),
    ],
)
def test_what_a_machine_finds_opens_the_type_that_its_triggers_say(
    plant: Story, condition: str, changes: Mapping[str, Json], code: str, fault: str | None
) -> None:
    plant.at("10:00").shows("M1", condition, **changes)
    (ticket,) = plant.page().tickets
    assert (ticket.type, ticket.fault_type) == (code, fault)


def test_a_planners_trigger_by_category_and_severity_goes_before_a_family(plant: Story) -> None:
    trigger = Trigger(family=Family.STOP, category="mechanical", min_severity=600)
    own = TicketType(code="breakdown", zh="停机抢修", en="Breakdown", triggers=(trigger,))
    plant.plant = PLANT.model_copy(update={"ticket_types": (*TICKET_TYPES, own)})
    plant.at("10:00").stops("M1", "E1").stops("M2", "E1", severity=599)
    assert [ticket.type for ticket in plant.page().tickets] == ["breakdown", "equipment_repair"]


def test_a_fault_type_finds_who_has_one_of_its_tags(plant: Story) -> None:
    """Rule 18: a leak goes to those tagged 液压方向; a network fault to IT or to a contractor, whoever has the tag."""
    extra = (
        Person(id="sun", name="孙浩", role="technician", tags=("设备维修", "液压方向")),
        Person(id="ho", name="何敏", role="technician", tags=("设备维修", "液压方向")),
        Person(id="huaxin", name="华信科技", role="contractor", tags=("外包商-网络",)),
    )
    plant.plant = PLANT.model_copy(update={"people": (*PLANT.people, *extra)})
    leak = plant.ticket(reports_to(plant, "10:00", fault_type="hydraulic_leak").ticket or 0)
    assert leak.suggestion is not None
    assert {leak.suggestion.person, leak.suggestion.backup} == {"sun", "ho"}
    network = plant.ticket(reports_to(plant, "10:00", asset="M8", fault_type="network_fault").ticket or 0)
    assert network.suggestion is not None
    assert network.suggestion.person == "huaxin"
