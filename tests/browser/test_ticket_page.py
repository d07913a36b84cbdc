"""The page of one ticket in a real Chromium: cursors read what is there, one axis of time, and work without a network."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Browser, Page

from andon.events import SECOND_NS, Json, Origin
from andon.ports import Record, RecordKind
from detectors.bearing import fault_orders
from ingest.journal import SqliteJournal
from simulators.messages import waveform_block
from tests.browser.test_console import CHROMIUM, Served, chromium, visiting
from tests.shop_floor import NOW_NS, SOURCE, ShopFloor
from ticketing.ticket import SubState

__all__ = ["chromium"]

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"chromium is not installed at {CHROMIUM}"),
]
MACHINE, RATE_HZ, SAMPLES = "L1-SPN-01", 12_800.0, 16_384
TONE_HZ = 152.377  # between the lines of 0.78 Hz, and its 10th harmonic between others
TICKET = 1


def block(at_ns: int) -> bytes:
    """A tone with nine harmonics, sidebands 7 Hz beside it, and a little noise, as a sensor sends it."""
    t = np.arange(SAMPLES) / RATE_HZ
    x = np.random.default_rng(3).normal(0, 0.01, SAMPLES)
    for k in range(1, 11):
        x += 1.0 / k * np.sin(2 * np.pi * k * TONE_HZ * t + k)
    raw = x.astype(np.float32)
    return waveform_block(
        raw, at_ns=at_ns, rate_hz=RATE_HZ, scale=1.0, boot=bytes(16), block_seq=1, rpm=60 * 41.7
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A spindle whose bearing wears, its block in the journal, and a stop that followed."""
    floor = ShopFloor(tmp_path)
    floor.context = replace(floor.context, journals=tmp_path / "journal")
    worn = floor.finding(MACHINE, "bearing_outer_race", ago_s=30 * 60)
    asset = floor.asset(MACHINE)
    topic = f"andon/v1/{asset.path}/{MACHINE}/_wave/DE".encode()
    journal = SqliteJournal(tmp_path / "journal" / SOURCE)
    journal.append([Record(RecordKind.MESSAGE, worn.at_ns, topic, block(worn.at_ns))])
    journal.close()
    stop = floor.finding(MACHINE, "stop", ago_s=20 * 60)
    floor.hears(replace(worn, origin=Origin(SOURCE, 0, worn.at_ns)), stop)
    floor.measures(MACHINE, worn=3.6)
    with Served(floor) as running:
        yield running


@asynccontextmanager
async def on_ticket(browser: Browser, served: Served, **options: Any) -> AsyncIterator[Page]:
    """The ticket's page, drawn."""
    async with visiting(browser, served, **{"locale": "en-US", **options}) as visitor:
        await visitor.page.goto(f"{served.address}/tickets/{TICKET}")
        await visitor.page.wait_for_selector(f"#tabs-{TICKET}-envelope[data-drawn]")
        yield visitor.page


async def options_of(page: Page, tab: str) -> Json:
    """What a figure is drawn of, as ECharts holds it."""
    return await page.evaluate(
        "id => echarts.getInstanceByDom(document.querySelector(`#${id} .plot`)).getOption()",
        f"tabs-{TICKET}-{tab}",
    )


def begin(floor: ShopFloor) -> None:
    """The planner assigns it, and the technician takes it on."""
    by: Any = {"actor": "wu.gang", "now_ns": NOW_NS, "expected_version": 1}
    people = {"person": "wang.lei", "backup": "li.na", "reason": "nearest"}
    done = floor.tickets.assign(TICKET, plant=floor.plant, **people, **by)
    by = {"actor": "wang.lei", "now_ns": NOW_NS + SECOND_NS, "expected_version": done.version}
    floor.tickets.accept(TICKET, sub_state=SubState.SITE_SURVEY, **by)


async def lines_of(page: Page, tab: str) -> dict[str, float]:
    """The table of harmonics and sidebands: name -> Hz."""
    rows = await page.locator(f"#tabs-{TICKET}-{tab} .lines tbody tr").evaluate_all(
        "rows => rows.map(row => [row.cells[0].textContent, Number(row.cells[1].textContent)])"
    )
    return dict(rows)


async def press_near(page: Page, tab: str, hz: float, value: float) -> None:
    """Press on the plot where a frequency lies."""
    plot = page.locator(f"#tabs-{TICKET}-{tab} .plot")
    await plot.scroll_into_view_if_needed()
    x, y = await plot.evaluate(
        "(plot, at) => echarts.getInstanceByDom(plot).convertToPixel('grid', at)", [hz, value]
    )
    box = await plot.bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + x, box["y"] + min(y, box["height"] - 60))


