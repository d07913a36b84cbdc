"""The inbox in a real Chromium: a planner decides by keys, takes back, puts off and merges, with scripts and without."""

import asyncio

import pytest
from playwright.async_api import Browser, Page

from andon.events import HOUR_NS
from tests.browser.test_console import CHROMIUM, Served, chromium, served, visiting
from ticketing import clockwork, store, triage
from ticketing.ticket import Ticket, TicketState

__all__ = ["chromium", "served"]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"chromium is not installed at {CHROMIUM}"),
]

CHOSEN = ".item[aria-current=true]"


async def later(served: Served, wait_ns: int) -> None:
    """The engine's part: so much time passes, and what is due is done."""
    floor = served.floor
    floor.clock.now_ns += wait_ns
    while await asyncio.to_thread(clockwork.turn, floor.tickets, floor.plant, floor.clock()):
        pass


def ticket(served: Served, number: int) -> Ticket:
    with served.floor.tickets.looking() as conn:
        return store.ticket(conn, number, limit=1).ticket


async def numbers(page: Page) -> list[str]:
    return await page.locator("#inbox-list .item > .line:first-child > .soft").all_inner_texts()


async def test_a_decision_is_taken_back_by_one_key_and_leaves_no_trace(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        before = await numbers(page)
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#undo-4 >> text=A-4 goes to")
        assert await numbers(page) == before[1:]
        await page.keyboard.press("u")
        await page.wait_for_selector("#toast >> text=A-4 is back in the inbox")
        assert await numbers(page) == before
        assert "A-4" in await page.locator(CHOSEN).inner_text()
        await later(served, 2 * triage.UNDO_NS)
        assert ticket(served, 4).state is TicketState.PENDING_DISPATCH


async def test_three_are_decided_in_a_row_and_carried_out(chromium: Browser, served: Served) -> None:
    async with visiting(chromium, served, locale="zh-CN") as visitor:
        page = visitor.page
        for number in (4, 2, 6):
            await page.wait_for_selector(f"{CHOSEN} >> text=A-{number}")
            await page.keyboard.press("a")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(f"#undo-{number}")
            await page.wait_for_selector(f"{CHOSEN}:focus")
        await later(served, triage.UNDO_NS)
        await page.wait_for_selector(".undo:not(:has(.said-now))", state="attached")
        assert {ticket(served, n).state for n in (4, 2, 6)} == {TicketState.ASSIGNED}
        with served.floor.tickets.looking() as conn:
            assert store.metrics(conn).triaged == 3


async def test_a_ticket_is_put_off_by_a_key_and_comes_back_by_itself(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.keyboard.press("s")
        await page.keyboard.press("Enter")  # the first choice: for half an hour
        await page.wait_for_selector("#undo-4 >> text=A-4 is put off until 15:50")
        await page.get_by_text("1 put off").click()
        await page.locator("#put-off .item").click()
        await page.wait_for_selector(".verdict >> text=A-4 is put off until 15:50")
        await page.wait_for_selector("text=Bring back")
        await page.goto(served.address)
        assert "A-4" not in await numbers(page)
        await later(served, HOUR_NS // 2)
        await page.wait_for_selector("#inbox-list >> text=A-4")
        await page.wait_for_selector("#item-4[data-new=New]")


async def test_a_stop_on_a_machine_that_has_a_ticket_is_answered_by_one_key(
    chromium: Browser, served: Served
) -> None:
    floor = served.floor
    stop = floor.finding("L1-PRS-01", "stop", ago_s=1, severity=990)
    await asyncio.to_thread(floor.hears, stop)
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.goto(f"{served.address}/?ticket=7")
        await page.wait_for_selector(".notice >> text=Assembly press already has an open ticket")
        await page.keyboard.press("m")
        assert await page.evaluate("document.activeElement.dataset.key") == "m"
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#undo-7 >> text=A-7 is being merged")
        await later(served, triage.UNDO_NS)
        assert ticket(served, 7).duplicate_of == 5


async def test_another_ticket_is_looked_for_by_words_and_merged_into(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.keyboard.press("m")
        await page.keyboard.type("compressor")
        await page.wait_for_selector(".alike label:only-of-type >> text=A-3")
        assert await page.evaluate("document.activeElement.value") == "compressor"
        await page.get_by_label("A-3").check()
        await page.locator(".drawer[open]").get_by_role("button", name="Merge").click()
        await page.wait_for_selector("#undo-4 >> text=A-4 is being merged")
        await later(served, triage.UNDO_NS)
        assert ticket(served, 4).duplicate_of == 3


async def test_keys_that_are_off_decide_nothing(chromium: Browser, served: Served) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.keyboard.press("?")
        await page.get_by_label("One-letter keys are on").uncheck()
        await page.get_by_role("button", name="Close").click()
        for key in ("a", "m", "n", "s"):
            await page.keyboard.press(key)
        assert await page.locator(".drawer[open]").count() == 0
        assert await page.evaluate("document.activeElement.dataset.key ?? ''") == ""


async def test_everything_can_be_done_without_scripts(chromium: Browser, served: Served) -> None:
    async with visiting(chromium, served, locale="en-US", java_script_enabled=False) as visitor:
        page = visitor.page
        await page.get_by_role("button", name="Assign").click()
        await page.get_by_role("button", name="Undo").click()
        await page.wait_for_selector("#toast >> text=A-4 is back in the inbox")
        await page.get_by_text("Put off").first.click()
        await page.get_by_role("button", name="For 2 h").click()
        await page.wait_for_selector("#undo-4 >> text=A-4 is put off until 17:20")
        assert await page.locator("#inbox-list .item").count() == 5


async def test_who_loses_the_connection_is_told_and_sees_what_came_meanwhile(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.wait_for_selector('.live[data-state="on"]')
        await page.locator(".item").nth(3).focus()
        await asyncio.to_thread(served.stop)
        await page.wait_for_selector("#offline >> text=No connection. This is how it stood at")
        floor = served.floor
        await asyncio.to_thread(floor.hears, floor.finding("L2-CMP-02", "zone_d", ago_s=1))
        served.start_again()
        await page.wait_for_selector("#item-7 >> text=Air compressor 2", timeout=60_000)
        assert await page.locator("#offline").inner_text() == ""
        assert "A-1" in await page.evaluate("document.activeElement.textContent")
        visitor.complaints.clear()  # the browser notes that nobody answered
