"""The stories of plants: each file is told to the real line, the first on both databases; a rule that is broken is seen."""

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from andon.__main__ import main
from andon.config import ConfigError
from andon.stories.deeds import DEEDS
from andon.stories.document import Expected, Step, Story, read
from andon.stories.house import TOKEN
from andon.stories.teller import Tale, Teller
from api.problem_deeds import DEEDS as PROBLEM_STEPS
from api.steps import DEEDS as STEPS
from tests.stores import Stores
from ticketing import service

FOLDER = Path(__file__).parents[2] / "andon" / "stories"
VALVES = FOLDER / "valve_maker.toml"
SUPPLIER = FOLDER / "valve_maker_supplier.toml"


def told(story: Story, stores: Stores) -> Tale:
    folder = stores.folder / "house"
    folder.mkdir()
    with Teller(story, folder, stores.open()) as teller:
        return teller.tell()


def until(story: Story, last: str) -> Story:
    """The story up to its first step whose English begins so."""
    end = next(n for n, step in enumerate(story.step) if step.en.startswith(last))
    return story.model_copy(update={"step": story.step[: end + 1]})


def about(story: Story, *names: str) -> Story:
    """Only the steps that open these, are done on them or report their machine, without what else is expected."""
    kept = [
        step
        for step in story.step
        if {step.on, *step.names, step.with_.get("asset")} & {*names}
        or (step.runs and step.runs.asset in names)
    ]
    nothing = Expected()
    return story.model_copy(
        update={"step": tuple(step.model_copy(update={"expect": nothing}) for step in kept)}
    )


def ruled(story: Story, **changes: object) -> Story:
    """The same story in a plant with other rules."""
    plant = story.plant
    for name, update in changes.items():
        plant = plant.model_copy(update={name: getattr(plant, name).model_copy(update=update)})
    return story.model_copy(update={"plant": plant})


CODE = re.compile(r"\{'|\bNone\b|<\w+\.\w+:|offer accepted|\bclaimed\b")
"""What stands on a page in Chinese only where nobody has found words for it."""