async def test_a_cursor_pressed_beside_a_peak_reads_the_tone_and_its_harmonics_to_the_tenth(
    chromium: Browser, served: Served
) -> None:
    step_hz = RATE_HZ / SAMPLES
    async with on_ticket(chromium, served) as page:
        await page.get_by_role("tab", name="Spectrum", exact=True).click()
        said = page.locator(f"#tabs-{TICKET}-spectrum [data-says=resolution]")
        await page.wait_for_function(
            "element => element.textContent.startsWith('One block')", arg=await said.element_handle()
        )
        await press_near(page, "spectrum", TONE_HZ, 0.3)
        for _ in range(3):
            await page.locator(f"#tabs-{TICKET}-spectrum [data-does=closer]").click()
        await press_near(page, "spectrum", TONE_HZ + 5, 0.3)
        found = await lines_of(page, "spectrum")
        for k in range(1, 11):
            assert found[f"Order {k}"] == pytest.approx(k * TONE_HZ, abs=0.1 * step_hz)
        reading = await page.locator(f"#tabs-{TICKET}-spectrum .reading").inner_text()
        assert f"{TONE_HZ:.5g} Hz" in reading
        assert f"{TONE_HZ * 60:.5g} CPM" in reading
        assert "0.707 g" in reading  # RMS of a tone of 1 g
        assert "orders" in reading
        figure = page.locator(f"#tabs-{TICKET}-spectrum")
        said = await figure.locator("figcaption p").inner_text()
        assert f"{await _highest(page):.3g} g" in said.replace("\xa0", " ")
        assert said in (await figure.locator(".plot").get_attribute("aria-label") or "")
        await figure.locator("[data-does=unit]").select_option("m/s²")
        assert "Amplitude, m/s²" in await figure.locator("details th").all_text_contents()
        assert f"{await _highest(page):.3g} m/s²" in (
            await figure.locator("figcaption p").inner_text()
        ).replace("\xa0", " ")


async def _highest(page: Page) -> float:
    """The highest line that is drawn."""
    drawn = (await options_of(page, "spectrum"))["series"][0]["data"]
    return max(float(value) for _, value in drawn)


async def test_keys_alone_move_the_cursor_from_peak_to_peak(chromium: Browser, served: Served) -> None:
    async with on_ticket(chromium, served) as page:
        await page.get_by_role("tab", name="Spectrum", exact=True).click()
        plot = page.locator(f"#tabs-{TICKET}-spectrum .plot")
        said = page.locator(f"#tabs-{TICKET}-spectrum [data-says=resolution]")
        await page.wait_for_function(
            "element => element.textContent.startsWith('One block')", arg=await said.element_handle()
        )
        await plot.focus()
        await page.keyboard.press("Home")
        await page.keyboard.press("Shift+ArrowRight")
        assert float(await plot.get_attribute("aria-valuenow") or 0) == pytest.approx(TONE_HZ, abs=0.1)
        await page.keyboard.press("Shift+ArrowRight")
        assert float(await plot.get_attribute("aria-valuenow") or 0) == pytest.approx(2 * TONE_HZ, abs=0.1)
        assert "CPM" in (await plot.get_attribute("aria-valuetext") or "")
        await page.keyboard.press("b")
        assert "Sideband +1" in await lines_of(page, "spectrum")


async def test_the_envelope_opens_on_its_fault_with_the_bearing_and_ranges(
    chromium: Browser, served: Served
) -> None:
    point = served.floor.asset(MACHINE).points[0]
    assert point.bearing is not None
    outer_hz = fault_orders(point.bearing).outer * (point.speed_hz or 0)
    async with on_ticket(chromium, served) as page:
        figure = page.locator(f"#tabs-{TICKET}-envelope")
        assert "BPFO" in await figure.locator(".reading").inner_text()
        assert point.bearing.designation in await figure.locator(".settings").inner_text()
        (ranges,) = [
            s["markArea"]["data"] for s in (await options_of(page, "envelope"))["series"] if "markArea" in s
        ]
        wide = [b["xAxis"] - a["xAxis"] for a, b in ranges if a["xAxis"] < outer_hz < b["xAxis"]]
        triple = [b["xAxis"] - a["xAxis"] for a, b in ranges if a["xAxis"] < 3 * outer_hz < b["xAxis"]]
        assert wide
        assert triple
        assert max(triple) == pytest.approx(3 * min(wide), rel=0.05)  # a range grows with its order
        await figure.locator("[data-does=speed]").fill("20")
        await figure.locator("[data-does=speed]").dispatch_event("change")
        moved = (await options_of(page, "envelope"))["series"][0]["markArea"]["data"]
        assert max(b["xAxis"] for _, b in moved) < max(b["xAxis"] for _, b in ranges)


async def test_trends_and_events_share_one_axis_and_one_zoom(chromium: Browser, served: Served) -> None:
    async with on_ticket(chromium, served) as page:
        await page.get_by_role("tab", name="Trend and events").click()
        figure = page.locator(f"#tabs-{TICKET}-trend")
        await figure.locator("[data-does=day]").click()
        extents = await _extents(page)
        assert len(extents) >= 2
        assert len({tuple(one) for one in extents}) == 1
        plot = figure.locator(".plot")
        await plot.focus()
        await page.keyboard.press("+")
        closer = await _extents(page)
        assert len({tuple(one) for one in closer}) == 1
        assert closer[0][1] - closer[0][0] == pytest.approx((extents[0][1] - extents[0][0]) / 2, rel=0.01)
        await page.keyboard.press("Shift+ArrowRight")
        assert "mm/s" in (await plot.get_attribute("aria-valuetext") or "")
        lanes = await figure.locator(f"#tabs-{TICKET}-trend-events tbody tr").all_text_contents()
        assert any("Hydraulic pressure low" in row for row in lanes)
        assert any("Outer-race wear" in row for row in lanes)


