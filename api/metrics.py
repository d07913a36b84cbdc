"""Every counter and gauge of an installation in Prometheus' text format, for /metrics.

Names follow Prometheus' conventions: base units, `_total` for what only rises. docs/metrics.md lists them all.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy import Connection

from andon import manifest
from andon.database import reading
from andon.events import SECOND_NS, Json
from api.channels import ChannelState, channels_of
from api.context import Context
from api.freshness import counts_of, points_of
from ingest import gaps
from ticketing import deliveries, store, tallies
from ticketing.book import BUS
from ticketing.clocks import ClockKind
from ticketing.timers import failing

TYPE = "text/plain; version=0.0.4; charset=utf-8"
K = TypeVar("K", bound=str)
Labels = Mapping[str, str]
Sample = tuple[Labels, float]
Counts = Mapping[str, Mapping[str, int]]
Part = Mapping[str, Json]
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, type, what it says, and its value for each set of labels.

    The samples of a summary are its sum and its count, in this order.
    """

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    samples: Sequence[Sample]

    def lines(self) -> Iterator[str]:
        """As text.

        >>> [*Family("andon_ready", "gauge", "1 if nothing is degraded.", [({}, 1.0)]).lines()][-1]
        'andon_ready 1'
        """
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        ends = ("_sum", "_count") if self.kind == "summary" else ("",) * len(self.samples)
        for end, (labels, value) in zip(ends, self.samples, strict=True):
            said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            number = repr(int(value) if float(value).is_integer() else value)
            yield f"{self.name}{end}{{{said}}} {number}" if said else f"{self.name}{end} {number}"


def exposition(context: Context, degraded: Sequence[str]) -> str:
    """All families of the installation; `degraded` is why it is not whole."""
    parts: Mapping[str, Part] = context.status().get("parts", {})
    with reading(context.database) as conn:
        stages = manifest.counted(conn)
        families = [
            *_flow(stages),
            *_tickets(conn),
            _gauge(
                "andon_gaps_open",
                "Gaps that have not ended.",
                "cause",
                Counter(gap.cause for gap in gaps.open_gaps(conn)),
            ),
        ]
    families += [
        *_parts(parts),
        *_engine(parts.get("engine", {}).get("status", {})),
        *_mirror(parts.get("influx", {}).get("status", {})),
        *_points(context),
        *_channels(context),
        Family("andon_ready", "gauge", "1 if nothing is degraded.", [({}, float(not degraded))]),
        Family(
            "andon_build_info",
            "gauge",
            "Always 1; the version is a label.",
            [({"version": version("andon")}, 1)],
        ),
    ]
    return "\n".join([*(line for family in families for line in family.lines()), ""])


def _flow(stages: Counts) -> Iterator[Family]:
    """What became of each source's messages, and what the stages after the sources counted."""
    messages = [
        (
            {
                "source": stage.removeprefix("source."),
                "outcome": what,
                **({"reason": reason} if reason else {}),
            },
            value,
        )
        for stage, counts in sorted(stages.items())
        if stage.startswith("source.")
        for (what, _, reason), value in (
            (name.partition("."), value) for name, value in sorted(counts.items())
        )
    ]
    yield Family(
        "andon_source_messages_total", "counter", "Messages of a source by what became of them.", messages
    )
    others = [
        ({"stage": stage, "what": what}, value)
        for stage, counts in sorted(stages.items())
        if not stage.startswith("source.")
        for what, value in sorted(counts.items())
    ]
    yield Family("andon_stage_total", "counter", "What the stages after the sources counted.", others)


def _tickets(conn: Connection) -> Iterator[Family]:
    done = store.metrics(conn)
    yield _gauge("andon_tickets", "Tickets by state.", "state", done.by_state)
    unclosed = [
        ({"state": state, "priority": priority}, count)
        for (state, priority), count in sorted(tallies.unclosed(conn).items())
    ]
    yield Family("andon_tickets_unclosed", "gauge", "Tickets that are not closed.", unclosed)
    yield _counter("andon_tickets_opened_total", "Tickets ever opened.", tallies.opened(conn))
    yield Family(
        "andon_triage_seconds",
        "summary",
        "From the opening of a ticket to its decision in the inbox.",
        [({}, done.triage_s), ({}, done.triaged)],
    )
    yield Family("andon_problems_open", "gauge", "Open root-cause tasks.", [({}, done.problems_open)])
    late = tallies.overdue(conn)
    yield _gauge(
        "andon_sla_overdue",
        "Clocks that run on although their limit has passed.",
        "clock",
        {str(kind): late.get(kind, 0) for kind in ClockKind},
    )
    yield _gauge("andon_timers_failed", "Steps that were due and were given up.", "kind", failing(conn))
    bus = deliveries.waiting(conn).get(BUS, {}).get("pending", 0)
    yield Family("andon_bus_pending", "gauge", "Messages that no channel has been given yet.", [({}, bus)])


