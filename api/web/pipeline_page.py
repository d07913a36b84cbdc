"""How the pipeline does: what is worst first, then sources, counters that balance, dead letters, gaps, work given up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Form as FormField
from starlette.responses import RedirectResponse, Response

from andon import manifest
from andon.access.roles import Right
from andon.database import reading
from andon.events import Gap, GapCause, Json
from andon.ports import DeadLetter
from api.channels import ChannelState, channels_of
from api.flow import SourceState, sources_of
from api.freshness import counts_of, points_of
from api.health import degraded
from api.letters import named
from api.pages import render
from api.pipeline import readable
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import MISSING, number, whole
from api.web.pipeline_verdict import Facts, troubles, work_of
from api.web.wording import asset_name, letter_name
from ingest import deadletters, gaps
from ingest.deadletters import Which
from ingest.freshness import Freshness, State
from ingest.refusal import Reason
from ticketing import deliveries, timers

router = APIRouter()
SHOWN = 20
SILENT_SHOWN = 50
BEGINS = 60
STAGES = ("detectors", "series", "ticketing")
_CIRCUITS = {"closed": "good", "open": "critical", "half_open": "high", "unknown": ""}
_LOOKS = {"connected": "good", "disconnected": "critical", "down": "critical", "unknown": ""}


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source as it is shown; numbers are grouped."""

    name: str
    address: str
    condition: str
    why: str
    look: str
    rate: str
    heard_ns: int | None
    received: str
    stored: str
    duplicates: str
    ignored: str
    refused: str
    overflow: str
    balances: bool
    off_by: str


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A notification channel as it is shown."""

    name: str
    kind: str
    circuit: str
    look: str
    pending: str
    oldest: str
    dead: int
    canary: str
    error: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it is shown: `head` shows every byte, `begins` its first few."""

    received_ns: int
    source: str
    position: int
    reason: str
    named: str
    detail: str
    topic: str
    length: str
    head: str
    begins: str
    id: str


@dataclass(frozen=True, slots=True)
class Hole:
    """A gap as it is shown."""

    source: str
    place: str
    from_ns: int
    to_ns: int | None
    cause: str
    backfilled: bool


@dataclass(frozen=True, slots=True)
class SilentPoint:
    """A point that is not fresh, as it is shown: `why` in words."""

    asset: str
    name: str
    point: str
    state: State
    heard_ns: int | None
    source: str
    why: str


@router.get("/pipeline", dependencies=[needs(Right.READ)])
def pipeline(request: Request, visit: VisitOf, reason: Annotated[Reason | None, Query()] = None) -> Response:
    """All of it on one page; of the dead letters those of one reason, if it is given."""
    context, sight = visit.context, visit.sight
    points, status, channels = points_of(context, sight), context.status(), channels_of(context)
    freshness = counts_of(points)
    may_redrive = visit.may(Right.REDRIVE) and sight.assets is None
    with reading(context.database) as conn:
        stages = manifest.counted(conn)
        letters = deadletters.recent(conn, SHOWN, Which(reason)) if sight.assets is None else []
        reasons, underway = deadletters.counts(conn), deadletters.underway(conn)
        still = [gap for gap in gaps.open_gaps(conn) if sight.sees(gap.asset)]
        latest = [gap for _, gap in gaps.listed(conn, SHOWN, machines=sight.assets)]
        given_up = timers.given_up(conn) if may_redrive else ()
    sources = sources_of(stages, status, request.app.state.rates, visit.time.now_ns)
    facts = Facts(
        status=status,
        sources=sources,
        channels=channels,
        given_up=len(given_up),
        open_gaps=len(still),
        letters=reasons,
        stale=freshness[State.STALE],
        degraded=degraded(context),
    )
    return render(
        request,
        visit,
        "pipeline.html",
        "pipeline",
        troubles=troubles(facts, visit.words),
        may_redrive=may_redrive,
        sources=[_source(source) for source in sources],
        stages=_stages(stages, visit),
        parts=_parts(status),
        work=work_of(status, visit),
        freshness=[(state, whole(count)) for state, count in freshness.items()],
        silent=[_silent(p, visit) for p in points.values() if p.state is not State.FRESH][:SILENT_SHOWN],
        channels=[_channel(one, visit) for one in channels],
        given_up=given_up,
        letters=[_letter(letter, visit) for letter in letters],
        letters_count=sum(reasons.values()),
        underway=underway,
        reasons=[(code, letter_name(code, visit.words), count) for code, count in reasons.items()],
        reason=reason,
        gaps=[_hole(gap, visit) for gap in [*still, *(g for g in latest if g.to_ns is not None)][:SHOWN]],
    )


