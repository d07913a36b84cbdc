"""The course of a ticket's machine on one axis of time: trends with zones, and under them what happened, lane by lane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Float64, Json
from api.web.charts import Chart, foretold, quantity_name, spread, with_last_zone
from api.web.dense import Drawn, drawn
from api.web.formats import number, quantity, unit
from api.web.history import Deed
from api.web.lanes import About, Lane, lanes_of
from api.web.reader import Reader
from api.web.surroundings import rank
from api.web.zones import limits_of_point
from ticketing.ticket import Occurrence, Ticket

BEFORE_NS, AFTER_NS = 2 * HOUR_NS, 30 * MINUTE_NS
MOST_NS = 60 * 24 * HOUR_NS
MOST_PANELS = 3
MOST_LANE_ROWS = 60
STEPS = frozenset({"active", "state", "stops"})
"""Quantities that stay what they are until the next value: drawn as steps."""

Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Course:
    """What a course is drawn of: the ticket with the finding at its head, its drawings and its deeds."""

    ticket: Ticket
    head: Occurrence | None
    evidence: Mapping[str, Json]
    deeds: Sequence[Deed]


def course_of(conn: Connection, it: Course, reader: Reader) -> Chart | None:
    """The figure with its summary and table; None for a ticket of no machine, or one of which nothing is stored."""
    window = _window(it, reader.time.now_ns)
    spec = spec_of(conn, it, reader, window, window)
    if spec is None:
        return None
    words = reader.words
    panels = spec["panels"]
    name = panels[0]["name"] if panels else words("course.title")
    columns = (words("chart.time"), *(_headed(panel) for panel in panels[:1]))
    return Chart(
        name="trend",
        label=words("course.label"),
        title=words("course.title"),
        summary=_summary(spec, reader),
        spec=spec,
        columns=columns if panels else (words("chart.time"), name),
        rows=tuple(_rows(panels[0], reader)) if panels else (),
        more=_lane_table(spec, reader),
    )


def spec_of(
    conn: Connection, it: Course, reader: Reader, whole: Window, seen: Window
) -> dict[str, Json] | None:
    """What the browser draws: the axis of the `whole`, its channels as fine as the stretch `seen` allows."""
    ticket, time = it.ticket, reader.time
    if not ticket.asset:
        return None
    panels = _panels(it, reader, seen)
    source = it.head.trace_id.rpartition(":")[0] if it.head else ""
    lanes = lanes_of(conn, About(ticket.asset, source, *whole), it.deeds, reader)
    if not panels and not lanes:
        return None
    marks = [(it.head.onset_ns, "chart.onset"), (it.head.at_ns, "course.said")] if it.head else []
    return {
        "kind": "course",
        "address": f"/tickets/{ticket.id}/course",
        "from_ms": time.shifted_ms(whole[0]),
        "until_ms": time.shifted_ms(whole[1]),
        "seen_ms": [time.shifted_ms(at) for at in seen],
        "panels": panels,
        "lanes": [_lane(lane, whole, reader) for lane in lanes],
        "marks": [
            {"at_ms": time.shifted_ms(at), "name": reader.words(key)}
            for at, key in marks
            if whole[0] <= at <= whole[1]
        ],
    }


def _window(it: Course, now_ns: int) -> Window:
    """From before the trend that was shown to now, or to a little after the ticket was closed."""
    first = min([it.ticket.first_event_ns - BEFORE_NS, *_begins(it.evidence)])
    last = it.ticket.closed_ns or now_ns
    until = min(now_ns, max(last, it.ticket.last_event_ns) + AFTER_NS)
    until = max(until, it.ticket.last_event_ns + SECOND_NS)
    return max(first, until - MOST_NS), until


def _begins(evidence: Mapping[str, Json]) -> list[int]:
    shapes = (evidence.get(name) for name in ("trend", "trend_beside"))
    return [shape["at_ns"][0] for shape in shapes if shape and shape.get("at_ns")]


def _panels(it: Course, reader: Reader, seen: Window) -> list[dict[str, Json]]:
    """The finding's own trends, then the velocity at its point, on which the zones of ISO 20816 stand."""
    asset = it.ticket.asset
    units = {name: sign for name, sign, _, _ in reader.series.channels(asset)}
    wanted: dict[str, tuple[Mapping[str, Json], Mapping[str, Json] | None]] = {}
    for part, ahead in (("trend", "forecast"), ("trend_beside", "forecast_beside")):
        shape = it.evidence.get(part)
        if shape and shape.get("value"):
            wanted[shape["channel"]] = shape, it.evidence.get(ahead)
    for channel in _others(it, units):
        wanted.setdefault(channel, ({"channel": channel, "unit": units[channel]}, None))
    panels = []
    for channel, (shape, forecast) in list(wanted.items())[:MOST_PANELS]:
        line = drawn(reader.series, asset, channel, *seen) if channel in units else _as_said(shape)
        if np.isfinite(line.value).any():
            panels.append(
                _panel(asset, shape, line, reader)
                | foretold(forecast, shape["unit"], reader.words, reader.time)
            )
    return panels


