"""The page on which people report: the type first, then what it asks for; what is wrong is said beside its field.

A code on a machine leads here with the machine filled in (rule 7). Files come with the words (rule 11): where the words
are refused, their files stay with the refused report and go along with the next.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.events import Json
from andon.plant import Asset, Plant
from andon.rules.types import CustomField, FaultType, TicketType
from api.catalogue import Words
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.forms import Form, texts_of
from api.web.request_files import CARRIED, Files, taken, why
from api.web.wording import asset_name, person_name
from ticketing import reports
from ticketing.book import Book
from ticketing.errors import Missing
from ticketing.requests import attachments, talks
from ticketing.requests.attachments import Beside, Kept
from ticketing.ticket import Occurrence, Ticket

router = APIRouter()
OWN = "fields."
"""What the names of a type's own fields begin with, in forms and in refusals."""
_SAID = (
    *("type", "description", "asset", "serial", "order_number", "fault_type", "reporter", "phone", "grade"),
    *("region", "channel"),
)
CHANNELS = ("web", "scan", "phone")
TALK = "talk"
"""The field that names the talk which a form completes."""
KNOWN = frozenset({*CHANNELS, "api", "chat", "wechat", "email", "plan", "operation"})
WHO = frozenset({"reporter", "phone", "order_number", "grade", "region", "channel"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A field of a type's own as a form shows it."""

    name: str
    label: str
    kind: str
    choices: tuple[str, ...]
    unit: str
    needed: bool


@router.get("/report", dependencies=[needs(Right.REPORT)])
def blank(request: Request, visit: VisitOf, channel: str = "web") -> Response:
    """An empty form; what stands in the address is filled in (a code on the machine: `/report?asset=M7&channel=scan`)."""
    given = {name: request.query_params.get(name, "") for name in (*_SAID, TALK, CARRIED)}
    reporter = given["reporter"] or (visit.actor if channel in {"web", "scan"} else "")
    if channel == "scan" and not given["type"]:
        given["type"] = scanned_type(visit.plant)
    return _page(request, visit, {**given, "channel": channel, "reporter": reporter})


@router.post("/report/type", dependencies=[needs(Right.REPORT)])
def with_type(request: Request, visit: VisitOf, form: Form) -> Response:
    """The form of another type, with what was written so far."""
    return _page(request, visit, texts_of(form))


@router.post("/report", dependencies=[needs(Right.REPORT)])
def report(request: Request, visit: VisitOf, form: Files) -> Response:
    """The same entry as for programs; a second click is the same report."""
    texts, context = texts_of(form), visit.context
    if texts.get("channel") == "phone" and not texts.get("phone", "").strip():
        return _refused(request, visit, texts, [Missing("phone")])  # a call is logged with its number
    kept, refused = taken(form, context, visit.plant)
    files = Beside([*carried(texts, visit), *kept], by=visit.actor, rules=visit.plant.requests)
    came = reports.receive(
        context.tickets,
        _body(texts, visit),
        actor=visit.actor,
        came_by="console",
        now_ns=context.now(),
        idempotency=texts.get("key") or None,
        then=partial(_with_files, files, texts.get(TALK, ""), visit.plant),
    )
    refused = files.refused or refused
    was = reports.take(context.tickets, came.id, visit.seen_plant, context.now())
    if was.refusal is not None:
        return _refused(request, visit, {**texts, CARRIED: str(was.id)}, was.missing)
    done = RedirectResponse(f"/tickets/{was.ticket}", 303)
    if refused is None:
        say(done, "report.taken", number=f"A-{was.ticket}")
    else:
        say(done, "report.taken_without", number=f"A-{was.ticket}", why=why(refused, visit))
    return done


def _refused(
    request: Request, visit: Visit, texts: Mapping[str, str], missing: Sequence[Missing]
) -> Response:
    """The form again, with what is wrong beside its fields."""
    answer = _page(request, visit, texts, missing)
    answer.status_code = 422
    return answer


def _with_files(files: Beside, of_talk: str, plant: Plant, book: Book, number: int) -> None:
    """What goes with a new report, in its transaction: its files, and the talk that a person of ours completes with it."""
    files.add(book, number)
    channel, _, peer = of_talk.partition(" ")
    if peer:
        talks.settle(book, channel, peer, number, plant)


def scanned_type(plant: Plant) -> str:
    """The type that a code on a machine begins with: the one that is set, else the first in use."""
    chosen = plant.ticket_type(plant.requests.scan_type)
    first = next(one for one in plant.ticket_types if not one.retired)
    return (chosen if chosen is not None and not chosen.retired else first).code


def carried(texts: Mapping[str, str], visit: Visit) -> list[Kept]:
    """The files of this person's report that was refused before, to go along with this one."""
    number = texts.get(CARRIED, "")
    if not number.isdecimal() or len(number) > 15:
        return []
    with visit.context.tickets.looking() as conn:
        try:
            before = reports.one(conn, int(number))
        except KeyError:
            return []
        if before.actor != visit.actor or before.refusal is None:
            return []
        return [Kept(one.sha256, one.mime, one.size) for one in attachments.of_report(conn, before.id)]


def _body(texts: Mapping[str, str], visit: Visit) -> bytes:
    kind = visit.plant.ticket_type(texts.get("type", ""))
    said: dict[str, Json] = {name: texts[name] for name in _SAID if texts.get(name, "").strip()}
    if "asset" in said:
        said["asset"] = _asset(said["asset"], visit.machines)
    if texts.get("urgent"):
        said["urgent"] = True
    said["fields"] = values_of(texts, kind)
    return json.dumps(said, ensure_ascii=False).encode()


def _asset(written: str, machines: Iterable[Asset]) -> str:
    """The id of the machine that was written by id or name; else what was written, for the entry to refuse."""
    wanted = written.strip().casefold()
    named = [a.id for a in machines if wanted in {a.id.casefold(), a.name.casefold(), a.name_zh.casefold()}]
    return named[0] if len(named) == 1 else written.strip()


def values_of(texts: Mapping[str, str], kind: TicketType | None) -> dict[str, Json]:
    """The values of a type's own fields out of a form; what is no number stays text, to be refused as such."""
    own = kind.fields if kind else ()
    return {
        f.name: _value(f, texts[OWN + f.name].strip()) for f in own if texts.get(OWN + f.name, "").strip()
    }


def _value(field: CustomField, text: str) -> Json:
    if field.kind == "yes_no":
        return {"true": True, "false": False}.get(text, text)
    if field.kind == "number":
        try:
            return float(text) if not text.lstrip("-").isdecimal() else int(text)
        except ValueError:
            return text
    return text


def _page(
    request: Request, visit: Visit, texts: Mapping[str, str], missing: Sequence[Missing] = ()
) -> Response:
    plant, words = visit.plant, visit.words
    kind = plant.ticket_type(texts.get("type", ""))
    wrong = wrongs(missing, words)
    needed = {"description", *(kind.mandatory if kind else ())}
    return render(
        request,
        visit,
        "report.html",
        "report",
        types=[{"code": t.code, "label": label(t, words)} for t in plant.ticket_types if not t.retired],
        kind=kind,
        texts=texts,
        wrong=wrong,
        needed=needed,
        own=asked(kind, "opening", words),
        faults=fault_choices(plant, words),
        assets=[(a.id, asset_name(a, a.id, words), a.serial) for a in visit.machines],
        channels=list(dict.fromkeys((*CHANNELS, *({texts.get("channel", "")} & KNOWN)))),
        carries=len(carried(texts, visit)),
        who_open=bool(WHO & (needed | wrong.keys())) or texts.get("channel") == "phone",
        key=uuid4().hex,
    )


def wrongs(missing: Iterable[Missing], words: Words) -> dict[str, str]:
    """What is wrong, by the field that it is said beside; an event without an id is said beside the serial number."""
    said: dict[str, str] = {}
    for one in missing:
        why = f"report.wrong_{one.why.partition(':')[0]}"
        said["serial" if one.demand == "event_id" else one.demand] = words(
            why if why in words else "report.wrong_value"
        )
    return said


def label(entry: TicketType | FaultType | CustomField, words: Words) -> str:
    """The name of a type, fault or field in the reader's language."""
    return entry.zh if words.language == "zh" else entry.en


def asked(kind: TicketType | None, moment: str, words: Words) -> list[Asked]:
    """The type's own fields as a form shows them."""
    own = kind.fields if kind else ()
    return [Asked(f.name, label(f, words), f.kind, f.choices, f.unit, moment in f.mandatory) for f in own]


def fault_choices(plant: Plant, words: Words) -> list[tuple[str, str]]:
    """The pick list: code and name of what can be chosen."""
    return [(fault.code, label(fault, words)) for fault in plant.fault_types if not fault.retired]


@dataclass(frozen=True, slots=True)
class Said:
    """One person's report that was folded into a ticket: the words, unchanged."""

    at_ns: int
    by: str
    channel: str
    words: str


def told(reported: Iterable[Occurrence], visit: Visit) -> list[Said]:
    """The reports on a ticket, each in its own words (rule 14)."""
    return [
        Said(
            at_ns=one.at_ns,
            by=person_name(one.text.get("reporter") or one.text.get("by"), visit.plant),
            channel=channel_name(one.text["channel"], visit.words),
            words=one.text["description"],
        )
        for one in reported
    ]


def about(
    ticket: Ticket, reported: Iterable[Occurrence], visit: Visit, given: Mapping[str, str] | None = None
) -> dict[str, Json]:
    """What the page of a ticket shows of its reports, its type and its fields, and its form for them as it is `given`."""
    plant, words = visit.plant, visit.words
    kind = plant.ticket_type(ticket.type)
    types = [one for one in plant.ticket_types if not one.retired or one == kind]
    chosen = plant.ticket_type(given.get("type", "")) if given else None
    return {
        "said": told(reported, visit),
        "fields": facts_of(ticket, visit),
        "type_choices": [(one.code, label(one, words)) for one in types] or [(ticket.type, ticket.type)],
        "fault_choices": fault_choices(plant, words),
        "own": asked(chosen or kind, "resolving", words),
        "edited": _written(ticket) if given is None else given,
    }


def _written(ticket: Ticket) -> dict[str, Json]:
    """The fields of the form as the ticket has them."""
    named = ("type", "fault_type", "priority", "grade", "region", "urgent")
    own = {f"{OWN}{name}": value for name, value in ticket.fields.items()}
    return {name: getattr(ticket, name) or "" for name in named} | own


def facts_of(ticket: Ticket, visit: Visit) -> list[tuple[str, str]]:
    """Type, fault, who reported and what the type's own fields hold; what is empty is left out."""
    words, plant = visit.words, visit.plant
    kind, fault = plant.ticket_type(ticket.type), plant.fault_type(ticket.fault_type)
    named = [
        ("type", label(kind, words) if kind else ticket.type),
        ("fault_type", label(fault, words) if fault else ticket.fault_type),
        ("reporter", person_name(ticket.reporter, plant) if ticket.reporter else ""),
        ("phone", ticket.phone),
        ("event_id", ticket.event_id),
        ("channel", channel_name(ticket.channel, words) if ticket.channel else ""),
        ("grade", ticket.grade),
        ("region", ticket.region),
    ]
    facts = [(words(f"report.{name}"), value) for name, value in named if value]
    return facts + [_own(name, value, kind, words) for name, value in ticket.fields.items()]


def _own(name: str, value: Json, kind: TicketType | None, words: Words) -> tuple[str, str]:
    field = kind.field(name) if kind else None
    said = words("field.yes" if value else "field.no") if isinstance(value, bool) else str(value)
    unit = field.unit if field and field.unit != "1" else ""
    return label(field, words) if field else name, f"{said} {unit}".strip()


def channel_name(channel: str, words: Words) -> str:
    """How it came in; the name itself where it is not one of ours."""
    return words(f"channel.{channel}") if channel in KNOWN else channel
