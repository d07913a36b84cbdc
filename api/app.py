"""The console and API as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from andon.access.roles import Right
from api import (
    alarm_performance,
    alarms,
    analysis,
    assembling,
    assets,
    channels,
    closing,
    costs,
    dedup,
    detectors,
    dispatch,
    freshness,
    health,
    knowledge,
    kpis,
    letters,
    live,
    merging,
    operations,
    originals,
    papers,
    partners,
    parts,
    pipeline,
    plans,
    preferences,
    problems,
    quality,
    rca,
    reports,
    requests,
    sla,
    suppressions,
    tickets,
    voice,
    wechat,
)
from api.asking import as_described
from api.auth import Gate
from api.bodies import Bounded
from api.context import Context
from api.described import API, describe
from api.flow import Rates
from api.headers import SafeHeaders
from api.once import Once
from api.pages import WEB, build_id
from api.rights import needs
from api.web import (
    account_page,
    alarm_pages,
    alarm_performance_page,
    analysis_pages,
    approvals_page,
    assembly_page,
    asset_pages,
    board,
    closing_steps,
    code_pages,
    cost_steps,
    detector_pages,
    drift_page,
    failure_pages,
    finding_pages,
    inbox,
    knowledge_pages,
    kpi_pages,
    learned_steps,
    letter_pages,
    merging_steps,
    operation_steps,
    paper_pages,
    partner_pages,
    parts_page,
    people_page,
    pipeline_page,
    plan_forms,
    plan_pages,
    problem_pages,
    quality_steps,
    reference_page,
    report_page,
    request_files,
    requests_page,
    routing_page,
    sign_in_pages,
    ticket_fields,
    ticket_pages,
    ticket_parts,
    ticket_steps,
    triage_steps,
)

__all__ = ["Context", "create_app"]

THREADS = 8
"""Requests worked on at once: SQLite writes one at a time, and each thread costs memory."""

document = APIRouter(prefix=API, include_in_schema=False)


@document.get("/openapi.json", dependencies=[needs(Right.SELF)])
def openapi(request: Request) -> Response:
    """What can be asked for, as OpenAPI."""
    return JSONResponse(cast("FastAPI", request.app).openapi())


def create_app(context: Context) -> FastAPI:
    """The application of one installation."""
    watch = live.Watch(context.database)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        async with watch.running():
            yield

    app = FastAPI(
        title="Andon",
        version="1",
        openapi_url=None,  # given by a route of ours, which asks for a right
        docs_url=None,  # its page would fetch scripts from the internet
        lifespan=lifespan,
        default_response_class=Response,
    )
    app.state.context = context
    app.state.watch = watch
    app.state.rates = Rates()
    for topic in (
        tickets,
        originals,
        merging,
        dedup,
        closing,
        knowledge,
        voice,
        operations,
        plans,
        costs,
        assembling,
        parts,
        dispatch,
        reports,
        requests,
        rca,
        quality,
        assets,
        detectors,
        pipeline,
        letters,
        freshness,
        channels,
        partners,
        sla,
        suppressions,
        alarm_performance,
        alarms,
        analysis,
        kpis,
        papers,
    ):
        app.include_router(topic.router, prefix=API, dependencies=[Depends(as_described)])
    for part in (health, live, preferences, wechat):
        app.include_router(part.router)
    app.include_router(document)
    for page in (
        sign_in_pages,
        account_page,
        inbox,
        board,
        alarm_performance_page,
        alarm_pages,
        analysis_pages,
        report_page,
        request_files,
        requests_page,
        code_pages,
        ticket_pages,
        ticket_fields,
        closing_steps,
        knowledge_pages,
        learned_steps,
        cost_steps,
        approvals_page,
        assembly_page,
        parts_page,
        ticket_parts,
        merging_steps,
        operation_steps,
        ticket_steps,
        triage_steps,
        failure_pages,
        quality_steps,
        problem_pages,
        asset_pages,
        detector_pages,
        drift_page,
        kpi_pages,
        plan_forms,
        plan_pages,
        finding_pages,
        pipeline_page,
        paper_pages,
        partner_pages,
        letter_pages,
        reference_page,
        routing_page,
        people_page,
    ):
        app.include_router(page.router, include_in_schema=False)
    for folder in ("vendor", "static"):  # both under one address, so that it changes when either does
        place = f"/static/{build_id()}" + ("/vendor" if folder == "vendor" else "")
        app.mount(place, StaticFiles(directory=WEB / folder, check_dir=False), name=folder)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    problems.install(app)
    app.add_middleware(Once)
    app.add_middleware(Bounded)
    app.add_middleware(Gate, context=lambda: app.state.context, refuse=problems.refuse)
    app.add_middleware(SafeHeaders)
    return app
