"""NASA/IMS: how long before the end of a test the ticket of the failing bearing comes, and none for the others.

A file holds the mean absolute acceleration of each channel, one row every ten minutes; two channels of one
bearing are called `Bearing 1-A` and `Bearing 1-B`, and no neighbours of each other.
"""

import contextlib
import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from andon.evaluations.line import Line
from andon.evaluations.reading import reading
from andon.events import SECOND_NS, Action, Finding, Float64, Json, Origin, Readings
from andon.plant import Asset, DetectorSettings, Plant, Point
from ticketing.ticket import Ticket

KIND = "neighbour_trend"
QUANTITY, UNIT = "mean_abs", "g"
PARAMETERS: dict[str, Json] = {KIND: "defaults"}
_STAMPS = ("%Y.%m.%d.%H.%M.%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


def files(folder: Path) -> list[Path]:
    """The tests, by name. FileNotFoundError if there are none."""
    found = sorted(folder.glob("test*.csv"))
    if not found:
        raise FileNotFoundError(f"there is no test*.csv in {folder}")
    return found


def rate(path: Path, folder: Path, scores: Path | None) -> list[dict[str, Json]]:
    """One test from its first row to its last: a row for each channel."""
    del scores
    with reading(path):
        names, rows = _read(path)
    asset = _rig(path.stem, names)
    with Line(asset, Plant(name="IMS", assets=(asset,))) as line:
        for number, (at_ns, values) in enumerate(rows):
            line.take(_readings(asset, at_ns, values, number))
        tickets = list(line.tickets())
    end_ns = max(at_ns for at_ns, _ in rows)
    return [_row(str(path.relative_to(folder)), name, line.findings, tickets, end_ns) for name in names]


def summary(rows: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """What was found where, and how long before the end of its test."""
    found = [row for row in rows if row["tickets"]]
    return {
        "channels": len(rows),
        "with_ticket": [f"{row['file']} {row['channel']}" for row in found],
        "lead_h": [row["lead_h"] for row in found],
        "machine_tickets": sum({row["file"]: row["machine_tickets"] for row in rows}.values()),
        "withdrawn": sum(row["withdrawn"] for row in rows),
    }


def _rig(name: str, channels: Sequence[str]) -> Asset:
    points = tuple(
        Point(id=_id(channel), component=_id(_bearing(channel)), quantities={QUANTITY: UNIT})
        for channel in channels
    )
    return Asset(
        id=name,
        name=f"Bearing test rig, {name}",
        asset_class="test_rig",
        path="ims/cincinnati/laboratory/rig/1",
        points=points,
        detectors=(DetectorSettings(kind=KIND),),
    )


def _read(path: Path) -> tuple[list[str], list[tuple[int, Float64]]]:
    """The channels, and time and values of each row that has a time."""
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.reader(file)
        header = next(table, [])
        names = [name for name in header if name.startswith("Bearing")]
        if not names or "Datetime" not in header:
            raise ValueError("wanted are the columns Datetime and Bearing 1, Bearing 2 …")
        rows = [dict(zip(header, row, strict=False)) for row in table]
    timed = [row for row in rows if row.get("Datetime", "").strip()]
    if not timed:
        raise ValueError("no row has a time")
    return names, [
        (_at_ns(row["Datetime"].strip()), np.array([_value(row.get(name, "")) for name in names]))
        for row in timed
    ]


def _readings(asset: Asset, at_ns: int, values: Float64, number: int) -> Readings:
    """A row of the file as its sensors would have sent it."""
    channels = tuple(f"{point.id}/{QUANTITY}" for point in asset.points)
    n = len(channels)
    origin = Origin("recording", number, at_ns)
    index, good = np.arange(n, dtype=np.int32), np.zeros(n, np.uint32)
    return Readings(asset.id, channels, (UNIT,) * n, np.full(n, at_ns), index, values, good, origin)


def _row(
    file: str, channel: str, findings: Sequence[Finding], tickets: Sequence[Ticket], end_ns: int
) -> dict[str, Json]:
    mine = [finding for finding in findings if finding.text.get("point") == _id(channel)]
    raised = [finding for finding in mine if finding.action is Action.RAISE]
    component = _id(_bearing(channel))
    held = [ticket for ticket in tickets if raised and ticket.headline.component == component]
    return {
        "file": file,
        "bearing": _bearing(channel),
        "channel": channel,
        "onset_at": _stamp(raised[0].onset_ns) if raised else None,
        "ticket_at": _stamp(held[0].anchor_ns) if held else None,
        "tickets": len(held),
        "lead_h": round((end_ns - held[0].anchor_ns) / (3600 * SECOND_NS), 2) if held else None,
        "withdrawn": sum(finding.action is Action.CLEAR for finding in mine),
        "machine_tickets": sum(ticket.headline.component == "machine" for ticket in tickets),
    }


def _at_ns(text: str) -> int:
    for stamp in _STAMPS:
        with contextlib.suppress(ValueError):
            return round(datetime.strptime(text, stamp).replace(tzinfo=UTC).timestamp()) * SECOND_NS
    raise ValueError(f"{text!r} is no time like {' or '.join(_STAMPS)}")


def _stamp(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, UTC):%Y-%m-%dT%H:%M:%S}"


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _bearing(channel: str) -> str:
    """`Bearing 1-A` is a channel of `Bearing 1`."""
    return channel.partition("-")[0].strip()


def _id(name: str) -> str:
    return name.replace(" ", "_")
