"""Which reports go out by e-mail, when, and to whom (rule 77): to production, purchasing and quality, without a hand in between."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from andon.events import SECOND_NS
from andon.mappings import Identifier

ReportName = Literal["closing_quality", "heat_map", "top10", "drift"]


class ReportSchedule(BaseModel):
    """One report on its way: a month's goes out in the month after, a day's on that day."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: Identifier
    report: ReportName = Field(description="which report")
    every: Literal["day", "month"] = Field(
        default="month", description="each day, or on one day of each month about the month before"
    )
    day: int = Field(default=1, ge=1, le=28, description="of the month, for a monthly one")
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = Field(
        default="07:30", description="by the plant's clock"
    )
    to: tuple[str, ...] = Field(
        min_length=1, description="ids or roles of people who have an address in a channel of e-mail"
    )
    languages: tuple[Literal["zh", "en"], ...] = Field(default=("zh", "en"), min_length=1)

    def due_before(self, now_ns: int, zone: str) -> int:
        """The last moment (UTC, ns) at or before now when it was to go out.

        >>> monthly = ReportSchedule(id="m", report="top10", to=("quality",))
        >>> monthly.due_before(1_772_323_200 * 10**9, "UTC") // 10**9  # 1 March, 00:00: February's has not gone out
        1769931000
        """
        here = datetime.fromtimestamp(now_ns / SECOND_NS, ZoneInfo(zone))
        at = time.fromisoformat(self.at)
        moments = (
            int(datetime.combine(day, at, ZoneInfo(zone)).timestamp()) * SECOND_NS
            for day in self._days(here.date())
        )
        return next(moment for moment in moments if moment <= now_ns)

    def about(self, due_ns: int, zone: str) -> str:
        """What it is about when it goes out at that moment: the month before ("2026-02"), or that day's list.

        >>> ReportSchedule(id="m", report="top10", to=("quality",)).about(1769931000 * 10**9, "UTC")
        '2026-01'
        """
        if self.report == "drift":
            return ""
        here = datetime.fromtimestamp(due_ns / SECOND_NS, ZoneInfo(zone)).date()
        if self.every == "day":
            return "rolling"
        return f"{here.replace(day=1) - timedelta(days=1):%Y-%m}"

    def _days(self, today: date) -> Sequence[date]:
        """Days on which it goes out, the latest first; among two of them is the last one before any time of today."""
        if self.every == "day":
            return [today - timedelta(days=n) for n in range(2)]
        this = today.replace(day=self.day)
        before = (this.replace(day=1) - timedelta(days=1)).replace(day=self.day)
        return [this, before]
