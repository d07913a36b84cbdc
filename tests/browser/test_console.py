"""The console in a real Chromium: it opens by its link, draws, works by keys and on a phone, and asks nobody else."""

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio
import uvicorn
from fastapi.routing import APIRoute
from PIL import Image
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from andon.database import reading
from andon.events import MINUTE_NS, SECOND_NS
from api.app import create_app
from api.catalogue import words_of
from api.visit import zone_named
from api.web import (
    alarm_pages,
    alarm_performance_page,
    analysis_pages,
    approvals_page,
    assembly_page,
    asset_pages,
    board,
    code_pages,
    detector_pages,
    drift_page,
    failure_pages,
    finding_pages,
    inbox,
    knowledge_pages,
    kpi_pages,
    letter_pages,
    paper_pages,
    partner_pages,
    parts_page,
    pipeline_page,
    plan_pages,
    problem_pages,
    report_page,
    request_files,
    requests_page,
    routing_page,
    ticket_pages,
    ticket_parts,
)
from api.web.alone import page_of
from api.web.explained import explain
from api.web.formats import PlantTime
from api.web.reader import Reader
from tests.shop_floor import NOW_NS, TOKEN, ShopFloor, a_busy_day
from ticketing import clockwork, findings, triage

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
)
VENDOR = Path(__file__).parents[2] / "api/web/vendor/htmx.js"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"chromium is not installed at {CHROMIUM}"),
]


class Served:
    """A shop floor whose console is served on a free port."""

    def __init__(self, floor: ShopFloor) -> None:
        self.floor = floor
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.link = f"{self.address}/?token={TOKEN}"

    def start(self) -> None:
        """Answer from now on."""
        config = uvicorn.Config(
            create_app(self.floor.context), log_level="error", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        sockets = {"sockets": [self._listening]}
        self._thread = threading.Thread(target=self._server.run, kwargs=sockets)
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody, and answer no more."""
        self._server.should_exit = True
        self._thread.join(10)
        self._listening.close()

    def start_again(self) -> None:
        """Answer again, at the same address."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A busy day that is only looked at."""
    with Served(a_busy_day(tmp_path_factory.mktemp("seen"))) as served:
        yield served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A busy day that is worked on."""
    with Served(a_busy_day(tmp_path)) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    assert VENDOR.exists(), "the browser libraries are missing: python hatch_build.py"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


class Visitor:
    """A page with all that it complained of and all that it asked of others."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked_elsewhere: list[str] = []
        self.asked: list[str] = []
        self.hints: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._address = address
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)
        page.on("websocket", lambda tab: tab.on("framereceived", self.hints.put_nowait))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((self._address, "data:", "blob:")):
            self.asked_elsewhere.append(request.url)


@asynccontextmanager
async def visiting(browser: Browser, served: Served, **options: Any) -> AsyncIterator[Visitor]:
    """A fresh visitor, signed in by the link; at the end nothing was complained of or asked elsewhere."""
    context = await browser.new_context(**options)
    context.set_default_timeout(60_000)
    visitor = Visitor(await context.new_page(), served.address)
    await visitor.page.goto(served.link)
    yield visitor
    await context.close()
    assert visitor.complaints == []
    assert visitor.asked_elsewhere == []


async def ink(page: Page, selector: str) -> int:
    """How many different colours a drawing has: a blank one has one."""
    colours: int = await page.evaluate(
        """selector => {
            const canvas = document.querySelector(selector);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const seen = new Set();
            for (let i = 0; i < data.length; i += 4) seen.add(data[i] << 24 | data[i+1] << 16 | data[i+2] << 8 | data[i+3]);
            return seen.size;
        }""",
        selector,
    )
    return colours


async def drawn(page: Page, figure: str) -> None:
    await page.wait_for_selector(f"{figure}[data-drawn] canvas")
    assert await ink(page, f"{figure} canvas") > 20


async def test_the_link_opens_the_inbox_and_leaves_no_token_in_the_address(
    chromium: Browser, seen: Served
) -> None:
    async with visiting(chromium, seen, locale="en-US") as visitor:
        page = visitor.page
        assert page.url == f"{seen.address}/"
        assert await page.locator("h1").inner_text() == "Inbox"
        await page.wait_for_selector('.live[data-state="on"]')
        assert await page.locator(".item").count() == 6