def _parts(parts: Mapping[str, Part]) -> Iterator[Family]:
    """The processes, and what the sources among them say of their connection."""
    told: Sequence[tuple[str, Literal["counter", "gauge"], str, Callable[[Part], float | None]]] = (
        ("up", "gauge", "Whether a process runs.", lambda part: float(bool(part.get("running")))),
        ("restarts_total", "counter", "Starts anew after it died.", lambda part: part.get("restarts", 0)),
        ("quarantined", "gauge", "Whether it is held.", lambda part: float(bool(part.get("quarantined")))),
        ("resident_bytes", "gauge", "Its real memory.", lambda part: _resident_bytes(part.get("pid"))),
    )
    for name, kind, text, of in told:
        samples = [
            ({"part": one}, value) for one, part in sorted(parts.items()) if (value := of(part)) is not None
        ]
        yield Family(f"andon_part_{name}", kind, text, samples)
    connected = {
        name: float(bool(part["status"]["connected"]))
        for name, part in sorted(parts.items())
        if "connected" in part.get("status", {})
    }
    yield _gauge("andon_source_connected", "Whether a source says that it is connected.", "source", connected)


def _engine(said: Part) -> Iterator[Family]:
    """The engine's own figures; none while it has not said anything."""
    if "turns" not in said:
        return
    yield _counter("andon_engine_turns_total", "Batches taken since its process began.", said["turns"])
    yield _counter("andon_engine_turn_seconds_total", "Time spent in them.", said["turn_s"])
    yield _counter("andon_engine_turn_cpu_seconds_total", "Processor time spent in them.", said["turn_cpu_s"])
    lag = "How long the oldest record of the last batch had waited when it was committed."
    yield Family("andon_engine_lag_seconds", "gauge", lag, [({}, said["lag_s"])])
    yield _gauge(
        "andon_engine_untaken_records", "Records written and not taken yet.", "source", said["untaken"]
    )
    differs = "Batches that gave another outcome when they were repeated."
    yield Family("andon_engine_differing_batches", "gauge", differs, [({}, len(said["differs"]))])
    yield _gauge("andon_journal_bytes", "What was received, on the disk.", "source", said["journal_bytes"])
    lies = {name: said[f"{name}_bytes"] for name in ("series", "photos", "store")}
    yield _gauge("andon_data_bytes", "Other data on the disk.", "what", lies)
    yield Family("andon_disk_free_bytes", "gauge", "Free where the data is.", [({}, said["disk_free_bytes"])])
    yield Family("andon_disk_size_bytes", "gauge", "The disk where the data is.", [({}, said["disk_bytes"])])


def _mirror(said: Part) -> Iterator[Family]:
    """The copy in InfluxDB, where there is one."""
    if "waiting" not in said:
        return
    done = [({"outcome": name}, said[name]) for name in ("sent", "rejected", "dropped")]
    yield Family("andon_mirror_readings_total", "counter", "Readings by what became of their copy.", done)
    yield Family(
        "andon_mirror_waiting_readings", "gauge", "Readings that wait for it.", [({}, said["waiting"])]
    )


def _points(context: Context) -> Iterator[Family]:
    points = points_of(context)
    yield _gauge("andon_points", "Measuring points by freshness.", "state", counts_of(points))
    heard = [
        ({"asset": asset, "point": point}, one.heard_ns / SECOND_NS)
        for (asset, point), one in points.items()
        if one.heard_ns is not None
    ]
    when = "When a point was last received, seconds since 1970."
    yield Family("andon_point_heard_seconds", "gauge", when, heard)


def _channels(context: Context) -> Iterator[Family]:
    """What waits at each channel, what was given up, whether it works, how old its last canary is."""
    told: Mapping[tuple[str, str], Callable[[ChannelState], float | None]] = {
        ("pending", "Messages that wait."): lambda one: one.pending,
        ("dead", "Messages that were given up; a person may send them again."): lambda one: one.dead,
        ("oldest_seconds", "For how long the oldest has waited."): lambda one: one.oldest_s or 0.0,
        ("open", "1 while its circuit breaker is open or half open."): lambda one: float(
            one.circuit in {"open", "half_open"}
        ),
        ("canary_age_seconds", "How long ago the last canary arrived."): lambda one: one.canary_age_s,
    }
    found = channels_of(context)
    for (name, text), of in told.items():
        samples = [({"channel": one.name}, value) for one in found if (value := of(one)) is not None]
        yield Family(f"andon_channel_{name}", "gauge", text, samples)


def _gauge(name: str, text: str, label: str, values: Mapping[K, float]) -> Family:
    return Family(name, "gauge", text, [({label: str(key)}, value) for key, value in sorted(values.items())])


def _counter(name: str, text: str, value: float) -> Family:
    return Family(name, "counter", text, [({}, value)])


def _resident_bytes(pid: int | None) -> float | None:
    """The second figure of /proc/PID/statm, which counts pages; None where there is no such file."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
