"""The detectors' page and its REST: parameters, a back-test in its own process, promotion, rollback and marks."""

import asyncio
import html
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from andon import plants
from andon.app import make_engine
from andon.clock import StoryClock
from andon.database import reading, writing
from andon.datadir import open_store
from andon.engine import OWN, TakeAndCommit
from andon.plant import DetectorSettings
from api.backtests import Backtests
from api.web.detector_record import SINCE_NS
from ingest.journal import SqliteJournal
from ingest.series import SeriesStore
from simulators.machines import plant_document
from simulators.plant import Simulation
from tests.scenario.virtual_line import START_NS, VirtualLine
from tests.shop_floor import BASE, OURS, TOKEN, ShopFloor, a_busy_day, console
from ticketing.detector_record import records
from ticketing.service import Tickets
from ticketing.tables import ticket

PUMP = "L1-CLP-02"
CALMER = '[[change]]\nclass = "pump"\nkind = "velocity_zones"\nparameters = {run_settle_s = 60}\n'


@pytest.fixture
def line(tmp_path: Path) -> Iterator[VirtualLine]:
    """Five minutes of one pump, in a data directory of its own."""
    simulation = Simulation(1, START_NS, only={PUMP})
    watched = (DetectorSettings(kind="velocity_zones"), DetectorSettings(kind="stop_alarm"))
    plant = plant_document()
    assets = tuple(asset for asset in plant.assets if asset.id == PUMP)
    simulation.plant = plant.model_copy(update={"assets": assets, "classes": {"pump": watched}})
    made = VirtualLine(tmp_path / "data", simulation).runs(0, 5)
    yield made
    made.closed()


