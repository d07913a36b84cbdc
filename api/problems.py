"""Errors as RFC 9457 problem details: a stable code, what was wrong, and what is missing."""

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match

from andon.access.roles import roles_with
from andon.declarations import DeclarationRefused
from andon.events import Json
from api.answers import plain
from api.asking import UnknownParameter
from api.auth import Refusal, wants_page
from api.headers import HEADERS
from api.pages import refusal_page
from api.rights import NoRight
from ticketing.errors import FieldsRefused, NoEdge, StaleVersion, StepRefused, TicketingError

log = logging.getLogger(__name__)

STATUS: Mapping[str, int] = {
    "ticket_not_found": 404,
    "stale_version": 409,
    "no_edge": 409,
    "step_refused": 422,
    "fields_refused": 422,
    "report_refused": 422,
    "report_unreadable": 422,
    "report_too_large": 422,
    "event_id_missing": 422,
    "idempotency_key_reused": 422,
    "key_has_open_ticket": 409,
    "too_late": 409,
    "not_on_ticket": 409,
    "problem_not_found": 404,
    "scope_has_open_problem": 409,
    "not_offered": 403,
    "offer_gone": 409,
    "unknown_person": 404,
    "not_collaborator": 404,
    "accountable": 409,
    "photo_empty": 422,
    "photo_too_large": 413,
    "photo_not_an_image": 415,
    "photo_too_many_pixels": 422,
    "photo_animated": 415,
    "photo_too_costly": 422,
    "photo_busy": 503,
    "photo_too_many": 409,
    "photo_quota": 429,
    "photo_no_folder": 503,
    "signature_blank": 422,
    "attachment_empty": 422,
    "attachment_unknown": 415,
    "attachment_too_large": 413,
    "attachments_too_many": 409,
    "attachment_quota": 429,
    "vague": 422,
    "requisition_not_found": 404,
    "sister_not_found": 404,
    "sister_settled": 409,
    "batch_not_found": 404,
    "batch_held": 409,
    "batch_moved": 409,
    "lot_frozen": 409,
    "audit_not_found": 404,
    "audit_open": 409,
    "audit_done": 409,
    "plant_outdated": 409,
    "investigation_without_tickets": 422,
    "requisition_settled": 409,
    "operation_not_found": 404,
    "operation_settled": 409,
    "operation_too_early": 409,
    "operation_needed": 409,
    "operations_there": 409,
    "measurement_not_found": 404,
    "plan_not_found": 404,
    "meter_not_found": 404,
    "reading_not_found": 404,
    "part_not_found": 404,
    "stock_short": 409,
    "not_from_stock": 409,
    "sheet_refused": 422,
    "no_approval_needed": 422,
    "approval_not_found": 404,
    "approval_pending": 409,
    "approval_decided": 409,
    "own_approval": 403,
    "not_an_approver": 403,
    "cost_request_not_found": 404,
    "cost_request_settled": 409,
    "level_decided": 409,
    "not_the_approver": 403,
    "cost_line_not_found": 404,
    "cost_line_taken_back": 409,
    "labour_overlaps": 409,
    "delegation_not_found": 404,
    "delegation_over": 409,
    "not_your_approvals": 403,
    "not_asked_for": 404,
    "no_phone": 422,
    "code_too_soon": 429,
    "already_rated": 409,
    "not_owed": 409,
    "article_not_found": 404,
    "article_changed": 409,
    "ticket_reopened": 409,
    "nothing_to_acknowledge": 409,
    "unknown_asset": 404,
    "unknown_component": 422,
    "maintenance_is_whole": 422,
    "maintenance_begun": 409,
    "maintenance_not_begun": 409,
    "declaration_unusable": 422,
    "alarm_not_found": 404,
    "alarm_without_reason": 422,
    "alarm_not_suppressible": 409,
    "no_alarm_step": 409,
    "suppression_not_found": 404,
    "suppression_ended": 409,
    "suppression_declared": 409,
    "suppression_without_reason": 422,
    "suppression_without_end": 422,
    "suppression_of_everything": 422,
    "suppression_times": 422,
    "suppression_too_long": 422,
}
"""Code of an error of ticketing, or of what cannot be declared -> HTTP status; one that is not here is a 422."""


def problem(status: int, code: str, detail: str = "", **more: Json) -> Response:
    """A problem+json answer. `code` is stable; `detail` is for people and may change."""
    title = code.replace("_", " ").capitalize()
    body = {"type": f"urn:andon:problem:{code}", "title": title, "status": status, "code": code, **more}
    if detail:
        body["detail"] = detail
    return Response(json.dumps(body), status, media_type="application/problem+json")


