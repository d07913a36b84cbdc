"""Every page as a reader with a screen reader or poor sight meets it (axe-core), and that no page asks another server.

axe-core (Deque Systems) judges what a machine can judge of WCAG 2.2 A and AA; no serious or critical finding may stand.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from andon.access import accounts
from andon.access.audit import By
from andon.access.roles import Role
from andon.access.signing_in import Desk
from andon.database import writing
from andon.events import MINUTE_NS
from tests.browser.test_console import CHROMIUM, PAGES, Served, Visitor, chromium
from tests.integration.test_closing_api import Work
from tests.shop_floor import BASE, NOW_NS, TOKEN, ShopFloor, a_busy_day, console
from tests.two_lines import QUICK

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"chromium is not installed at {CHROMIUM}"),
]
NAME, SECRET = "admin", "three red pumps"
STATES = ("/tickets/1", "/tickets/5", "/tickets/4")
"""One resolved, one being worked on, one that nobody has."""
MORE = ("/account", "/account/password", "/people", f"/people/{NAME}", "/api", "/pipeline?reason=schema")
EVERY = (*(paths[0] for paths in PAGES.values()), *MORE)
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
ALIKE = ".reference section ~ section"
"""Two hundred operations that are drawn by the same lines: those of one topic are judged."""
FINDINGS = """async ([standard, alike]) => {
    const found = await axe.run({ exclude: [[alike]] }, { runOnly: standard, resultTypes: ["violations"] });
    return found.violations.filter((one) => ["serious", "critical"].includes(one.impact)).flatMap((one) => one.nodes.map(
        (node) => [one.id, node.target.join(" "), node.html.slice(0, 120), node.failureSummary.slice(0, 200)].join(" | ")));
}"""


class House(Served):
    """A busy day at an installation with accounts, one ticket resolved and one in hand."""

    def __init__(self, floor: ShopFloor) -> None:
        asyncio.run(self._worked(floor))
        with writing(floor.database) as conn:
            accounts.create(
                conn,
                NAME,
                roles=(Role.ADMINISTRATOR, Role.PLANNER, Role.RELIABILITY_ENGINEER, Role.TECHNICIAN),
                person="wu.gang",
                password=SECRET,
                must_change=False,
                by=By("init", floor.clock()),
                hasher=QUICK,
            )
        floor.context = replace(floor.context, token=None, desk=Desk(floor.database, hasher=QUICK))
        super().__init__(floor)

    async def _worked(self, floor: ShopFloor) -> None:
        transport = httpx.ASGITransport(console(floor.context))
        key = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=key) as client:
            await Work(floor, client).resolved()
            ticket = (await client.get("/api/v1/tickets/5")).json()["ticket"]
            given = {
                "version": ticket["version"],
                **{who: ticket["suggestion"][who] for who in ("person", "backup")},
            }
            (await client.post("/api/v1/tickets/5/assign", json=given)).raise_for_status()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(a_busy_day(tmp_path_factory.mktemp("house"))) as served:
        yield served


@asynccontextmanager
async def signed_in(browser: Browser, house: House, **options: Any) -> AsyncIterator[Visitor]:
    """Whoever may do everything, at the inbox; `Visitor` keeps what was complained of and asked elsewhere."""
    context = await browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(60_000)
    visitor = Visitor(await context.new_page(), house.address)
    page = visitor.page
    await page.goto(f"{house.address}/sign-in")
    assert await findings(page) == []
    await page.fill("#name", NAME)
    await page.fill("#password", SECRET)
    await page.locator(".button.main").click()
    await page.wait_for_selector("#view")
    yield visitor
    await context.close()


async def findings(page: Page) -> list[str]:
    """What axe says of the page that is shown, serious or critical."""
    await page.evaluate(Axe().axe_script)
    found: list[str] = await page.evaluate(FINDINGS, [STANDARD, ALIKE])
    return found


@pytest.mark.parametrize(
    ("size", "view", "pages"),
    [
        ((1440, 900), {"locale": "zh-CN", "color_scheme": "light"}, EVERY[::2]),
        ((390, 6000), {"locale": "en-US", "color_scheme": "dark"}, EVERY[1::2]),
    ],
    ids=["desk", "phone"],
)
async def test_no_page_shuts_anybody_out_or_asks_another_server(
    chromium: Browser, house: House, size: tuple[int, int], view: Mapping[str, Any], pages: Sequence[str]
) -> None:
    """Each page in one of two views; the phone is as high as its pages, so that its bar covers nothing."""
    width, height = size
    wrong: dict[str, list[str]] = {}
    async with signed_in(chromium, house, viewport={"width": width, "height": height}, **view) as visitor:
        for path in (*pages, *STATES):
            answer = await visitor.page.goto(house.address + path.format(at_ns=NOW_NS - 9 * MINUTE_NS))
            assert answer is not None
            assert answer.status == 200, path
            if found := await findings(visitor.page):
                wrong[path] = found
    assert wrong == {}
    assert visitor.asked_elsewhere == []
    assert visitor.complaints == []  # a breach of the content security policy is one


async def test_a_field_without_a_name_a_faint_text_and_a_foreign_picture_would_be_found(
    chromium: Browser, house: House
) -> None:
    """The faults that the sweep is for, planted once each."""
    async with signed_in(chromium, house, locale="en-US") as visitor:
        page = visitor.page
        await page.goto(f"{house.address}/assets")
        await page.evaluate(
            """() => {
                const main = document.querySelector("main");
                main.append(document.createElement("input"));
                const faint = Object.assign(document.createElement("p"), { textContent: "hardly to be read" });
                faint.style.color = "#ccd";
                main.append(faint);
                main.append(Object.assign(new Image(), { src: "https://elsewhere.example/pixel.gif" }));
            }"""
        )
        rules = {one.partition(" ")[0] for one in await findings(page)}
        assert {"label", "color-contrast", "image-alt"} <= rules
    assert any("Content Security Policy" in one for one in visitor.complaints)
