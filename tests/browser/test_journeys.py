"""Whole ways through the console on real processes: people sign in, an engine makes the tickets, and a day's work is done."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Browser

from andon import plants
from andon.access import accounts
from andon.access.audit import By
from andon.access.roles import Role
from andon.clock import wall
from andon.database import reading, writing
from andon.datadir import open_store
from andon.events import MINUTE_NS, SECOND_NS
from andon.installation import free_port
from andon.plant import DetectorSettings, Plant
from detectors import settings_of
from simulators.machines import plant_document
from simulators.plant import Simulation
from tests.browser.test_console import CHROMIUM, SIDEWAYS, Visitor, chromium
from tests.installed import Device, Running, listener
from tests.scenario.test_tuning import END_MIN, LOADED, WORN, touchy_plant
from tests.scenario.virtual_line import SOURCES, VirtualLine
from ticketing import store
from ticketing.ticket import TicketState

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"chromium is not installed at {CHROMIUM}"),
]
PATIENCE_MS = 100_000
PRESS, RISE = "L1-PRS-01", "band_energy_rise"
DESK = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "color_scheme": "dark",
    "geolocation": {"latitude": 31.49, "longitude": 120.31},
    "permissions": ["geolocation"],
}
NO_TECHNICIANS = {
    "wu.gang": Role.PLANNER,
    "sun.hao": Role.LINE_LEADER,
    "chen.jing": Role.RELIABILITY_ENGINEER,
}
SCANNED = f"window.BarcodeDetector = class {{ async detect() {{ return [{{ rawValue: '{WORN}' }}]; }} }}"
"""Phones read codes; Chromium for Linux has no BarcodeDetector, so what stands before the camera is told here."""


class Works:
    """A plant at work: `andon run` over an hour of two pumps, people with accounts, and a press that can stop."""

    def __init__(self, running: Running, port: int, start_ns: int) -> None:
        self.running = running
        self.address = running.heard.read_text().partition("console: ")[2].split()[0].rstrip("/")
        self.start_ns = start_ns
        self.own_words: set[str] = set()
        self._port = port

    def account(self, who: str) -> str:
        """Make somebody an account while the plant runs; gives its first secret."""
        with writing(open_store(self.running.data)) as conn:
            return accounts.create(conn, who, roles=[role_of(who)], by=By("init", wall()))

    def stops(self, asset: str) -> None:
        """The machine itself says that it has stopped."""
        device = Device(self._port)
        device.stops(asset, 1)
        device.leave()

    def ticket(self, number: int) -> store.TicketDetail:
        with reading(open_store(self.running.data)) as conn:
            return store.ticket(conn, number)

    def plant(self) -> Plant:
        """The plant document that is in force."""
        with reading(open_store(self.running.data)) as conn:
            found = plants.latest(conn)
        assert found is not None
        return found


def role_of(who: str) -> Role:
    return NO_TECHNICIANS.get(who, Role.TECHNICIAN)


def pumps_and_a_press() -> Plant:
    """The pumps of the story of tuning, and a press that only says when it stops."""
    touchy = touchy_plant()
    press = next(one for one in plant_document().assets if one.id == PRESS)
    classes = {**touchy.classes, press.asset_class: (DetectorSettings(kind="stop_alarm"),)}
    return touchy.model_copy(update={"assets": (*touchy.assets, press), "classes": classes})


def an_hour(data: Path, plant: Plant, start_ns: int) -> list[tuple[str, str]]:
    """What the pumps say in the better part of an hour, taken by an engine into that data directory; its tickets."""
    simulation = Simulation(1, start_ns, only={WORN, LOADED})
    simulation.plant = plant
    line = VirtualLine(data, simulation).runs(0, END_MIN)
    line.engine.snapshot()
    tickets = [(one["asset"], one["condition"]) for one in line.report(END_MIN)["tickets"]]
    line.closed()
    return tickets


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    folder, port = tmp_path_factory.mktemp("works"), free_port()
    running = Running(folder, listener(SOURCES[0], port))
    running.data.mkdir()
    start_ns = wall() // SECOND_NS * SECOND_NS - END_MIN * MINUTE_NS
    assert an_hour(running.data, pumps_and_a_press(), start_ns) == [(WORN, RISE), (LOADED, RISE)]
    with writing(open_store(running.data)) as conn:
        accounts.create(conn, "root", roles=[Role.ADMINISTRATOR], by=By("init", wall()))
    with running:
        yield Works(running, port, start_ns)


class Walk:
    """One person's way: at each stage a picture, and nothing beside the screen."""

    def __init__(self, visitor: Visitor, pictures: Path, name: str) -> None:
        self.page = visitor.page
        self.visitor = visitor
        self._pictures = pictures
        self._name = name
        self._stage = 0

    async def stage(self, what: str) -> None:
        """Look at the page as it stands."""
        self._stage += 1
        await self.page.screenshot(path=self._pictures / f"{self._name}-{self._stage:02d}-{what}.png")
        assert await self.page.evaluate(SIDEWAYS) <= 0, what

    async def says(self, text: str) -> None:
        await self.page.wait_for_selector(f"text={text}")


