"""The accounts, for administrators: who signs in with which roles and places, secrets and keys shown once, doors closed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from andon.access import accounts, audit, keys, sessions
from andon.access.accounts import Account
from andon.access.audit import By
from andon.access.errors import AccessRefused
from andon.access.roles import RIGHTS, Right, Role
from andon.access.signing_in import Desk
from andon.database import reading, writing
from andon.plant import Plant
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.account_page import DAYS
from api.web.forms import Form, field_of, whole_number_of
from api.web.sign_in_pages import by_of
from api.web.wording import person_name

router = APIRouter(dependencies=[needs(Right.ADMINISTER, whole=True)])
PAGE = "/people"
LINE = 4
"""Levels of a place that rights are given at: enterprise, site, area, line."""
SHOWN = 12
"""Lines of an account's record."""
Door = Literal["disable", "enable", "unlock", "end-sessions"]


def _end_sessions(conn: Connection, name: str, by: By) -> None:
    accounts.find(conn, name, by.now_ns)
    ended = sessions.end_all(conn, name)
    audit.note(conn, by, "sessions_ended", name, sessions=ended)


DOORS: Mapping[Door, Callable[[Connection, str, By], None]] = {
    "disable": accounts.disable,
    "enable": accounts.enable,
    "unlock": accounts.unlock,
    "end-sessions": _end_sessions,
}
"""What is done to an account with one press."""


@dataclass(frozen=True, slots=True)
class Row:
    """An account in the list, with the name of who acts and how many of its keys work."""

    account: Account
    name: str
    keys: int


@dataclass(frozen=True, slots=True)
class Once:
    """What is shown this once and kept by nobody: a password, or a key."""

    what: Literal["password", "key"]
    secret: str


@router.get(PAGE)
def people(request: Request, visit: VisitOf) -> Response:
    """Every account."""
    return _list(request, visit)


@router.post(PAGE)
def add(request: Request, visit: VisitOf, form: Form) -> Response:
    """Make an account; its first password is shown this once, and has to be changed."""
    name = field_of(form, "name").strip()
    try:
        with writing(visit.context.database) as conn:
            secret = accounts.create(
                conn,
                name,
                roles=_roles(form),
                places=_texts(form, "place"),
                person=field_of(form, "person") or None,
                by=by_of(request, visit.context),
                hasher=_desk(visit).hasher,
            )
    except AccessRefused as refused:
        return _list(request, visit, wrong=refused.code, given=form)
    return _one(request, visit, name, once=Once("password", secret))


@router.get(f"{PAGE}/{{account}}")
def one(request: Request, visit: VisitOf, account: str) -> Response:
    """One account with its sessions, its keys and its record."""
    return _one(request, visit, account)


@router.post(f"{PAGE}/{{account}}/roles")
def set_roles(request: Request, visit: VisitOf, account: str, form: Form) -> Response:
    """Give it these roles and no others."""
    roles = _roles(form)
    return _done(request, visit, account, lambda conn, by: accounts.set_roles(conn, account, roles, by))


@router.post(f"{PAGE}/{{account}}/places")
def set_places(request: Request, visit: VisitOf, account: str, form: Form) -> Response:
    """Let its rights hold at these places, or everywhere."""
    places = _texts(form, "place")
    return _done(request, visit, account, lambda conn, by: accounts.set_places(conn, account, places, by))


@router.post(f"{PAGE}/{{account}}/door/{{door}}")
def take(request: Request, visit: VisitOf, account: str, door: Door) -> Response:
    """Disable or enable it, forget its failed attempts, or end its sessions."""
    return _done(request, visit, account, lambda conn, by: DOORS[door](conn, account, by))


@router.post(f"{PAGE}/{{account}}/reset")
def reset(request: Request, visit: VisitOf, account: str) -> Response:
    """Give it another first password, shown this once; whoever is signed in there is signed out."""
    try:
        with writing(visit.context.database) as conn:
            secret = accounts.reset(conn, account, by_of(request, visit.context), _desk(visit).hasher)
    except AccessRefused as refused:
        raise HTTPException(404) from refused
    return _one(request, visit, account, once=Once("password", secret))