async def _extents(page: Page) -> list[list[float]]:
    found: list[list[float]] = await page.evaluate(
        """id => {
            const model = echarts.getInstanceByDom(document.querySelector(`#${id} .plot`)).getModel();
            return model.findComponents({ mainType: "xAxis" }).map((axis) => axis.axis.scale.getExtent());
        }""",
        f"tabs-{TICKET}-trend",
    )
    return found


async def test_what_is_drawn_is_what_is_stored_to_the_last_reading(chromium: Browser, served: Served) -> None:
    async with on_ticket(chromium, served) as page:
        await page.get_by_role("tab", name="Trend and events").click()
        figure = page.locator(f"#tabs-{TICKET}-trend")
        await figure.locator("[data-does=hour]").click()
        drawn = await page.wait_for_function(
            """id => {
                const series = echarts.getInstanceByDom(document.querySelector(`#${id} .plot`)).getOption().series;
                const line = series.find((one) => one.name?.startsWith("Velocity RMS"));
                const steps = line.data.slice(1).map((point, i) => point[0] - line.data[i][0]);
                return Math.max(...steps) <= 60_000 ? line.data : null;
            }""",
            arg=f"tabs-{TICKET}-trend",
        )
        points = [point for point in await drawn.json_value() if point[1] is not None]
    shift_ms = 8 * 3_600_000
    first, last = ((int(at) - shift_ms) * 1_000_000 for at in (points[0][0], points[-1][0]))
    at_ns, value, _ = served.floor.series.read(MACHINE, "DE/velocity_rms", first, last + 999_999)
    assert [at // 1_000_000 + shift_ms for at in at_ns.tolist()] == [point[0] for point in points]
    assert [float(f"{v:.5g}") for v in value.tolist()] == [point[1] for point in points]
    assert len(points) > 60


async def test_the_block_that_raised_it_is_shown_and_said_to_be_gone(
    chromium: Browser, served: Served, tmp_path: Path
) -> None:
    async with on_ticket(chromium, served) as page:
        await page.get_by_role("tab", name="Waveform").click()
        reading = page.locator(f"#tabs-{TICKET}-waveform .reading")
        await page.wait_for_function(
            "element => element.textContent.includes('16384 samples')", arg=await reading.element_handle()
        )
        (series,) = (await options_of(page, "waveform"))["series"]
        heights = [point[1] for point in series["data"]]
        assert len(heights) < SAMPLES  # the lowest and the highest of each stretch are left
    for path in sorted((tmp_path / "journal" / SOURCE).iterdir()):
        path.unlink()
    async with visiting(chromium, served, locale="en-US") as visitor:
        await visitor.page.goto(f"{served.address}/tickets/{TICKET}")
        await visitor.page.get_by_role("tab", name="Waveform").click()
        await visitor.page.wait_for_selector(
            f"#tabs-{TICKET}-waveform .reading:has-text('not in the journal any more')"
        )


async def test_a_phone_has_wide_targets_and_nothing_beside_the_screen(
    chromium: Browser, served: Served
) -> None:
    begin(served.floor)
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
    async with on_ticket(chromium, served, **phone) as page:
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        low = await page.locator(".ticket :is(.button, .key, .picks .chip):visible").evaluate_all(
            "all => all.map(one => [one.textContent, one.getBoundingClientRect().height]).filter(one => one[1] < 47.5)"
        )
        assert low == []
        chip = page.locator("[data-picks]").first
        code = await chip.get_attribute("data-choice")
        await chip.click()
        assert await page.locator("#resolve-cause").input_value() == code


async def test_a_cause_is_split_off_merged_and_unmerged_and_the_message_behind_an_event_is_shown(
    chromium: Browser, served: Served
) -> None:
    async with on_ticket(chromium, served) as page:
        assert await page.locator(".causes > li").count() == 2
        await page.locator("table a", has_text="Message").last.click()
        await page.wait_for_selector("pre.raw")
        assert (await page.locator("pre.raw").inner_text()).startswith("QVdCMQ")  # AWB1
        await page.go_back()
        await page.locator("#split-2 summary").click()
        await page.fill("#split-reason-2", "another fault")
        await page.locator("#split-2 button").click()
        await page.wait_for_selector("h1:has-text('Hydraulic pressure low')")
        assert page.url.endswith("/tickets/2")
        await page.locator("#step-duplicate > summary").click()
        await page.fill("#duplicate-master", "A-1")
        await page.fill("#duplicate-reason", "the same after all")
        await page.locator("#step-duplicate form > button").click()
        await page.locator("#unmerge > summary").click()
        await page.fill("#unmerge-reason", "another fault")
        await page.fill("#unmerge-evidence", "the pressure log")
        await page.locator("#unmerge button").click()
        await page.wait_for_selector(".states [aria-current] >> text=Pending dispatch")
        assert await page.locator("#unmerge").count() == 0
