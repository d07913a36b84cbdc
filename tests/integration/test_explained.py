"""Every kind of finding on its page, in both languages: nothing empty, nothing raw, nothing asked of a network."""

import inspect
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import numpy as np
import pytest

import detectors.forecast
from andon import declarations, plants
from andon.database import reading, writing
from andon.events import (
    HOUR_NS,
    SECOND_NS,
    ConfigChanged,
    Declaration,
    Declared,
    Finding,
    Float64,
    Gap,
    Json,
    Origin,
    Readings,
)
from andon.plant import Plant
from api.catalogue import LANGUAGES, Language, words_of
from api.visit import zone_named
from api.web import sources
from api.web.alone import page_of
from api.web.charts import charts_of
from api.web.evidence import evidence_of
from api.web.explained import Explanation, explain
from api.web.formats import PlantTime
from api.web.reader import Reader
from api.web.sources import forecast_of
from detectors import detector_class, kinds
from detectors.forecast import forecast
from ingest import gaps
from tests.conformance.detector_laws import ASSET, T0, run, story
from tests.shop_floor import BASE, TOKEN, ShopFloor, console
from ticketing import findings, store

KINDS = kinds()
ENGLISH = re.compile(r"(?<![\w/])[a-z]{3,}(?:[ _][a-z]+)*")
"""Words of ours that a Chinese page must not have: a raw key or a sentence that nobody translated."""

RAW = re.compile(r"undefined|None|NaN|[{}]|\b(?:chart|explain|finding|forecast|number|quantity|source)\.\w+")


@pytest.fixture(scope="module")
def told() -> dict[str, list[Finding]]:
    """What each kind says of the story of the laws: the first of each condition and action."""
    events, said = story(), {}
    for kind in KINDS:
        chosen = detector_class(kind)
        firsts: dict[tuple[str, str], Finding] = {}
        for finding in run(chosen(ASSET, chosen.Parameters()), events):
            firsts.setdefault((finding.condition, finding.action), finding)
        said[kind] = list(firsts.values())
    return said


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory, told: dict[str, list[Finding]]) -> ShopFloor:
    """A shop floor that has heard all of it about one machine."""
    made = ShopFloor(tmp_path_factory.mktemp("explained"))
    made.plant = Plant(name="Lakeside <b>", assets=(ASSET,), time_zone="Asia/Shanghai")
    with writing(made.database) as conn:
        document = made.plant.model_dump(mode="json")
        plants.save(conn, ConfigChanged(T0, 1, document, Origin("engine", 1, T0)))
    for said in told.values():
        made.clock.now_ns = max(finding.at_ns for finding in said)
        made.hears(*(replace(finding, set_version=1) for finding in said))
    return made


def explained(floor: ShopFloor, finding_id: str, language: Language) -> tuple[Explanation, str]:
    """The finding and its page in one file."""
    words = words_of(language)
    time = PlantTime(zone_named(floor.plant.time_zone), floor.clock(), words)
    with reading(floor.database) as conn:
        one = findings.finding(conn, finding_id)
        assert one is not None
        it = explain(conn, one, Reader(floor.plant, floor.series, words, time))
    return it, page_of(it, floor.plant, words, time)


def seen_words(page: str) -> str:
    """What a person reads of a page: no scripts, no styles, no tags, no names in code type."""
    for hidden in (
        r"<(script|style)\b.*?</\1>",
        r'<(dd|span) class="mono">.*?</\1>',
        r"<code>.*?</code>",
        r"<[^>]+>",
    ):
        page = re.sub(hidden, " ", page, flags=re.DOTALL)
    return unescape(page)


