"""What can be reported: types of tickets with what opens them and what they ask for, and the pick list of faults.

Codes are for ever: one that nobody should use any more is `retired`, so that its tickets stay readable.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.events import Family, Finding, Json, Priority

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,31}$")]
FieldKind = Literal["text", "number", "choice", "date", "yes_no"]
Moment = Literal["opening", "resolving"]
About = Literal["failure", "fault", "request"]
"""What a person's report tells of. What tells of a fault may join the ticket of what the machine said."""
MAX_TEXT = 2000
"""Characters of a custom field's text."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trigger(_Frozen):
    """One way in which a ticket of a type comes about: all that is said has to be true; nothing said never is.

    A machine's finding is asked for family, condition, category and severity; a person's report for its channel.
    """

    family: Family | None = Field(default=None, description="Fault family of a finding.")
    condition: str = Field(default="", description="Condition of a finding, like zone_d.")
    category: str = Field(default="", description="Category of a stop, as MES says it.")
    min_severity: int = Field(default=0, ge=0, le=1000, description="Severity from here on, 0 to 1000.")
    channel: str = Field(default="", description="Channel of a report that names no type: web, phone, chat.")

    @property
    def rank(self) -> tuple[bool, bool, int, bool]:
        """How much it says: a condition more than a category, that more than a severity, that more than a family."""
        return bool(self.condition), bool(self.category), self.min_severity, self.family is not None

    def fits(self, finding: Finding) -> bool:
        """Whether a machine's finding is of this kind."""
        if self.channel or not (self.family or self.condition or self.category or self.min_severity):
            return False
        return (
            self.family in {None, finding.family}
            and self.condition in {"", finding.condition}
            and self.category in {"", finding.text.get("category", "")}
            and finding.severity >= self.min_severity
        )


