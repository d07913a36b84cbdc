"""How numbers, units, times and durations read: three significant digits, units always, plant time with its offset."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from andon.events import SECOND_NS
from api.catalogue import Words

MISSING = "–"
THIN = "\N{NARROW NO-BREAK SPACE}"
_UNITS = {
    "Cel": "°C",
    "1": "",
    "1/min": "/min",
    "1/h": "/h",
    "[g]": "g",
    "gn": "g",
    "r/min": "rpm",
    "{rpm}": "rpm",
}
"""UCUM code -> sign; every other unit is its own sign."""
_STEPS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def number(value: float | None) -> str:
    """Three significant digits, grouped by thin spaces; a dash for what is unknown.

    >>> number(0.012345), number(88.34), number(1234567.0), number(-1e-12), number(float("nan"))
    ('0.0123', '88.3', '1\u202f234\u202f567', '0', '–')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if abs(value) >= 1000:
        return whole(round(value))
    text = f"{float(f'{value:.3g}'):.10f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def whole(value: int) -> str:
    """A count, grouped by thin spaces: 23000 reads 23 000."""
    return f"{value:,}".replace(",", THIN)


def unit(ucum: str) -> str:
    """The sign of a UCUM unit: `Cel` reads °C; what is a multiple ("× background") reads ×."""
    return "×" if ucum.startswith("×") else _UNITS.get(ucum, ucum)


def quantity(value: float | None, ucum: str) -> str:
    """A number with its unit, kept on one line; `quantity(41.234, "Cel")` reads 41.2 °C."""
    sign = unit(ucum)
    return f"{number(value)}\N{NO-BREAK SPACE}{sign}" if sign and value is not None else number(value)


@dataclass(frozen=True, slots=True)
class PlantTime:
    """Times as the plant reads them: its zone, the offset said, and how long ago as seen from `now_ns`."""

    zone: ZoneInfo
    now_ns: int
    words: Words

    def at(self, at_ns: int | None) -> str:
        """Date and time to the second with the offset: `2026-03-12 14:05:09 +08:00`."""
        if at_ns is None:
            return MISSING
        moment = self._moment(at_ns)
        return f"{moment:%Y-%m-%d %H:%M:%S} {_offset(moment)}"

    def short(self, at_ns: int | None) -> str:
        """The time of day, with the date if it is not today's: `14:05`, `03-11 22:40`."""
        if at_ns is None:
            return MISSING
        moment, today = self._moment(at_ns), self._moment(self.now_ns)
        if moment.date() == today.date():
            return f"{moment:%H:%M}"
        return f"{moment:%m-%d %H:%M}" if moment.year == today.year else f"{moment:%Y-%m-%d}"

    def iso(self, at_ns: int) -> str:
        """For `datetime` attributes."""
        return self._moment(at_ns).isoformat(timespec="seconds")

    def shifted_ms(self, at_ns: int) -> int:
        """Milliseconds that read as plant time when a chart takes them for UTC."""
        offset = self._moment(at_ns).utcoffset()
        return at_ns // 1_000_000 + (int(offset.total_seconds()) * 1000 if offset else 0)

    def of_chart(self, shifted_ms: int) -> str:
        """A moment of a chart's axis to the second: `2026-03-12 14:05:09`."""
        return f"{datetime.fromtimestamp(shifted_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"

    def unshifted_ns(self, shifted_ms: int) -> int:
        """What `shifted_ms` made of it; of an hour that comes twice the first."""
        local = datetime.fromtimestamp(shifted_ms / 1000, UTC).replace(tzinfo=self.zone)
        return int(local.timestamp() * 1000) * 1_000_000

    def with_offset(self, local: str) -> str:
        """A time of the plant's own clock, `2026-03-12T14:05`, as RFC 3339; ValueError if it is none."""
        return datetime.fromisoformat(local).replace(tzinfo=self.zone).isoformat()

    def next_ns(self, of_day: timedelta) -> int:
        """The next time that it is so late in the day at the plant."""
        today = self._moment(self.now_ns).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (today, today + timedelta(days=1))
        moments = (int((day + of_day).timestamp()) * SECOND_NS for day in days)
        return next(at_ns for at_ns in moments if at_ns > self.now_ns)

    def day_of(self, at_ns: int) -> date:
        """The plant's day of a moment."""
        return self._moment(at_ns).date()

    def begin_ns(self, day: date) -> int:
        """When that day begins at the plant."""
        return int(datetime.combine(day, time(), self.zone).timestamp()) * SECOND_NS

    def about(self, span_ns: int) -> str:
        """A duration in one unit, rounded down, for where there is little room: `2 h`, `42 min`."""
        seconds = max(0, span_ns // SECOND_NS)
        name, size = next(((name, size) for name, size in _STEPS if seconds >= size), ("minute", 60))
        return self.words(f"time.{name}", n=seconds // size)

    def ago(self, at_ns: int | None) -> str:
        """How long ago: `42 min ago`."""
        if at_ns is None:
            return MISSING
        passed = (self.now_ns - at_ns) / SECOND_NS
        if passed < 10:
            return self.words("time.now")
        return self.words("time.ago", span=self.span(passed))

    def since(self, at_ns: int) -> str:
        """How long since: `42 min`."""
        return self.span((self.now_ns - at_ns) / SECOND_NS)

    def span(self, seconds: float) -> str:
        """A duration in its largest fitting units, two at most: `2 d 3 h`, `42 min`, `8 s`."""
        left = max(0, int(seconds))
        if left < 60:
            return self.words("time.second", n=left)
        parts: list[tuple[int, str]] = []
        for name, size in _STEPS:
            count, left = divmod(left, size)
            if count or parts:
                parts.append((count, self.words(f"time.{name}", n=count)))
        return " ".join(text for count, text in parts[:2] if count)

    def _moment(self, at_ns: int) -> datetime:
        return datetime.fromtimestamp(at_ns / SECOND_NS, UTC).astimezone(self.zone)


def _offset(moment: datetime) -> str:
    text = f"{moment:%z}"
    return f"{text[:3]}:{text[3:5]}"
