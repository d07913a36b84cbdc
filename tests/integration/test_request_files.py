"""Files that people send with reports (rule 11): kept whole or refused with why, on the ticket, through a merge."""

import re
from io import BytesIO

import httpx

from andon.database import reading
from tests.films import box, film, webm
from tests.hostile_photos import image
from tests.shop_floor import OURS, ShopFloor
from ticketing.requests import attachments, talks
from ticketing.requests.talking import Said
from ticketing.requests.talks import Incoming

REPAIR = {"type": "equipment_repair", "asset": "L1-SPN-01", "description": "主轴异响"}


async def reported(client: httpx.AsyncClient, **more: str) -> int:
    return (await client.post("/api/v1/reports", json={**REPAIR, **more})).json()["id"]


async def sent(client: httpx.AsyncClient, report: int, body: bytes) -> httpx.Response:
    return await client.post(f"/api/v1/reports/{report}/attachments", files={"file": ("x", body)})


KINDS = {
    "video/mp4": film(),
    "video/quicktime": film(b"qt  "),
    "video/webm": webm(),
    "audio/amr": b"#!AMR\n" + bytes(20),
    "image/jpeg": image("PNG"),
}
NO_FILES = (
    (b"", "attachment_empty"),
    (b"<html><script>alert(1)</script>", "attachment_unknown"),
    (film()[:-1], "attachment_unknown"),  # cut off
    (box(b"ftyp", b"mp42") + box(b"mdat", b"x"), "attachment_unknown"),  # no index: nothing can play it
    (box(b"ftyp", b"mp42") + b"\0\0\0\1moov" + b"\xff" * 8, "attachment_unknown"),  # larger than any disk
    (webm(b"evil"), "attachment_unknown"),
    (b"#!AMR\n", "attachment_unknown"),
    (image("PNG")[:60], "photo_not_an_image"),
    (film(of=61 * 1024**2), "attachment_too_large"),
)


