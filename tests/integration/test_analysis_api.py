"""Alarm performance and cross tables over REST and as pages: each number leads to exactly what it counts."""

import re
from html import unescape

import httpx
import pytest

from andon.events import MINUTE_NS
from tests.shop_floor import ShopFloor

PAGE = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.fixture
def busy(floor: ShopFloor) -> ShopFloor:
    """Two machines with four alarms in the last hour; one came twice."""
    for asset, condition, ago_s in (
        ("L1-SPN-01", "zone_d", 3000),
        ("L1-SPN-01", "zone_d", 1800),
        ("L2-CMP-01", "zone_c", 2400),
        ("L2-CMP-01", "band_energy", 1200),
    ):
        floor.hears(floor.finding(asset, condition, ago_s=ago_s))
    floor.clock.now_ns += 10 * MINUTE_NS
    return floor


async def test_alarm_performance_says_each_measure_and_leads_to_its_alarms(
    busy: ShopFloor, client: httpx.AsyncClient
) -> None:
    said = (await client.get("/api/v1/alarms/performance")).json()
    assert said["period"] == "rolling"
    assert said["alarms"] == sum(one["number"] for one in said["top"]) == 4
    assert 0 < said["base_h"] < said["base_wanted_h"] == 720
    measures = {one["measure"]: one for one in said["measures"]}
    positions, hours = len(said["positions"]), said["base_h"]
    assert measures["rate"]["value"] == pytest.approx(4 / (hours * 6 * positions))
    assert measures["peak"] == {
        "measure": "peak",
        "value": 1,
        "acceptable": 10,
        "manageable": 10,
        "verdict": "healthy",
    }
    at = "/api/v1/alarms/performance/occurrences"
    for one in said["top"]:
        behind = (await client.get(at, params={"alarm": one["alarm"]})).json()["items"]
        assert len(behind) == one["number"]
    first = (await client.get(at, params={"limit": 3})).json()
    rest = (await client.get(at, params={"limit": 3, "after": first["next"]})).json()
    assert len({one["finding"] for one in first["items"] + rest["items"]}) == 4
    for name, how in said["priorities"].items():
        assert len((await client.get(at, params={"priority": name})).json()["items"]) == how["alarms"]
    assert (await client.get("/api/v1/alarms/performance?period=2031-01")).status_code == 422
    assert (await client.get(at + "?from=12")).status_code == 422


async def test_the_page_of_alarm_performance_leads_to_the_occurrences(
    busy: ShopFloor, client: httpx.AsyncClient
) -> None:
    page = (await client.get("/alarms/performance", headers=PAGE)).text
    assert "Only 1 h of data" in page
    assert await _behind(client, page, "/alarms/performance/occurrences", "4 alarms") == 4
    assert 'href="/alarms/performance"' in (await client.get("/alarms", headers=PAGE)).text


async def test_each_number_of_a_cross_table_leads_to_its_tickets(
    busy: ShopFloor, client: httpx.AsyncClient
) -> None:
    page = (await client.get("/analysis?rows=asset&columns=condition", headers=PAGE)).text
    cells = re.findall(r'<td class="w\d"><a href="([^"]+)">(\d+)</a>', page)
    assert cells
    for href, number in cells:
        behind = (await client.get(unescape(href), headers=PAGE)).text
        assert len(re.findall(r'<td data-head><a href="/tickets/\d+">', behind)) == int(number)
    table = (await client.get("/api/v1/analysis?rows=asset&columns=condition")).json()
    assert sum(int(number) for _, number in cells) == table["total"] > 1
    narrow = (await client.get("/api/v1/analysis?rows=asset&columns=&where=asset:L1-SPN-01")).json()
    assert [one["key"] for one in narrow["rows"]] == ["L1-SPN-01"]
    for wrong in ("rows=colour", "where=asset", "period=2031-01"):
        assert (await client.get(f"/api/v1/analysis?{wrong}")).status_code == 422
    assert 'href="/analysis"' in (await client.get("/kpi", headers=PAGE)).text


async def _behind(client: httpx.AsyncClient, page: str, begins: str, said: str) -> int:
    """How many rows stand behind the link that says that."""
    (href,) = re.findall(rf'<a href="({re.escape(begins)}[^"]*)">{re.escape(said)}</a>', page)
    behind = (await client.get(unescape(href), headers=PAGE)).text
    return len(re.findall(r'<td data-head><a href="/findings/', behind))
