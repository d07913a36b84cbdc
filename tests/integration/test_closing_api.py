"""A ticket's work and closing over REST and on its page: parts, approvals, codes, stars, what is owed, the archive."""

import io
from typing import Any

import httpx
import msgspec
import pytest
from PIL import Image, ImageDraw
from sqlalchemy import select, update

from andon.database import reading, writing
from tests.shop_floor import ShopFloor
from ticketing.message_tables import outbox
from ticketing.tables import ticket

HTML = {"Accept": "text/html"}


def picture(*, drawn: bool = True) -> bytes:
    body = io.BytesIO()
    image = Image.new("RGB", (64, 48), "white")
    if drawn:
        ImageDraw.Draw(image).line((4, 40, 60, 6), fill="black", width=3)
    image.save(body, "PNG")
    return body.getvalue()


class Work:
    """One ticket of a bearing, and what people do to it over REST."""

    def __init__(self, floor: ShopFloor, client: httpx.AsyncClient) -> None:
        self.floor = floor
        self.client = client

    async def ticket(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get("/api/v1/tickets/1")).json()
        return found

    async def post(self, path: str, who: str = "wu.gang", **body: Any) -> httpx.Response:
        return await self.client.post(f"/api/v1/{path}", json=body, headers={"X-Andon-Person": who})

    async def step(self, name: str, who: str, **body: Any) -> httpx.Response:
        version = (await self.ticket())["ticket"]["version"]
        return await self.post(f"tickets/1/{name}", who, version=version, **body)

    async def in_progress(self) -> str:
        """Given to whom routing suggests, who takes it."""
        suggestion = (await self.ticket())["ticket"]["suggestion"]
        person: str = suggestion["person"]
        await self.step("assign", "wu.gang", person=person, backup=suggestion["backup"])
        assert (await self.step("accept", person, sub_state="remote_diagnosis")).status_code == 200
        return person

    async def resolved(self) -> str:
        person = await self.in_progress()
        files = {"photo": ("x.png", picture(), "image/png")}
        await self.client.post("/api/v1/tickets/1/photos", files=files)
        said = {"summary": "Bearing changed", "cause": "3.4", "same_kind": False}
        assert (await self.step("resolve", person, **said)).status_code == 200
        return person

    def phone(self) -> None:
        with writing(self.floor.database) as conn:
            conn.execute(update(ticket).values(phone="13812345678", reporter="customer"))

    def code(self) -> str:
        with reading(self.floor.database) as conn:
            kind = outbox.c.kind == "ticket.sign_code"
            content = conn.execute(select(outbox.c.content).where(kind)).scalars().all()[-1]
        return str(msgspec.json.decode(content)["code"])

    async def page(self, who: str = "wu.gang") -> str:
        return (await self.client.get("/tickets/1", headers={**HTML, "X-Andon-Person": who})).text


@pytest.fixture
def work(floor: ShopFloor, client: httpx.AsyncClient) -> Work:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    return Work(floor, client)


async def test_on_the_way_at_the_machine_and_its_parts(work: Work) -> None:
    person = await work.in_progress()
    assert (await work.step("depart", person)).status_code == 200
    wrong = await work.step("arrive", person, scan="L1-SPN-01")
    assert wrong.json()["missing"] == [{"demand": "arrival", "why": "other_asset"}]
    arrived = await work.step("arrive", person, scan="l2-cmp-01")
    assert arrived.json()["sub_state"] == "site_survey"
    asked = await work.post("tickets/1/requisitions", person, part="6205", quantity=2, reason="worn race")
    assert (asked.status_code, asked.json()["number"]) == (201, "PR-1")
    assert [one["part"] for one in (await work.client.get("/api/v1/requisitions")).json()["items"]] == [
        "6205"
    ]
    early = await work.step("resolve", person, summary="Bearing changed", cause="3.4", same_kind=False)
    assert {"demand": "no_requisition", "why": "open"} in early.json()["missing"]
    assert (await work.post("requisitions/1/issue", lot="L-77")).json()["state"] == "issued"
    again = await work.post("requisitions/1/withdraw", reason="not needed")
    assert (again.status_code, again.json()["code"]) == (409, "requisition_settled")
    assert (await work.post("requisitions/9/issue")).status_code == 404
    nodes = [node["name"] for node in (await work.ticket())["nodes"]]
    assert nodes == ["accepted", "departed", "arrived", "repairing", "parts_out"]
    page = await work.page()
    assert "Parts handed out" in page
    assert "L-77" in page


async def test_what_cannot_be_solved_for_now_is_held_and_never_resolved(work: Work) -> None:
    person = await work.in_progress()
    said = {"cause": "3.4", "same_kind": False}
    no = await work.step("resolve", person, summary="暂无法解决", **said)
    assert {"demand": "summary", "why": "unsolved"} in no.json()["missing"]
    vague = await work.step("resolve", person, summary="跟进中", **said)
    assert {"demand": "summary", "why": "vague"} in vague.json()["missing"]
    held = await work.step("hold", person, hold="unsolved", reason="the maker comes", evidence="mail")
    assert (held.json()["state"], held.json()["hold"]) == ("in_progress", "unsolved")
    assert "Cannot be solved for now" in await work.page(person)
    assert (await work.step("resume", person, reason="he is here")).json()["hold"] is None


