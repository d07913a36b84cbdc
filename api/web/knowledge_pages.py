"""Knowledge as pages: what is published and found by words, the edit pool, and one article with all that is done to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from api.knowledge import may_share
from api.pages import render, say
from api.places import must_see
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.closing_steps import doer
from api.web.forms import Form, field_of, texts_of, whole_number_of
from api.web.history import actor_name, cause_label
from api.web.wording import asset_name, component_name, condition_name
from ticketing import store
from ticketing.causes import causes_of
from ticketing.errors import StepRefused, TicketingError
from ticketing.knowledge import articles, pool
from ticketing.knowledge.article import (
    EDITABLE,
    REVIEWABLE,
    Article,
    ArticleState,
    Body,
    keywords_from,
    wrong_with,
)

router = APIRouter()
PER_PAGE = 30
_SHOWN_KINDS = ("photo", "trend", "spectrum", "envelope")
Found = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class Row:
    """An article in a list, in the visitor's words."""

    article: Article
    about: str
    cause: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """What was written in a form that was refused, and what is wrong with it."""

    step: str
    given: Mapping[str, str]
    texts: list[str]


@router.get("/knowledge", dependencies=[needs(Right.READ)])
def knowledge(
    request: Request,
    visit: VisitOf,
    text: Found = "",
    drafts: bool = False,
    most: Annotated[int, Query(ge=1, le=500)] = PER_PAGE,
) -> Response:
    """What is published, by its words; or the edit pool."""
    return _list(request, visit, text, most=most, drafts=drafts)


def _list(
    request: Request,
    visit: Visit,
    text: str = "",
    *,
    most: int = PER_PAGE,
    drafts: bool = False,
    refused: Wrong | None = None,
) -> Response:
    seen = visit.sight.assets
    with reading(visit.context.database) as conn:
        waiting = articles.in_pool(conn, seen)
        some = (
            articles.pool(conn, machines=seen, limit=most + 1)
            if drafts
            else articles.found(conn, text, machines=seen, limit=most + 1)
        )
    answer = render(
        request,
        visit,
        "knowledge.html",
        "knowledge",
        here="/knowledge" if refused else None,
        rows=[_row(one, visit) for one in some[:most]],
        more=most + PER_PAGE if len(some) > most else 0,
        text=text,
        drafts=drafts,
        pooled=waiting,
        refused=refused,
        causes=_causes(visit),
    )
    return _as_refused(answer, refused, "/knowledge")


@router.get("/knowledge/{article_id}", dependencies=[needs(Right.READ)])
def article(request: Request, visit: VisitOf, article_id: int) -> Response:
    """One article."""
    return _show(request, visit, article_id)


def _show(request: Request, visit: Visit, article_id: int, refused: Wrong | None = None) -> Response:
    here = f"/knowledge/{article_id}"
    with reading(visit.context.database) as conn:
        one = articles.numbered(conn, article_id)
        written = articles.versions(conn, article_id)
        cited = articles.cited_on(conn, article_id, visit.sight.assets)
        origin = store.ticket(conn, one.ticket, limit=1).ticket if one.ticket is not None else None
    seen = origin if origin is not None and visit.sight.sees(origin.asset) else None
    answer = render(
        request,
        visit,
        "article.html",
        "knowledge",
        here=here if refused else None,
        row=_row(one, visit),
        article=one,
        origin=seen,
        facts=_facts(one, visit),
        attached=", ".join(_attached(one, visit)),
        versions=[(each, actor_name(each.by, visit)) for each in written],
        cited=[(each, actor_name(each.by, visit)) for each in cited],
        lacks=[_lack(lack.demand, visit) for lack in wrong_with(one.body, causes_of(visit.plant))],
        may_edit=one.state in EDITABLE,
        may_publish=one.state in REVIEWABLE,
        refused=refused,
        causes=_causes(visit),
    )
    return _as_refused(answer, refused, here)


def _as_refused(answer: Response, refused: Wrong | None, here: str) -> Response:
    if refused is not None:
        answer.status_code = 422
        answer.headers["HX-Replace-Url"] = here
    return answer


@router.post("/knowledge", dependencies=[needs(Right.WORK)])
def write(request: Request, visit: VisitOf, form: Form) -> Response:
    """Put down what no ticket taught."""
    asset = field_of(form, "asset").strip()
    try:
        if asset:
            visit.sight.must_see(asset)
        made = pool.write(doer(visit), visit.plant, _body(form), asset=asset)
    except StepRefused as error:
        return _list(request, visit, drafts=True, refused=_wrong("write", form, error, visit))
    answer = RedirectResponse(f"/knowledge/{made.id}", 303)
    say(answer, "flash.done", number=made.number, step=visit.words("knowledge.written"))
    return answer


Deed = Callable[[Visit, int, FormData], Article]


def _edit(visit: Visit, article_id: int, form: FormData) -> Article:
    note = field_of(form, "note")
    return pool.edit(
        doer(visit), visit.plant, article_id, version=_version(form), body=_body(form), note=note
    )


def _publish(visit: Visit, article_id: int, form: FormData) -> Article:
    shared = bool(field_of(form, "shared"))
    may_share(visit, shared=shared)
    return pool.publish(doer(visit), visit.plant, article_id, version=_version(form), shared=shared)


