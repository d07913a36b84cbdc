"""Whether it works, for probes and Prometheus: /healthz, /readyz with the reasons, /metrics with every counter."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from andon import manifest
from andon.database import reading
from andon.events import SECOND_NS, Json
from api.channels import ChannelState, channels_of
from api.context import Context
from api.freshness import counts_of, points_of
from api.pages import WEB
from api.visit import ContextOf
from ingest import gaps
from ticketing import store

router = APIRouter(include_in_schema=False)
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]
Sample = tuple[str, Labels, float]


@router.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def readyz(context: ContextOf) -> Response:
    """Whether the installation is whole: 503 and the reasons if it is not."""
    reasons = degraded(context)
    return JSONResponse({"ready": not reasons, "degraded": reasons}, 503 if reasons else 200)


@router.get("/metrics")
def metrics(context: ContextOf) -> Response:
    """All counters and gauges in Prometheus' text format."""
    return PlainTextResponse("\n".join([*_lines(context), ""]), media_type=PROMETHEUS)


def degraded(context: Context) -> list[str]:
    """What is wrong, the console's own lacks among it."""
    own = (
        []
        if (WEB / "vendor" / "echarts.js").is_file()
        else ["browser libraries missing: python hatch_build.py"]
    )
    return [*context.readiness(), *own]


def _lines(context: Context) -> Iterator[str]:
    with reading(context.database) as conn:
        stages = manifest.counted(conn)
        done = store.metrics(conn)
        still_open = Counter(gap.cause for gap in gaps.open_gaps(conn))
    points = points_of(context)
    families: dict[tuple[str, str, str], list[Sample]] = {
        ("andon_source_messages_total", "counter", "Messages of a source by what became of them."): [
            *_source_samples(stages)
        ],
        ("andon_stage_total", "counter", "What the stages after the sources counted."): [
            ("andon_stage_total", {"stage": stage, "what": what}, value)
            for stage, counts in sorted(stages.items())
            if not stage.startswith("source.")
            for what, value in sorted(counts.items())
        ],
        ("andon_tickets", "gauge", "Tickets by state."): [
            ("andon_tickets", {"state": state}, count) for state, count in done.by_state.items()
        ],
        ("andon_problems_open", "gauge", "Open root-cause tasks."): [
            ("andon_problems_open", {}, done.problems_open)
        ],
        ("andon_part_up", "gauge", "Whether a process runs."): [*_part_samples(context.status())],
        ("andon_source_connected", "gauge", "Whether a source says that it is connected."): [
            ("andon_source_connected", {"source": name}, float(bool(part["status"]["connected"])))
            for name, part in sorted(context.status().get("parts", {}).items())
            if "connected" in part.get("status", {})
        ],
        ("andon_gaps_open", "gauge", "Gaps that have not ended, by cause."): [
            ("andon_gaps_open", {"cause": cause}, count) for cause, count in sorted(still_open.items())
        ],
        ("andon_points", "gauge", "Measuring points by freshness."): [
            ("andon_points", {"state": state}, count) for state, count in counts_of(points).items()
        ],
        ("andon_point_heard_seconds", "gauge", "When a point was last received, seconds since 1970."): [
            ("andon_point_heard_seconds", {"asset": asset, "point": point}, one.heard_ns / SECOND_NS)
            for (asset, point), one in points.items()
            if one.heard_ns is not None
        ],
        **_channel_families(context),
        ("andon_ready", "gauge", "1 if nothing is degraded."): [
            ("andon_ready", {}, float(not degraded(context)))
        ],
    }
    for (name, kind, help_text), samples in families.items():
        yield f"# HELP {name} {help_text}"
        yield f"# TYPE {name} {kind}"
        for sample in samples:
            yield _sample(*sample)


def _source_samples(stages: Mapping[str, Mapping[str, int]]) -> Iterator[Sample]:
    for stage, counts in sorted(stages.items()):
        if not stage.startswith("source."):
            continue
        for what, value in sorted(counts.items()):
            outcome, _, reason = what.partition(".")
            labels = {"source": stage.removeprefix("source."), "outcome": outcome}
            yield "andon_source_messages_total", {**labels, "reason": reason} if reason else labels, value


def _channel_families(context: Context) -> dict[tuple[str, str, str], list[Sample]]:
    """What waits at each channel, what was given up, whether it works, how old its last canary is."""
    found = channels_of(context)
    told: Mapping[tuple[str, str], Callable[[ChannelState], float | None]] = {
        ("pending", "Messages that wait."): lambda one: one.pending,
        ("dead", "Messages that were given up; a person may send them again."): lambda one: one.dead,
        ("oldest_seconds", "For how long the oldest has waited."): lambda one: one.oldest_s or 0.0,
        ("open", "1 while its circuit breaker is open or half open."): lambda one: float(
            one.circuit in {"open", "half_open"}
        ),
        ("canary_age_seconds", "How long ago the last canary arrived."): lambda one: one.canary_age_s,
    }
    return {
        (f"andon_channel_{name}", "gauge", text): [
            (f"andon_channel_{name}", {"channel": one.name}, value)
            for one in found
            if (value := of(one)) is not None
        ]
        for (name, text), of in told.items()
    }


def _part_samples(status: Mapping[str, Json]) -> Iterator[Sample]:
    for name, part in sorted(status.get("parts", {}).items()):
        yield "andon_part_up", {"part": name}, float(bool(part.get("running")))


def _sample(name: str, labels: Labels, value: float) -> str:
    said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    number = repr(int(value) if float(value).is_integer() else value)
    return f"{name}{{{said}}} {number}" if said else f"{name} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