class CustomField(_Frozen):
    """A field of a type's own. It may become mandatory later: tickets that are open are asked for it when resolved."""

    name: Code = Field(description="Its name in REST and in the audit.")
    zh: str = Field(description="Label in Chinese.")
    en: str = Field(description="Label in English.")
    kind: FieldKind = Field(default="text", description="What a value of it is.")
    choices: tuple[str, ...] = Field(default=(), description="The values of a choice.")
    unit: str = Field(default="", description="Unit of a number (UCUM).")
    minimum: float | None = Field(default=None, description="The least number that is taken, in its unit.")
    maximum: float | None = Field(default=None, description="The greatest number that is taken, in its unit.")
    mandatory: tuple[Moment, ...] = Field(
        default=(), description="When it must be there: at opening (by people), at resolving, or both."
    )

    @model_validator(mode="after")
    def _sound(self) -> "CustomField":
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError(f"field {self.name}: a choice needs choices, nothing else has any")
        if self.kind != "number" and not (self.minimum is None and self.maximum is None and not self.unit):
            raise ValueError(f"field {self.name}: only a number has a unit, a minimum and a maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"field {self.name}: the minimum lies above the maximum")
        return self

    def asked(self, moment: Moment, values: Mapping[str, Json]) -> bool:
        """Whether it must be there at that moment, and is not."""
        return moment in self.mandatory and self.name not in values

    def wrong(self, value: Json) -> str | None:
        """What is wrong with a value, in one word; None if it is fine.

        >>> CustomField(name="bore", zh="孔径", en="Bore", kind="number", unit="mm", maximum=80).wrong(90)
        'too_great'
        """
        if self.kind == "number":
            return self._wrong_number(value)
        if self.kind == "yes_no":
            return None if isinstance(value, bool) else "not_yes_no"
        if not isinstance(value, str) or not value.strip():
            return "not_text"
        if self.kind == "choice":
            return None if value in self.choices else "not_a_choice"
        if self.kind == "date":
            return None if _is_date(value) else "not_a_date"
        return None if len(value) <= MAX_TEXT else "too_long"

    def _wrong_number(self, value: Json) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
            return "not_a_number"
        if self.minimum is not None and value < self.minimum:
            return "too_small"
        return "too_great" if self.maximum is not None and value > self.maximum else None


class TicketType(_Frozen):
    """A type of ticket (rule 1): what opens it, what it asks for, what it begins with.

    `mandatory` names fields of the report besides its event id and description. A finding takes the type whose trigger
    says most about it; where none fits, the first type that is not retired.
    """

    code: Code = Field(description="Stable; in REST, audit and reports.")
    zh: str = Field(description="Name in Chinese.")
    en: str = Field(description="Name in English.")
    triggers: tuple[Trigger, ...] = Field(default=(), description="What opens it besides a person's choice.")
    mandatory: tuple[
        Literal["asset", "order_number", "reporter", "phone", "fault_type", "grade", "region"], ...
    ] = Field(default=(), description="What a person's report of it must say.")
    fields: tuple[CustomField, ...] = Field(default=(), description="Its own fields.")
    priority: Priority = Field(default="medium", description="Of a person's report that says none.")
    fault_type: str | None = Field(default=None, description="Of a person's report that says none.")
    about: About = Field(
        default="request",
        description="A failure of the machine (72 h rule), some other fault, or a request that is no fault.",
    )
    retired: bool = Field(default=False, description="Opens no ticket any more.")

    @model_validator(mode="after")
    def _unique(self) -> "TicketType":
        _once("field", [one.name for one in self.fields])
        return self

    def field(self, name: str) -> CustomField | None:
        """Its own field of that name."""
        return next((one for one in self.fields if one.name == name), None)


class FaultType(_Frozen):
    """One fault of the pick list (rule 18) with the skills it takes: a person with one of the tags can do it.

    Without tags the plant's `skills` say what it takes.
    """

    code: Code = Field(description="Stable; in REST, audit and reports.")
    zh: str = Field(description="Name in Chinese.")
    en: str = Field(description="Name in English.")
    tags: tuple[str, ...] = Field(default=(), description="Skill tags of people, one of which is enough.")
    triggers: tuple[Trigger, ...] = Field(default=(), description="Findings of machines that are this fault.")
    symptom: bool = Field(
        default=False,
        description="It is what is seen, whatever the fault behind it: no other contradicts it.",
    )
    retired: bool = Field(default=False, description="Not to be chosen any more.")


def check_types(types: Sequence[TicketType], faults: Sequence[FaultType]) -> None:
    """ValueError if a code is there twice, no type can be opened, or a type begins with a fault that there is not."""
    _once("ticket type", [one.code for one in types])
    _once("fault type", [one.code for one in faults])
    if all(one.retired for one in types):
        raise ValueError("ticket_types: at least one type must not be retired")
    known = {one.code for one in faults}
    for one in types:
        if one.fault_type is not None and one.fault_type not in known:
            raise ValueError(f"ticket type {one.code}: there is no fault type {one.fault_type!r}")


def _once(what: str, codes: Sequence[str]) -> None:
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise ValueError(f"{what}s must be unique; twice: {', '.join(twice)}")


Entry = TypeVar("Entry", TicketType, FaultType)


def best_fitting(entries: Iterable[Entry], finding: Finding) -> Entry | None:
    """The entry in use whose trigger fits and says most; of two that say the same, the first."""
    fitting = (
        (trigger.rank, -number, entry)
        for number, entry in enumerate(entries)
        for trigger in entry.triggers
        if not entry.retired and trigger.fits(finding)
    )
    best = max(fitting, key=lambda one: one[:2], default=None)
    return None if best is None else best[2]


def contradict(one: str | None, other: str | None, faults: Iterable[FaultType]) -> bool:
    """Whether two faults cannot be the same: both are said, they differ, and neither is a mere symptom."""
    symptoms = {fault.code for fault in faults if fault.symptom}
    return one is not None and other is not None and one != other and not symptoms & {one, other}


def of_channel(types: Iterable[TicketType], channel: str) -> TicketType | None:
    """The type of a report that names none: the first that its channel opens."""
    return next(
        (t for t in types if not t.retired and any(channel and g.channel == channel for g in t.triggers)),
        None,
    )


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return len(value) == len("2026-03-02")


TICKET_TYPES: tuple[TicketType, ...] = (
    TicketType(
        code="equipment_repair",
        zh="设备报修",
        en="Equipment repair",
        triggers=(
            Trigger(family=Family.STOP),
            Trigger(family=Family.MACHINE_CONDITION),
            Trigger(family=Family.TEMPERATURE),
            Trigger(family=Family.ELECTRICAL),
        ),
        mandatory=("asset",),
        about="failure",
    ),
    TicketType(
        code="process_abnormality",
        zh="工艺异常",
        en="Process abnormality",
        triggers=(Trigger(condition="process_change"), Trigger(condition="unusual_course")),
        mandatory=("asset",),
        about="fault",
    ),
    TicketType(
        code="customer_complaint",
        zh="客户投诉",
        en="Customer complaint",
        triggers=(Trigger(channel="chat"), Trigger(channel="wechat")),
        mandatory=("phone",),
        priority="high",
        about="fault",
    ),
    TicketType(
        code="spare_part_requisition",
        zh="备件申领",
        en="Spare-part requisition",
        fields=(
            CustomField(name="part", zh="备件编码", en="Part code", mandatory=("opening",)),
            CustomField(
                name="quantity",
                zh="数量",
                en="Quantity",
                kind="number",
                unit="1",
                minimum=1,
                maximum=100_000,
                mandatory=("opening",),
            ),
        ),
    ),
    TicketType(
        code="hardware_fault",
        zh="硬件故障",
        en="Hardware fault",
        triggers=(Trigger(family=Family.DATA_QUALITY),),
        priority="high",
        about="failure",
    ),
    TicketType(code="configuration_enquiry", zh="配置咨询", en="Configuration enquiry", priority="low"),
    TicketType(
        code="preventive_maintenance",
        zh="预防性维护",
        en="Preventive maintenance",
        mandatory=("asset",),
        priority="low",
    ),
)
"""The product's own types."""

FAULT_TYPES: tuple[FaultType, ...] = (
    FaultType(code="seal_failure", zh="密封失效", en="Seal failure", tags=("hydraulics", "液压方向")),
    FaultType(code="spool_stuck", zh="阀芯卡滞", en="Valve spool stuck", tags=("hydraulics", "液压方向")),
    FaultType(
        code="sensor_false_alarm", zh="传感器误报", en="Sensor false alarm", tags=("instruments", "仪表方向")
    ),
    FaultType(
        code="sensor_contact",
        zh="传感器接触不良",
        en="Sensor contact fault",
        tags=("instruments", "仪表方向"),
        triggers=(Trigger(condition="stuck_value"),),
    ),
    FaultType(code="hydraulic_leak", zh="液压系统泄漏", en="Hydraulic leak", tags=("hydraulics", "液压方向")),
    FaultType(
        code="line_stop", zh="产线停机", en="Line stop", symptom=True, triggers=(Trigger(family=Family.STOP),)
    ),
    FaultType(
        code="network_fault",
        zh="网络故障",
        en="Network fault",
        tags=("network", "IT-网络运维", "外包商-网络"),
        triggers=(Trigger(condition="source_away"),),
    ),
    FaultType(code="no_progress", zh="无人告知进展", en="No progress told", symptom=True),
)
"""The product's own pick list. A line stop takes the skill that its category has in `skills`."""
