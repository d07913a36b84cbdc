"""The board in a real Chromium: filters in the address, moves by menu, and changes that leave the reader where he was."""

import asyncio

import pytest
from playwright.async_api import Browser

from andon.events import HOUR_NS
from tests.browser.test_console import (
    CHROMIUM,
    CURRENT,
    SIDEWAYS,
    Served,
    chromium,
    seen,
    served,
    visiting,
)
from ticketing import clockwork

__all__ = ["chromium", "seen", "served"]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"chromium is not installed at {CHROMIUM}"),
]

PHONE = {"width": 390, "height": 844}


async def test_filters_stand_in_the_address_and_go_with_the_view(chromium: Browser, seen: Served) -> None:
    async with visiting(chromium, seen, locale="en-US") as visitor:
        page = visitor.page
        await page.goto(f"{seen.address}/board")
        assert await page.locator(".t").count() == 6
        await page.select_option("#line", "L1")
        await page.wait_for_url("**/board?line=L1")
        await page.wait_for_selector(".pile h2 >> text=3")
        await page.get_by_label("Stuck over 2 h").check()
        await page.wait_for_url("**/board?line=L1&stuck=true")
        await page.wait_for_selector(".pile h2 >> text=1")
        assert await page.locator(".t").all_inner_texts() == [await page.locator("#k1").inner_text()]
        await page.get_by_role("link", name="All tickets").click()
        await page.wait_for_url("**/tickets?line=L1&stuck=true")
        await page.wait_for_selector("text=1 ticket")
        await page.get_by_role("link", name="Calendar").click()
        await page.wait_for_url("**/calendar?line=L1&stuck=true")
        await page.get_by_role("link", name="Clear").click()
        await page.wait_for_url("**/calendar")


async def test_on_a_phone_the_filters_are_folded_and_say_how_many_are_in_force(
    chromium: Browser, seen: Served
) -> None:
    async with visiting(chromium, seen, locale="en-US") as visitor:
        page = visitor.page
        await page.goto(f"{seen.address}/board?line=L1&sort=newest")
        assert await page.locator("#line").is_visible()
        assert not await page.locator("#fold > summary").is_visible()
        await page.set_viewport_size(PHONE)
        assert not await page.locator("#line").is_visible()
        card = await page.locator(".t").first.bounding_box()
        assert card is not None
        assert card["y"] + card["height"] < PHONE["height"] / 2
        summary = page.locator("#fold > summary")
        assert (await summary.inner_text()).split() == ["Filters", "1", "1", "filters", "in", "force"]
        await summary.click()
        await page.get_by_label("Stuck over 2 h").check()
        await page.wait_for_selector("#fold[open] > summary >> text=2 filters")


async def test_a_card_is_moved_by_its_menu(chromium: Browser, served: Served) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.goto(f"{served.address}/board")
        await page.get_by_role("link", name="Move A-4").click()
        await page.wait_for_selector("#menu[open] >> text=Move A-4")
        await page.keyboard.press("Escape")
        await page.wait_for_selector("#menu:not([open])", state="attached")
        await page.get_by_role("link", name="Move A-4").click()
        await page.locator("#menu").get_by_role("link", name="Not a fault").click()
        await page.wait_for_url("**/tickets/4#step-false_alarm")
        await page.wait_for_selector("#step-false_alarm[open]")


async def test_a_change_leaves_focus_and_what_is_typed_where_they_were(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="en-US", viewport={"width": 1440, "height": 420}) as visitor:
        page, floor = visitor.page, served.floor
        await page.goto(f"{served.address}/board")
        await page.wait_for_selector('.live[data-state="on"]')
        await page.locator("#k5 > a").first.focus()
        scrolled = await page.evaluate("scrollY")
        await asyncio.to_thread(floor.hears, floor.finding("L2-CMP-02", "silent_sensor", ago_s=1))
        await page.wait_for_selector("#k7[data-new=New]")
        assert await page.evaluate("document.activeElement.closest('li').id") == "k5"
        assert await page.evaluate("scrollY") == scrolled
        await page.fill("#text", "half a wo")
        await page.locator("#text").focus()
        await asyncio.to_thread(floor.hears, floor.finding("L1-HYD-01", "silent_sensor", ago_s=1))
        await page.wait_for_selector(".pile:has(#k7):not(:has(#k8))")
        await page.locator("h2").first.click()
        await page.wait_for_url("**/board?text=half*")
        assert await page.input_value("#text") == "half a wo"


async def test_what_is_stuck_or_overdue_says_so_without_colour(chromium: Browser, served: Served) -> None:
    floor = served.floor
    floor.clock.now_ns += 3 * HOUR_NS
    while await asyncio.to_thread(clockwork.turn, floor.tickets, floor.plant, floor.clock()):
        pass
    async with visiting(chromium, served, locale="zh-CN") as visitor:
        page = visitor.page
        await page.goto(f"{served.address}/board")
        assert await page.locator(".t.k").count() == 6
        assert "超时" in await page.locator("#k2 .d").inner_text()
        assert await page.locator("#k2 .v").text_content() == "紧急"
        style = "getComputedStyle(document.querySelector('#k2')).outlineStyle"
        assert await page.evaluate(style) == "solid"


async def test_on_a_phone_nothing_is_cut_off_and_fingers_find_what_they_aim_at(
    chromium: Browser, seen: Served
) -> None:
    async with visiting(chromium, seen, locale="en-US", viewport=PHONE) as visitor:
        page = visitor.page
        for path in ("/", "/board", "/tickets", "/calendar"):
            await page.goto(seen.address + path)
            assert await page.evaluate(SIDEWAYS) <= 0, path
            assert await page.evaluate(CURRENT) == 1, path
            small = await page.evaluate(
                """[...document.querySelectorAll("main a, main button, main summary, main .toggle, .nav a, .nav summary")]
                    .filter((one) => one.checkVisibility() && !one.closest("p, td, dd, .t"))
                    .map((one) => [one.getBoundingClientRect(), one.outerHTML])
                    .filter(([box]) => box.height < 24 || box.width < 24).map(([, html]) => html)"""
            )
            assert small == [], path
        await page.locator(".more > summary").click()
        await page.locator(".more").get_by_role("link").first.click()
        await page.wait_for_url("**/problems")