@asynccontextmanager
async def walking(
    browser: Browser, works: Works, who: str, pictures: Path, **options: Any
) -> AsyncIterator[Walk]:
    """Somebody signs in, with a first secret that they must change; at the end nothing was complained of or asked elsewhere."""
    context = await browser.new_context(**{"locale": "zh-CN", **options})
    context.set_default_timeout(PATIENCE_MS)
    await context.add_init_script(SCANNED)
    visitor = Visitor(await context.new_page(), works.address)
    page = visitor.page
    walk = Walk(visitor, pictures, f"{who}-{options['viewport']['width']}")
    own = f"{who[::-1]} walks to work"
    first = own if who in works.own_words else works.account(who)
    await page.goto(works.address)
    await page.fill("#name", who)
    await page.fill("#password", first)
    await walk.stage("sign-in")
    await page.locator("button.main").click()
    if who not in works.own_words:
        for field, words in (("#old", first), ("#new", own), ("#again", own)):
            await page.fill(field, words)
        await walk.stage("first-secret")
        await page.locator("button.main").click()
        works.own_words.add(who)
    await page.wait_for_selector('.live[data-state="on"]', state="attached")
    try:
        yield walk
    except BaseException:
        await page.screenshot(path=pictures / f"{who}-broken.png", full_page=True)
        raise
    await context.close()
    assert visitor.complaints == []
    assert visitor.asked_elsewhere == []


def a_photo(folder: Path) -> Path:
    path = folder / "site.jpg"
    Image.effect_noise((1600, 1200), 80).convert("RGB").save(path)
    return path


async def assigns(walk: Walk, number: int, *, by_key: bool) -> None:
    """The planner reads the verdict and its evidence, and assigns to whom is suggested."""
    page = walk.page
    await page.locator(f"#item-{number} a").click()
    await page.wait_for_selector(f".verdict .crumbs >> text=A-{number}")
    await page.wait_for_selector(".verdict .evidence :is([data-drawn], dl)", state="attached")
    await walk.stage("verdict")
    if by_key:
        await page.get_by_role("tab", name="频谱").click()
        await page.wait_for_selector(f"#tabs-{number}-spectrum[data-drawn]")
        await walk.stage("spectrum")
        await page.keyboard.press("a")
        await page.keyboard.press("Enter")
    else:
        await page.locator("[data-key=a]").click()
    await page.wait_for_selector(f"#undo-{number}")
    await walk.stage("assigned")


async def accepts(walk: Walk, works: Works, number: int) -> None:
    """The technician finds it among their own once the planner's ten seconds are over, and takes it on."""
    page = walk.page
    await page.goto(f"{works.address}/board?mine=true")
    await page.locator(f"#k{number} > a").first.click()
    await walk.says("下一步：接单")
    await walk.stage("accept")
    await page.get_by_role("button", name="接单").click()
    await walk.says("下一步：解决")