@router.post(f"{PAGE}/{{account}}/keys")
def add_key(request: Request, visit: VisitOf, account: str, form: Form) -> Response:
    """Make a key for a program that speaks for this account; it is shown this once."""
    rights = [Right(one) for one in _texts(form, "right") if one in set(Right)]
    days, name = whole_number_of(form, "days") or DAYS[2], field_of(form, "name")
    try:
        with writing(visit.context.database) as conn:
            by = by_of(request, visit.context)
            key = keys.add(conn, account, name=name, rights=rights, days=days, by=by)
    except AccessRefused as refused:
        return _one(request, visit, account, wrong=refused.code)
    return _one(request, visit, account, once=Once("key", key))


@router.post(f"{PAGE}/{{account}}/keys/{{key}}/revoke")
def revoke(request: Request, visit: VisitOf, account: str, key: int) -> Response:
    """Let a key work no more."""
    return _done(request, visit, account, lambda conn, by: keys.revoke(conn, key, by, account))


def _done(request: Request, visit: Visit, account: str, deed: Callable[[Connection, By], None]) -> Response:
    """Do it and show the account again, with what was wrong if it was refused."""
    try:
        with writing(visit.context.database) as conn:
            deed(conn, by_of(request, visit.context))
    except AccessRefused as refused:
        return _one(request, visit, account, wrong=refused.code)
    answer = RedirectResponse(f"{PAGE}/{account}", 303)
    say(answer, "people.done", name=account)
    return answer


def _list(request: Request, visit: Visit, *, wrong: str = "", given: FormData | None = None) -> Response:
    _desk(visit)
    now_ns, plant = visit.context.now(), visit.plant
    with reading(visit.context.database) as conn:
        found = accounts.every(conn, now_ns)
        held = [one.account for one in keys.of(conn) if one.works(now_ns)]
    answer = render(
        request,
        visit,
        "people.html",
        "people",
        here=PAGE,
        rows=[Row(one, person_name(one.person, plant), held.count(one.id)) for one in found],
        without=[one for one in plant.people if one.id not in {account.person for account in found}],
        known=list(_places_of(plant)),
        wrong=wrong,
        given=given,
        rights=RIGHTS,
    )
    answer.status_code = 422 if wrong else 200
    return answer


def _one(request: Request, visit: Visit, name: str, *, once: Once | None = None, wrong: str = "") -> Response:
    desk, now_ns = _desk(visit), visit.context.now()
    with reading(visit.context.database) as conn:
        try:
            found = accounts.find(conn, name, now_ns)
        except AccessRefused as refused:
            raise HTTPException(404) from refused
        signed_in = sessions.of(conn, name, now_ns, desk.lifetimes)
        works = [one for one in keys.of(conn, name) if one.works(now_ns)]
        record = audit.recent(conn, SHOWN, name)
    known = list(_places_of(visit.plant))
    answer = render(
        request,
        visit,
        "person.html",
        "people",
        here=f"{PAGE}/{name}",
        account=found,
        name=person_name(found.person, visit.plant),
        sessions=signed_in,
        keys=works,
        grantable=sorted(keys.grantable(found.roles), key=list(Right).index),
        days=DAYS,
        known=[*known, *(place for place in found.places if place not in known)],
        record=[(line, person_name(line["actor"], visit.plant)) for line in record],
        once=once,
        wrong=wrong,
        rights=RIGHTS,
    )
    answer.status_code = 422 if wrong else 200
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _desk(visit: Visit) -> Desk:
    """Where people sign in; 404 in a demo, which has a link instead of accounts."""
    if visit.context.desk is None:
        raise HTTPException(404)
    return visit.context.desk


def _places_of(plant: Plant) -> Iterator[str]:
    """The places of the plant, from the site down to the lines, each above what lies in it."""
    found = {tuple(one.path.split("/")[:level]) for one in plant.assets for level in range(2, LINE + 1)}
    yield from ("/".join(levels) for levels in sorted(found))


def _roles(form: FormData) -> list[Role]:
    return [Role(one) for one in _texts(form, "role") if one in set(Role)]


def _texts(form: FormData, name: str) -> list[str]:
    return [one for one in form.getlist(name) if isinstance(one, str)]