def comes_as_told(file: Path, stores: Stores, pages: Iterable[str]) -> None:
    """The story comes as its file tells it, and these pages say in words what it left behind."""
    folder = stores.folder / "house"
    folder.mkdir()
    with Teller(read(file), folder, stores.open()) as teller:
        tale = teller.tell()
        assert list(tale.failures) == []
        assert tale.whole
        cookies = {"andon_language": "zh"}
        headers = {"Accept": "text/html", "Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=teller.house.url, cookies=cookies, headers=headers) as browser:
            for page in pages:
                shown = browser.get(page).raise_for_status().text
                words = re.sub(r"(?s)<(script|style).*?</\1>", "", html.unescape(shown))
                assert CODE.findall(words) == [], page


def test_it_comes_as_the_file_tells_it_and_its_pages_are_in_words(stores: Stores) -> None:
    pages = [f"/tickets/{n + 1}" for n in range(6)] + ["/problems/1", "/problems/2"]
    comes_as_told(VALVES, stores, pages)


@pytest.fixture
def on_file(tmp_path: Path) -> Iterator[Stores]:
    """Stores on SQLite: what a broken rule does is the same on both."""
    made = Stores(tmp_path)
    yield made
    made.close()


def test_from_the_heat_map_to_the_supplier_and_63_percent_less(on_file: Stores) -> None:
    comes_as_told(SUPPLIER, on_file, ["/problems/1", "/failures", "/measures", "/analysis"])


def test_a_finding_of_five_tickets_is_seen(on_file: Stores) -> None:
    story = until(read(SUPPLIER), "Five tickets")
    tale = told(ruled(story, quality={"fewest": 2, "significance": 0.49}), on_file)
    (check,) = [one for one in tale.steps[-1].checks if not one.holds]
    assert len(tale.failures) == 1
    assert check.place == ("cells",)
    assert [one["model"] for one in check.seen if one["verdict"] == "stands_out"] == ["V8000"]


def test_a_window_of_a_minute_makes_three_tickets_of_three_reports(on_file: Stores) -> None:
    story = until(read(VALVES), "Operations report it too")
    tale = told(ruled(story, dedup={"window_min": 1, "mode": "window_only"}), on_file)
    assert not tale.whole
    assert tale.failures[0].startswith("2026-03-02 08:13:30")
    assert "A-2" in tale.failures[0]


def test_without_the_72_hours_there_is_no_analysis(on_file: Stores) -> None:
    story = about(until(read(VALVES), "Honing machine 1 stops again"), "stop", "seal", "again", "HON-01")
    (failure,) = told(ruled(story, repeats={"within_h": 1.0}), on_file).failures
    assert failure.startswith("2026-03-04 09:05:00")
    assert "expected rca, was []" in failure


def test_a_code_that_nobody_checks_is_seen(on_file: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "try_code", lambda *_: None)
    story = about(until(read(VALVES), "A wrong code signs nothing"), "noise")
    (failure,) = told(story, on_file).failures
    assert failure.startswith("2026-03-02 15:31:00 'A wrong code signs nothing.'")
    assert "code_wrong" in failure
    assert "was {'code': 'done'" in failure


@pytest.mark.parametrize(
    ("was", "is_", "said"),
    [
        ('do = "depart"', 'do = "deprat"', "'deprat' is not known; did you mean 'depart'?"),
        ("expect.ticket.stop", "expcet.ticket.stop", "did you mean 'expect'?"),
        ('by = "zhou"', 'by = "zhuo"', "by: 'zhuo' is not known; did you mean 'zhou'?"),
        ('on = "stop"', 'on = "stpo"', "did you mean 'stop'?"),
        ('stops = { asset = "HON-01"', 'stops = { asset = "HON-10"', "did you mean 'HON-01'?"),
        ("clock.stop.response", "clock.stop.reponse", "did you mean 'response'?"),
        ('point = "DE"', 'point = "DX"', "did you mean 'DE'?"),
        ("told.zhang", "told.zang", "did you mean 'zhang'?"),
        ('calls.ticket = "stop"', 'each = ["HON-01"]', "`each` says for which `do` is done"),
        ("within_h = 72", "within_hours = 72", "did you mean 'within_h'?"),
        ("at = 2026-03-02T08:15:00", "at = 2026-03-02T08:11:00", "stands after one of"),
    ],
)
def test_a_word_that_is_not_known_says_what_was_meant(tmp_path: Path, was: str, is_: str, said: str) -> None:
    text = VALVES.read_text("utf-8")
    assert was in text
    file = tmp_path / "story.toml"
    file.write_text(text.replace(was, is_, 1), "utf-8")
    with pytest.raises(ConfigError) as refused:
        read(file)
    assert said in str(refused.value)


SHORT = """
zh = "一次停机"
en = "One stop"
begins = 2026-03-02T08:00:00
[plant]
name = "P"
assets = [{ id = "M1", name = "Press", asset_class = "press", path = "e/s/a/L1/c" }]
[[step]]
at = 2026-03-02T08:01:00
zh = "压机停机。"
en = "The press stops."
stops = { asset = "M1", reason = "E1" }
calls.ticket = "stop"
[step.expect]
ticket.stop = { state = "pending_dispatch" }
"""


@pytest.mark.parametrize(
    ("language", "line", "seen"),
    [
        (
            "zh",
            "- ✗ 工单 A-1 · 状态：处理中 — 实际：pending_dispatch",
            "讲到第 1 步，共 1 步：1 项符合，1 项不符合。",
        ),
        ("en", "- ✗ ticket A-1 · state: In progress — seen instead: pending_dispatch", "1 did not."),
    ],
)
def test_the_command_tells_the_tale_with_a_tick_for_what_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str, line: str, seen: str
) -> None:
    file = tmp_path / "short.toml"
    file.write_text(SHORT, "utf-8")
    assert main(["story", str(file), "--language", language, "--to", str(tmp_path / "tale.md")]) == 0
    assert "✓" in (tmp_path / "tale.md").read_text("utf-8")
    capsys.readouterr()
    file.write_text(SHORT.replace('"pending_dispatch"', '"in_progress"'), "utf-8")
    assert main(["story", str(file), "--language", language]) == 1
    tale = capsys.readouterr().out
    assert line in tale
    assert seen in tale.splitlines()[-1]


def test_a_story_that_is_not_there_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["story", "no/such.toml"]) == 1
    assert "no/such.toml cannot be read" in capsys.readouterr().err


def test_every_word_of_a_story_is_in_its_documentation() -> None:
    text = (FOLDER.parents[1] / "docs" / "stories.md").read_text("utf-8")
    steps, expected = text.split("## A step")[1].split("## What is expected")
    rows = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
    assert set(rows.findall(steps)) == {one.alias or name for name, one in Step.model_fields.items()}
    assert set(rows.findall(expected)) == set(Expected.model_fields)
    own = {name for name in DEEDS if name not in {*STEPS, *(f"problem_{one}" for one in PROBLEM_STEPS)}}
    assert set(re.findall(r"`(\w+)`", steps.split("Other deeds:")[1])) == own
