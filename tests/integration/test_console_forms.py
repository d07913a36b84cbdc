"""The console's pages and forms as a browser without scripts uses them."""

from pathlib import Path

import httpx

from andon.events import HOUR_NS
from tests.shop_floor import BASE, OURS, TOKEN, ShopFloor, a_busy_day, console
from ticketing import triage


async def test_assigning_from_the_inbox_brings_up_the_next_ticket(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L2-CMP-01", "bearing_outer_race"))
    form = {"version": "1", "person": "wang.lei", "backup": "chen.jing", "next": "2", "reason": "knows it"}
    answer = await browser.post("/inbox/1/assign", data=form, headers=OURS)
    assert answer.headers["location"] == "/?ticket=2"
    page = (await browser.get("/?ticket=2")).text
    assert "A-1 goes to 王磊 Wang Lei" in page
    assert 'action="/inbox/1/undo"' in page
    assert "Pending dispatch" in (await browser.get("/tickets/1")).text
    floor.turns(triage.UNDO_NS)
    assert "Wang Lei" in (await browser.get("/tickets/1")).text
    assert "A-1 goes to" not in (await browser.get("/?ticket=2")).text


async def test_a_decision_is_undone_and_the_ticket_comes_up_again(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L2-CMP-01", "bearing_outer_race"))
    form = {"version": "1", "reason": "the sensor hung loose", "outcome": "false_alarm", "next": "2"}
    await browser.post("/inbox/1/false_alarm", data=form, headers=OURS)
    assert 'id="item-1"' not in (await browser.get("/")).text
    undone = await browser.post("/inbox/1/undo", headers=OURS)
    assert undone.headers["location"] == "/?ticket=1"
    floor.turns(2 * triage.UNDO_NS)
    page = (await browser.get("/?ticket=1")).text
    assert "A-1 is back in the inbox" in page
    assert 'id="item-1"' in page
    await browser.post("/inbox/1/undo", headers=OURS)
    assert "it has been carried out already" in (await browser.get("/")).text


async def test_a_ticket_is_put_off_and_brought_back(floor: ShopFloor, browser: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"), floor.finding("L2-CMP-01", "bearing_outer_race"))
    until = floor.clock() + HOUR_NS
    await browser.post("/inbox/1/snooze", data={"version": "1", "until": str(until)}, headers=OURS)
    page = (await browser.get("/")).text
    assert "A-1 is put off until 16:20" in page
    assert "1 waits for dispatch" in page
    floor.clock.now_ns = until
    floor.turns()
    assert "2 wait for dispatch" in (await browser.get("/")).text
    when = {"version": "1", "at": "2026-03-12T18:30"}
    await browser.post("/inbox/1/snooze", data=when, headers=OURS)
    assert "A-1 is put off until 18:30" in (await browser.get("/")).text
    for wrong in ({"until": "7"}, {"at": "2027-01-01T00:00"}, {"at": "tomorrow"}, {}):
        await browser.post("/inbox/2/snooze", data={"version": "1", **wrong}, headers=OURS)
        assert "A time within the next seven days" in (await browser.get("/")).text


async def test_a_stop_whose_machine_has_a_ticket_already_is_merged_in_one_press(
    floor: ShopFloor, browser: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "silent_sensor"), floor.finding("L2-CMP-01", "zone_d"))
    floor.hears(floor.finding("L1-SPN-01", "stop", severity=900))
    page = (await browser.get("/?ticket=3")).text
    assert "Turning spindle 1 already has an open ticket:" in page
    assert "Merge into A-1" in page
    form = {"version": "1", "master": "1", "reason": "Same cause as A-1", "next": ""}
    await browser.post("/inbox/3/duplicate", data=form, headers=OURS)
    floor.turns(triage.UNDO_NS)
    assert "Duplicate" in (await browser.get("/tickets/3")).text
    found = (await browser.get("/?ticket=1&alike=compressor")).text
    assert 'name="master" value="2"' in found
    assert 'name="master" value="3"' not in found


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