def _stages(stages: Mapping[str, Mapping[str, int]], visit: Visit) -> list[dict[str, Json]]:
    """What the stages behind the sources counted."""
    return [
        {
            "name": name,
            "counts": [
                (_named(f"counted.{what}", what, visit), whole(n)) for what, n in stages[name].items()
            ],
        }
        for name in STAGES
        if name in stages
    ]


def _parts(status: Mapping[str, Json]) -> list[dict[str, Json]]:
    """The processes."""
    return [
        {"name": name, "running": part.get("running"), "restarts": part.get("restarts", 0)}
        for name, part in sorted(status.get("parts", {}).items())
    ]


def _source(source: SourceState) -> SourceRow:
    return SourceRow(
        name=source.name,
        address=source.address,
        condition=source.condition,
        why=source.why,
        look=_LOOKS[source.condition],
        rate=number(source.rate),
        heard_ns=source.heard_ns,
        received=whole(source.received),
        stored=whole(source.stored),
        duplicates=whole(source.duplicates),
        ignored=whole(source.ignored),
        refused=whole(source.refused_in_all),
        overflow=whole(source.overflow),
        balances=source.off_by == 0,
        off_by=whole(source.off_by),
    )


@router.post("/pipeline/outbox/redrive", dependencies=[needs(Right.REDRIVE, whole=True)])
def redrive(visit: VisitOf, channel: Annotated[str, FormField()]) -> Response:
    """Send the dead messages of a channel again."""
    deliveries.redrive(visit.context.database, deliveries.Which(channel=channel), visit.context.now())
    return RedirectResponse("/pipeline#channels", 303)


def _channel(one: ChannelState, visit: Visit) -> ChannelRow:
    span = visit.time.span
    return ChannelRow(
        name=one.name,
        kind=one.kind,
        circuit=one.circuit,
        look=_CIRCUITS[one.circuit],
        pending=whole(one.pending),
        oldest=MISSING if one.oldest_s is None else span(one.oldest_s),
        dead=one.dead,
        canary=MISSING if one.canary_age_s is None else span(one.canary_age_s),
        error=one.error,
    )


def _letter(letter: DeadLetter, visit: Visit) -> Letter:
    head = readable(letter)
    return Letter(
        received_ns=letter.received_ns,
        source=letter.source,
        position=letter.position,
        reason=letter.reason,
        named=letter_name(letter.reason, visit.words),
        detail=letter.detail,
        topic=letter.topic.decode("utf-8", "backslashreplace"),
        length=whole(letter.length),
        head=head,
        begins=head[:BEGINS].replace("\n", " ") or MISSING,
        id=named(letter),
    )


def _named(key: str, code: str, visit: Visit) -> str:
    """The words for a code of the pipeline; one that has none, of another version, is named as it is."""
    return visit.words(key) if key in visit.words else code


def _silent(one: Freshness, visit: Visit) -> SilentPoint:
    why = MISSING
    if one.why == "silent":
        why = visit.words("freshness.silent", limit=visit.time.span(one.limit_s or 0))
    elif one.why:
        why = visit.words("freshness.gap", cause=_cause(one.why, visit))
    name = asset_name(visit.plant.asset(one.asset), one.asset, visit.words)
    return SilentPoint(one.asset, name, one.point, one.state, one.heard_ns, one.source or MISSING, why)


def _cause(cause: str, visit: Visit) -> str:
    return visit.words(f"gap_cause.{cause}") if cause in set(GapCause) else cause


def _hole(gap: Gap, visit: Visit) -> Hole:
    place = visit.words("gaps.everything")
    if gap.asset:
        place = asset_name(visit.plant.asset(gap.asset), gap.asset, visit.words)
        place = f"{place}, {gap.point}" if gap.point else place
    return Hole(gap.source, place, gap.from_ns, gap.to_ns, _cause(gap.cause, visit), gap.backfilled)
