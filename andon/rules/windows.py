"""Maintenance windows that come again every week, in the plant's time zone or their own, over changes of the clocks."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from andon.calendars import Calendar, Shift, Weekday
from andon.events import HOUR_NS
from andon.rules.suppression import Matcher

_REACH_NS = 50 * HOUR_NS
"""A window of up to 24 h that began yesterday, on a day of 25 h."""


class MaintenanceWindow(BaseModel):
    """While it is open, alarms that it means become no ticket; what still stands when it closes does.

    >>> sunday = MaintenanceWindow(name="greasing", matcher=Matcher(under="acme/north"), week={"sun": ("06:00-08:00",)})
    >>> at_ns = 1_772_949_600 * 10**9  # Sunday 2026-03-08 06:00 UTC
    >>> sunday.span_at(at_ns, "UTC") == (at_ns, at_ns + 2 * HOUR_NS), sunday.span_at(at_ns - 1, "UTC")
    (True, None)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="What it is called."
    )
    matcher: Matcher = Field(description="Which alarms it holds back.")
    week: dict[Weekday, tuple[Shift, ...]] = Field(
        description="When it opens and closes on each day of the week, in local time."
    )
    days: dict[date, tuple[Shift, ...] | Weekday] = Field(
        default_factory=dict, description="Single dates on which it is otherwise; an empty list: not at all."
    )
    time_zone: str | None = Field(default=None, description="IANA name; left out: the plant's.")
    owner: str = Field(default="", max_length=64, description="The person who answers for it.")
    reason: str = Field(default="", max_length=400, description="What is done then.")

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            Calendar(time_zone=name, week={"mon": ("00:00-24:00",)})
        return name

    @field_validator("week")
    @classmethod
    def _opens(cls, week: dict[Weekday, tuple[Shift, ...]]) -> dict[Weekday, tuple[Shift, ...]]:
        if not any(week.values()):
            raise ValueError("a maintenance window without times never opens")
        return week

    def span_at(self, at_ns: int, plant_zone: str) -> tuple[int, int] | None:
        """From when to when it is open at that moment; None if it is not. Two times that meet are two spans."""
        spans = self._calendar(plant_zone).spans(at_ns - _REACH_NS, at_ns + 1)
        found = next((start_ns for start_ns, end_ns in spans if start_ns <= at_ns < end_ns), None)
        if found is None:
            return None
        return next(self._calendar(plant_zone).spans(found, found + _REACH_NS))

    def _calendar(self, plant_zone: str) -> Calendar:
        return Calendar(time_zone=self.time_zone or plant_zone, week=self.week, days=self.days)
