"""Files that people send with reports (rule 11): kept whole or refused with why, on the ticket, through a merge."""

import httpx
import pytest

from tests.films import box, film, webm
from tests.hostile_photos import image
from tests.shop_floor import OURS, ShopFloor

REPAIR = {"type": "equipment_repair", "asset": "L1-SPN-01", "description": "主轴异响"}


async def reported(client: httpx.AsyncClient, **more: str) -> int:
    return (await client.post("/api/v1/reports", json={**REPAIR, **more})).json()["id"]


async def sent(client: httpx.AsyncClient, report: int, body: bytes) -> httpx.Response:
    return await client.post(f"/api/v1/reports/{report}/attachments", files={"file": ("x", body)})


@pytest.mark.parametrize(
    ("body", "mime"),
    [
        (film(), "video/mp4"),
        (film(b"qt  "), "video/quicktime"),
        (webm(), "video/webm"),
        (b"#!AMR\n" + bytes(20), "audio/amr"),
        (image("PNG"), "image/jpeg"),
    ],
)
async def test_a_photo_a_video_and_a_recording_are_kept_as_what_they_are(
    body: bytes, mime: str, client: httpx.AsyncClient
) -> None:
    kept = (await sent(client, await reported(client), body)).json()
    assert (kept["mime"], kept["href"]) == (mime, f"/tickets/1/attachments/{kept['sha256']}")
    served = await client.get(kept["href"])
    assert mime == "image/jpeg" or served.content == body
    assert served.headers["content-type"] == mime
    assert served.headers["content-disposition"].startswith("attachment")
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["content-security-policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "attachment_empty"),
        (b"<html><script>alert(1)</script>", "attachment_unknown"),
        (film()[:-1], "attachment_unknown"),  # cut off
        (box(b"ftyp", b"mp42") + box(b"mdat", b"x"), "attachment_unknown"),  # no index: nothing can play it
        (box(b"ftyp", b"mp42") + b"\0\0\0\1moov" + b"\xff" * 8, "attachment_unknown"),  # larger than any disk
        (webm(b"evil"), "attachment_unknown"),
        (b"#!AMR\n", "attachment_unknown"),
        (image("PNG")[:60], "photo_not_an_image"),
        (film(of=61 * 1024**2), "attachment_too_large"),
    ],
)
async def test_what_is_no_whole_file_of_a_kind_is_refused_and_nothing_of_it_stays(
    body: bytes, code: str, floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    answer = await sent(client, await reported(client), body)
    assert answer.json()["code"] == code
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
