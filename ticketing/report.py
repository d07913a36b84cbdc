"""What a person reports: read from what came in, refused with the fields that are wrong, told as a finding.

A report is a finding of the family `report` whose detector is a person: it runs through the same deduplication as what
machines find. All that was said stands in the finding's text, so that every report stays readable on its ticket.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from andon.events import Action, Family, Finding, Json, Origin, Priority
from andon.plant import Plant
from andon.rules.types import Moment, TicketType, contradict, of_channel
from ticketing.dedup import EVENT_ID, OpenTicket, Related
from ticketing.errors import Missing, ReportRefused
from ticketing.ticket import OUT_OF_LIMIT, PLANNED, FoldRule, Ticket

MAX_BYTES = 64 * 1024
MAX_WORDS = 8000
_HEADLINE = 160  # characters of a report that stand at the head of its ticket
EVENT_IDS = ("asset", "serial", "order_number", "phone")
"""What names the event (rule 8), the surest first."""
SEVERITY: Mapping[Priority, int] = {"low": 200, "medium": 500, "high": 700, "critical": 950}
_MACHINE_FAULTS = frozenset({Family.STOP, Family.MACHINE_CONDITION, Family.TEMPERATURE, Family.ELECTRICAL})
_ON_ITS_OWN = frozenset({"reported_request", PLANNED, OUT_OF_LIMIT})
"""What is no word about a fault that somebody else may speak of too, or has its own ticket."""
_NAMED = ("type", "fault_type", "channel", "reporter", "phone", "grade", "region", "order_number", "priority")


class Told(BaseModel):
    """A report as it is sent. What is not needed may be left out."""

    model_config = ConfigDict(extra="forbid", str_max_length=MAX_WORDS)
    description: str = Field(
        default="", description="What is wrong, in the reporter's own words; kept as it is."
    )
    type: str = Field(default="", description="Code of a type of ticket; left out, the channel decides.")
    channel: str = Field(
        default="api", pattern=r"^[a-z0-9][a-z0-9_]{0,31}$", description="web, phone, api, chat ..."
    )
    asset: str = Field(default="", description="Id of the machine.")
    serial: str = Field(default="", max_length=128, description="Its serial number, or another device's.")
    order_number: str = Field(default="", max_length=128, description="Number of the order it is about.")
    reporter: str = Field(default="", max_length=128, description="Who reports: a person's id, or a name.")
    phone: str = Field(default="", max_length=40, description="The reporter's telephone.")
    fault_type: str = Field(default="", description="Code of a fault of the pick list.")
    urgent: StrictBool = False
    grade: str = Field(default="", max_length=16, description="Grade of the customer.")
    region: str = Field(default="", max_length=64, description="Where it is.")
    priority: Priority | None = Field(default=None, description="Left out: that of the type.")
    fields: dict[str, Json] = Field(default_factory=dict, description="The type's own fields.")


@dataclass(frozen=True, slots=True)
class Report:
    """A report that can be taken: what was said, the type it is of, and the event it names."""

    told: Told
    type: TicketType
    asset: str
    event_id: str

    @property
    def order_number(self) -> str | None:
        """The order that was named, in the form it is compared in."""
        return _plain(self.told.order_number).upper() or None

    @property
    def phone(self) -> str | None:
        """The telephone number that was said, in the form it is compared in."""
        return telephone(self.told.phone) or None

    @property
    def fault_type(self) -> str | None:
        """The fault that was said, else the one that the type begins with."""
        return self.told.fault_type or self.type.fault_type

    @property
    def priority(self) -> Priority:
        """The priority that was said, else the type's."""
        return self.told.priority or self.type.priority

    def finding(self, number: int, at_ns: int, by: str) -> Finding:
        """The report as a finding; `by` is who sent it, known by login."""
        told = self.told
        named = {"type": self.type.code, "fault_type": self.fault_type or "", "priority": self.priority}
        named["phone"] = self.phone or ""
        said = {name: str(named.get(name) or getattr(told, name) or "") for name in _NAMED}
        text = {
            "message": _short(told.description),
            "description": told.description,
            EVENT_ID: self.event_id,
            "serial": told.serial,
            "urgent": "yes" if told.urgent else "",
            "fields": json.dumps(told.fields, ensure_ascii=False, sort_keys=True) if told.fields else "",
            "by": by,
            **said,
        }
        return Finding(
            id=f"report-{number}",
            asset=self.asset,
            component="",
            family=Family.REPORT,
            condition=f"reported_{self.type.about}",
            action=Action.RAISE,
            at_ns=at_ns,
            onset_ns=at_ns,
            severity=SEVERITY[self.priority],
            confidence=1.0,
            numbers=(),
            evidence={},
            detector="person",
            version="1",
            parameters_hash="",
            origin=Origin(f"report/{told.channel}", number, at_ns),
            text={name: value for name, value in text.items() if value},
        )