async def photographs(walk: Walk, photo: Path) -> None:
    await walk.page.set_input_files("#photo", photo)
    await walk.page.locator("form:has(#photo) button").click()


async def sets_off(walk: Walk) -> None:
    await walk.page.locator("#step-depart > summary").click()
    await walk.page.locator("#step-depart form > button").click()


async def arrives(walk: Walk, photo: Path) -> None:
    """The code of the machine by its picture, the place by the phone."""
    page = walk.page
    await page.locator("#step-arrive > summary").click()
    await page.set_input_files("[data-scans]", photo)
    await page.locator("[data-locates]").click()
    await page.wait_for_function(
        "() => document.getElementById('arrive-arrival').value && document.getElementById('arrive-arrival-position').value"
    )
    await walk.stage("arrive")
    await page.locator("#step-arrive form > button").click()
    await page.wait_for_selector("#toast >> text=到达现场已完成")


async def resolves(walk: Walk) -> None:
    """The technician says what was done, and names the cause by one of the likely ones."""
    page = walk.page
    await page.wait_for_selector(".photos img")
    await page.fill("textarea[name=summary]", "更换驱动端轴承并复测，振动恢复正常")
    await page.locator("[data-picks]").first.click()
    await page.get_by_label("否").check()
    await walk.stage("resolve")
    await page.get_by_role("button", name="提交解决").click()
    await walk.says("下一步：签核")
    await walk.stage("resolved")


async def signs(walk: Walk, works: Works, number: int) -> None:
    """Who asked for it draws a signature, ticks the three, and it is closed."""
    page = walk.page
    await page.goto(f"{works.address}/tickets/{number}")
    await page.locator("details:has(canvas.signature) > summary").click()
    canvas = page.locator("canvas.signature")
    await canvas.scroll_into_view_if_needed()
    box = await canvas.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 30, box["y"] + 50)
    await page.mouse.down()
    for step in range(1, 12):
        await page.mouse.move(box["x"] + 30 + 18 * step, box["y"] + 50 + (30 if step % 2 else -20))
    await page.mouse.up()
    await walk.stage("signature")
    await page.locator("form:has(canvas.signature) button:not([type=button])").click()
    await page.wait_for_selector("p.met")
    for tick in ("问题彻底解决", "无衍生风险", "无需后续支持"):
        await page.get_by_label(tick).check()
    await walk.stage("ticks")
    await page.get_by_role("button", name="签核", exact=True).click()
    await walk.says("已签核")
    await walk.stage("closed")


async def test_a_machine_made_ticket_goes_from_alarm_to_signature_in_chinese(
    chromium: Browser, works: Works, tmp_path: Path
) -> None:
    photo = a_photo(tmp_path)
    async with walking(chromium, works, "wu.gang", tmp_path, **DESK) as planner:
        await planner.stage("inbox")
        await assigns(planner, 1, by_key=True)
    async with walking(chromium, works, "wang.lei", tmp_path, **PHONE) as technician:
        await accepts(technician, works, 1)
        await sets_off(technician)
        await technician.page.wait_for_selector("#toast >> text=出发已完成")
        await arrives(technician, photo)
        await photographs(technician, photo)
        await resolves(technician)
    async with walking(chromium, works, "sun.hao", tmp_path, **DESK) as requester:
        await signs(requester, works, 1)
    done = works.ticket(1)
    assert (done.ticket.state, done.ticket.closure) == (TicketState.CLOSED, "signed")
    assert [one.actor for one in done.events if one.actor in NO_TECHNICIANS or one.actor == "wang.lei"]


