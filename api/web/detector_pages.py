"""The plant's detectors: what watches what, with which parameters, in which version; and back-tests of a change."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from andon import plants
from andon.access.roles import Right
from andon.config import ConfigError
from andon.detector_sets import Change, ChangeSet, changed, text_of
from andon.events import Json, nanoseconds, rfc3339
from andon.plant import Asset, DetectorSettings, Plant
from api.backtests import Job, Occupied
from api.catalogue import Words
from api.detectors import Mark, begun, marked, promoted, rolled_back, runner, versions_of
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web import detector_record
from api.web.backtest_charts import sweep_chart, tickets_chart
from api.web.formats import MISSING, number, quantity
from api.web.forms import Form, texts_of
from api.web.parameters import choice_name, kind_name, said
from api.web.wording import asset_name, person_name
from detectors import Setting, settings_of
from ticketing.labels import LabelRefused

router = APIRouter()
PLACE = "/detectors"
SHOWN = 100
SWEPT = 5  # values of a sweep
_KINDS = {int: "number", float: "number", bool: "bool"}
SPREAD = 4.0  # a slider goes from a quarter of the value in force to four times as much


@dataclass(frozen=True, slots=True)
class Watched:
    """A class or one asset with the kinds that watch it."""

    whose: str
    name: str
    kinds: Sequence[str]
    count: int


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter as it is shown: `low` to `high` is where its slider goes, None where it has none."""

    name: str
    title: str
    value: str
    default: str
    changed: bool
    description: str
    kind: str
    range: str
    low: str
    high: str
    step: str
    choices: Sequence[tuple[str, str]]


@router.get(PLACE, dependencies=[needs(Right.READ)])
def page(
    request: Request,
    visit: VisitOf,
    whose: Annotated[str, Query(max_length=200)] = "",
    kind: Annotated[str, Query(max_length=40)] = "",
    sort: detector_record.Sort = "false",
) -> Response:
    """What watches the plant; of one class or asset and kind the parameters, to be tried out."""
    watched = _watched(visit)
    chosen = next((one for one in watched if one.whose == whose), watched[0] if watched else None)
    fields: list[Field] = []
    if chosen is not None:
        kind = kind if kind in chosen.kinds else next(iter(chosen.kinds), "")
        setting = next((s for s in _settings(visit.plant, chosen.whose) if s.kind == kind), None)
        settings = settings_of(kind, setting.parameters) if setting else []
        fields = [_field(said(kind, one, visit.words), visit.words) for one in settings]
    return render(
        request,
        visit,
        "detectors.html",
        "detectors",
        watched=watched,
        chosen=chosen,
        kind=kind,
        kind_name=lambda kind: kind_name(kind, visit.words),
        fields=fields,
        set=visit.plant.detector_set,
        versions=[_version(row, visit.plant) for row in versions_of(visit.context)],
        jobs=[_job_row(job, visit) for job in _jobs(visit)],
        records=detector_record.rows(visit, sort),
        sort=sort,
        changes=detector_record.changes(visit),
    )


@router.post(f"{PLACE}/backtests", dependencies=[needs(Right.TUNE, whole=True)])
def start(visit: VisitOf, form: Form) -> Response:
    """Try a change out on history."""
    given = texts_of(form)
    back = f"{PLACE}?whose={quote(given.get('whose', ''))}&kind={quote(given.get('kind', ''))}"
    try:
        change = _change_of(visit.plant, given)
        times = [_moment(visit, given.get(name, "")) for name in ("from", "to")]
        name = begun(visit.context, change, *times)
    except (ConfigError, Occupied, ValueError) as error:
        return _refused(back, error, visit.words)
    return RedirectResponse(f"{PLACE}/backtests/{name}", 303)


@router.get(f"{PLACE}/backtests/{{name}}", dependencies=[needs(Right.TUNE, whole=True)])
def backtest(request: Request, visit: VisitOf, name: str) -> Response:
    """How far a back-test is, or what came of it."""
    job = runner(visit.context).get(name)
    if job is None:
        raise HTTPException(404, "there is no such back-test")
    facts = job.facts
    return render(
        request,
        visit,
        "backtest.html",
        "detectors",
        job=job,
        toml=text_of(job.change),
        facts=facts,
        span=None if facts is None else _span(facts, visit),
        sides=None if facts is None else _sides(facts, visit),
        charts=[] if facts is None else [tickets_chart(facts, visit.words, visit.time)],
        sweep=None if facts is None else sweep_chart(facts, visit.words),
        rows_of_tickets=[] if facts is None else [_event(row, visit) for row in facts["tickets"][:SHOWN]],
        findings=[] if facts is None else [_event(row, visit) for row in facts["findings"][:SHOWN]],
        promotable=facts is not None and job.change.sweep is None,
    )