def read(body: bytes, plant: Plant) -> Report:
    """The report that these bytes are; ReportRefused with every field that is missing or wrong."""
    if len(body) > MAX_BYTES:
        raise ReportRefused("report_too_large", [Missing("body", f"over_{MAX_BYTES}_bytes")])
    try:
        told = Told.model_validate_json(body)
    except ValidationError as error:
        wrong = [Missing(".".join(map(str, e["loc"])) or "body", e["type"]) for e in error.errors()]
        code = "report_unreadable" if wrong[0].demand == "body" else "report_refused"
        raise ReportRefused(code, wrong) from None
    return _checked(told, plant)


def _checked(told: Told, plant: Plant) -> Report:
    kind = plant.ticket_type(told.type) if told.type else of_channel(plant.ticket_types, told.channel)
    asset, wrong_asset = _asset(told, plant)
    wrong = [*wrong_asset, *_wrong_choices(told, kind, plant)]
    if not told.description.strip():
        wrong.append(Missing("description"))
    wrong += [Missing(name, "not_text") for name, value in told if _holds_nul(value)]
    if kind is not None:
        wrong += _absent(told, kind, asset) + wrong_fields(told.fields, kind, "opening")
    event_id = asset or _plain(told.serial) or _plain(told.order_number) or telephone(told.phone)
    if not any(str(getattr(told, name)).strip() for name in EVENT_IDS):
        wrong.insert(0, Missing("event_id", "one_of:serial,order_number,phone"))
        raise ReportRefused("event_id_missing", wrong)
    if wrong or kind is None:
        raise ReportRefused("report_refused", wrong)
    return Report(told, kind, asset, event_id)


def _asset(told: Told, plant: Plant) -> tuple[str, list[Missing]]:
    """The machine that is meant: by id, else by serial number. A serial of no machine is still an event's id."""
    if told.asset and plant.asset(told.asset) is None:
        return "", [Missing("asset", "unknown")]
    serial = _plain(told.serial).upper()
    of_serial = [a.id for a in plant.assets if serial and _plain(a.serial).upper() == serial]
    if told.asset and of_serial and told.asset not in of_serial:
        return "", [Missing("serial", "of_another_asset")]
    if len(of_serial) > 1 and not told.asset:
        return "", [Missing("asset", "serial_of_several")]
    return told.asset or next(iter(of_serial), ""), []


def _wrong_choices(told: Told, kind: TicketType | None, plant: Plant) -> list[Missing]:
    wrong = []
    if kind is None:
        wrong.append(Missing("type", "unknown" if told.type else "absent"))
    elif kind.retired:
        wrong.append(Missing("type", "retired"))
    if told.channel == "engine":
        wrong.append(Missing("channel", "reserved"))
    if (why := wrong_fault(told.fault_type, plant)) is not None:
        wrong.append(Missing("fault_type", why))
    if told.phone and len(telephone(told.phone).lstrip("+")) < 3:
        wrong.append(Missing("phone", "not_a_number"))
    return wrong


def wrong_fault(code: str, plant: Plant) -> str | None:
    """What is wrong with a choice from the pick list; none at all is fine."""
    fault = plant.fault_type(code) if code else None
    if fault is None:
        return "unknown" if code else None
    return "retired" if fault.retired else None


def _absent(told: Told, kind: TicketType, asset: str) -> list[Missing]:
    has = {"asset": asset or told.asset, "fault_type": told.fault_type or kind.fault_type}
    return [
        Missing(name)
        for name in kind.mandatory
        if not str(has.get(name) or getattr(told, name) or "").strip()
    ]


