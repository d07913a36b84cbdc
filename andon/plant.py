"""The plant: assets (ISO 14224), where they stand (ISA-95), what is measured on them, and who works there.

The document is what `andon plant export|import` reads and writes and what `ConfigChanged` carries.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from andon import bearings
from andon.calendars import Calendar
from andon.class_defaults import default_kinds
from andon.events import Json, Priority
from andon.mappings import Identifier, Rule, problems
from andon.positions import Position
from andon.rules.alarms import AlarmDefinition
from andon.rules.approvals import Approvals, Level, Money
from andon.rules.closing import Closing
from andon.rules.dedup import Dedup
from andon.rules.metrics import Metrics
from andon.rules.operations import OperationTemplate, check_operations
from andon.rules.partners import Partner, check_partners
from andon.rules.plans import Meter, Plan, check_plans
from andon.rules.quality import Quality
from andon.rules.repeats import Repeats
from andon.rules.reports import ReportSchedule
from andon.rules.requests import Requests
from andon.rules.routing import LINE_STOP, Routing
from andon.rules.safety import Checklist, Safety
from andon.rules.sla import Sla, check_sla
from andon.rules.suppression import Suppressing
from andon.rules.types import FAULT_TYPES, TICKET_TYPES, FaultType, TicketType, check_types
from andon.rules.voice import Voice
from andon.rules.windows import MaintenanceWindow


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bearing(_Frozen):
    """Rolling bearing geometry: any one length unit for both diameters.

    A common designation is enough: its geometry is known.

    >>> Bearing.model_validate("SKF 6206-2Z").element_diameter
    9.525
    """

    designation: str
    rolling_elements: int = Field(ge=3, le=200)
    element_diameter: float = Field(gt=0)
    pitch_diameter: float = Field(gt=0)
    contact_angle_deg: float = Field(default=0.0, ge=0, lt=90)

    @model_validator(mode="before")
    @classmethod
    def _looked_up(cls, given: Json) -> Json:
        if not isinstance(given, str):
            return given
        geometry = bearings.find(given)
        if geometry is None:
            raise ValueError(
                f"the geometry of bearing {given!r} is not known: state rolling_elements, element_diameter and "
                "pitch_diameter, here or once under bearings"
            )
        return dict(zip(cls.model_fields, (given, *geometry), strict=True))


class Point(_Frozen):
    """A measuring point; its channels are named `id/quantity`. `period_s` is how often it is expected to speak."""

    id: Identifier
    component: Identifier
    kind: Literal["waveform", "scalar"] = "scalar"
    quantities: dict[str, str] = Field(default_factory=dict, description="quantity -> unit (UCUM)")
    period_s: float | None = Field(default=None, gt=0)
    bearing: Bearing | None = None
    speed_hz: float | None = Field(default=None, gt=0, description="nominal shaft speed")
    rate_hz: float | None = Field(
        default=None, gt=0, description="sampling rate; blocks of another one are not assessed"
    )
    range_g: float | None = Field(
        default=None,
        gt=0,
        description="end of the sensor's range; a signal that stands there is not assessed",
    )
    tacho_axis: int | None = Field(
        default=None, ge=1, le=64, description="which axis of its blocks is the tacho's pulses"
    )
    axial_axis: int | None = Field(
        default=None, ge=1, le=64, description="which axis of its blocks lies along the shaft"
    )
    pulses_per_revolution: int = Field(default=1, ge=1, le=1000, description="of that tacho")


class DetectorSettings(_Frozen):
    """A detector of an asset or asset class: its kind is the file name in detectors/."""

    kind: Identifier
    parameters: dict[str, Json] = Field(default_factory=dict)


class DetectorSet(_Frozen):
    """Which version of the plant's detectors this is, and who brought it into force, when and why."""

    version: int = Field(default=1, ge=1)
    note: str = ""
    by: str = ""
    at: str = Field(default="", description="RFC 3339")
    equals: int | None = Field(default=None, description="the version that it went back to")


class Asset(_Frozen):
    """An equipment unit (ISO 14224 level 6) at its place in the ISA-95 hierarchy."""

    id: Identifier
    name: str
    name_zh: str = ""
    asset_class: Identifier
    model: str = ""
    serial: str = ""
    criticality: Literal["A", "B", "C"] = "B"
    path: str = Field(description="enterprise/site/area/line/cell")
    power_kw: float | None = Field(default=None, gt=0)
    foundation: Literal["rigid", "flexible"] = "rigid"
    points: tuple[Point, ...] = ()
    detectors: tuple[DetectorSettings, ...] = ()
    owner: str | None = Field(default=None, description="person who signs its machine-made tickets")
    region: str = Field(default="", description="where it stands, if people only serve some regions")
    position: Position | None = Field(default=None, description="where it stands, for distances")

    @property
    def line(self) -> str:
        """The line or work centre it stands in."""
        levels = self.path.split("/")
        return levels[3] if len(levels) > 3 else levels[-1]

    @property
    def area(self) -> str:
        """The area that its line is in; "" where the path names none."""
        levels = self.path.split("/")
        return levels[2] if len(levels) > 3 else ""

    def point(self, point_id: str) -> Point | None:
        """The measuring point of that id, if there is one."""
        return next((point for point in self.points if point.id == point_id), None)