def of_ticketing(error: TicketingError) -> Response:
    """The problem of a step that ticketing refused, with what is missing or allowed."""
    more: dict[str, Json] = {}
    if isinstance(error, StepRefused):
        more = {"missing": [{"demand": str(m.demand), "why": m.why} for m in error.missing]}
    elif isinstance(error, FieldsRefused):
        more = {"missing": [{"field": m.demand, "why": m.why} for m in error.missing]}
    elif isinstance(error, StaleVersion):
        more = {"expected": error.expected, "actual": error.actual, "since": plain(error.since)}
    elif isinstance(error, NoEdge):
        more = {"allowed": list(error.allowed)}
    return problem(STATUS.get(error.code, 422), error.code, str(error), **more)


def refuse(request: HTTPConnection, refusal: Refusal) -> Response:
    """The gate's refusal: a page for people, a problem for programs."""
    answer = refusal_page(request, refusal) if wants_page(request) else problem(refusal.status, refusal.code)
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if refusal.retry_after_s is not None:
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
    return answer


def install(app: FastAPI) -> None:
    """Have the app answer its errors in these words."""
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)


def _ticketing(request: Request, error: Exception) -> Response:
    assert isinstance(error, TicketingError)  # noqa: S101 - registered for nothing else
    if wants_page(request):
        return refusal_page(request, Refusal(STATUS.get(error.code, 422), "not_found"))
    return of_ticketing(error)


def _no_right(request: Request, error: Exception) -> Response:
    assert isinstance(error, NoRight)  # noqa: S101 - registered for nothing else
    code = "only_whole_plant" if error.everywhere else "no_right"
    if wants_page(request):
        return refusal_page(request, Refusal(403, code), error.right)
    roles = [str(role) for role in roles_with(error.right)]
    asks = f"this asks for the right `{error.right}`, which these roles have: {', '.join(roles)}"
    detail = (
        "this is about the whole plant, and your account is for some places of it"
        if error.everywhere
        else asks
    )
    return problem(403, code, detail, right=str(error.right), roles=roles)


def _unknown(_request: Request, error: Exception) -> Response:
    assert isinstance(error, UnknownParameter)  # noqa: S101 - registered for nothing else
    return problem(422, "unknown_parameter", str(error), parameter=error.name)


def _declaration(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DeclarationRefused)  # noqa: S101 - registered for nothing else
    return problem(STATUS[error.code], error.code, str(error))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    code = getattr(error, "code", None) or code_of(error.status_code)
    if wants_page(request):
        return refusal_page(request, Refusal(error.status_code, code))
    answer = problem(error.status_code, code, error.detail if error.detail != "Not Found" else "")
    answer.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(methods_at(request))
    return answer


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    if wants_page(request):
        return refusal_page(request, Refusal(404, "not_found"))
    wrong = [{"at": ".".join(map(str, e["loc"])), "why": e["msg"]} for e in error.errors()]
    return problem(422, "invalid_request", errors=wrong)


def _not_storable(request: Request, _error: Exception) -> Response:
    if wants_page(request):
        return refusal_page(request, Refusal(404, "not_found"))
    return problem(422, "not_storable", "a number, a time or a text is none that can be stored")


def _broken(request: Request, _error: Exception) -> Response:
    page = wants_page(request)
    answer = refusal_page(request, Refusal(500, "broken")) if page else problem(500, "broken")
    answer.headers.update(HEADERS)  # this answer is given outside the middleware that adds them
    return answer


_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

_ANSWERS: Mapping[type[Exception], Callable[[Request, Exception], Response]] = {
    TicketingError: _ticketing,
    NoRight: _no_right,
    DeclarationRefused: _declaration,
    UnknownParameter: _unknown,
    HTTPException: _http,
    RequestValidationError: _invalid,
    OverflowError: _not_storable,  # SQLite's driver
    DataError: _not_storable,  # PostgreSQL
    UnicodeEncodeError: _not_storable,  # half of a surrogate pair
    Exception: _broken,
}


def methods_at(request: Request) -> list[str]:
    """The methods that some route answers at the address of a request."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def code_of(status: int) -> str:
    """The code of a refusal that is HTTP's own."""
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return "invalid_request"
    return HTTPStatus(status).phrase.lower().replace(" ", "_")