@router.post(f"{PLACE}/backtests/{{name}}/promote", dependencies=[needs(Right.TUNE, whole=True)])
def promote(visit: VisitOf, name: str, form: Form) -> Response:
    """Bring a change that was tried out into force."""
    job = runner(visit.context).get(name)
    if job is None:
        raise HTTPException(404, "there is no such back-test")
    try:
        wanted = promoted(visit, job.change, texts_of(form).get("note", ""))
    except (ConfigError, plants.Outdated) as error:
        return _refused(f"{PLACE}/backtests/{name}", error, visit.words)
    return _asked(wanted)


@router.post(f"{PLACE}/rollback", dependencies=[needs(Right.TUNE, whole=True)])
def rollback(visit: VisitOf, form: Form) -> Response:
    """Go back to an earlier version."""
    given = texts_of(form)
    try:
        wanted = rolled_back(visit, int(given.get("to", "0")), given.get("note", ""))
    except (ConfigError, plants.Outdated, ValueError) as error:
        return _refused(PLACE, error, visit.words)
    return _asked(wanted)


@router.post("/assets/{asset_id}/labels", dependencies=[needs(Right.TUNE)])
def label(visit: VisitOf, asset_id: str, form: Form) -> Response:
    """Mark what a stretch of a machine's time was."""
    given = texts_of(form)
    answer = RedirectResponse(f"/assets/{quote(asset_id, safe='')}", 303)
    said = {name: given[name] for name in ("component", "what", "note") if given.get(name)}
    try:
        span = [_moment(visit, given.get(name, "")) for name in ("from", "to")]
        times = {name: rfc3339(at) for name, at in zip(("from", "to"), span, strict=True) if at is not None}
        marked(visit, Mark.model_validate({"asset": asset_id, **said, **times}))
    except ValidationError:
        return _refused(f"/assets/{quote(asset_id, safe='')}", visit.words("label.needs_times"), visit.words)
    except (LabelRefused, ValueError) as error:
        return _refused(f"/assets/{quote(asset_id, safe='')}", error, visit.words)
    say(answer, "flash.marked", name=asset_id)
    return answer


def _watched(visit: Visit) -> list[Watched]:
    """Every class of the plant, then the assets that differ from their class."""
    plant, found = visit.plant, []
    for name in sorted({asset.asset_class for asset in plant.assets}):
        whose = f"class:{name}"
        count = sum(asset.asset_class == name for asset in plant.assets)
        found.append(Watched(whose, name, [s.kind for s in _settings(plant, whose)], count))
    for asset in visit.machines:
        kinds = [s.kind for s in plant.detectors_of(asset)]
        found.append(Watched(f"asset:{asset.id}", asset_name(asset, asset.id, visit.words), kinds, 1))
    return found


def _settings(plant: Plant, whose: str) -> Sequence[DetectorSettings]:
    what, _, name = whose.partition(":")
    if what == "asset":
        asset = plant.asset(name)
        return plant.detectors_of(asset) if asset else ()
    if name in plant.classes:
        return plant.classes[name]
    return plant.detectors_of(Asset(id="any", name="", asset_class=name, path=""))


def _field(one: Setting, words: Words) -> Field:
    numeric = isinstance(one.value, int | float) and not isinstance(one.value, bool)
    low, high = _slider(one) if numeric else (None, None)
    whole = isinstance(one.value, int)
    span = (high or 0) - (low or 0)
    bounds = [number(bound) for bound in (one.low, one.high) if bound is not None]
    return Field(
        name=one.name,
        title=one.title,
        value=_text(one.value),
        default=_default(one, words),
        changed=one.changed,
        description=one.description,
        kind=_KINDS.get(type(one.value), "text"),
        range=" – ".join(bounds) if numeric else "",
        low="" if low is None else f"{low:g}",
        high="" if high is None else f"{high:g}",
        step="1" if whole else f"{span / 200:.1g}" if span else "any",
        choices=[(choice, choice_name(choice, words)) for choice in one.choices],
    )


def _slider(one: Setting) -> tuple[float | None, float | None]:
    """From a quarter of the value to four times as much, inside what is allowed; none around 0."""
    if not one.value or one.value < 0:
        return None, None
    low, high = one.value / SPREAD, one.value * SPREAD
    if isinstance(one.value, int):
        low, high = float(round(low)), float(round(high))
    least = one.low if one.low is not None else low
    most = one.high if one.high is not None else high
    return max(low, least), min(high, most)


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value


def _default(one: Setting, words: Words) -> str:
    if one.choices:
        return choice_name(one.default, words)
    return MISSING if one.default in (None, "") else _text(one.default).removesuffix(".0")


