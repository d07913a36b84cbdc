"""Root-cause tasks from outside: over REST step by step, and by the forms of their page."""

from dataclasses import asdict, replace

import httpx
import pytest

from andon.events import HOUR_NS, Action, rfc3339
from tests.shop_floor import NOW_NS, OURS, ShopFloor
from ticketing.problem import Counted, Problem, ProblemKind, ProblemState
from ticketing.problem_store import record
from ticketing.problem_tables import problem_counted

LEADER, OWNER, CHECKER = "wu.gang", "li.na", "zhang.wei"


@pytest.fixture
def failed(floor: ShopFloor) -> ShopFloor:
    """A machine that stopped, ran, and stopped again within two days."""
    for ago_h, action in ((37, Action.RAISE), (36, Action.CLEAR), (0, Action.RAISE)):
        floor.clock.now_ns = NOW_NS - ago_h * HOUR_NS
        floor.hears(replace(floor.finding("L1-HYD-01", "stop"), action=action))
    return floor


async def post(client: httpx.AsyncClient, step: str, **body: object) -> httpx.Response:
    version = (await client.get("/api/v1/problems/1")).json()["version"]
    return await client.post(f"/api/v1/problems/1/{step}", json=body, headers={"If-Match": f'"{version}"'})


async def test_every_step_from_the_analysis_to_the_closure_is_a_route(
    failed: ShopFloor, client: httpx.AsyncClient
) -> None:
    due_at = rfc3339(NOW_NS + 24 * HOUR_NS)
    steps: list[tuple[str, dict[str, object]]] = [
        ("start", {"leader": LEADER}),
        ("describe", {"what": "the pump loses pressure", "downtime_min": 40, "failure_mode": "low output"}),
        ("add_cause", {"text": "the seal is worn", "code": "3.4", "category": "machine", "root": True}),
        ("judge_cause", {"cause": 1, "verified": True, "evidence": ["photo"]}),
        ("decide", {}),
        ("add_action", {"kind": "corrective", "text": "seal B", "owner": OWNER, "due_at": due_at}),
        ("finish_action", {"action": 1, "evidence": "list", "approver": LEADER}),
        ("plan_check", {"metric": "stops", "target": "0", "checker": CHECKER}),
    ]
    for step, body in steps:
        answer = await post(client, step, **body)
        assert answer.status_code == 200, answer.text
    planned = answer.json()
    assert planned["state"] == "verifying"
    assert planned["actions"][0]["due_at"] == due_at
    assert planned["check"]["due_at"] == rfc3339(NOW_NS + 30 * 24 * HOUR_NS)
    early = await post(client, "close")
    assert early.status_code == 422
    assert early.json()["missing"] == [{"demand": "effective", "why": "absent"}]
    failed.clock.now_ns += 30 * 24 * HOUR_NS
    client.headers["X-Andon-Person"] = CHECKER
    assert (await post(client, "pass_check", measured="no stop")).status_code == 200
    closed = (await post(client, "close")).json()
    assert (closed["state"], closed["outcome"]) == ("closed", "effective")
    found = (await client.get("/api/v1/problems/1")).json()
    assert found["events"][-1]["actor"] == CHECKER
    listed = (await client.get("/api/v1/problems?kind=rca&state=closed")).json()["items"]
    assert [one["number"] for one in listed] == ["RCA-1"]
    assert (await client.get("/api/v1/problems?kind=improvement")).json()["items"] == []


async def test_what_cannot_be_done_is_refused_with_a_stable_code(
    failed: ShopFloor, client: httpx.AsyncClient
) -> None:
    body = {"leader": LEADER}
    assert (await client.post("/api/v1/problems/1/start", json=body)).status_code == 428
    missing = await client.post("/api/v1/problems/9/start", json=body | {"version": 1})
    assert (missing.status_code, missing.json()["code"]) == (404, "problem_not_found")
    stale = await client.post("/api/v1/problems/1/start", json=body | {"version": 7})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
    edge = await post(client, "close")
    assert (edge.status_code, edge.json()["code"]) == (409, "no_edge")
    assert "start" in edge.json()["allowed"]
    assert (await post(client, "recur")).status_code in {404, 405}
    naive = {"kind": "corrective", "text": "x", "owner": OWNER, "due_at": "2026-05-01T00:00:00"}
    assert (await post(client, "add_action", **naive)).status_code == 422
    unknown = await post(client, "describe", downtime_min=None, cost=-1)
    assert [wrong["at"] for wrong in unknown.json()["errors"]] == ["body.cost"]
    recode = await client.post("/api/v1/tickets/1/recode", json={"cause": "3.4", "reason": "x", "version": 1})
    assert (recode.status_code, recode.json()["code"]) == (409, "no_edge")


@pytest.mark.parametrize(("language", "state"), [("zh", "分析中"), ("en", "Analysing")])
async def test_a_form_of_the_page_takes_a_step_and_says_what_is_missing(
    failed: ShopFloor, client: httpx.AsyncClient, language: str, state: str
) -> None:
    client.cookies.set("andon_language", language)

    async def fills(step: str, **fields: str) -> str:
        version = str((await client.get("/api/v1/problems/1")).json()["version"])
        form = {"version": version, **fields}
        answer = await client.post(f"/problems/1/{step}", data=form, headers=OURS)
        if answer.status_code == 422:
            return answer.text
        assert answer.status_code == 303
        return (await client.get("/problems/1", headers={"Accept": "text/html"})).text

    assert state in await fills("start", leader=LEADER)
    due_on = {"kind": "corrective", "text": "new seal", "owner": OWNER, "due_at": "2026-03-20"}
    assert "new seal" in await fills("add_action", **due_on)
    action = (await client.get("/api/v1/problems/1")).json()["actions"][0]
    assert action["due_at"] == "2026-03-20T15:59:59.000Z"  # the end of that day in the plant
    refused = "需要一条已验证的根本原因" if language == "zh" else "a root cause that was verified"
    page = await fills("decide")
    assert refused in page.partition('id="step-decide" class="drawer" open')[2].partition("</details>")[0]
    page = await fills("add_action", kind="corrective", text="", owner=OWNER, due_at="2026-03-20")
    assert 'id="add_action-text-wrong"' in page
    assert 'name="due_at" value="2026-03-20"' in page
    assert (await client.get("/api/v1/problems/1")).json()["state"] == "analysing"


@pytest.mark.parametrize(
    ("language", "cause"), [("zh", "传感器/接线接触不良"), ("en", "Sensor or wiring contact fault")]
)
async def test_an_improvement_task_says_its_cause_and_its_tickets(
    floor: ShopFloor, client: httpx.AsyncClient, language: str, cause: str
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    with floor.tickets.transaction(NOW_NS) as book:
        task = Problem(
            id=1,
            number="IMP-1",
            kind=ProblemKind.IMPROVEMENT,
            scope="6.1/V8000",
            asset="",
            state=ProblemState.OPEN,
            opened_ns=NOW_NS,
            due_ns=NOW_NS,
            period="2026-03",
            review="below",
        )
        record(book, task, before=None, action="opened", actor="rule/three_a_month")
        book.upsert(problem_counted, asdict(Counted(1, 1, NOW_NS, NOW_NS)), ("left_ns",))
    client.cookies.set("andon_language", language)
    client.headers["Accept"] = "text/html"
    for path in ("/problems", "/problems/1"):
        page = await client.get(path)
        assert page.status_code == 200
        assert cause in page.text
        assert "V8000" in page.text
    assert "A-1" in page.text
