"""Mapping rules as a table: which fits first, which can never fit, and that the document says what is so."""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from test_settings_docs import default_of

from andon.commands.check import run as check_verb
from andon.events import SECOND_NS, Json
from andon.mappings import Rule, Stop, Value
from andon.plant import Plant
from andon.templates import template, text
from ingest.discover_trial import dry_run

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text("utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
T0 = 1_700_000_000 * SECOND_NS
ASSET = {
    "id": "press-07",
    "name": "Press 7",
    "asset_class": "press",
    "path": "e/s/a/L1/c",
    "points": [
        {"id": "motor", "component": "motor", "quantities": {"temperature": "Cel"}},
        {"id": "oil", "component": "oil", "quantities": {"pressure": "bar"}},
    ],
}
LEVEL = st.sampled_from(["a", "b", "+", "{x}", "{y}"])
TEMPLATES = st.builds(
    lambda levels, tail: "/".join([*levels, *tail]),
    st.lists(LEVEL, min_size=1, max_size=4, unique=True),
    st.sampled_from([(), ("#",), ("{rest...}",), ("{mid...}", "c")]),
)
TOPICS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=6).map("/".join)


def plant(*rules: Mapping[str, Json]) -> Plant:
    return Plant.model_validate({"name": "p", "assets": [ASSET], "mappings": list(rules)})


def ignoring(*topics: str) -> Plant:
    return plant(*({"topic": topic, "payload": "ignore"} for topic in topics))


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["rule"]["topic"] for example in EXAMPLES])
def test_an_example_of_the_document_becomes_what_it_says(example: Mapping[str, Json]) -> None:
    topic, payload = example["message"]
    body = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
    (outcome,) = dry_run(plant(example["rule"]), {topic: [(T0, body)]})
    assert outcome.kind != "refused", outcome.detail
    assert [outcome.asset, *(outcome.values[0] if outcome.values else ())] == (example["becomes"] or [""])


@pytest.mark.parametrize(
    ("heading", "model"),
    [("## Settings of a rule", Rule), ("### A value in `channels`", Value), ("### `stop`", Stop)],
)
def test_every_setting_stands_in_the_document_with_its_default(heading: str, model: type[BaseModel]) -> None:
    chapter = re.split(r"\n##", PAGE.partition(heading)[2])[0]
    found = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", chapter, re.MULTILINE))
    fields = {name: default_of(field) for name, field in model.model_fields.items()}
    assert found == {name: "empty" if said == "``" else said for name, said in fields.items()}


@given(one=TEMPLATES, other=TEMPLATES, topic=TOPICS)
def test_covering_and_meeting_are_what_matching_says(one: str, other: str, topic: str) -> None:
    """The two questions about templates against the third, which is asked of every topic."""
    left, right = template(one), template(other)
    both = left.match(topic) is not None and right.match(topic) is not None
    shared = left.meets(right)
    assert not both or shared is not None
    if shared is not None:
        assert left.match(shared) is not None
        assert right.match(shared) is not None
    if left.covers(right) and right.match(topic) is not None:
        assert left.match(topic) is not None


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        (("a/#", "a/b/+"), r"rule 2 \(a/b/\+\) can never fit: rule 1"),
        (("{x}", "a.b"), r"rule 2 \(a\.b\) can never fit"),
        (("a/+/c", "a/b/+"), r"rules 1 .* and 2 .* both fit 'a/b/c'"),
        (("#",), r"rule 1 \(#\) takes all topics of Andon's own layout"),
        (("{a...}/{b...}",), r"rule 1 .* own layout"),
    ],
)
def test_a_rule_that_cannot_fit_or_is_not_clear_is_refused_by_its_number(
    topics: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ignoring(*topics)


@pytest.mark.parametrize(
    "topics",
    [
        ("a/b", "a/+", "a/#"),
        ("a/b/c", "a/+/c", "a/b/+"),
        ("umh.v1.{w...}._historian.{t...}", "umh/v1/#"),
        ("a/+", "b/+"),
    ],
)
def test_narrower_before_wider_is_clear(topics: tuple[str, ...]) -> None:
    assert len(ignoring(*topics).mappings) == len(topics)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"topic": "x/{line}", "payload": "number"}, "asks for {asset}"),
        ({"topic": "x/{asset}", "payload": "number", "name": "{.n}"}, "has no fields"),
        ({"topic": "x/{asset}", "payload": "ignore", "time": "{.t}"}, "time: means nothing"),
        ({"topic": "x/{asset}", "payload": "waveform", "point": "p", "value": "v"}, "value: means nothing"),
        ({"topic": "x/{asset}", "payload": "stop"}, "needs `stop`"),
        ({"topic": "x/{asset}/{asset}", "payload": "json"}, "twice: asset"),
        ({"topic": "x/#/y", "payload": "ignore"}, "at the end only"),
        ({"topic": "x/pre{asset}", "payload": "json"}, "a level is"),
        (
            {"topic": "x/{asset}", "payload": "json", "assets": {"M7": "press-7"}},
            "'press-7', which is no asset",
        ),
        ({"topic": "x/{asset}", "payload": "json", "channels": {"t": "temperature"}}, "pattern"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_where_it_is_written(
    rule: Mapping[str, Json], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        plant(rule)


def test_what_a_document_says_is_kept_when_it_is_written_and_read() -> None:
    rules = [example["rule"] for example in EXAMPLES]
    for one in rules:
        first = plant(one)
        assert Plant.model_validate(first.model_dump(mode="json")) == first
        assert Plant.model_validate(first.model_dump(mode="json", exclude_defaults=True)) == first


def test_check_says_what_is_wrong_with_a_plant_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plant.json"
    twice = [{"topic": "a/#", "payload": "ignore"}] * 2
    path.write_text(json.dumps({"name": "p", "mappings": twice}))
    arguments = argparse.Namespace(config=tmp_path / "none.toml", data=tmp_path, plant=path, json=None)
    assert check_verb(arguments) == 1
    assert "rule 2 (a/#) can never fit" in capsys.readouterr().out


def test_a_text_without_places_is_itself() -> None:
    assert text("press-07").constant == "press-07"
    with pytest.raises(ValueError, match="filled in"):
        text("{Line}")
