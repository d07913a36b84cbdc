"""One finding with all that a person needs to believe it: what the ticket's page, its own page and its file show."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy import Connection

from andon import plants
from andon.config import ConfigError, check
from andon.detector_sets import version_of
from andon.events import Family, Json, Number
from andon.plant import Plant
from api.catalogue import Words
from api.web.charts import Chart, charts_of, quantity_name
from api.web.formats import MISSING, PlantTime, number, quantity, whole
from api.web.masks import masked
from api.web.parameters import choice_name, kind_name, said
from api.web.reader import Reader
from api.web.sources import forecast_of, limit_source
from api.web.surroundings import Moment, around
from api.web.wording import asset_name, component_name, condition_name, person_name, score_text, verdict
from detectors import detector_class, kinds, settings_of
from detectors.episode import parameters_hash
from ticketing import findings, store
from ticketing.ticket import Headline, Occurrence

Fact = tuple[str, str]
_DIAGNOSES = frozenset({"imbalance", "misalignment", "looseness", "electrical"})
_UNITS = {"_mm_s": "mm/s", "_s": "s", "_hz": "Hz", "_g": "g", "_h": "h", "_db": "dB", "_percent": "%"}
"""End of a parameter's name -> its unit."""


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One number with the limit it crossed and where that comes from."""

    name: str
    value: str
    limit: str
    source: str


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One parameter of the detector as it stood; `of_plant` if the plant document gave it."""

    name: str
    title: str
    value: str
    sentence: str
    default: str
    of_plant: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it in the reader's words. `facts` are under keys of the catalogue, `doubt` is what the parameters lack."""

    finding: Occurrence
    kind: str
    what: str
    verdict: Markup
    asset_name: str
    place: str
    confidence: str
    forecast: str
    numbers: Sequence[NumberRow]
    charts: Sequence[Chart]
    grounds: Sequence[Fact]
    maker: Sequence[Fact]
    said: Sequence[Occurrence]
    parameters: Sequence[ParameterRow]
    doubt: str


def explain(conn: Connection, one: Occurrence, reader: Reader) -> Explanation:
    """The finding explained."""
    words, time = reader.words, reader.time
    evidence: Mapping[str, Json] = store.evidence(conn, one.finding) or {}
    began = plants.every(conn)
    then = version_of((known.plant for known in began), one.set_version) if one.set_version else None
    rows, doubt = _parameters(one, then or reader.plant, words)
    asset = reader.plant.asset(one.asset)
    moment = Moment(one.asset, one.text.get("point", ""), one.at_ns)
    return Explanation(
        finding=one,
        kind=kind_name(one.detector, words),
        what=condition_name(one.condition, words),
        verdict=verdict(headline_of(one), words, time),
        asset_name=asset_name(asset, one.asset, words),
        place=one.text.get("point") or component_name(one.component, words),
        confidence=score_text(one.confidence),
        forecast=forecast_of(evidence, words, time),
        numbers=[number_row(value, words, time) for value in one.numbers],
        charts=charts_of(evidence, one.condition, words, time, one.onset_ns) or around(moment, reader),
        grounds=[*grounds(one, evidence, reader), *masked(conn, one, evidence, reader)],
        maker=_maker(one, then, evidence, reader),
        said=findings.episode(conn, one.finding),
        parameters=rows,
        doubt=doubt,
    )


def headline_of(one: Occurrence) -> Headline:
    """The finding as the headline that it would be."""
    return Headline(
        family=one.family,
        component=one.component,
        condition=one.condition,
        severity=one.severity,
        confidence=one.confidence,
        at_ns=one.at_ns,
        finding=one.finding,
        numbers=one.numbers,
        text=one.text,
    )


def number_row(one: Number, words: Words, time: PlantTime) -> NumberRow:
    """A number as it reads; a channel that carries a finding is named by what it measures."""
    key = f"number.{one.name}"
    name = words(key) if key in words else quantity_name(one.name, words).replace("_", " ")
    source = limit_source(one.limit_source, words, time)
    limit = _amount(one.limit, one.unit, time) if one.limit is not None else ""
    return NumberRow(name, _amount(one.value, one.unit, time), limit, source)


def _amount(value: float, unit: str, time: PlantTime) -> str:
    return time.span(value) if unit == "s" and value >= 60 else quantity(value, unit)


