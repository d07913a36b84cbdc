"""Preventive maintenance as data: meters, and plans that say what is done on which machines how often (EN 13306).

Dates are the site's: of its time zone, over changes of the clocks, and of a calendar with its holidays where one is
named. What is due when follows from this and from what has been done: `ticketing.plans`.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from andon.calendars import Weekday
from andon.events import Priority
from andon.rules.types import Code

Label = Annotated[str, Field(min_length=1, max_length=80)]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
DayOfYear = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Unit = Literal["day", "working_day", "week", "month", "year"]
_LEAP = 2024
RESERVED = frozenset({"new", "calendar", "meters"})
"""Addresses of pages that stand where those of plans do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machines(_Frozen):
    """Which machines are meant: all that are named, or that fit one of the others; nothing said means none.

    `under` is a place with all below it (ISA-95).
    """

    assets: tuple[str, ...] = Field(default=(), description="Ids of machines.")
    models: tuple[str, ...] = Field(default=(), description="Machines of these models.")
    classes: tuple[str, ...] = Field(default=(), description="Machines of these classes.")
    under: tuple[str, ...] = Field(default=(), description="Places with all below them.")

    def mean(self, *, asset: str, model: str, asset_class: str, path: str) -> bool:
        """Whether that machine is meant.

        >>> Machines(under=("acme/north",)).mean(asset="M1", model="", asset_class="press", path="acme/north/f/L1/c1")
        True
        """
        return (
            asset in self.assets
            or model in self.models
            or asset_class in self.classes
            or any(path == one or path.startswith(f"{one}/") for one in self.under)
        )


class Meter(_Frozen):
    """Something that counts up on machines, like operating hours or strokes: fed by a channel, or read by people."""

    code: Code = Field(description="Stable; in REST and in plans.")
    zh: Label = Field(description="Name in Chinese.")
    en: Label = Field(description="Name in English.")
    unit: str = Field(default="h", max_length=16, description="Unit (UCUM); `1` for a plain count.")
    machines: Machines = Field(description="The machines that have one.")
    channel: str = Field(
        default="",
        max_length=200,
        description="The channel that shows it, as `point/quantity`; left out, people read it.",
    )
    every_min: float = Field(
        default=240.0,
        ge=1,
        le=10_080,
        description="Of a channel, so often at most a reading is kept, in minutes.",
    )
    rollover_at: float | None = Field(
        default=None, gt=0, description="The value at which its display begins at 0 again, like 100000."
    )


class Rhythm(_Frozen):
    """Dates that come again and again, from `starts` on. What is left out is taken from that date.

    >>> Rhythm(unit="month", nth=-1, on=("fri",), starts=date(2026, 1, 1)).every
    1
    """

    every: int = Field(default=1, ge=1, le=1000, description="Every so many units.")
    unit: Unit = Field(default="month", description="What is counted.")
    starts: date = Field(description="The first day that it may come on, and the beginning of the count.")
    on: tuple[Weekday, ...] = Field(
        default=(), description="Of weeks: the days it comes on. Of months with `nth`: the one day."
    )
    nth: Literal[1, 2, 3, 4, -1] | None = Field(
        default=None, description="Of months: on which of those weekdays, -1 the last."
    )
    day: int | None = Field(
        default=None, ge=1, le=31, description="Of months: the day; a shorter month's last where it has none."
    )
    at: TimeOfDay = Field(default="08:00", description="The time of the day, local.")
    non_working: Literal["keep", "before", "after", "skip"] = Field(
        default="after",
        description="On a day without a shift in the plan's calendar: that day all the same, the last working day "
        "before, the next after, or not at all.",
    )

    @model_validator(mode="after")
    def _sound(self) -> "Rhythm":
        if self.on and self.unit != "week" and not (self.unit == "month" and self.nth and len(self.on) == 1):
            raise ValueError("weekdays belong to weeks, and one of them to months with nth")
        if self.nth and not (self.unit == "month" and self.on):
            raise ValueError("nth belongs to months, and needs the weekday in on")
        if self.day and (self.unit != "month" or self.nth):
            raise ValueError("day belongs to months, without nth")
        return self


class Usage(_Frozen):
    """How much a meter may count from one run to the next."""

    meter: Code = Field(description="The meter's code.")
    each: float = Field(gt=0, description="So much is one interval, in the meter's unit.")
    last: float | None = Field(
        default=None,
        ge=0,
        description="What the meter had counted when it was last done before the plan began; left out, the first run is "
        "due at the next multiple of `each`.",
    )
    ahead: float = Field(
        default=0.0, ge=0, description="The ticket is opened so much before, in the same unit."
    )