async def test_a_stop_is_met_with_phones_alone_and_what_is_done_without_a_network_comes_in_once(
    chromium: Browser, works: Works, tmp_path: Path
) -> None:
    photo = a_photo(tmp_path)
    async with walking(chromium, works, "wu.gang", tmp_path, **PHONE) as planner:
        await asyncio.to_thread(works.stops, PRESS)
        number = int(
            (
                await (
                    await planner.page.wait_for_selector("li[id^=item-]:has-text('装配压机')")
                ).get_attribute("id")
            )[5:]
        )
        await planner.stage("inbox")
        await assigns(planner, number, by_key=False)
    who = works.ticket(number).ticket.suggestion.person
    async with walking(chromium, works, who, tmp_path, **PHONE) as technician:
        page = technician.page
        await accepts(technician, works, number)
        await page.context.set_offline(True)
        await photographs(technician, photo)
        await page.wait_for_selector("#outbox:has-text('离线，1 项待发送')")
        await sets_off(technician)
        await page.wait_for_selector("#outbox:has-text('离线，2 项待发送')")
        await page.locator("#remark summary").click()
        await page.fill("#remark-text", "现场无信号")
        await page.locator("#remark button").click()
        await page.wait_for_selector("#outbox:has-text('离线，3 项待发送')")
        await technician.stage("offline")
        await page.context.set_offline(False)
        await page.wait_for_selector("#outbox", state="hidden")
        technician.visitor.complaints.clear()  # the browser's own words about a network that is not there
        await resolves(technician)
    async with walking(chromium, works, "wu.gang", tmp_path, **PHONE) as requester:
        await signs(requester, works, number)
    done = works.ticket(number)
    assert [one.stage for one in done.photos].count("signature") == len(done.photos) - 1 == 1
    assert [one.reason for one in done.events if one.action == "comment"] == ["现场无信号"]
    assert [one.action for one in done.events].count("depart") == 1
    assert done.ticket.state is TicketState.CLOSED


async def test_a_false_ticket_is_tuned_away_and_the_same_hour_makes_it_no_more(
    chromium: Browser, works: Works, tmp_path: Path
) -> None:
    async with walking(chromium, works, "wu.gang", tmp_path, **DESK) as planner:
        page = planner.page
        await page.locator("#item-2 a").click()
        await page.wait_for_selector(".verdict .crumbs >> text=A-2")
        await page.keyboard.press("n")
        await page.keyboard.type("负荷加大")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#undo-2")
    async with walking(chromium, works, "chen.jing", tmp_path, **DESK) as engineer:
        page = engineer.page
        await page.goto(f"{works.address}/tickets/2")
        await page.wait_for_selector(".states [aria-current] >> text=误报")
        await engineer.stage("false")
        await page.get_by_role("link", name="调整此检测器").click()
        await page.wait_for_url("**/detectors?whose=class%3Apump&kind=band_energy")
        usual = {one.name: one.value for one in settings_of("band_energy", {})}
        for name in ("rise", "noise_guard", "young_blocks"):
            await page.fill(f"#p-{name}", str(usual[name]))
        await page.locator("input#note").fill("负荷变化不是磨损")
        await engineer.stage("tuned")
        await page.locator("button.main[form=try]").click()
        await page.wait_for_selector("table.beside", timeout=3 * PATIENCE_MS)
        await engineer.stage("backtest")
        beside = await page.locator("table.beside tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )
        found = {name: (active, changed) for name, active, changed in beside}
        assert found["误报工单"] == ("1", "0")
        assert found["捕获的已知故障"][0] == found["捕获的已知故障"][1]
        await page.locator("form[action$=promote] button.main").click()
        await page.wait_for_selector("text=负荷变化不是磨损")
        await engineer.stage("promoted")
    in_force = partial(
        works.running.until, lambda: works.plant().detector_set.version == 2, 300, "it is in force"
    )
    await asyncio.to_thread(in_force)
    plant = works.plant()
    assert await asyncio.to_thread(an_hour, tmp_path / "again", plant, works.start_ns) == [(WORN, RISE)]
