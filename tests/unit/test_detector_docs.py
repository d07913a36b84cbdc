"""docs/detectors.md has a row for every kind with the classes that get it; docs/plant.md every setting of the document."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from andon import plant, positions
from andon.class_defaults import DEFAULTS
from andon.rules import (
    approvals,
    closing,
    dedup,
    metrics,
    operations,
    partners,
    plans,
    quality,
    repeats,
    requests,
    routing,
    safety,
    sla,
    types,
    voice,
)
from detectors import build, kinds
from tests.unit.test_settings_docs import default_of

DOCS = Path(__file__).parents[2] / "docs"
PARTS: list[tuple[str, type[BaseModel]]] = [
    ("A partner", partners.Partner),
    ("The document", plant.Plant),
    ("An asset", plant.Asset),
    ("A point", plant.Point),
    ("A bearing", plant.Bearing),
    ("A detector", plant.DetectorSettings),
    ("A person", plant.Person),
    ("Limits", sla.Sla),
    ("A policy", sla.SlaPolicy),
    ("Which tickets", sla.Fitting),
    ("A limit", sla.Limit),
    ("A step of escalation", sla.EscalationStep),
    ("Routing", routing.Routing),
    ("A routing rule", routing.RoutingRule),
    ("When a rule fits", routing.When),
    ("Weights", routing.Weights),
    ("A position", positions.Position),
    ("A type of ticket", types.TicketType),
    ("A trigger", types.Trigger),
    ("A field", types.CustomField),
    ("A fault", types.FaultType),
    ("Operations", operations.OperationTemplate),
    ("An operation", operations.Operation),
    ("A measurement", operations.Measurement),
    ("Meters", plans.Meter),
    ("A plan", plans.Plan),
    ("A rhythm", plans.Rhythm),
    ("A usage", plans.Usage),
    ("A pause", plans.Pause),
    ("Which machines", plans.Machines),
    ("Repeats", repeats.Repeats),
    ("Voice", voice.Voice),
    ("Metrics", metrics.Metrics),
    ("The bounds of a metric", metrics.MetricBounds),
    ("Quality", quality.Quality),
    ("Requests", requests.Requests),
    ("Closing", closing.Closing),
    ("A label", closing.Label),
    ("Approvals", approvals.Approvals),
    ("A level", approvals.Level),
    ("Safety", safety.Safety),
    ("A checklist", safety.Checklist),
    ("Deduplication", dedup.Dedup),
    ("A rule of keys", dedup.KeyRule),
]


@cache
def chapters(name: str) -> dict[str, list[list[str]]]:
    """Per heading the rows of its tables whose first cell is a name."""
    found: dict[str, list[list[str]]] = {}
    place = ""
    for line in (DOCS / name).read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"##+ (.+)", line):
            place = heading[1]
        elif re.match(r"\| `\w+` \|", line):
            found.setdefault(place, []).append([cell.strip(" `") for cell in line.strip("|").split(" | ")])
    return found


def kind_rows() -> dict[str, list[str]]:
    rows = [
        row
        for place in ("Vibration", "Readings", "Machine and line")
        for row in chapters("detectors.md")[place]
    ]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row for row in rows}


def classes_said(cell: str) -> set[str]:
    """What a cell of the column "by default" stands for."""
    text = (DOCS / "detectors.md").read_text("utf-8")
    said = re.search(
        r"\*turning\* stands for (.+?); \*all\* for these and\s(.+?), which is any", text, re.DOTALL
    )
    assert said is not None
    turning, others = (set(re.findall(r"`(\w+)`", part)) for part in said.groups())
    named = {"all": turning | others, "turning": turning, "–": set()}
    return {name for part in cell.split(", ") for name in named.get(part.strip("`"), {part.strip("`")})}


def test_every_kind_has_its_row_and_no_other() -> None:
    assert sorted(kind_rows()) == kinds()
    assert all(len(row) == 6 and all(row) for row in kind_rows().values())


@pytest.mark.parametrize("kind", kinds())
def test_a_kind_is_on_by_default_where_its_row_says(kind: str) -> None:
    assert classes_said(kind_rows()[kind][3]) == {name for name, row in DEFAULTS.items() if kind in row}


@pytest.mark.parametrize(("place", "model"), PARTS, ids=[place for place, _ in PARTS])
def test_each_setting_of_the_plant_is_written_down_with_its_default(
    place: str, model: type[BaseModel]
) -> None:
    said = {row[0]: row[1] for row in chapters("plant.md")[place]}
    wanted = {name: default_of(field).strip("`") or "empty" for name, field in model.model_fields.items()}
    assert said == wanted


def test_the_example_of_a_plant_is_one() -> None:
    example, *_ = re.findall(r"```json\n(.*?)```", (DOCS / "plant.md").read_text("utf-8"), re.DOTALL)
    document = plant.Plant.model_validate(json.loads(example))
    for asset in document.assets:
        built = [one.kind for one in build(asset, document)]
        assert built == ["velocity_zones", "band_energy", "bearing_element", "level_shift"]


def test_the_example_of_a_type_is_one() -> None:
    chapter = (DOCS / "plant.md").read_text("utf-8").partition("## A type of ticket")[2]
    example = re.findall(r"```json\n(.*?)```", chapter, re.DOTALL)[0]
    assert types.TicketType.model_validate(json.loads(example)).field("seal_brand") is not None


def test_the_example_of_limits_is_one() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (DOCS / "sla.md").read_text("utf-8"), re.DOTALL)
    document = plant.Plant.model_validate({"name": "p", **json.loads(example)})
    assert document.sla.policies[0].response is not None
