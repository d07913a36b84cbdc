"""`andon explain` on a data directory that a short run of the real engine left."""

import base64
import re
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest
from decoder_words import T0, stop, telemetry
from small_line import SmallLine

from andon.__main__ import main
from andon.events import SECOND_NS, Json
from andon.plant import DetectorSet, Plant
from api.web import alone

HOSTILE = "</script><script>alert(1)</script><!-- {x} \u202e"
POINT = {"id": "DE", "component": "DE-bearing", "quantities": {"velocity_rms": "mm/s"}, "period_s": 10}
ZONES = {"kind": "velocity_zones", "parameters": {"limits_mm_s": [1.4, 2.8, 4.5]}}
MACHINE = {"asset_class": "pump", "path": "e/s/a/L1/c", "points": [POINT]}
DOCUMENT: dict[str, Json] = {
    "name": "p",
    "assets": [
        {"id": "M1", "name": "Pump 1", "name_zh": "一号泵", **MACHINE},
        {"id": "M2", "name": "Pump 2", **MACHINE},
    ],
    "classes": {"pump": [{"kind": "stop_alarm"}, ZONES]},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine that stops, and whose vibration rises into zone D; later its detectors are changed."""
    folder = tmp_path_factory.mktemp("explain") / "data"
    line = SmallLine(folder, "a").configured(DOCUMENT)
    line.receives(
        "a",
        stop("E1", asset="M2", at_ns=T0, data={"reason": {"id": "E1", "message": HOSTILE, "trigger": True}}),
    )
    for k in range(60):
        at_ns = T0 + (10 * k + 10) * SECOND_NS
        metric = {"unit": "mm/s"}
        line.receives(
            "a", telemetry(1.1 if k < 30 else 6.2, name="DE/velocity_rms", at_ns=at_ns, metric=metric)
        )
    line.works()
    later = DOCUMENT | {
        "version": 2,
        "classes": {"pump": [ZONES | {"parameters": {"limits_mm_s": [9, 10, 11]}}]},
    }
    named = DetectorSet(version=2, note="less touchy")
    line.engine.configure(Plant.model_validate(later).model_copy(update={"detector_set": named}))
    line.works()
    for journal in line.journals.values():
        journal.close()
    line.database.dispose()
    return folder


def explained(data: Path, finding: str, folder: Path, language: str = "en") -> str:
    path = folder / "page.html"
    words = ["explain", finding, "--data", str(data), "--output", str(path), "--language", language]
    assert main(words) == 0
    return path.read_text("utf-8")


def refused(data: Path, finding: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["explain", finding, "--data", str(data)]) == 1
    return capsys.readouterr().err


def finding_of(page: str) -> str:
    found = re.search(r"[0-9a-f]{24}-\d+-\w+", page)
    assert found
    return found[0]


def test_a_tickets_number_explains_its_headline(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = explained(data, "a-2", tmp_path)
    assert "Vibration at DE is in zone D" in capsys.readouterr().out
    for said in (
        "Pump 1",
        "<b>6.2\N{NO-BREAK SPACE}mm/s</b>",
        "velocity_zones",
        "a:",
        "State detection (SD)",
    ):
        assert said in page
    assert "振动" in explained(data, "A-2", tmp_path, "zh")


def test_the_parameters_are_those_of_the_set_that_made_the_finding(data: Path, tmp_path: Path) -> None:
    page = explained(data, "A-2", tmp_path)
    assert "<code>[1.4, 2.8, 4.5]\N{NO-BREAK SPACE}mm/s</code>" in page
    assert "[9.0, 10.0, 11.0]" not in page


def test_the_beginning_of_an_id_is_enough_if_it_is_the_only_one(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = finding_of(explained(data, "A-2", tmp_path))
    assert finding_of(explained(data, whole[:10], tmp_path)) == whole
    assert finding_of(explained(data, whole, tmp_path)) == whole
    capsys.readouterr()
    said = refused(data, "", capsys)
    assert "2 findings begin with ''" in said
    assert whole in said


def test_what_is_not_there_is_refused_with_what_is_near(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "did you mean A-2" in refused(data, "A-22", capsys)
    assert "there is no finding and no ticket 'zzz'; an id," in refused(data, "zzz", capsys)
    assert "holds no installation" in refused(tmp_path, "A-1", capsys)
    elsewhere = ["explain", "A-1", "--data", str(data), "--output", str(tmp_path / "no" / "page.html")]
    assert main(elsewhere) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("ticket", ["A-1", "A-2"])
def test_the_page_asks_nobody_and_runs_only_what_it_names(data: Path, tmp_path: Path, ticket: str) -> None:
    page = explained(data, ticket, tmp_path)
    shell = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    assert re.findall(r"\b(?:src|href|action|srcset)=", shell) == []
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert re.findall(r"url\(|@import", "".join(styles)) == []
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1])  # type: ignore[index]
    assert policy.startswith("default-src 'none'")
    named = set(re.findall(r"sha256-[\w+/=]+", policy))
    assert named == {
        f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}" for text in [*styles, *scripts]
    }


def test_what_a_machine_says_stays_text(data: Path, tmp_path: Path) -> None:
    page = explained(data, "A-1", tmp_path)
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert page.count("<script>") == page.count("</script>") == 2


def test_without_the_chart_library_it_says_how_to_get_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(alone, "LIBRARY", tmp_path / "none.js")
    alone._library.cache_clear()
    assert "python hatch_build.py" in refused(data, "A-2", capsys)