async def test_the_console_speaks_chinese_and_changes_language_on_the_spot(
    chromium: Browser, seen: Served
) -> None:
    async with visiting(chromium, seen, locale="zh-CN") as visitor:
        page = visitor.page
        assert await page.locator("html").get_attribute("lang") == "zh-CN"
        assert await page.locator("h1").inner_text() == "收件箱"
        await page.get_by_role("button", name="English").click()
        await page.wait_for_selector("h1:text-is('Inbox')")
        assert await page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_ticket_draws_its_evidence_in_each_tab(chromium: Browser, seen: Served, scheme: Any) -> None:
    async with visiting(chromium, seen, locale="en-US", color_scheme=scheme) as visitor:
        page = visitor.page
        await page.goto(f"{seen.address}/tickets/3")
        await drawn(page, "#tabs-3-envelope")
        await page.get_by_role("tab", name="Trend and events").click()
        await drawn(page, "#tabs-3-trend")
        await page.keyboard.press("ArrowRight")
        await drawn(page, "#tabs-3-spectrum")
        summary = await page.locator("#tabs-3-spectrum .plot").get_attribute("aria-label")
        assert summary is not None
        assert "highest line" in summary
        assert await page.locator("#tabs-3-spectrum table tr").count() > 5


async def test_labels_of_markers_do_not_cover_each_other(chromium: Browser, seen: Served) -> None:
    async with visiting(chromium, seen, locale="en-US", viewport={"width": 390, "height": 844}) as visitor:
        page = visitor.page
        await page.goto(f"{seen.address}/tickets/3")
        await drawn(page, "#tabs-3-envelope")
        boxes = await page.evaluate(
            """() => echarts.getInstanceByDom(document.querySelector("#tabs-3-envelope .plot")).getZr()
                .storage.getDisplayList(true)
                .filter((one) => /BPF|BSF|FTF|1x/.test(one.style.text ?? "") && !one.ignore)
                .map((one) => {
                    const box = one.getBoundingRect().clone();
                    box.applyTransform(one.transform);
                    return [box.x, box.y, box.x + box.width, box.y + box.height];
                })"""
        )
        assert len(boxes) == 8
        for i, (left, top, right, bottom) in enumerate(boxes):
            for a, b, c, d in boxes[i + 1 :]:
                assert right <= a or c <= left or bottom <= b + 1 or d <= top + 1


async def test_not_a_fault_asks_for_the_reason_first(chromium: Browser, served: Served) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.keyboard.press("n")
        assert await page.evaluate("document.activeElement.name") == "reason"
        await page.get_by_role("button", name="Planned work on the machine").click()
        await page.keyboard.type(": jn?a")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#undo-4 >> text=A-4 is being closed as false alarm")
        floor = served.floor
        floor.clock.now_ns += triage.UNDO_NS
        while await asyncio.to_thread(clockwork.turn, floor.tickets, floor.plant, floor.clock()):
            pass
        await page.goto(f"{served.address}/tickets/4")
        assert await page.locator("text=Planned work on the machine: jn?a").count() > 0
        assert await page.locator("dd >> text=Planned work").count() == 2  # what it was, and the reason


