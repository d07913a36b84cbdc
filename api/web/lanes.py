"""What happened to a machine beside its measurements, as lanes under its trend: state, stops, findings, gaps, people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from andon import declarations
from andon.events import Declared, Family, PackMLState, Quality
from api.web.history import Deed
from api.web.reader import Reader
from api.web.wording import condition_name, message_in
from ingest import gaps
from ticketing import findings
from ticketing.findings import Standing
from ticketing.ticket import Occurrence

MOST_SPANS = 200
_STATE_POINTS = 20_000
_MOST_DECLARED = 200
_LOOKS: Mapping[int, str] = {
    PackMLState.EXECUTE: "runs",
    PackMLState.ABORTED: "bad",
    PackMLState.ABORTING: "bad",
    PackMLState.STOPPED: "bad",
    PackMLState.STOPPING: "bad",
}
"""How a state of PackML is drawn; every other one waits."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted, or still does (`to_ns` None); `look` is its colour and texture."""

    from_ns: int
    to_ns: int | None
    text: str
    look: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at one moment."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One row: `name` is its key in the catalogue (`lane.<name>`)."""

    name: str
    spans: Sequence[Span] = field(default=())
    marks: Sequence[Mark] = field(default=())


@dataclass(frozen=True, slots=True)
class About:
    """The machine and the stretch of time that the lanes are about; `source` is what its messages come from."""

    asset: str
    source: str
    from_ns: int
    to_ns: int


def lanes_of(conn: Connection, about: About, deeds: Sequence[Deed], reader: Reader) -> list[Lane]:
    """The lanes that have something in them, the machine's state first; an empty one says nothing and is left out."""
    stood = findings.standing(conn, about.asset, about.from_ns, about.to_ns, MOST_SPANS)
    stops = [one for one in stood if one.first.family is Family.STOP]
    others = [one for one in stood if one.first.family is not Family.STOP]
    lanes = [
        Lane("state", list(_states(about, reader))),
        Lane("stops", [_span(one, "bad", reader) for one in stops]),
        Lane("findings", [_span(one, "found", reader) for one in others]),
        Lane("gaps", list(_gaps(conn, about, reader))),
        _declared(conn, about, reader),
        Lane(
            "ticket", marks=[Mark(d.at_ns, d.did) for d in deeds if about.from_ns <= d.at_ns <= about.to_ns]
        ),
    ]
    return [lane for lane in lanes if lane.spans or lane.marks]


def _states(about: About, reader: Reader) -> Iterator[Span]:
    """The machine's state, from change to change; it goes on until another one is heard."""
    at_ns, value, quality = reader.series.read(
        about.asset, "state", about.from_ns, about.to_ns, _STATE_POINTS
    )
    begun: tuple[int, int] | None = None
    for at, code in zip(
        at_ns[quality < Quality.BAD].tolist(), value[quality < Quality.BAD].tolist(), strict=True
    ):
        if begun is not None and begun[1] == int(code):
            continue
        if begun is not None:
            yield _state(begun, at, reader)
        begun = at, int(code)
    if begun is not None:
        yield _state(begun, None, reader)


def _state(begun: tuple[int, int], to_ns: int | None, reader: Reader) -> Span:
    at_ns, code = begun
    known = code in set(PackMLState)
    text = reader.words(f"packml.{PackMLState(code).name}") if known else str(code)
    return Span(at_ns, to_ns, text, _LOOKS.get(code, "waits"))


def _span(one: Standing, look: str, reader: Reader) -> Span:
    said: Occurrence = one.first
    text = message_in(said.text, reader.words) or condition_name(said.condition, reader.words)
    if said.family is Family.STOP and said.component not in text:
        text = f"{said.component} · {text}"
    return Span(said.at_ns, one.clear_ns, text, look)


def _gaps(conn: Connection, about: About, reader: Reader) -> Iterator[Span]:
    for gap in gaps.between(conn, about.asset, about.source, about.from_ns, about.to_ns)[:MOST_SPANS]:
        key = f"gap_cause.{gap.cause}"
        text = reader.words(key) if key in reader.words else gap.cause
        yield Span(gap.from_ns, gap.to_ns, f"{text} · {gap.point}" if gap.point else text, "gap")


def _declared(conn: Connection, about: About, reader: Reader) -> Lane:
    """Maintenance as stretches, repairs and operating changes as moments."""
    spans: list[Span] = []
    marks: list[Mark] = []
    for entry in reversed(declarations.recent(conn, _MOST_DECLARED, about.asset)):
        at_ns = entry.since_ns
        text = reader.words(f"declaration.{entry.what}")
        if entry.what is Declared.MAINTENANCE_BEGINS:
            spans.append(Span(at_ns, None, text, "kept"))
        elif entry.what is Declared.MAINTENANCE_ENDS and spans:
            spans[-1] = Span(spans[-1].from_ns, at_ns, spans[-1].text, "kept")
        elif about.from_ns <= at_ns <= about.to_ns:
            marks.append(Mark(at_ns, text))
    kept = [s for s in spans if s.from_ns < about.to_ns and (s.to_ns is None or s.to_ns > about.from_ns)]
    return Lane("declared", kept, marks)
