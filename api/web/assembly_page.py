"""Types of tickets put together by ticking: operations, safety sign-offs, approval levels, fields; checked, then in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import Response

from andon import assembly, plants
from andon.access.roles import Right
from andon.assembly import Change, Module, ModuleKind, Wanted
from andon.plant import Plant
from andon.rules.types import CustomField, Moment, TicketType
from api.assembling import brought, looked_at, open_tickets, unsound
from api.pages import render
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.forms import Form, field_of
from api.web.money import cents_in, money
from api.web.ticket_money import level_name

router = APIRouter()
PLACE = "/ticket-types"
MORE = ("more_name", "more_zh", "more_en")
MOMENTS: tuple[Moment, ...] = ("opening", "resolving")


@dataclass(frozen=True, slots=True)
class TypeCard:
    """A type with its modules by kind; `limits` are its levels with the amount from which each is asked."""

    code: str
    name: str
    modules: Sequence[tuple[ModuleKind, Sequence[tuple[Module, str, str]]]]
    fields: Sequence[tuple[CustomField, str]]
    limits: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a change of one type would be, or how it went; `more` is the new field as it was written."""

    type: str
    said: Sequence[str] = ()
    notes: Sequence[str] = ()
    bad: str = ""
    done: bool = False
    plant: Plant | None = None
    more: Mapping[str, str] = field(default_factory=dict)


@router.get(PLACE, dependencies=[needs(Right.PLAN, whole=True)])
def types(request: Request, visit: VisitOf) -> Response:
    """Every type with what it is put together from."""
    return _show(request, visit, None)


@router.post(PLACE + "/{type_code}", dependencies=[needs(Right.PLAN, whole=True)])
def assemble(request: Request, visit: VisitOf, type_code: str, form: Form) -> Response:
    """Look at a change, or bring it into force; the page says what it is."""
    words, after = visit.words, None
    try:
        after, changes = looked_at(visit, type_code, _wanted(form, visit))
        said = [_said(one, after, visit) for one in changes]
        notes = [words("assembly.unsound", level=level_name(code, visit)) for code in unsound(after)]
        if changes:
            notes.insert(0, words("assembly.tickets", n=open_tickets(visit, type_code)))
        done = field_of(form, "do") == "put" and bool(changes)
        if done:
            notes = [words("assembly.version", n=brought(visit, after, changes))]
        more = {} if done else {one: field_of(form, one) for one in MORE}
        looked = Looked(type_code, said, notes, done=done, plant=after, more=more)
    except plants.Outdated:
        looked = Looked(type_code, bad=words("assembly.under_way"), plant=after)
    except ValidationError as error:
        why = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
        looked = Looked(type_code, bad=words("assembly.refused", why=why[:300]))
    except ValueError as error:
        looked = Looked(type_code, bad=words("assembly.refused", why=str(error)[:300]))
    return _show(request, visit, looked)


def _show(request: Request, visit: Visit, looked: Looked | None) -> Response:
    cards = [
        _card(
            one, looked.plant if looked and looked.plant and looked.type == one.code else visit.plant, visit
        )
        for one in visit.plant.ticket_types
        if not one.retired
    ]
    answer = render(
        request, visit, "assembly.html", "approvals", here=PLACE, cards=cards, looked=looked, moments=MOMENTS
    )
    if looked is not None and looked.bad:
        answer.status_code = 422
    return answer


def _card(kind: TicketType, plant: Plant, visit: Visit) -> TypeCard:
    language = visit.words.language
    known = {one.name for one in kind.fields}
    fields = [one for one in getattr(plant.ticket_type(kind.code), "fields", ()) if one.name in known]
    found = assembly.modules_of(plant, kind.code)
    modules = [
        (
            which,
            [(one, getattr(one, language), _about(one, plant, visit)) for one in found if one.kind is which],
        )
        for which in ModuleKind
    ]
    levels = plant.approvals.levels
    return TypeCard(
        code=kind.code,
        name=getattr(kind, language),
        modules=modules,
        fields=[(one, getattr(one, language)) for one in fields],
        limits=[(one.code, getattr(one, language), f"{one.from_amount:.2f}") for one in levels],
    )


def _about(one: Module, plant: Plant, visit: Visit) -> str:
    """From which amount on a level is asked."""
    level = plant.approvals.level(one.code) if one.kind is ModuleKind.APPROVAL else None
    if level is None or not level.from_amount:
        return ""
    return visit.words("assembly.from_amount", amount=money(round(level.from_amount * 100), plant.currency))


def _wanted(form: FormData, visit: Visit) -> Wanted:
    """What the form asks for; ValueError for an amount that is none."""
    chosen = {kind: frozenset(str(one) for one in form.getlist(str(kind))) for kind in ModuleKind}
    limits = {}
    for level in visit.plant.approvals.levels:
        written = field_of(form, f"limit-{level.code}")
        cents = cents_in(written) if written else round(level.from_amount * 100)
        if cents is None:
            raise ValueError(visit.words("demand.amount"))
        limits[level.code] = cents / 100
    names = {str(one) for one in form.getlist("field")}
    mandatory = {
        name: tuple(moment for moment in MOMENTS if f"{name}:{moment}" in form.getlist("mandatory"))
        for name in names
    }
    more = None
    if field_of(form, "more_name"):
        more = CustomField(
            name=field_of(form, "more_name").strip(),
            zh=field_of(form, "more_zh").strip() or field_of(form, "more_en").strip(),
            en=field_of(form, "more_en").strip() or field_of(form, "more_zh").strip(),
            mandatory=tuple(moment for moment in MOMENTS if moment in form.getlist("more_mandatory")),
        )
    return Wanted(modules=chosen, mandatory=mandatory, limits=limits, more=more)


def _said(one: Change, after: Plant, visit: Visit) -> str:
    """A difference in a sentence."""
    words, language = visit.words, visit.words.language
    if one.what.startswith("with"):
        named = {part.code: getattr(part, language) for _, part in assembly.parts(after)}
        return words(f"assembly.{one.what}", name=named.get(one.code, one.code))
    if one.what == "limit":
        before, limit = (money(round(value * 100), after.currency) for value in (one.before, one.after))
        return words("assembly.change_limit", name=level_name(one.code, visit), before=before, after=limit)
    fields = {f.name: getattr(f, language) for kind in after.ticket_types for f in kind.fields}
    moments = [words(f"assembly.{moment}") for moment in one.after] or [words("assembly.optional")]
    name = fields.get(one.code, one.code)
    return words(f"assembly.change_{one.what}", name=name, after=words("list.and").join(moments))