def grounds(one: Occurrence, evidence: Mapping[str, Json], reader: Reader) -> list[Fact]:
    """What it rests on: when it began, the baseline, the operating state, and who ended it."""
    words, time = reader.words, reader.time
    facts = [("onset", time.at(one.onset_ns)), ("said_at", time.at(one.at_ns))]
    if (baseline := evidence.get("baseline")) is not None:
        arguments = {"n": baseline["version"], "rows": whole(baseline["blocks"])}
        span = {"start": time.at(baseline["from_ns"]), "end": time.at(baseline["to_ns"])}
        facts.append(("baseline", words("explain.baseline_of", **arguments, **span)))
        if baseline.get("shape") in {"day", "week"}:
            facts.append(("shape", words(f"explain.shape_{baseline['shape']}")))
        if state := baseline.get("operating_state"):
            facts.append(("operating_state", _state(state, words)))
    if declared := one.text.get("declared"):
        who = person_name(one.text.get("by"), reader.plant)
        said = words("explain.declared_by", what=words(f"declaration.{declared}"), who=who)
        facts.append(("ended_by", said))
    return facts


def _state(state: Mapping[str, Json], words: Words) -> str:
    return words("list.and").join(
        words(f"explain.state_{kind}", low=number(ends["from"]), high=quantity(ends["to"], ends["unit"]))
        for kind, ends in state.items()
    )


def _maker(one: Occurrence, then: Plant | None, evidence: Mapping[str, Json], reader: Reader) -> list[Fact]:
    """Who says so, in which version, how surely, and which record of the journal made it speak."""
    words = reader.words
    facts = [
        ("detector", one.detector),
        ("version", one.detector_version),
        ("confidence", score_text(one.confidence)),
        (
            "block",
            words("list.and").join(words(f"explain.block_{block}") for block in _blocks(one, evidence)),
        ),
        ("trace", one.trace_id),
        ("id", one.finding),
    ]
    if one.set_version:
        named = words("detectors.version", n=one.set_version)
        note = then.detector_set.note if then is not None else ""
        facts.insert(2, ("set", f"{named}: {note}" if note else named))
    if one.parameters_hash:
        facts.insert(2, ("hash", one.parameters_hash))
    return facts


def _blocks(one: Occurrence, evidence: Mapping[str, Json]) -> list[str]:
    """The blocks of ISO 13374-2 that such a finding is the output of."""
    if one.family is Family.DATA_QUALITY:
        return ["acquisition"]
    diagnosed = one.condition.startswith("bearing_") or one.condition in _DIAGNOSES
    foretold = (evidence.get("forecast") or {}).get("at_ns", "unknown") != "unknown"
    return ["health" if diagnosed else "state", *(["prognosis"] if foretold else [])]


def _parameters(one: Occurrence, plant: Plant, words: Words) -> tuple[list[ParameterRow], str]:
    """The parameters that made the finding, as far as their hash shows that these are they; else why they are not known."""
    asset = plant.asset(one.asset)
    if one.detector not in kinds() or asset is None:
        return [], ""
    given = next((s.parameters for s in plant.detectors_of(asset) if s.kind == one.detector), {})
    try:
        standing = check(detector_class(one.detector).Parameters, dict(given), one.detector)
    except ConfigError:
        return [], words("explain.other_parameters")
    if parameters_hash(standing) != one.parameters_hash:
        return [], words("explain.other_parameters")
    rows = [
        ParameterRow(
            s.name,
            s.title,
            choice_name(s.value, words) if s.choices else _with_unit(s.name, s.value),
            s.description,
            _with_unit(s.name, s.default),
            s.changed,
        )
        for s in (said(one.detector, setting, words) for setting in settings_of(one.detector, given))
    ]
    return rows, ""


def _with_unit(name: str, value: Json) -> str:
    """A parameter's value as it is, to the last digit, with the unit that its name ends with."""
    if value in ([], {}, None, ""):
        return MISSING
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_dumped)
    sign = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
    return f"{text.removesuffix('.0')}\N{NO-BREAK SPACE}{sign}" if sign else text.removesuffix(".0")


def _dumped(value: Json) -> Json:
    return value.model_dump(mode="json")