async def test_maintenance_begins_and_ends_with_a_click_and_shows_meanwhile(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await page.goto(f"{served.address}/assets/L1-SPN-01")
        await page.fill("#maintenance-note", "new belt")
        await page.get_by_role("button", name="Begin maintenance").click()
        await page.wait_for_selector(".chip >> text=Maintenance since")
        await page.wait_for_selector("text=new belt")
        await page.get_by_role("button", name="End maintenance").click()
        await page.wait_for_selector("text=Begin maintenance")
        assert await page.locator(".chip >> text=Maintenance since").count() == 0


async def test_a_new_ticket_appears_by_itself_and_spares_what_is_being_written(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="en-US") as visitor:
        page = visitor.page
        await asyncio.wait_for(visitor.hints.get(), 10)
        await page.keyboard.press("n")
        await page.keyboard.type("half a word")
        asked = len(visitor.asked)
        floor = served.floor
        await asyncio.to_thread(floor.hears, floor.finding("L2-CMP-02", "zone_d", ago_s=1))
        await asyncio.wait_for(visitor.hints.get(), 10)
        await page.evaluate("new Promise(requestAnimationFrame)")
        assert len(visitor.asked) == asked
        assert await page.evaluate("document.activeElement.value") == "half a word"
        assert await page.locator(".item").count() == 6
        await page.fill("#reason-4", "")
        await page.locator("h1").click()
        await page.wait_for_selector(".item >> text=Air compressor 2")
        assert "Air compressor 2" in await page.locator(".item").first.inner_text()
        assert "Die-casting machine 1" in await page.locator(".item[aria-current=true]").inner_text()
        assert await page.locator(".item").count() == 7


async def test_a_technician_goes_the_whole_way_on_a_phone(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    photo = tmp_path / "site.jpg"
    Image.effect_noise((2400, 1800), 80).convert("RGB").save(photo)
    async with visiting(chromium, served, locale="zh-CN", viewport={"width": 390, "height": 844}) as visitor:
        page = visitor.page
        await page.goto(f"{served.address}/tickets/3")
        await page.get_by_role("button", name="指派", exact=True).click()
        await page.get_by_role("button", name="以").click()
        await page.get_by_role("button", name="接单").click()
        await page.wait_for_selector("text=下一步：解决")
        await page.set_input_files("#photo", photo)
        await page.get_by_role("button", name="添加照片").click()
        await page.wait_for_selector(".photos img")
        await page.fill("textarea[name=summary]", "更换轴承 6311")
        await page.select_option("select[name=cause]", "3.4")
        await page.get_by_label("否").check()
        await page.get_by_role("button", name="提交解决").click()
        await page.wait_for_selector("text=下一步：签核")
        await page.get_by_role("button", name="以").click()
        for tick in ("问题彻底解决", "无衍生风险", "无需后续支持"):
            await page.get_by_label(tick).check()
        await page.get_by_role("button", name="签核", exact=True).click()
        await page.wait_for_selector("text=已签核")
        await page.wait_for_selector("text=更换轴承 6311")
        await page.get_by_role("button", name="重新学习基线").click()
        await page.wait_for_selector("text=同意重新学习基线")
        await page.goto(f"{served.address}/assets/L2-CMP-01")
        await page.wait_for_selector("text=尚未进入数据流")


PAGES = {
    "/": ("/", "/?ticket=3"),
    "/tickets": ("/tickets", "/tickets?overdue=true&text=nothing"),
    "/board": ("/board", "/board?area=machining&stuck=true"),
    "/board/{ticket_id}": ("/board/2",),
    "/calendar": ("/calendar", "/calendar?text=stop"),
    "/tickets/{ticket_id}": ("/tickets/2", "/tickets/3?all=1"),
    "/alarms": ("/alarms?which=all",),
    "/alarms/performance": ("/alarms/performance",),
    "/alarms/performance/occurrences": ("/alarms/performance/occurrences",),
    "/analysis": ("/analysis", "/analysis?rows=weekday&columns=hour", "/analysis?rows=asset&columns="),
    "/analysis/tickets": ("/analysis/tickets", "/analysis/tickets?row=~"),
    "/drift": ("/drift",),
    "/kpi": ("/kpi", "/kpi?period=rolling&type=equipment_repair"),
    "/kpi/{code}": ("/kpi/closing_rate",),
    "/approvals": ("/approvals",),
    "/ticket-types": ("/ticket-types",),
    "/routing": ("/routing",),
    "/report": ("/report", "/report?type=spare_part_requisition&channel=phone"),
    "/reports": ("/reports", "/reports?channel=phone"),
    "/report/codes": ("/report/codes?asset=L1-SPN-01",),
    "/problems": ("/problems",),
    "/problems/{problem_id}": ("/problems/1",),
    "/problems/{problem_id}/8d": ("/problems/1/8d",),
    "/failures": ("/failures",),
    "/failures/origins": ("/failures/origins?fault=line_stop",),
    "/measures": ("/measures",),
    "/knowledge": ("/knowledge", "/knowledge?text=nothing", "/knowledge?drafts=1"),
    "/knowledge/{article_id}": ("/knowledge/1",),
    "/parts": ("/parts", "/parts?low=1", "/parts?text=nothing"),
    "/parts/{part:path}": ("/parts/7014-ACD",),
    "/plans": ("/plans",),
    "/plans/calendar": ("/plans/calendar",),
    "/plans/meters": ("/plans/meters",),
    "/plans/{plan}": ("/plans/compressor_service",),
    "/papers": ("/papers",),
    "/assets": ("/assets",),
    "/assets/{asset_id}": ("/assets/L1-SPN-01",),
    "/findings/{finding_id}": ("/findings/L2-CMP-01-bearing_outer_race-{at_ns}",),
    "/findings/{finding_id}/message": ("/findings/L2-CMP-01-bearing_outer_race-{at_ns}/message",),
    "/detectors": ("/detectors",),
    "/pipeline": ("/pipeline",),
    "/partners": ("/partners",),
    "/pipeline/letters/{letter}": ("/pipeline/letters/plant_mqtt:7",),
}
"""The pages by their routes."""

NO_PAGES = {
    *("/tickets/{ticket_id}/photos/{sha256}", "/tickets/{ticket_id}/course"),
    *("/tickets/{ticket_id}/attachments/{sha256}", "/tickets/{ticket_id}/parts"),
    *("/papers/{paper_id}", "/papers/{paper_id}/pdf"),
    "/detectors/backtests/{name}",
}
"""A picture, a drawing's data, and pages that need a report or a back-test that was made (tests/integration)."""

UNNAMED = """[...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
    .filter((one) => !one.labels?.length && !one.ariaLabel).map((one) => one.outerHTML)"""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CURRENT = "new Set([...document.querySelectorAll('.top [aria-current=page]')].map((one) => one.href)).size"


async def test_every_page_is_swept() -> None:
    routers = (
        *(approvals_page, assembly_page, parts_page, ticket_parts),
        *(alarm_pages, asset_pages, board, detector_pages, drift_page, finding_pages, inbox, letter_pages),
        *(
            knowledge_pages,
            kpi_pages,
            partner_pages,
            pipeline_page,
            problem_pages,
            report_page,
            routing_page,
            ticket_pages,
        ),
        *(alarm_performance_page, analysis_pages),
        *(code_pages, failure_pages, paper_pages, plan_pages, request_files, requests_page),
    )
    routes = [route for one in routers for route in one.router.routes if isinstance(route, APIRoute)]
    assert {route.path for route in routes if "GET" in route.methods} == PAGES.keys() | NO_PAGES


@pytest.mark.parametrize(("width", "locale"), [(390, "en-US"), (1440, "zh-CN")])
async def test_no_page_scrolls_sideways_says_codes_or_asks_namelessly(
    chromium: Browser, seen: Served, width: int, locale: str
) -> None:
    size = {"width": width, "height": 844}
    async with visiting(chromium, seen, locale=locale, viewport=size) as visitor:
        page = visitor.page
        for path in (path for paths in PAGES.values() for path in paths):
            answer = await page.goto(seen.address + path.format(at_ns=NOW_NS - 9 * MINUTE_NS))
            assert answer is not None
            assert answer.status == 200, path
            assert await page.evaluate(SIDEWAYS) <= 0, path
            assert await page.evaluate(UNNAMED) == [], path
            assert await page.evaluate(CURRENT) == 1, path
            if not path.startswith(("/detectors", "/pipeline", "/findings")):  # they are about codes
                text = await page.locator("body").inner_text()
                assert re.findall(r"\b[a-z]+_[a-z_]+\b|\bwu\.gang\b", text) == [], path


async def test_a_planner_takes_a_report_to_the_archive(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    photo = tmp_path / "site.png"
    Image.effect_noise((60, 40), 80).save(photo)
    async with visiting(chromium, served, locale="zh-CN") as visitor:
        page = visitor.page
        await page.get_by_role("link", name="报修").click()
        await page.get_by_role("button", name="设备报修").click()
        await page.fill("#description", "主轴有异响")
        await page.fill("#asset", "L1-SPN-02")
        await page.locator("#report > .button.main").click()
        await page.wait_for_selector("text=下一步：指派")
        assert await page.locator(".chain dd").first.inner_text() == "吴刚 Wu Gang"
        await page.select_option("#assign-person", "wang.lei")
        await page.select_option("#assign-backup", "chen.jing")
        await page.fill("#assign-reason", "熟悉本机")
        await page.get_by_role("button", name="指派", exact=True).click()
        await page.get_by_role("button", name="身份操作").click()
        await page.get_by_role("button", name="接单").click()
        await page.wait_for_selector("text=下一步：解决")
        await page.fill("textarea[name=summary]", "跟进中")
        await page.select_option("select[name=cause]", "3.4")
        await page.get_by_label("否").check()
        await page.get_by_role("button", name="提交解决").click()
        await page.wait_for_selector("#resolve-summary-wrong >> text=写明对什么做了什么")
        await page.wait_for_selector("[role=alert] >> text=至少一张现场照片")
        assert await page.input_value("textarea[name=summary]") == "跟进中"
        assert page.url == f"{served.address}/tickets/7"
        visitor.complaints.clear()  # the browser notes the refusal
        await page.set_input_files("#photo", photo)
        await page.get_by_role("button", name="添加照片").click()
        await page.wait_for_selector(".photos img")
        await page.fill("textarea[name=summary]", "主轴轴承已更换，试车正常")
        await page.select_option("select[name=cause]", "3.4")
        await page.get_by_label("否").check()
        await page.get_by_role("button", name="提交解决").click()
        await page.get_by_role("button", name="身份操作").click()
        for tick in ("问题彻底解决", "无衍生风险", "无需后续支持"):
            await page.get_by_label(tick).check()
        await page.get_by_role("button", name="签核", exact=True).click()
        await page.wait_for_selector("text=已签核")
        await page.select_option("#archive-scene_tag", index=1)
        await page.get_by_role("button", name="归档", exact=True).click()
        await page.wait_for_selector(".next >> text=已全部完成")


async def test_a_leader_acknowledges_and_shelves_an_alarm(chromium: Browser, served: Served) -> None:
    async with visiting(chromium, served, locale="zh-CN") as visitor:
        page = visitor.page
        await page.select_option("#me", "zhou.ting")
        await page.get_by_role("link", name="报警").click()
        row = page.locator("tr", has_text="压铸机 1")
        await row.get_by_role("button", name="确认").click()
        await page.wait_for_selector("tr:has-text('压铸机 1') >> text=已确认")
        assert "周婷" in await row.inner_text()
        await row.get_by_text("暂不通报").click()
        await row.get_by_label("原因").fill("计划换模")
        await row.get_by_role("button", name="搁置").click()
        await page.wait_for_selector("#toast >> text=搁置已完成")
        floor = served.floor
        floor.clock.now_ns += SECOND_NS
        await asyncio.to_thread(
            clockwork.turn, floor.tickets, floor.plant, floor.clock()
        )  # the engine's part
        await page.goto(f"{served.address}/alarms")
        assert await row.count() == 0
        await page.select_option("#which", "held_back")
        await page.wait_for_selector("tr:has-text('压铸机 1') >> text=已搁置")
        await row.get_by_text("解除搁置").first.click()
        await row.get_by_label("原因").fill("换模完成")
        await row.get_by_role("button", name="解除搁置").click()
        await page.wait_for_selector("#toast >> text=解除搁置已完成")


async def test_on_a_phone_a_person_reports_is_told_what_is_wrong_and_ends_on_the_ticket(
    chromium: Browser, served: Served
) -> None:
    async with visiting(chromium, served, locale="zh-CN", viewport={"width": 390, "height": 844}) as visitor:
        page = visitor.page
        await page.goto(f"{served.address}/report?asset=L1-SPN-01")
        await page.get_by_role("button", name="备件申领").click()
        await page.fill("#description", "密封圈用完了，\n再要三个")
        await page.get_by_label("备件编码").fill("S-6311")
        await page.get_by_label("数量").fill("三")
        await page.keyboard.press("Enter")
        assert await page.locator("#fields-quantity-wrong").inner_text() == "请填写数字。"
        assert await page.input_value("#description") == "密封圈用完了，\n再要三个"
        visitor.complaints.clear()  # the browser notes the refusal
        await page.get_by_label("数量").fill("3")
        await page.locator("#report > .button.main").click()
        await page.wait_for_url("**/tickets/*")
        assert await page.locator("blockquote.said").inner_text() == "密封圈用完了，\n再要三个"


async def test_without_the_link_there_is_a_page_that_says_where_it_is(
    chromium: Browser, seen: Served
) -> None:
    context = await chromium.new_context(locale="en-US")
    page = await context.new_page()
    answer = await page.goto(seen.address)
    assert answer is not None
    assert answer.status == 401
    assert "printed in its terminal" in await page.locator("main").inner_text()
    await context.close()


async def test_an_explained_finding_is_one_file_that_draws_and_prints_without_asking_anybody(
    chromium: Browser, seen: Served, tmp_path: Path
) -> None:
    floor, words = seen.floor, words_of("zh")
    with reading(floor.database) as conn:
        found = next(one for one in findings.beginning(conn, "L2-CMP-01-bearing_outer_race"))
        time = PlantTime(zone_named(floor.plant.time_zone), floor.clock(), words)
        it = explain(conn, found, Reader(floor.plant, floor.series, words, time))
    path = tmp_path / "finding.html"
    path.write_text(page_of(it, floor.plant, words, time), "utf-8")
    context = await chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    visitor = Visitor(await context.new_page(), path.as_uri())
    await visitor.page.goto(path.as_uri())
    for chart in ("envelope", "trend", "spectrum"):
        await drawn(visitor.page, f"#chart-{chart}")
    assert await visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await visitor.page.emulate_media(media="print", color_scheme="dark")
    await visitor.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    paper = "getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color"
    assert await visitor.page.evaluate(paper) == "rgba(0, 0, 0, 0)rgb(21, 32, 43)"
    assert (visitor.complaints, visitor.asked_elsewhere) == ([], [])
    await context.close()
