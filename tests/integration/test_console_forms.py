"""The console's pages and forms as a browser without scripts uses them."""

from pathlib import Path

import httpx

from tests.shop_floor import BASE, OURS, TOKEN, ShopFloor, a_busy_day, console


async def test_assigning_from_the_inbox_brings_up_the_next_ticket(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L2-CMP-01", "bearing_outer_race"))
    form = {"version": "1", "person": "wang.lei", "backup": "chen.jing", "next": "2", "reason": "knows it"}
    answer = await browser.post("/inbox/1/assign", data=form, headers=OURS)
    assert answer.headers["location"] == "/?ticket=2"
    page = (await browser.get("/?ticket=2")).text
    assert "A-1 is assigned to 王磊 Wang Lei" in page
    assert "A-1 is assigned" not in (await browser.get("/?ticket=2")).text


async def test_a_form_on_an_old_version_says_so_and_changes_nothing(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    form = {"version": "7", "person": "wang.lei", "backup": "chen.jing", "reason": "knows it"}
    answer = await browser.post("/tickets/1/assign", data=form, headers=OURS)
    assert answer.headers["location"] == "/tickets/1"
    page = (await browser.get("/tickets/1")).text
    assert "changed by someone else" in page
    assert "Pending dispatch" in page


async def test_a_form_that_lacks_something_names_it(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    form = {"version": "1", "person": "wang.lei", "backup": "wang.lei", "reason": "knows it"}
    refused = await browser.post("/tickets/1/assign", data=form, headers=OURS)
    assert (refused.status_code, refused.headers["HX-Replace-Url"]) == (422, "/tickets/1")
    wrong = '<p class="wrong" id="assign-backup-wrong">A backup who is not the same person</p>'
    assert refused.text.count(wrong) == 1
    assert 'aria-describedby="assign-backup-wrong"' in refused.text
    assert 'name="reason" value="knows it"' in refused.text
    assert 'hx-get="/tickets/1"' in refused.text
    assert "Pending dispatch" in (await browser.get("/tickets/1")).text


async def test_a_duplicate_is_named_by_its_number(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L2-CMP-01", "bearing_outer_race"))
    form = {"version": "1", "master": "A-1", "reason": "same machine", "approver": "wu.gang"}
    await browser.post("/tickets/2/duplicate", data=form, headers=OURS)
    assert "Duplicate" in (await browser.get("/tickets/2")).text


async def test_every_page_speaks_both_languages(tmp_path: Path) -> None:
    floor = a_busy_day(tmp_path)
    transport = httpx.ASGITransport(console(floor.context))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        for path, zh, en in (
            ("/", "指派给", "Assign"),
            ("/tickets", "待分派", "Pending dispatch"),
            ("/tickets/2", "责任链", "Responsibility"),
            ("/problems/1", "再次失效", "failed again"),
            ("/assets", "10 台设备", "10 machines"),
            ("/assets/L1-SPN-01", "滚动体数", "Rolling elements"),
            ("/pipeline", "死信", "Dead letters"),
        ):
            for language, said in (("zh", zh), ("en", en)):
                page = (await client.get(path, headers={"Accept-Language": language})).text
                assert said in page, (path, language)
                assert f'<html lang="{"zh-CN" if language == "zh" else "en"}"' in page
