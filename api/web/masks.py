"""What was not there to be judged while a finding came about: the machine stood, it was maintained, data was missing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection

from andon import declarations
from andon.events import SECOND_NS, Declared, Family, Json, PackMLState
from api.web.formats import whole
from api.web.reader import Reader
from ingest import gaps
from ingest.series import SeriesStore
from ticketing.ticket import Occurrence

_JUDGED_RUNNING = frozenset({Family.MACHINE_CONDITION, Family.TEMPERATURE, Family.ELECTRICAL})
"""What is judged only while the machine runs; a stop or a silence is told whenever it comes."""

_POINTS = 20_000
_ENTRIES = 200


def masked(
    conn: Connection, one: Occurrence, evidence: Mapping[str, Json], reader: Reader
) -> list[tuple[str, str]]:
    """Between the first value of its trend and its last word: for how long the machine did not run, and what else."""
    words, time = reader.words, reader.time
    trend = evidence.get("trend") or {"at_ns": [one.onset_ns]}
    from_ns, to_ns = min(trend["at_ns"][0], one.onset_ns), one.at_ns
    said = [words("explain.span_looked_at", start=time.at(from_ns), end=time.at(to_ns))]
    if one.family in _JUDGED_RUNNING and (still_ns := _still_ns(one.asset, reader.series, from_ns, to_ns)):
        said.append(words("explain.not_running", span=time.span(still_ns / SECOND_NS)))
    for since_ns, until_ns in _maintained(conn, one.asset, from_ns, to_ns):
        said.append(words("explain.maintained", start=time.at(since_ns), end=time.at(until_ns)))
    missing = gaps.between(conn, one.asset, one.trace_id.rpartition(":")[0], from_ns, to_ns)
    if missing:
        said.append(words("explain.gaps", n=whole(len(missing))))
    if len(said) == 1:
        said.append(words("explain.nothing_masked"))
    return [("masked", " ".join(said))]


def _still_ns(asset: str, series: SeriesStore, from_ns: int, to_ns: int) -> int:
    """For how long the machine's state was another one than Execute, as far as it said so."""
    at_ns, state, _ = series.read(asset, "state", from_ns, to_ns, _POINTS)
    if at_ns.size == 0:
        return 0
    ends = np.append(at_ns[1:], to_ns)
    return int((ends - at_ns)[np.isfinite(state) & (state != PackMLState.EXECUTE)].sum())


def _maintained(conn: Connection, asset: str, from_ns: int, to_ns: int) -> Iterator[Sequence[int]]:
    """The stretches of declared maintenance inside that time."""
    told = sorted(
        (entry.since_ns, entry.what)
        for entry in declarations.recent(conn, _ENTRIES, asset)
        if entry.what in {Declared.MAINTENANCE_BEGINS, Declared.MAINTENANCE_ENDS}
    )
    for (at_ns, what), (end_ns, _) in pairwise([*told, (to_ns, Declared.MAINTENANCE_ENDS)]):
        if what is Declared.MAINTENANCE_BEGINS and at_ns < to_ns and end_ns > from_ns:
            yield max(at_ns, from_ns), min(end_ns, to_ns)
