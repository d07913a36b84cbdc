"""How the plant's detectors have done lately, and what each version of their set changed, as a page tells it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from urllib.parse import urlencode

from andon import plants
from andon.access.roles import Right
from andon.database import reading
from andon.detector_sets import Difference, differences
from andon.events import HOUR_NS, Json
from api.catalogue import Words
from api.visit import Visit
from api.web.formats import MISSING
from api.web.parameters import kind_name, said
from api.web.wording import asset_name, score_text
from detectors import settings_of
from ticketing.detector_record import Record, records

SINCE_NS = 30 * 24 * HOUR_NS
TOLD = 20  # versions whose changes are shown
Sort = Literal["false", "opened", "last"]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of detector: its tickets of the last 30 days, and where it is tuned."""

    name: str
    opened: int
    closed: int
    false: int
    share: str
    last_ns: int
    tune: str
    where: str


def rows(visit: Visit, sort: Sort) -> Sequence[Row]:
    """The worst first: by false share, by tickets, or by the last one."""
    with reading(visit.context.database) as conn:
        found = records(conn, visit.time.now_ns - SINCE_NS, visit.sight.assets)
    if sort == "opened":
        found.sort(key=lambda one: -one.opened)
    if sort == "last":
        found.sort(key=lambda one: -one.last_ns)
    return [_row(one, visit) for one in found]


def _row(one: Record, visit: Visit) -> Row:
    asset = visit.plant.asset(one.false_at)
    is_tuned = asset is not None and visit.may(Right.TUNE)
    return Row(
        name=kind_name(one.detector, visit.words),
        opened=one.opened,
        closed=one.closed,
        false=one.false,
        share=score_text(one.share) if one.closed else MISSING,
        last_ns=one.last_ns,
        tune=f"/detectors?{urlencode({'whose': f'asset:{one.false_at}', 'kind': one.detector})}"
        if is_tuned
        else "",
        where=asset_name(asset, one.false_at, visit.words),
    )


def changes(visit: Visit) -> Mapping[int, Sequence[str]]:
    """What each of the newest versions of the set changed against the one before, line by line."""
    with reading(visit.context.database) as conn:
        known = [one.plant for one in plants.every(conn)]
    steps = [
        (new, old) for new, old in pairwise(known) if new.detector_set.version != old.detector_set.version
    ]
    seen = {asset.id for asset in visit.machines}
    return {
        new.detector_set.version: _lines((d for d in differences(old, new) if d.asset in seen), visit.words)
        for new, old in steps[:TOLD]
    }


def _lines(found: Iterable[Difference], words: Words) -> Sequence[str]:
    """The same change of several machines is said once, with their number."""
    at: dict[str, list[str]] = {}
    for one in found:
        for line in _said(one, words):
            at.setdefault(line, []).append(one.asset)
    return [
        words("detectors.change_at", change=line, first=assets[0])
        if len(assets) == 1
        else words("detectors.change_of", change=line, n=len(assets))
        for line, assets in at.items()
    ]


def _said(one: Difference, words: Words) -> Iterable[str]:
    kind = kind_name(one.kind, words)
    if one.before is None or one.after is None:
        yield words("detectors.added" if one.before is None else "detectors.removed", kind=kind)
        return
    for old, new in zip(settings_of(one.kind, one.before), settings_of(one.kind, one.after), strict=True):
        if old.value != new.value:
            name = said(one.kind, old, words).title or old.name
            yield words("detectors.changed", kind=kind, name=name, old=_text(old.value), new=_text(new.value))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
