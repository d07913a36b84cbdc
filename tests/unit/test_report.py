"""What a person's report is read as, and what it is refused for; types and fields as planners write them."""

import json
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from andon.events import Json
from andon.plant import Plant
from andon.rules.types import FAULT_TYPES, TICKET_TYPES, CustomField, TicketType, contradict
from tests.scenario.story import PLANT
from ticketing.errors import ReportRefused
from ticketing.report import read, wrong_fields

REPAIR: Mapping[str, Json] = {"type": "equipment_repair", "asset": "M7", "description": "漏油了，地上一滩"}


def body(**said: Json) -> bytes:
    return json.dumps({**REPAIR, **said}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("said", "code", "missing"),
    [
        ({"asset": "", "type": "configuration_enquiry"}, "event_id_missing", "event_id"),
        ({"asset": "M77"}, "report_refused", "asset"),
        ({"asset": "", "phone": "13800138000"}, "report_refused", "asset"),
        ({"type": "", "channel": "web"}, "report_refused", "type"),
        ({"type": "party"}, "report_refused", "type"),
        ({"fault_type": "gremlins"}, "report_refused", "fault_type"),
        ({"description": "  "}, "report_refused", "description"),
        ({"colour": "red"}, "report_refused", "colour"),
        ({"urgent": "perhaps"}, "report_refused", "urgent"),
        ({"serial": "SN-008"}, "report_refused", "serial"),
        ({"fields": {"seal_brand": "NOK"}}, "report_refused", "fields.seal_brand"),
        ({"type": "spare_part_requisition"}, "report_refused", "fields.part"),
        (
            {"type": "spare_part_requisition", "fields": {"part": "S-1", "quantity": 0}},
            "report_refused",
            "fields.quantity",
        ),
        ({"type": "customer_complaint"}, "report_refused", "phone"),
        ({"phone": "call Li"}, "report_refused", "phone"),
        ({"description": "a\0b"}, "report_refused", "description"),
        ({"fields": {"x": ["\0"]}}, "report_refused", "fields"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_report_is_refused_with_the_field_that_is_wrong(
    said: Mapping[str, Json], code: str, missing: str
) -> None:
    with pytest.raises(ReportRefused) as error:
        read(body(**said), PLANT)
    assert error.value.code == code
    assert missing in {one.demand for one in error.value.missing}


def test_a_word_that_only_looks_like_an_unkeepable_character_is_kept() -> None:
    assert read(body(description="a\\u0000b"), PLANT).told.description == "a\\u0000b"


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ReportRefused) as error:
        read(body(type="spare_part_requisition", asset="M77", description="", fault_type="gremlins"), PLANT)
    named = {one.demand for one in error.value.missing}
    assert named == {"asset", "description", "fault_type", "fields.part", "fields.quantity"}


def test_a_serial_number_finds_its_machine_and_a_foreign_one_is_still_an_event() -> None:
    assert read(body(asset="", serial="ｓn-007 "), PLANT).asset == "M7"
    foreign = read(body(asset="", serial="V8000-1", type="configuration_enquiry"), PLANT)
    assert (foreign.asset, foreign.event_id) == ("", "V8000-1")


def test_a_report_that_names_no_type_is_of_the_one_that_its_channel_opens() -> None:
    told = read(body(type="", channel="chat", phone="13800138000"), PLANT)
    assert told.type.code == "customer_complaint"


def test_own_words_are_kept_to_the_last_blank() -> None:
    words = "  漏油\n\n\t了 "
    finding = read(body(description=words), PLANT).finding(1, 0, "chen")
    assert finding.text["description"] == words
    assert finding.text["message"] == "漏油 了"


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ({"kind": "number", "minimum": 0, "maximum": 10, "unit": "mm"}, -1, "too_small"),
        ({"kind": "number", "maximum": 10}, 10.5, "too_great"),
        ({"kind": "number"}, "10", "not_a_number"),
        ({"kind": "number"}, True, "not_a_number"),
        ({"kind": "number"}, float("nan"), "not_a_number"),
        ({"kind": "number"}, 10**400, "not_a_number"),
        ({"kind": "choice", "choices": ["NOK", "Parker"]}, "nok", "not_a_choice"),
        ({"kind": "date"}, "2026-02-29", "not_a_date"),
        ({"kind": "date"}, "20260228", "not_a_date"),
        ({"kind": "date"}, "2026-02-28", None),
        ({"kind": "yes_no"}, "yes", "not_yes_no"),
        ({"kind": "yes_no"}, False, None),
        ({"kind": "text"}, " ", "not_text"),
        ({"kind": "text"}, ["x"], "not_text"),
        ({"kind": "text"}, "x" * 2001, "too_long"),
    ],
)
def test_a_value_is_of_its_kind(field: Mapping[str, Json], value: Json, why: str | None) -> None:
    own = CustomField.model_validate({"name": "f", "zh": "字段", "en": "Field", **field})
    kind = TICKET_TYPES[0].model_copy(update={"fields": (own,)})
    assert [one.why for one in wrong_fields({"f": value}, kind)] == ([why] if why else [])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"ticket_types": [{"code": "a", "zh": "甲", "en": "A", "retired": True}]}, "at least one type"),
        ({"ticket_types": [{"code": "a", "zh": "甲", "en": "A"}] * 2}, "twice: a"),
        (
            {"ticket_types": [{"code": "a", "zh": "甲", "en": "A", "fault_type": "x"}]},
            "there is no fault type 'x'",
        ),
        ({"fault_types": [{"code": "a", "zh": "甲", "en": "A"}] * 2}, "twice: a"),
        ({"ticket_types": [{"code": "A b", "zh": "甲", "en": "A"}]}, "code"),
        ({"ticket_types": [{"code": "a", "zh": "甲", "en": "A", "colour": "red"}]}, "colour"),
    ],
)
def test_types_that_cannot_work_are_refused_when_the_plant_document_is_read(
    document: Mapping[str, Json], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Plant.model_validate({"name": "p", **document})


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"kind": "choice"}, "a choice needs choices"),
        ({"choices": ["x"]}, "nothing else has any"),
        ({"unit": "mm"}, "only a number"),
        ({"kind": "number", "minimum": 2, "maximum": 1}, "lies above"),
    ],
)
def test_a_field_that_cannot_be_filled_in_is_refused(field: Mapping[str, Json], said: str) -> None:
    own = {"name": "f", "zh": "字段", "en": "Field", **field}
    with pytest.raises(ValidationError, match=said):
        TicketType.model_validate({"code": "a", "zh": "甲", "en": "A", "fields": [own]})


@pytest.mark.parametrize(
    ("one", "other", "contradicts"),
    [
        ("hydraulic_leak", "sensor_contact", True),
        ("hydraulic_leak", "hydraulic_leak", False),
        ("hydraulic_leak", "line_stop", False),
        (None, "sensor_contact", False),
    ],
)
def test_a_symptom_contradicts_no_fault(one: str | None, other: str | None, contradicts: bool) -> None:
    assert contradict(one, other, FAULT_TYPES) is contradicts
    assert contradict(other, one, FAULT_TYPES) is contradicts