def wrong_fields(fields: Mapping[str, Json], kind: TicketType, moment: Moment | None = None) -> list[Missing]:
    """What is wrong with the values of a type's own fields, and which are missing at that moment."""
    wrong = [Missing(f"fields.{name}", "unknown") for name in fields if kind.field(name) is None]
    for one in kind.fields:
        if one.name in fields:
            why = one.wrong(fields[one.name])
        else:
            why = "absent" if moment is not None and one.asked(moment, fields) else None
        if why is not None:
            wrong.append(Missing(f"fields.{one.name}", why))
    return wrong


def telephone(written: str) -> str:
    """A telephone number in the form it is compared in: digits, without China's own country code.

    >>> telephone("+86 138-0013-8000"), telephone("(0572) 88 66 01"), telephone("ask Li")
    ('13800138000', '0572886601', '')
    """
    digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", written))
    return re.sub(r"^(00)?86(?=1\d{10}$)", "", digits)


def said_by(finding: Finding) -> str:
    """Who said it, as the audit names it: the detector, or the person who sent the report."""
    if finding.family is Family.REPORT:
        return finding.text.get("by", "person")
    return f"detector/{finding.detector}@{finding.version}"


def channel_of(finding: Finding) -> str:
    """The channel that it came by, as the audit names it."""
    return finding.text["channel"] if finding.family is Family.REPORT else "engine"


def opens(ticket: Ticket, finding: Finding) -> Ticket:
    """The ticket that a report opens, with all that was said; the reporter is who signs, else the machine's owner."""
    if finding.family is not Family.REPORT:
        return ticket
    text = finding.text
    return replace(
        _filled(ticket, text), type=text["type"], requester=text.get("reporter") or ticket.requester
    )


def joins(ticket: Ticket, finding: Finding) -> Ticket:
    """A ticket that a report joins: what it did not know yet is taken over, what stands on it stays."""
    return _filled(ticket, finding.text) if finding.family is Family.REPORT else ticket


def _filled(ticket: Ticket, text: Mapping[str, str]) -> Ticket:
    return replace(
        ticket,
        description=ticket.description or text["description"],
        channel=ticket.channel or text["channel"],
        event_id=ticket.event_id or text[EVENT_ID],
        fault_type=ticket.fault_type or text.get("fault_type"),
        reporter=ticket.reporter or text.get("reporter"),
        phone=ticket.phone or text.get("phone"),
        grade=ticket.grade or text.get("grade"),
        region=ticket.region or text.get("region", ""),
        urgent=ticket.urgent or "urgent" in text,
        fields={**json.loads(text.get("fields", "{}")), **ticket.fields},
    )


@dataclass(frozen=True, slots=True)
class Speaks:
    """As much of a finding as decides whether it is about a ticket that a person or a machine opened."""

    family: Family
    condition: str
    fault_type: str | None


def same_event(
    at_ns: int,
    said: Speaks,
    open_tickets: Sequence[OpenTicket],
    begun: Mapping[int, Iterable[int]],
    plant: Plant,
) -> Related | None:
    """The machine's open ticket that a report is about, or the report's that a machine's finding is about (rule 16).

    `begun` are the times at which something began on each ticket. Whoever speaks first: a person's fault and a stop or
    condition of the same machine within the window (15 minutes) are one event, unless their fault types contradict each other. Two
    reports are one by their event id alone.
    """
    window_ns = plant.dedup.window_ns
    if said.condition in _ON_ITS_OWN or said.family not in _MACHINE_FAULTS | {Family.REPORT}:
        return None
    near = [
        (min(abs(at_ns - ns) for ns in (one.anchor_ns, *begun.get(one.ticket, ()))), one.ticket)
        for one in open_tickets
        if (one.family is Family.REPORT) is not (said.family is Family.REPORT)
        and one.family in _MACHINE_FAULTS | {Family.REPORT}
        and one.condition not in _ON_ITS_OWN
        and not contradict(one.fault_type, said.fault_type, plant.fault_types)
    ]
    apart_ns, ticket = min(near, default=(window_ns, 0))
    return Related(ticket, FoldRule.REPORTED, apart_ns) if apart_ns < window_ns else None


def _holds_nul(value: Json) -> bool:
    """Whether there is a character in it that no database keeps."""
    return "\\u0000" in json.dumps(value).replace("\\\\", "")


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= _HEADLINE else line[: _HEADLINE - 1] + "…"


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).split())