def _change_of(plant: Plant, given: Mapping[str, str]) -> ChangeSet:
    """The change that a form describes: what differs from the value in force; ConfigError if a field makes no sense."""
    what, _, name = given.get("whose", "").partition(":")
    kind = given.get("kind", "")
    setting = next((s for s in _settings(plant, f"{what}:{name}") if s.kind == kind), None)
    if setting is None:
        raise ConfigError(f"{name} has no detector {kind!r}")
    parameters: dict[str, Json] = {}
    sweep: dict[str, list[float]] = {}
    for one in settings_of(kind, setting.parameters):
        value = _value(given.get(f"p.{one.name}", ""), one)
        if value is not None and value != one.value:
            parameters[one.name] = value
        if given.get("sweep") == one.name:
            low, high = float(given.get("sweep_from", "")), float(given.get("sweep_to", ""))
            values = [low + (high - low) * step / (SWEPT - 1) for step in range(SWEPT)]
            whole = isinstance(one.value, int)
            sweep[one.name] = sorted({round(v) if whole else float(f"{v:.4g}") for v in values})
            parameters.pop(one.name, None)
    whose = {"class": name} if what == "class" else {"asset": name}
    if not parameters and not sweep:
        raise ConfigError("nothing would change: every parameter is as it is in force")
    change = Change.model_validate({**whose, "kind": kind, "parameters": parameters, "sweep": sweep})
    found = ChangeSet(note=given.get("note", "").strip(), change=(change,))
    changed(plant, found)
    return found


def _value(text: str, one: Setting) -> Json | None:
    """What stands in a field; None where it is empty."""
    if not text.strip():
        return None
    if isinstance(one.value, str):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{one.name}: {text!r} is no value like {_text(one.value)}") from error


def _moment(visit: Visit, text: str) -> int | None:
    """A local time of the plant, as a browser's field gives it; None where it is empty."""
    if not text.strip():
        return None
    return nanoseconds(visit.time.with_offset(text))


def _refused(back: str, error: Exception | str, words: Words) -> Response:
    answer = RedirectResponse(back, 303)
    why = words("backtest.occupied") if isinstance(error, Occupied) else str(error)
    say(answer, "flash.not_done", why=why[:600])
    return answer


def _asked(wanted: Plant) -> Response:
    answer = RedirectResponse(PLACE, 303)
    say(answer, "flash.promoted", version=str(wanted.detector_set.version))
    return answer


def _jobs(visit: Visit) -> list[Job]:
    runs = visit.context.backtests if visit.may(Right.TUNE) and visit.sight.assets is None else None
    return [] if runs is None else runs.recent()


def _job_row(job: Job, visit: Visit) -> dict[str, Json]:
    one = job.change.change[0]
    return {
        "id": job.id,
        "state": job.state,
        "percent": job.percent,
        "at_ns": int(job.id),
        "note": job.change.note,
        "what": visit.words(
            "backtest.of", kind=kind_name(one.kind, visit.words), whose=one.asset or one.asset_class or ""
        ),
        "active": job.facts["active"]["tickets"] if job.facts else None,
        "changed": job.facts["changed"]["tickets"] if job.facts else None,
    }


def _version(row: Mapping[str, Json], plant: Plant) -> dict[str, Json]:
    return {**row, "by": person_name(row["by"], plant) if row["by"] else "–"}


def _span(facts: Mapping[str, Json], visit: Visit) -> dict[str, str]:
    warm = facts["warm_up"]
    return {
        "from": visit.time.at(nanoseconds(facts["from"])),
        "to": visit.time.at(nanoseconds(facts["to"])),
        "hours": visit.time.span(warm["hours"] * 3600),
        "series": visit.time.span(warm["from_series_hours"] * 3600) if warm["from_series_hours"] else "",
        "silent": visit.words("list.and").join(
            f"{one['asset']} {kind_name(one['kind'], visit.words)}" for one in warm["not_judged_in_series"]
        ),
    }


_ROWS = (
    *("findings", "tickets", "tickets_per_week", "rcas"),
    *("known_faults", "caught", "false_tickets", "unlabelled_tickets"),
)


def _sides(facts: Mapping[str, Json], visit: Visit) -> list[tuple[str, str, str]]:
    """Both variants in numbers, row by row."""
    both = facts["active"], facts["changed"]
    rows = [(visit.words(f"backtest.{name}"), number(both[0][name]), number(both[1][name])) for name in _ROWS]
    leads = ["–" if side["lead_s"] is None else visit.time.span(side["lead_s"]["median"]) for side in both]
    costs = [quantity(side["cost"]["seconds"], "s") for side in both]
    return [
        *rows,
        (visit.words("backtest.lead"), leads[0], leads[1]),
        (visit.words("backtest.cost"), costs[0], costs[1]),
    ]


def _event(row: Mapping[str, Json], visit: Visit) -> dict[str, Json]:
    words, asset = visit.words, visit.plant.asset(row["asset"])
    key = f"finding.{row['condition']}.name"
    times = {
        side: None if row[f"{side}_at"] is None else nanoseconds(row[f"{side}_at"])
        for side in ("active", "changed")
    }
    return {
        "asset": row["asset"],
        "name": asset_name(asset, row["asset"], words),
        "component": row["component"],
        "what": words(key) if key in words else row["condition"],
        "verdict": row["verdict"],
        "active_ns": times["active"],
        "changed_ns": times["changed"],
        "shift": visit.time.span(abs(row["shift_s"])) if row["shift_s"] else "",
        "known": row["known"],
        "said_by": row["said_by"],
    }