@pytest.fixture
async def client(line: VirtualLine, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A program with the token, at the console of that data directory."""
    database = open_store(line.data)

    def in_force():
        with reading(database) as conn:
            return plants.latest(conn)

    command = (sys.executable, "-m", "andon", "backtest", "--data", str(line.data))
    backtests = Backtests(line.data / "backtests", command)
    floor = tmp_path / "floor"
    floor.mkdir()
    context = replace(
        ShopFloor(floor).context,
        database=database,
        series=SeriesStore(line.data / "series.sqlite", read_only=True),
        tickets=Tickets(database, channels=()),
        plant=in_force,
        now=line.now,
        backtests=backtests,
    )
    transport = httpx.ASGITransport(console(context), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        yield client
    backtests.close()


async def ended(client: httpx.AsyncClient, name: str) -> dict[str, object]:
    while True:
        job = (await client.get(f"/api/v1/detectors/backtests/{name}")).json()
        if job["state"] != "running":
            return dict(job)
        await asyncio.sleep(0.1)


async def test_a_change_is_tried_out_promoted_and_taken_back(
    client: httpx.AsyncClient, line: VirtualLine
) -> None:
    page = (await client.get("/detectors?whose=class:pump&kind=velocity_zones")).text
    assert 'name="p.run_settle_s" value="30.0"' in page
    form = {"whose": "class:pump", "kind": "velocity_zones", "p.run_settle_s": "60", "note": "slow starts"}
    answer = await client.post("/detectors/backtests", data=form, headers=OURS)
    place = answer.headers["location"]
    job = await ended(client, place.rpartition("/")[2])
    assert (job["state"], job["error"]) == ("done", "")
    assert job["result"]["assets"] == [PUMP]
    page = (await client.get(place)).text
    assert "run_settle_s = 60" in page
    assert "Bring into force" in page
    answer = await client.post(f"{place}/promote", data={"note": "slow starts"}, headers=OURS)
    assert answer.headers["location"] == "/detectors"
    assert line.engine.take_asked() == 1
    answer = await client.post("/detectors/rollback", data={"to": "1", "note": "was right"}, headers=OURS)
    assert line.engine.take_asked() == 1
    versions = (await client.get("/api/v1/detectors/versions")).json()["items"]
    assert [(v["version"], v["note"], v["equals"]) for v in versions] == [
        (3, "was right", 1),
        (2, "slow starts", None),
        (1, "", None),
    ]
    page = html.unescape((await client.get("/detectors")).text)
    assert page.count(": 30.0 → 60.0 (L1-CLP-02)") == 1
    assert page.count(": 60.0 → 30.0 (L1-CLP-02)") == 1
    set_of = (await client.get("/api/v1/detectors")).json()
    settles = [one for item in set_of["items"] for one in item["parameters"] if one["name"] == "run_settle_s"]
    assert [one["value"] for one in settles] == [30.0]
    chinese = {"Accept-Language": "zh-CN"}
    items = (await client.get("/api/v1/detectors", headers=chinese)).json()["items"]
    told = {item["kind"]: (item["name"], item["parameters"][0]["title"]) for item in items}
    assert told["velocity_zones"] == ("振动区域（准则 I）", "运行稳定时间（s）")
    page = (await client.get("/detectors?whose=class:pump&kind=velocity_zones", headers=chinese)).text
    assert "须经过此时长才判断读数。" in page
    assert "before readings are judged" not in page
    again = again_from(line)
    assert again.recover() >= 0
    assert again.differs == []


def again_from(line: VirtualLine) -> TakeAndCommit:
    """Another engine on the same journals, as after a kill."""
    journals = {OWN: SqliteJournal(line.data / "journal" / OWN, read_only=True)}
    journals |= {name: journal for name, journal in line.journals.items() if name != OWN}
    return make_engine(line.data, journals, open_store(line.data), StoryClock(START_NS))


async def test_one_back_test_runs_at_a_time_and_what_cannot_be_is_refused_in_words(
    client: httpx.AsyncClient,
) -> None:
    place = "/api/v1/detectors/backtests"
    toml = {"Content-Type": "application/toml", **OURS}
    wrong = CALMER.replace("velocity_zones", "velocity_zone")
    answer = await client.post(place, content=wrong, headers=toml)
    assert (answer.status_code, "did you mean 'velocity_zones'?" in answer.text) == (422, True)
    answer = await client.post(place, content=CALMER.replace("60", "-1"), headers=toml)
    assert (answer.status_code, "run_settle_s" in answer.text) == (422, True)
    first = await client.post(place, content=CALMER, headers=toml)
    assert first.status_code == 202
    second = await client.post(place, content=CALMER, headers=toml)
    job = await ended(client, first.json()["id"])
    assert (second.status_code, job["state"]) == (409, "done")
    assert (await client.get(f"{place}/7")).status_code == 404


async def test_a_stretch_of_time_is_marked_and_unmarked(client: httpx.AsyncClient) -> None:
    form = {"from": "2026-09-21T22:14", "to": "2026-09-21T22:16", "what": "planned", "note": "oil"}
    await client.post(f"/assets/{PUMP}/labels", data=form, headers=OURS)
    (label,) = (await client.get("/api/v1/labels", params={"asset": PUMP})).json()["items"]
    assert (label["what"], label["from_at"], label["note"]) == ("planned", "2026-09-21T14:14:00.000Z", "oil")
    assert "planned work" in (await client.get(f"/assets/{PUMP}")).text
    back = form | {"to": "2026-09-21T22:00"}
    await client.post(f"/assets/{PUMP}/labels", data=back, headers=OURS)
    assert "ends after it begins" in (await client.get(f"/assets/{PUMP}")).text
    nowhere = form | {"component": "bearing_dee"}
    await client.post(f"/assets/{PUMP}/labels", data=nowhere, headers=OURS)
    page = html.unescape((await client.get(f"/assets/{PUMP}")).text)
    assert "did you mean 'bearing_de'?" in page
    assert (await client.delete(f"/api/v1/labels/{label['id']}", headers=OURS)).status_code == 204
    assert (await client.get("/api/v1/labels")).json()["items"] == []


async def test_what_came_of_each_detectors_tickets_is_told_the_worst_first(tmp_path: Path) -> None:
    floor = a_busy_day(tmp_path)
    with writing(floor.database) as conn:
        spindle = ticket.c.asset == "L1-SPN-01"
        conn.execute(update(ticket).where(spindle).values(state="closed", closure="false_alarm"))
    everywhere = floor.context.now() - SINCE_NS
    with reading(floor.database) as conn:
        every = records(conn, everywhere)
        assert (every[0].false, every[0].false_at) == (1, "L1-SPN-01")
        assert [one.false for one in every[1:]] == [0] * (len(every) - 1)
        assert sum(one.opened for one in every) == 6
        assert [one.false for one in records(conn, everywhere, {"L2-FAN-01"})] == [0]
    transport = httpx.ASGITransport(console(floor.context), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as asker:
        page = html.unescape((await asker.get("/detectors")).text)
        assert f"/detectors?whose=asset%3AL1-SPN-01&kind={every[0].detector}" in page
        assert 'aria-sort="descending"><a href="/detectors?sort=false"' in page
        assert (
            'aria-sort="descending"><a href="/detectors?sort=last"'
            in (await asker.get("/detectors?sort=last")).text
        )
