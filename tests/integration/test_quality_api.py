"""From a share to the audit over REST and by forms: refused with codes, told what is missing, and seen on the pages."""

import httpx
import pytest
from sqlalchemy import insert, select, update

from andon import plants
from andon.database import writing
from andon.events import HOUR_NS, ConfigChanged, Origin
from andon.plant import Person
from tests.shop_floor import NOW_NS, OURS, ShopFloor
from ticketing.parts.suppliers import save
from ticketing.parts.tables import part, part_lot, part_use
from ticketing.tables import ticket

API = "/api/v1"
LOT = {"part": "SEAL-80", "lot": "C7"}


@pytest.fixture
def leaking(floor: ShopFloor) -> ShopFloor:
    """A machine that got a seal of a new supplier's lot and leaked two days later; two people decide on quality."""
    people = [Person(id="qin", name="Qin", role="quality"), Person(id="bai", name="Bai", role="quality")]
    twin = floor.asset("L1-HYD-01").model_copy(update={"id": "L1-HYD-02"})
    more = {"people": (*floor.plant.people, *people), "assets": (*floor.plant.assets, twin)}
    floor.plant = floor.plant.model_copy(update=more)
    floor.clock.now_ns = NOW_NS - 60 * HOUR_NS
    floor.hears(floor.finding("L1-HYD-01", "stop"))
    floor.clock.now_ns = NOW_NS
    with floor.tickets.transaction(NOW_NS) as book:
        save(book, "S-NEW", {"name": "New Seals", "grade": "C"}, by="qin")
    document = floor.plant.model_dump(mode="json")
    with writing(floor.database) as conn:
        said = {"fault_type": "seal_failure", "state": "resolved", "same_kind": True, "resolved_ns": NOW_NS}
        conn.execute(update(ticket).values(said))
        first = dict(conn.execute(select(ticket)).mappings().one())
        again = {"id": 2, "number": "A-2", "opened_ns": NOW_NS - HOUR_NS, "audit_seq": 0, "audit_hash": ""}
        conn.execute(insert(ticket).values(first | again))
        conn.execute(insert(part).values(code="SEAL-80", name="Seal", search=""))
        conn.execute(insert(part_lot).values(**LOT, supplier="S-NEW", received_ns=0))
        used = {"ticket": 1, "asset": "L1-HYD-01", "quantity": 1.0, "at_ns": NOW_NS - 58 * HOUR_NS}
        conn.execute(insert(part_use).values(**LOT, **used))
        changed = ConfigChanged(NOW_NS, floor.plant.version, document, Origin("engine", 1, NOW_NS))
        plants.save(conn, changed)
    return floor


async def investigation(client: httpx.AsyncClient) -> str:
    answer = await client.post(f"{API}/investigations", json={"fault": "seal_failure", "reason": "it leaks"})
    assert answer.status_code == 201, answer.text
    return f"{API}/problems/{answer.json()['id']}"


async def test_the_way_from_the_share_to_the_supplier_is_a_row_of_requests(
    leaking: ShopFloor, client: httpx.AsyncClient
) -> None:
    model = leaking.asset("L1-HYD-01").model
    found = (await client.get(f"{API}/failures")).json()
    assert found["models"] == [{"model": model, "tickets": 2}]
    assert {(one["fault"], one["verdict"]) for one in found["cells"]} == {("seal_failure", "no_others")}
    origins = (await client.get(f"{API}/failures/origins?fault=seal_failure")).json()
    (lot,) = origins["lots"]
    assert (lot["lot"], lot["supplier"], lot["grade"], lot["contrast"]["here"]["count"]) == (
        "C7",
        "S-NEW",
        "C",
        1,
    )
    task = await investigation(client)
    audit = {"supplier": "S-NEW", "auditor": "nobody", "reason": "lot C7"}
    refused = await client.post(f"{task}/audits", json=audit)
    assert refused.json()["missing"] == [{"demand": "auditor", "why": "unknown"}]
    begun = (await client.post(f"{task}/audits", json=audit | {"auditor": "bai"})).json()
    done = {"result": "conditional", "findings": "no hardness test", "evidence": "report 12", "grade": "B"}
    answer = await client.post(f"{API}/audits/{begun['id']}/finish", json=done)
    assert (answer.json()["grade_before"], answer.json()["grade_after"]) == ("C", "B")
    again = await client.post(f"{API}/audits/{begun['id']}/finish", json=done)
    assert (again.status_code, again.json()["code"]) == (409, "audit_done")
    field = {"type": "equipment_repair", "name": "seal_brand", "zh": "密封圈品牌", "en": "Seal brand"}
    asked = await client.post(f"{task}/mandatory-fields", json=field)
    assert (asked.status_code, asked.json()["field"]["mandatory"]) == (202, ["resolving"])
    later = await client.post(f"{task}/mandatory-fields", json=field)
    assert (later.status_code, later.json()["code"]) == (409, "plant_outdated")
    led_to = (await client.get(f"{task}/measures")).json()
    assert [one["result"] for one in led_to["audits"]] == ["conditional"]


@pytest.mark.usefixtures("leaking")
async def test_a_batch_is_frozen_by_another_and_only_as_it_was_looked_at(client: httpx.AsyncClient) -> None:
    task = await investigation(client)
    body = {"code": "B-1", "lots": [LOT], "reason": "leaks at 350 bar"}
    client.headers["X-Andon-Person"] = "qin"
    asked = (await client.post(f"{task}/batches", json=body)).json()
    path, why = f"{API}/batches/{asked['id']}", {"reason": "as agreed on", "version": asked["version"]}
    own = await client.post(f"{path}/freeze", json=why)
    assert (own.status_code, own.json()["code"]) == (403, "own_approval")
    client.headers["X-Andon-Person"] = "bai"
    frozen = await client.post(f"{path}/freeze", json=why)
    assert frozen.json()["state"] == "frozen"
    stale = await client.post(f"{path}/ask_release", json=why)
    assert (stale.status_code, stale.json()["code"]) == (409, "batch_moved")
    edge = await client.post(f"{path}/release", json=why | {"version": 2})
    assert (edge.status_code, edge.json()["code"]) == (409, "no_edge")
    events = (await client.get(path)).json()["events"]
    assert [one["actor"] for one in events] == ["qin", "bai"]


@pytest.mark.usefixtures("leaking")
async def test_a_yes_at_closing_is_decided_on_the_tickets_page_and_waits_in_the_follow_up_until_then(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/tickets/1")).text
    assert 'action="/tickets/1/sisters"' in page
    assert "/tickets/1" in (await client.get("/measures")).text
    said = (await client.get(f"{API}/tickets/1/sisters")).json()
    assert (said["waits"], said["tasks"]) == (True, [])
    assert said["machines"] == ["L1-HYD-02"]
    answer = await client.post(
        "/tickets/1/sisters", data={"text": "seal of lot A1", "assets": said["machines"]}, headers=OURS
    )
    assert answer.status_code == 303
    tasks = (await client.get(f"{API}/sisters")).json()["items"]
    assert [(one["asset"], one["text"]) for one in tasks] == [("L1-HYD-02", "seal of lot A1")]
    problem = (await investigation(client)).removeprefix(API)
    assert f'action="{problem}/audits"' in (await client.get(problem)).text
    assert (await client.get(f"{problem}/8d")).status_code == 200
