"""Whether it works, for probes and Prometheus: /healthz, /readyz with the reasons, /metrics with every counter."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from andon.access.roles import Right
from api.context import Context
from api.metrics import TYPE, exposition
from api.pages import WEB
from api.rights import needs
from api.visit import ContextOf

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def readyz(context: ContextOf) -> Response:
    """Whether the installation is whole: 503 and the reasons if it is not."""
    reasons = degraded(context)
    return JSONResponse({"ready": not reasons, "degraded": reasons}, 503 if reasons else 200)


@router.get("/metrics", dependencies=[needs(Right.READ, whole=True)])
def metrics(context: ContextOf) -> Response:
    """All counters and gauges in Prometheus' text format."""
    return PlainTextResponse(exposition(context, degraded(context)), media_type=TYPE)


def degraded(context: Context) -> list[str]:
    """What is wrong, the console's own lacks among it."""
    own = (
        []
        if (WEB / "vendor" / "echarts.js").is_file()
        else ["browser libraries missing: python hatch_build.py"]
    )
    return [*context.readiness(), *own]
