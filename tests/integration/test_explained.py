"""Every kind of finding on its page, in both languages: nothing empty, nothing raw, nothing asked of a network."""

import json
import re
from dataclasses import replace
from html import unescape

import pytest

from andon import plants
from andon.database import reading, writing
from andon.events import ConfigChanged, Finding, Json, Origin
from andon.plant import Plant
from api.catalogue import LANGUAGES, Language, words_of
from api.visit import zone_named
from api.web.alone import page_of
from api.web.explained import Explanation, explain
from api.web.formats import PlantTime
from api.web.reader import Reader
from detectors import detector_class, kinds
from tests.conformance.detector_laws import ASSET, T0, run, story
from tests.shop_floor import ShopFloor
from ticketing import findings

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
    """What a person reads of a page: no scripts, no styles, no tags, no names in code type, no English passages."""
    for hidden in (
        r"<(script|style)\b.*?</\1>",
        r'<(dd|span) class="mono">.*?</\1>',
        r"<code>.*?</code>",
        r'<p lang="en">.*?</p>',
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