class Person(_Frozen):
    """Someone who can be assigned. A ticket always names a person and a backup, never a department."""

    id: Identifier
    name: str
    role: str
    tags: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    online: bool = True
    max_load: int = Field(default=5, gt=0)
    regions: tuple[str, ...] = Field(default=(), description="the regions the person serves; none: all")
    calendar: str | None = Field(default=None, description="of the plant's calendars; none: always on shift")
    position: Position | None = Field(default=None, description="where the person usually is")
    backup: str | None = Field(default=None, description="who takes over in the person's absence")
    absent_until: AwareDatetime | None = Field(default=None, description="on leave until then")
    seniority: int = Field(default=0, ge=0, le=60, description="years in the trade")
    company: str = Field(default="", description="a contractor's; empty: own staff")
    department: str = Field(
        default="", max_length=64, description="whose people acknowledge and approve as one"
    )


class Plant(_Frozen):
    """The whole document. `classes` gives each asset class its detectors; a class that is left out has the product's own."""

    version: int = Field(default=1, ge=1)
    name: str
    time_zone: str = "UTC"
    place: str = Field(
        default="", description="enterprise/site/area/line in which machines stand that are discovered"
    )
    source_silent_s: float = Field(
        default=60.0, gt=0, description="a source that says nothing for so long is away"
    )
    assets: tuple[Asset, ...] = ()
    people: tuple[Person, ...] = ()
    classes: dict[str, tuple[DetectorSettings, ...]] = Field(default_factory=dict)
    detector_set: DetectorSet = DetectorSet()
    skills: dict[str, str] = Field(
        default_factory=dict, description="fault family or stop category -> skill tag"
    )
    priorities: dict[str, Priority] = Field(default_factory=dict)
    routing: Routing = Routing()
    calendars: dict[str, Calendar] = Field(default_factory=dict, description="name -> when people work")
    sla: Sla = Field(default=Sla(), description="how long things may take, and who is told when")
    bearings: tuple[Bearing, ...] = Field(
        default=(),
        description="own entries, by designation; a point's bearing may be such a designation alone",
    )
    mappings: tuple[Rule, ...] = Field(
        default=(), description="foreign topics and payloads; Andon's own layout is always the last rule"
    )
    dedup: Dedup = Dedup()
    closing: Closing = Closing()
    ticket_types: tuple[TicketType, ...] = Field(
        default=TICKET_TYPES, description="what can be reported, what opens it and what it asks for"
    )
    fault_types: tuple[FaultType, ...] = Field(
        default=FAULT_TYPES, description="the pick list of faults with the skills that they take"
    )
    suppression: Suppressing = Suppressing()
    voice: Voice = Voice()
    repeats: Repeats = Repeats()
    quality: Quality = Field(
        default=Quality(), description="when a share is a finding, and who may freeze a batch"
    )
    metrics: Metrics = Field(default=Metrics(), description="what the metrics K1 to K10 are held to")
    requests: Requests = Field(
        default=Requests(), description="what may come with a report, and what a scan begins with"
    )
    alarms: tuple[AlarmDefinition, ...] = Field(
        default=(), description="the master alarm database; what no definition fits is told at once"
    )
    reports: tuple[ReportSchedule, ...] = Field(
        default=(), description="reports that go out by e-mail, when and to whom"
    )
    maintenance_windows: tuple[MaintenanceWindow, ...] = Field(
        default=(), description="times of every week in which alarms become no tickets"
    )
    partners: tuple[Partner, ...] = Field(
        default=(), description="systems that keep the state of tickets too: an ERP, a CRM"
    )
    currency: str = Field(default="CNY", pattern="^[A-Z]{3}$", description="of all money (ISO 4217)")
    approvals: Approvals = Field(default=Approvals(), description="who agrees to what a repair costs")
    hourly_rates: dict[str, Money] = Field(
        default_factory=dict, description="a person's role -> what an hour of their work costs"
    )
    safety: Safety = Field(default=Safety(), description="what is signed before work begins")
    operations: tuple[OperationTemplate, ...] = Field(
        default=(), description="templates of work in several steps, with what is measured"
    )
    meters: tuple[Meter, ...] = Field(
        default=(), description="what counts up on machines, such as operating hours"
    )
    plans: tuple[Plan, ...] = Field(
        default=(), description="preventive maintenance: what is done how often on which machines"
    )

    @model_validator(mode="before")
    @classmethod
    def _own_bearings(cls, given: Json) -> Json:
        entries = given.get("bearings", ()) if isinstance(given, dict) else ()
        own = {
            entry["designation"]: entry
            for entry in entries
            if isinstance(entry, dict) and "designation" in entry
        }
        return _with_geometry(given, own) if own else given

    @model_validator(mode="after")
    def _unique(self) -> "Plant":
        for kind, ids in (("asset", [a.id for a in self.assets]), ("person", [p.id for p in self.people])):
            twice = sorted({i for i in ids if ids.count(i) > 1})
            if twice:
                raise ValueError(f"{kind} ids must be unique; twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _people_fit(self) -> "Plant":
        known = {person.id for person in self.people}
        for person in self.people:
            if person.calendar is not None and person.calendar not in self.calendars:
                raise ValueError(
                    f"person {person.id}: there is no calendar {person.calendar!r} under calendars"
                )
            if person.backup is not None and person.backup not in known - {person.id}:
                raise ValueError(
                    f"person {person.id}: the backup {person.backup!r} is nobody else under people"
                )
        return self

    @model_validator(mode="after")
    def _in_partnership(self) -> "Plant":
        check_partners(self.partners)
        return self

    @model_validator(mode="after")
    def _limited(self) -> "Plant":
        check_sla(self.sla, self.calendars)
        return self

    @model_validator(mode="after")
    def _alarms_named_once(self) -> "Plant":
        codes = [one.code for one in self.alarms]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"codes of alarms must be unique; twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _routed(self) -> "Plant":
        types, faults = ({one.code for one in codes} for codes in (self.ticket_types, self.fault_types))
        for rule in self.routing.rules:
            for named, known in ((rule.when.types, types), (rule.when.fault_types, faults)):
                strange = sorted(set(named) - known)
                if strange and rule != LINE_STOP:
                    raise ValueError(f"routing rule {rule.name!r}: there is no type {', '.join(strange)}")
        return self

    @model_validator(mode="after")
    def _assembled(self) -> "Plant":
        people, types = {one.id for one in self.people}, {one.code for one in self.ticket_types}
        for level in self.approvals.levels:
            if level.who.person and level.who.person not in people:
                raise ValueError(f"approval level {level.code}: {level.who.person!r} is nobody under people")
        modules: tuple[Level | Checklist, ...] = (*self.approvals.levels, *self.safety.checklists)
        for module in modules:
            strange = sorted({*(module.types or ())} - types)
            if strange:
                raise ValueError(f"{module.code}: there is no ticket type {', '.join(strange)}")
        return self

    @model_validator(mode="after")
    def _mapped(self) -> "Plant":
        wrong = problems(self.mappings, frozenset(asset.id for asset in self.assets))
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _typed(self) -> "Plant":
        check_types(self.ticket_types, self.fault_types)
        return self

    @model_validator(mode="after")
    def _planned(self) -> "Plant":
        types = [one.code for one in self.ticket_types]
        check_operations(self.operations, types)
        check_plans(
            self.plans,
            self.meters,
            types=types,
            fault_types=[one.code for one in self.fault_types],
            templates=[one.code for one in self.operations],
            calendars=list(self.calendars),
        )
        return self

    def asset(self, asset_id: str) -> Asset | None:
        """The asset of that id, if there is one."""
        return _by_id(self).get(asset_id)

    def ticket_type(self, code: str) -> TicketType | None:
        """The type of that code, retired or not; None if the document has it no more."""
        return next((one for one in self.ticket_types if one.code == code), None)

    def partner(self, code: str) -> Partner | None:
        """The partner of that code, if there is one."""
        return next((one for one in self.partners if one.code == code), None)

    def fault_type(self, code: str | None) -> FaultType | None:
        """The fault of that code, retired or not; None if the document has it no more."""
        return next((one for one in self.fault_types if one.code == code), None)

    def detectors_of(self, asset: Asset) -> tuple[DetectorSettings, ...]:
        """The class's detectors, each replaced by the asset's own setting of the same kind, then the asset's others.

        Where the document says nothing of either, they are the product's own for that class.
        """
        if self.takes_defaults(asset):
            return tuple(DetectorSettings(kind=kind) for kind in default_kinds(asset.asset_class))
        own = {setting.kind: setting for setting in asset.detectors}
        inherited = tuple(own.pop(s.kind, s) for s in self.classes.get(asset.asset_class, ()))
        return inherited + tuple(own.values())

    def takes_defaults(self, asset: Asset) -> bool:
        """Whether neither its class nor the asset itself names detectors."""
        return asset.asset_class not in self.classes and not asset.detectors


Made = TypeVar("Made")


def once_per_plant(make: Callable[[Plant], Made]) -> Callable[[Plant], Made]:
    """Keep what is made of the last plant document: a document never changes, and a new one is another object."""
    last: tuple[Plant, Made] | None = None

    @wraps(make)
    def of(plant: Plant) -> Made:
        nonlocal last
        known = last
        if known is None or known[0] is not plant:
            known = last = plant, make(plant)
        return known[1]

    return of


@once_per_plant
def _by_id(plant: Plant) -> Mapping[str, Asset]:
    return {asset.id: asset for asset in plant.assets}


def _with_geometry(document: Json, own: dict[str, Json]) -> Json:
    """The document with each bearing that is a designation of `own` written out."""
    if isinstance(document, dict):
        return {
            key: own.get(value, value)
            if key == "bearing" and isinstance(value, str)
            else _with_geometry(value, own)
            for key, value in document.items()
        }
    return [_with_geometry(part, own) for part in document] if isinstance(document, list) else document