def _merge(visit: Visit, article_id: int, form: FormData) -> Article:
    named = field_of(form, "into").strip().upper().removeprefix("KB-")
    into = int(named) if named.isdecimal() and len(named) < 16 else 0
    must_see(visit.context, visit.sight, "article_id", into)
    return pool.merge(doer(visit), article_id, version=_version(form), into=into)


def _discard(visit: Visit, article_id: int, form: FormData) -> Article:
    return pool.discard(doer(visit), article_id, version=_version(form), reason=field_of(form, "reason"))


def _withdraw(visit: Visit, article_id: int, form: FormData) -> Article:
    return pool.withdraw(doer(visit), article_id, version=_version(form), reason=field_of(form, "reason"))


DEEDS: Mapping[str, Deed] = {
    "edit": _edit,
    "publish": _publish,
    "merge": _merge,
    "discard": _discard,
    "withdraw": _withdraw,
}
"""What reviewers do to an article, by the last word of its address."""


def _route(step: str) -> Callable[..., Response]:
    def take(request: Request, visit: VisitOf, article_id: int, form: Form) -> Response:
        answer = RedirectResponse(f"/knowledge/{article_id}", 303)
        with reading(visit.context.database) as conn:
            number = articles.numbered(conn, article_id).number
        try:
            DEEDS[step](visit, article_id, form)
        except StepRefused as error:
            return _show(request, visit, article_id, _wrong(step, form, error, visit))
        except TicketingError as error:
            say(answer, "flash.refused", number=number, why=_why(error, visit))
        else:
            say(answer, "flash.done", number=number, step=visit.words(f"knowledge.{step}"))
        return answer

    return take


for _step in DEEDS:
    router.add_api_route(
        f"/knowledge/{{article_id}}/{_step}",
        _route(_step),
        methods=["POST"],
        dependencies=[needs(Right.ANALYSE)],
    )


def _body(form: FormData) -> Body:
    return Body(
        title=field_of(form, "title")[:200].strip(),
        problem=field_of(form, "problem")[:8000].strip(),
        solution=field_of(form, "solution")[:8000].strip(),
        keywords=keywords_from(field_of(form, "keywords")[:2000]),
        cause=field_of(form, "cause") or None,
    )


def _version(form: FormData) -> int:
    return whole_number_of(form, "version") or 0


def _wrong(step: str, form: FormData, error: StepRefused, visit: Visit) -> Wrong:
    return Wrong(step, texts_of(form), [_lack(one.demand, visit) for one in error.missing])


def _lack(demand: str, visit: Visit) -> str:
    """One thing that an article, or what is done to it, lacks."""
    words = visit.words
    named = f"knowledge.field_{demand}"
    if named in words:
        return words("knowledge.wrong", what=words(named))
    return words("knowledge.wrong", what=words(f"demand.{demand}"))


def _why(error: TicketingError, visit: Visit) -> str:
    key = f"error.{error.code}"
    return visit.words(key if key in visit.words else "error.invalid_request")


def _row(one: Article, visit: Visit) -> Row:
    machine = asset_name(visit.plant.asset(one.asset), one.asset, visit.words) if one.asset else ""
    return Row(
        article=one,
        about=" · ".join(text for text in (one.model or machine, _found(one, visit)) if text),
        cause=cause_label(one.body.cause, visit) if one.body.cause else "",
        overdue=one.state is ArticleState.DRAFT and (one.due_ns or 0) < visit.time.now_ns,
    )


def _found(one: Article, visit: Visit) -> str:
    """What it is about: what a machine said, or the fault that a person reported."""
    fault = visit.plant.fault_type(one.fault_type)
    if one.condition.startswith("reported_") or not one.condition:
        return getattr(fault, visit.words.language) if fault else ""
    return condition_name(one.condition, visit.words)


def _facts(one: Article, visit: Visit) -> list[tuple[str, str]]:
    words = visit.words
    seen = bool(one.asset) and visit.sight.sees(one.asset)
    component = component_name(one.component, words) if one.component and one.condition else ""
    facts = [
        ("machine", asset_name(visit.plant.asset(one.asset), one.asset, words) if seen else ""),
        ("model", one.model or ("" if one.asset else words("knowledge.everything"))),
        ("condition", " · ".join(text for text in (_found(one, visit), component) if text)),
        ("field_cause", cause_label(one.body.cause, visit) if one.body.cause else ""),
        ("keywords", ", ".join(one.body.keywords)),
    ]
    component = component_name(one.component, words) if one.component and one.condition else ""
    facts[2] = ("condition", " · ".join(text for text in (facts[2][1], component) if text))
    return [(name, value) for name, value in facts if value]


def _attached(one: Article, visit: Visit) -> list[str]:
    """The kinds of what its ticket shows, in words, each once."""
    kinds = [kind if kind in _SHOWN_KINDS else "other" for kind in one.body.attachments]
    return [visit.words(f"knowledge.shows_{kind}") for kind in dict.fromkeys(kinds)]


def _causes(visit: Visit) -> list[tuple[str, str]]:
    known = causes_of(visit.plant).values()
    return [(one.code, cause_label(one.code, visit)) for one in known if not one.retired]
