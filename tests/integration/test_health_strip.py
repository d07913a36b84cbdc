"""The strip of a machine's last thirty days: the zone of the worst hour of each of the plant's days, and what fixed its tickets."""

import re

import httpx

from andon.events import HOUR_NS
from tests.integration.test_closing_api import Work
from tests.shop_floor import ShopFloor

HTML = {"Accept": "text/html", "Accept-Language": "en"}


async def test_each_day_has_the_zone_of_its_worst_hour(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.measures("L1-SPN-01", hours=26, worn=3.6)
    page = (await client.get("/assets/L1-SPN-01", headers=HTML)).text
    strips = re.findall(r'<div class="days" role="img" aria-label="([^"]+)">(.*?)</div>', page)
    assert [said for said, _ in strips] == ["DE: days by zone: A 1, D 1", "VEL: days by zone: A 2"]
    days = re.findall(r'class="zone-(\w+)" title="(\S+):', strips[0][1])
    assert len(days) == 30
    assert [zone for zone, _ in days[:28]] == ["none"] * 28
    assert days[28:] == [("A", "2026-03-11"), ("D", "2026-03-12")]


async def test_a_machine_that_measured_nothing_has_no_strip(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    page = (await client.get("/assets/L1-SPN-01", headers=HTML)).text
    assert "The last 30 days" not in page
    floor.clock.now_ns += 40 * 24 * HOUR_NS
    assert (await client.get("/assets/L1-SPN-01", headers=HTML)).status_code == 200


async def test_a_machines_tickets_say_what_fixed_them(floor: ShopFloor, client: httpx.AsyncClient) -> None:
    floor.hears(floor.finding("L2-CMP-01", "bearing_outer_race"))
    await Work(floor, client).resolved()
    assert "Bearing changed" in (await client.get("/assets/L2-CMP-01", headers=HTML)).text