async def test_who_may_not_cancel_asks_and_another_grants(work: Work) -> None:
    refused = await work.step("cancel", "wang.lei", reason="line rebuilt", approver="wu.gang")
    assert refused.json()["missing"] == [{"demand": "approver", "why": "to_be_asked"}]
    asked = await work.post("tickets/1/approvals", "wang.lei", step="cancel", reason="line rebuilt")
    assert (asked.status_code, asked.json()["state"]) == (201, "pending")
    number = asked.json()["id"]
    assert len((await work.client.get("/api/v1/approvals")).json()["items"]) == 1
    own = await work.post(f"approvals/{number}/grant", "wang.lei")
    assert (own.status_code, own.json()["code"]) == (403, "own_approval")
    assert "Waits for approval" in await work.page()
    granted = await work.post(f"approvals/{number}/grant")
    assert (granted.json()["closure"], granted.json()["approver"]) == ("cancelled", "wu.gang")
    late = await work.post(f"approvals/{number}/refuse", reason="it is needed")
    assert (late.status_code, late.json()["code"]) == (409, "approval_decided")


async def test_a_code_signs_and_is_shown_to_nobody(work: Work) -> None:
    person = await work.resolved()
    assert (await work.post("tickets/1/sign-code", person)).json()["code"] == "no_phone"
    work.phone()
    sent = await work.post("tickets/1/sign-code", person)
    assert (sent.status_code, sent.json()["phone"]) == (202, "•••••••5678")
    assert (await work.post("tickets/1/sign-code", person)).status_code == 429
    ticks = {"solved": True, "no_derived_risk": True, "no_further_support": True, "signed_by": "sms"}
    code = work.code()
    wrong = await work.step("sign", person, code=f"{(int(code) + 1) % 10**6:06}", **ticks)
    assert wrong.json()["missing"] == [{"demand": "signature", "why": "code_wrong"}]
    signed = await work.step("sign", person, code=code, **ticks)
    assert (signed.json()["signed_by"], signed.json()["signer"]) == ("sms", "customer")
    assert code not in (await work.client.get("/api/v1/tickets/1")).text
    assert code not in await work.page()


async def test_a_drawn_signature_is_no_photo_of_the_work_and_not_blank(work: Work) -> None:
    person = await work.in_progress()
    for body, status in ((picture(drawn=False), 422), (b"<svg/>", 415), (picture(), 201)):
        kept = await work.client.post("/api/v1/tickets/1/signature", files={"picture": ("s.png", body)})
        assert kept.status_code == status
    early = await work.step("resolve", person, summary="Bearing changed", cause="3.4", same_kind=False)
    assert early.json()["missing"] == [{"demand": "photo", "why": "absent"}]


async def test_stars_what_is_owed_and_the_archive(work: Work) -> None:
    person = await work.resolved()
    ticks = {"solved": True, "no_derived_risk": True, "no_further_support": True}
    signed = await work.step("sign", "wu.gang", **ticks)
    assert (signed.json()["closure"], signed.json()["signed_by"]) == ("signed", "login")
    own = await work.post("tickets/1/rating", person, stars=5)
    assert own.json()["missing"] == [{"demand": "other_signer", "why": "is_handler"}]
    rated = await work.post("tickets/1/rating", stars=2, comment="slow")
    assert (rated.status_code, rated.json()["stars"]) == (201, 2)
    owed = (await work.client.get("/api/v1/obligations")).json()["items"]
    assert [one["kind"] for one in owed] == ["knowledge", "review"]
    mine = (await work.client.get(f"/api/v1/obligations?owner={owed[0]['owner']}")).json()["items"]
    assert owed[0] in mine
    done = await work.post("tickets/1/obligations/review", note="talked: order seals earlier")
    assert done.json()["done_by"] == "wu.gang"
    no_tag = await work.step("archive", "wu.gang")
    assert no_tag.json()["missing"] == [{"demand": "scene_tag", "why": "absent"}]
    assert (await work.step("archive", "wu.gang", scene_tag="part_quality")).status_code == 200
    top = (await work.client.get("/api/v1/scene-tags/top")).json()["items"]
    assert top == [
        {"code": "part_quality", "zh": "备件质量", "en": "Quality of a part", "retired": False, "tickets": 1}
    ]
    choices = (await work.client.get("/api/v1/closing")).json()
    assert len(choices["causes"]) == 23
    assert choices["scene_tags"][0]["zh"] == "新员工误操作"


async def test_the_pages_forms_do_the_same(work: Work) -> None:
    person = await work.in_progress()

    async def sends(path: str, who: str = person, **fields: str) -> str:
        answer = await work.client.post(
            path, data=fields, headers={**HTML, "X-Andon-Person": who}, follow_redirects=True
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    assert "Quantity" in await sends("/tickets/1/requisitions", part="6205", quantity="2", reason="worn race")
    assert "not possible" not in await sends("/requisitions/1/withdraw", reason="it still runs")
    version = (await work.ticket())["ticket"]["version"]
    await sends("/tickets/1/arrive", version=str(version), note="the code is scratched off")
    assert (await work.ticket())["ticket"]["arrived_at"] is not None
    page = await work.page(person)
    assert 'action="/tickets/1/ask/cancel"' in page
    await sends("/tickets/1/ask/cancel", reason="the line was rebuilt")
    assert (await work.ticket())["approval"]["asked_by"] == person
    assert 'action="/approvals/1/grant"' not in await work.page(person)
    assert 'action="/approvals/1/grant"' in await work.page("wu.gang")
    await sends("/approvals/1/refuse", "wu.gang", reason="it runs again")
    await sends("/approvals/1/grant", "wu.gang")
    assert (await work.ticket())["ticket"]["state"] == "in_progress"