def specs(page: str) -> list[dict[str, Json]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_explained(
    kind: str, language: Language, told: dict[str, list[Finding]], floor: ShopFloor
) -> None:
    assert told[kind]
    for finding in told[kind]:
        it, page = explained(floor, finding.id, language)
        read = seen_words(page)
        assert RAW.findall(read) == [], finding.condition
        drawn = [chart.name for chart in it.charts]
        assert drawn == [part for part in drawn if part in finding.evidence]
        assert set(finding.evidence) & {"trend", "spectrum", "envelope", "contributions"} == set(drawn)
        assert all(any(value is not None for value in spec["value"]) for spec in specs(page))
        assert len(it.numbers) == len(finding.numbers)
        assert it.parameters or detector_class(kind).Parameters.model_fields == {}
        assert it.doubt == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_chinese_page_holds_no_english_of_ours(
    kind: str, told: dict[str, list[Finding]], floor: ShopFloor
) -> None:
    names = {
        word for asset in floor.plant.assets for point in asset.points for word in point.component.split("_")
    }
    for finding in told[kind]:
        _, page = explained(floor, finding.id, "zh")
        read = seen_words(page)
        for own in (
            *finding.text.values(),
            finding.component,
            finding.detector,
            "andon explain",
            "min",
            "sigma",
        ):
            read = read.replace(own, " ")
        assert set(ENGLISH.findall(read)) - names == set(), finding.condition


async def test_the_console_shows_the_same_page_and_the_ticket_leads_to_it(
    told: dict[str, list[Finding]], floor: ShopFloor
) -> None:
    finding = told["band_energy"][0]
    transport = httpx.ASGITransport(console(floor.context))
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Language": "zh"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
        live = (await client.get(f"/findings/{finding.id}")).text
        it, alone = explained(floor, finding.id, "zh")
        assert specs(live)[: len(it.charts)] == specs(alone)
        assert all(value in live for _, value in (*it.grounds, *it.maker))
        said = (await client.get(f"/api/v1/findings/{finding.id}")).json()
        assert (said["detector"], said["numbers"][0]["limit"]) == ("band_energy", finding.numbers[0].limit)
        ticket = (await client.get(f"/tickets/{said['ticket']}?all=1")).text
        assert f'href="/findings/{finding.id}"' in ticket
        headline = (await client.get(f"/api/v1/tickets/{said['ticket']}")).json()["ticket"]["headline"]
        head, _ = explained(floor, headline["finding"], "zh")
        assert dict(head.grounds)["baseline"] in ticket
        assert all(row.source in ticket for row in head.numbers if row.limit)
        assert (await client.get("/findings/none")).status_code == 404


HOURS = np.arange(0, 48) * HOUR_NS


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("rise", "drawn"), [(1 + np.arange(48) / 48, True), (np.ones(48), False)], ids=["it knows", "it does not"]
)
def test_a_forecast_is_a_sentence_and_where_it_knows_a_fan(
    rise: Float64, drawn: bool, language: Language
) -> None:
    words = words_of(language)
    time = PlantTime(zone_named("Asia/Shanghai"), int(HOURS[-1]), words)
    trend = {"channel": "DE/velocity_rms", "unit": "mm/s", "at_ns": HOURS.tolist(), "value": rise.tolist()}
    evidence = {"trend": trend, "forecast": forecast(HOURS, rise, 3.0)}
    (chart,) = charts_of(evidence, "zone_c", words, time, onset_ns=int(HOURS[3]))
    assert ("forecast" in chart.spec) is drawn
    assert [mark["at_ms"] for mark in chart.spec["marks"]] == [time.shifted_ms(int(HOURS[3]))]
    said = forecast_of(evidence, words, time)
    if drawn:
        assert chart.spec["forecast"]["at_ms"] == sorted(chart.spec["forecast"]["at_ms"])
        assert all(moment in said for moment in chart.spec["forecast"]["times"])
    else:
        assert words("forecast.no_rise") in said


def test_a_forecast_stays_with_the_trend_that_it_was_made_of(tmp_path: Path) -> None:
    floor = ShopFloor(tmp_path)
    bearing = floor.finding("L2-CMP-01", "bearing_outer_race", ago_s=90)
    energy = {"channel": "DE/band_energy_ratio", "unit": "1", "at_ns": HOURS.tolist(), "value": [1.0] * 48}
    foretold = forecast(HOURS, 1 + np.arange(48) / 48, 3.0)
    rising = {
        "id": "rise-1-raise",
        "evidence": {"trend": energy, "forecast": foretold},
        "detector": "band_energy",
    }
    floor.hears(bearing, floor.finding("L2-CMP-01", "band_energy_rise", **rising))
    with reading(floor.database) as conn:
        detail = store.ticket(conn, 1)
        shown = evidence_of(conn, detail)
    assert detail.ticket.headline.condition == "bearing_outer_race"
    assert shown["trend"]["channel"] == "DE/velocity_rms"
    assert shown.get("forecast") is None
    assert shown["trend_beside"] == energy
    assert shown["forecast_beside"] == foretold


def test_every_reason_of_a_forecast_has_its_words() -> None:
    code = inspect.getsource(detectors.forecast)
    given = set(re.findall(r'"reason": "([^"]+)"|reason = "([^"]+)"|(?:return|else) "([^"]+)"', code))
    reasons = {next(filter(None, found)) for found in given} | set(re.findall(r'return "([^"]+)" if', code))
    assert len(reasons) >= 8
    assert reasons <= sources.REASONS.keys()


def test_parameters_with_another_hash_are_not_passed_off_as_those(
    told: dict[str, list[Finding]], floor: ShopFloor
) -> None:
    floor.clock.now_ns = told["velocity_zones"][0].at_ns
    floor.hears(replace(told["velocity_zones"][0], id="other-1-raise", parameters_hash="0" * 16))
    it, page = explained(floor, "other-1-raise", "en")
    assert it.parameters == []
    assert it.doubt in page


def test_what_was_masked_is_said(told: dict[str, list[Finding]], floor: ShopFloor) -> None:
    finding = next(one for one in told["band_energy"] if "trend" in one.evidence)
    from_ns, to_ns = finding.evidence["trend"]["at_ns"][0], finding.at_ns
    origin = Origin("sensor", 1, from_ns)
    with writing(floor.database) as conn:
        gaps.save(conn, [Gap("plc", "M1", None, from_ns, from_ns + 1, "sequence", False, origin)])
        begins, ends = Declared.MAINTENANCE_BEGINS, Declared.MAINTENANCE_ENDS
        for at_ns, what in ((from_ns, begins), (from_ns + 120 * SECOND_NS, ends)):
            said = Declaration(at_ns, "M1", None, what, "li.wei", "", None, origin, id=at_ns % 1000 + 1)
            declarations.settle(conn, [said])
    standing = Readings(
        *("M1", ("state",), ("1",), np.array([from_ns, to_ns - 60 * SECOND_NS]), np.zeros(2, np.int32)),
        *(np.array([2.0, 6.0]), np.zeros(2, np.uint32), origin),
    )
    floor.series.write(1, [standing])
    masked = dict(explained(floor, finding.id, "en")[0].grounds)["masked"]
    span = PlantTime(zone_named("UTC"), 0, words_of("en")).span((to_ns - from_ns) / SECOND_NS - 60)
    assert f"did not run for {span}" in masked
    assert "Maintenance was declared from" in masked
    assert "known: 1." in masked