class Pause(_Frozen):
    """Days of every year on which nothing is due, both ends included; may run over the new year.

    >>> Pause(begins="11-15", ends="03-14").holds(date(2026, 1, 1))
    True
    """

    begins: DayOfYear = Field(description="First day, as MM-DD.")
    ends: DayOfYear = Field(description="Last day, as MM-DD.")

    @model_validator(mode="after")
    def _days(self) -> "Pause":
        for day in (self.begins, self.ends):
            try:
                date.fromisoformat(f"{_LEAP}-{day}")
            except ValueError as error:
                raise ValueError(f"there is no day {day}") from error
        return self

    def holds(self, day: date) -> bool:
        """Whether the day lies in it."""
        on = f"{day:%m-%d}"
        if self.begins <= self.ends:
            return self.begins <= on <= self.ends
        return on >= self.begins or on <= self.ends


class Plan(_Frozen):
    """One piece of preventive work on each of its machines, by calendar, by meter, or by whichever comes first."""

    code: Code = Field(description="Stable; in REST, audit and reports.")
    zh: Label = Field(description="Name in Chinese.")
    en: Label = Field(description="Name in English.")
    machines: Machines = Field(description="The machines it is done on.")
    rhythm: Rhythm | None = Field(default=None, description="When it is due by the calendar.")
    usage: Usage | None = Field(default=None, description="When it is due by a meter.")
    based_on: Literal["scheduled", "completed"] = Field(
        default="scheduled",
        description="What the next one is counted from: the date (or count) that was planned, or when it was done.",
    )
    lead_days: int = Field(default=0, ge=0, le=366, description="The ticket is opened so many days before.")
    early_days: int | None = Field(
        default=None,
        ge=0,
        le=366,
        description="Done more days before than this, it is too early; none: never.",
    )
    late_days: int = Field(
        default=0, ge=0, le=366, description="Done so many days after, it is still in time."
    )
    calendar: str | None = Field(
        default=None, description="One of the plant's calendars: its time zone and its working days."
    )
    pauses: tuple[Pause, ...] = Field(default=(), description="Seasons in which it is not due.")
    type: Code = Field(default="preventive_maintenance", description="Type of its tickets.")
    fault_type: Code | None = Field(default=None, description="Whose skills it takes.")
    priority: Priority = Field(default="low", description="Of its tickets.")
    operations: Code | None = Field(default=None, description="Template of the operations of its tickets.")
    instructions: str = Field(default="", max_length=4000, description="What is to be done.")
    retired: bool = Field(default=False, description="Opens no ticket any more.")

    @model_validator(mode="after")
    def _sound(self) -> "Plan":
        if self.code in RESERVED:
            raise ValueError(f"a plan cannot be called {self.code!r}: that is a page's address")
        if self.rhythm is None and self.usage is None:
            raise ValueError(f"plan {self.code}: it needs a rhythm, a usage or both")
        if self.rhythm and self.usage and self.based_on != "completed":
            raise ValueError(
                f"plan {self.code}: by calendar and meter, whichever comes first, both count from the last run: "
                'based_on = "completed"'
            )
        if self.based_on == "completed" and self.rhythm and (self.rhythm.on or self.rhythm.day):
            raise ValueError(
                f"plan {self.code}: counted from when it was done, it cannot keep to a weekday or day"
            )
        whole_year = (date.fromordinal(date(_LEAP, 1, 1).toordinal() + n) for n in range(366))
        if self.pauses and all(self.paused(day) for day in whole_year):
            raise ValueError(f"plan {self.code}: paused on every day of the year, it would never be due")
        return self

    def paused(self, day: date) -> bool:
        """Whether nothing is due on that day."""
        return any(one.holds(day) for one in self.pauses)


def check_plans(
    plans: Sequence[Plan],
    meters: Sequence[Meter],
    *,
    types: Sequence[str],
    fault_types: Sequence[str],
    templates: Sequence[str],
    calendars: Sequence[str],
) -> None:
    """ValueError if a code is there twice, or a plan names what there is not."""
    for what, codes in (("plans", [p.code for p in plans]), ("meters", [m.code for m in meters])):
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise ValueError(f"codes of {what} must be unique; twice: {', '.join(twice)}")
    known = {
        "ticket type": types,
        "fault type": fault_types,
        "template of operations": templates,
        "calendar": calendars,
        "meter": [one.code for one in meters],
    }
    for plan in plans:
        named = {
            "ticket type": plan.type,
            "fault type": plan.fault_type,
            "template of operations": plan.operations,
            "calendar": plan.calendar,
            "meter": plan.usage.meter if plan.usage else None,
        }
        for what, code in named.items():
            if code is not None and code not in known[what]:
                raise ValueError(f"plan {plan.code}: there is no {what} {code!r}")