async def test_a_photo_a_video_and_a_recording_are_kept_as_what_they_are(client: httpx.AsyncClient) -> None:
    report = await reported(client)
    for mime, body in KINDS.items():
        kept = (await sent(client, report, body)).json()
        assert (kept["mime"], kept["href"]) == (mime, f"/tickets/1/attachments/{kept['sha256']}")
        served = await client.get(kept["href"])
        assert mime == "image/jpeg" or served.content == body
        assert served.headers["content-type"] == mime
        assert served.headers["content-disposition"].startswith("attachment")
        assert served.headers["x-content-type-options"] == "nosniff"
        assert served.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_what_is_no_whole_file_of_a_kind_is_refused_and_nothing_of_it_stays(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    report = await reported(client)
    codes = [(await sent(client, report, body)).json()["code"] for body, _ in NO_FILES]
    assert codes == [code for _, code in NO_FILES]
    folder = floor.context.photos
    assert not folder.exists() or list(folder.iterdir()) == []


async def test_a_form_with_files_keeps_them_when_its_words_are_refused(browser: httpx.AsyncClient) -> None:
    files = [
        ("files", ("a.mp4", film())),
        ("files", ("b.jpg", image("JPEG"))),
        ("files", ("c.exe", b"MZ" * 9)),
    ]
    words = {**REPAIR, "asset": "M-404", "channel": "web"}
    refused = await browser.post("/report", data=words, files=files, headers=OURS)
    assert refused.status_code == 422
    assert 'name="carried" value="1"' in refused.text
    again = {**words, "asset": REPAIR["asset"], "carried": "1"}
    done = await browser.post("/report", data=again, files=[("files", ("", b""))], headers=OURS)
    page = (await browser.get(done.headers["location"])).text
    assert page.count("/attachments/") >= 3
    assert "<video" in page
    assert "MP4" in page


async def test_files_of_a_report_follow_it_through_a_merge(client: httpx.AsyncClient) -> None:
    first = await reported(client, fault_type="seal_failure")
    second = await reported(client, fault_type="network_fault", asset="L2-CMP-01")
    for report, mark in ((first, 1), (second, 2)):
        assert (await sent(client, report, film(mark=mark))).status_code == 201
    found = (await client.get("/api/v1/tickets/2/attachments")).json()["items"]
    assert [one["report"] for one in found] == [second]
    audit = (await client.get("/api/v1/tickets/2")).json()["events"]
    assert "attachment" in {one["action"] for one in audit}
    version = (await client.get("/api/v1/tickets/2")).json()["ticket"]["version"]
    ask = {"version": version, "reason": "the same", "approver": "wu.gang", "master": 1}
    merged = await client.post("/api/v1/tickets/2/duplicate", json=ask)
    assert merged.status_code == 200, merged.text
    found = (await client.get("/api/v1/tickets/1/attachments")).json()["items"]
    assert sorted(one["report"] for one in found) == [first, second]
    assert {(await client.get(one["href"])).status_code for one in found} == {200}


async def test_a_report_has_so_many_files_and_a_person_sends_so_much_a_day(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.plant = floor.plant.model_copy(
        update={"requests": floor.plant.requests.model_copy(update={"files": 2, "a_day_mb": 10})}
    )
    report = await reported(client)
    for mark in (1, 2):
        assert (await sent(client, report, film(mark=mark))).status_code == 201
    assert (await sent(client, report, film(mark=1))).status_code == 201  # the same again is the same
    assert (await sent(client, report, film(mark=3))).json()["code"] == "attachments_too_many"
    other = await reported(client, asset="L2-CMP-01")
    assert (await sent(client, other, film(of=11 * 1024**2))).json()["code"] == "attachment_quota"


async def test_a_scanned_code_opens_the_form_with_the_machine(browser: httpx.AsyncClient) -> None:
    sheet = (await browser.get("/report/codes?asset=L1-SPN-01&address=https://andon.example")).text
    assert sheet.count("<svg") >= 1
    assert "https://andon.example/report?channel=scan&amp;asset=L1-SPN-01" in sheet
    form = (await browser.get("/report?channel=scan&asset=L1-SPN-01")).text
    assert 'name="asset" value="L1-SPN-01"' in form
    assert 'value="equipment_repair" ' in form


async def test_a_call_is_logged_with_its_number_and_every_request_stands_in_one_list(
    browser: httpx.AsyncClient,
) -> None:
    call = {**REPAIR, "channel": "phone", "reporter": "王先生"}
    unknown = await browser.post("/report", data=call, headers=OURS)
    assert unknown.status_code == 422
    assert 'id="phone-wrong"' in unknown.text
    done = await browser.post("/report", data={**call, "phone": "138 0013 8000"}, headers=OURS)
    assert done.headers["location"] == "/tickets/1"
    await browser.post("/report", data={**REPAIR, "asset": "M-404", "channel": "web"}, headers=OURS)
    page = (await browser.get("/reports")).text
    assert "138 0013 8000" in page
    assert "carried=2" in page  # what was refused can be completed, with its files
    assert "M-404" not in (await browser.get("/reports?channel=phone")).text


async def test_a_talk_that_waits_is_completed_by_a_person_of_ours(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    photo = attachments.keep(BytesIO(film()), floor.context.photos, floor.plant.requests)
    said = Said("wechat", "wechat:oLi", "泵坏了")
    talks.hear(floor.tickets, Incoming("1", said, "text", floor.clock(), [photo]), floor.plant)
    page = (await browser.get("/reports")).text
    (href,) = re.findall(r'href="(/report\?channel=wechat[^"]+)"', page)
    form = (await browser.get(href.replace("&amp;", "&") + "&type=customer_complaint")).text
    assert 'name="talk" value="wechat wechat:oLi"' in form
    told = {
        "type": "customer_complaint",
        "channel": "wechat",
        "reporter": "wechat:oLi",
        "description": "泵坏了",
    }
    done = await browser.post(
        "/report", data={**told, "phone": "13800138000", "talk": "wechat wechat:oLi"}, headers=OURS
    )
    assert done.headers["location"] == "/tickets/1"
    with reading(floor.database) as conn:
        assert talks.talks(conn) == []
        assert [one.mime for one in attachments.of_ticket(conn, 1)] == ["video/mp4"]