def _others(it: Course, units: Mapping[str, str]) -> list[str]:
    """The channel that tells most beside the finding's own: the velocity of its point, else of the machine."""
    point = it.head.text.get("point", "") if it.head else ""
    ranked = sorted(units, key=lambda name: (not name.startswith(f"{point}/"), rank(name)))
    return [name for name in ranked if name != "state"][:1]


def _as_said(shape: Mapping[str, Json]) -> Drawn:
    """A trend that only its detector keeps."""
    value: Float64 = np.array([np.nan if v is None else v for v in shape["value"]], np.float64)
    return Drawn(np.array(shape["at_ns"], np.int64), value)


def _panel(asset_id: str, shape: Mapping[str, Json], line: Drawn, reader: Reader) -> dict[str, Json]:
    words, sign, channel = reader.words, shape["unit"], shape["channel"]
    zones, limit, baseline = shape.get("zones"), shape.get("limit"), shape.get("baseline")
    if not zones and (asset := reader.plant.asset(asset_id)) is not None:
        limits = limits_of_point(reader.plant, asset, channel) or ()
        zones = [{"name": name, "to": to} for name, to in zip("ABC", limits, strict=False)]
    said = {
        "limit": words("chart.limit", value=quantity(limit, sign)) if limit is not None else "",
        "baseline": words("chart.baseline", value=quantity(baseline, sign)) if baseline is not None else "",
    }
    return {
        "channel": channel,
        "name": quantity_name(channel, words),
        "unit": unit(sign),
        "at_ms": [reader.time.shifted_ms(at) for at in line.at_ns.tolist()],
        "value": told(line.value),
        "low": told(line.low),
        "high": told(line.high),
        "limit": limit,
        "baseline": baseline,
        "zones": with_last_zone(zones or ()),
        "words": said,
        "steps": channel.rpartition("/")[2] in STEPS,
    }


def told(values: Float64 | None) -> list[float | None] | None:
    """Five digits, null where there is none."""
    if values is None:
        return None
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values.tolist()]


def _lane(lane: Lane, whole: Window, reader: Reader) -> dict[str, Json]:
    time = reader.time
    return {
        "name": reader.words(f"lane.{lane.name}"),
        "key": lane.name,
        "spans": [
            {
                "from_ms": time.shifted_ms(max(span.from_ns, whole[0])),
                "to_ms": time.shifted_ms(min(span.to_ns or whole[1], whole[1])),
                "open": span.to_ns is None,
                "text": span.text,
                "look": span.look,
            }
            for span in lane.spans
        ],
        "marks": [{"at_ms": time.shifted_ms(mark.at_ns), "text": mark.text} for mark in lane.marks],
    }


def _summary(spec: Mapping[str, Json], reader: Reader) -> str:
    words, said = reader.words, []
    for panel in spec["panels"]:
        known = [value for value in panel["value"] if value is not None]
        high = [value for value in panel["high"] or panel["value"] if value is not None]
        first, last, highest = (
            f"{number(one)} {panel['unit']}".strip() for one in (known[0], known[-1], max(high))
        )
        span = reader.time.span((panel["at_ms"][-1] - panel["at_ms"][0]) / 1000)
        said.append(
            words(
                "chart.trend_summary", name=panel["name"], first=first, last=last, highest=highest, span=span
            )
        )
    counts = [
        words("course.lane_count", name=lane["name"], n=len(lane["spans"]) + len(lane["marks"]))
        for lane in spec["lanes"]
        if lane["key"] != "state"
    ]
    return " ".join(
        [*said[:1], *([words("course.beside", counts=words("list.and").join(counts))] if counts else [])]
    )


def _headed(panel: Mapping[str, Json]) -> str:
    return f"{panel['name']}, {panel['unit']}" if panel["unit"] else panel["name"]


def _rows(panel: Mapping[str, Json], reader: Reader) -> list[tuple[str, str]]:
    known = [i for i, value in enumerate(panel["value"]) if value is not None]
    return [
        (reader.time.of_chart(panel["at_ms"][known[i]]), number(panel["value"][known[i]]))
        for i in spread(len(known))
    ]


def _lane_table(spec: Mapping[str, Json], reader: Reader) -> tuple[tuple[str, str, str, str], ...]:
    """Every lane in words, newest first: from, to, which lane, what."""
    time, rows = reader.time, []
    for lane in spec["lanes"]:
        for span in lane["spans"]:
            end = reader.words("course.lasts") if span["open"] else time.of_chart(span["to_ms"])
            rows.append((span["from_ms"], end, lane["name"], span["text"]))
        rows += [(mark["at_ms"], "", lane["name"], mark["text"]) for mark in lane["marks"]]
    rows.sort(key=lambda row: -row[0])
    return tuple((time.of_chart(at), *rest) for at, *rest in rows[:MOST_LANE_ROWS])
