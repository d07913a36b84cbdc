"""From a model and its fault to the lot and the supplier behind it: shares beside those of the others (rule 59).

`matrix` counts tickets by model and fault. `origins` follows one fault to what was in the machines when they failed: a
part that a ticket's work put in (`part_use`) stays in that machine until another ticket puts in the same part, and a
failure belongs to what was in then, never to what mended it. What was in since before the first record is not known,
and is counted as that. Lots and suppliers are compared by failures per day of work, for a new lot had less time to fail.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from sqlalchemy import ColumnElement, Connection, func, or_, select

from andon.database import Machines, among
from andon.plant import Asset, Plant
from ticketing.parts.tables import part as part_table
from ticketing.parts.tables import part_lot, part_use, supplier
from ticketing.quality.shares import Contrast, Counted, contrasts
from ticketing.tables import ticket as tickets
from ticketing.ticket import NOT_A_FAILURE

_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is looked at, the end left out; tickets count by when they were opened."""

    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault of one model: its share of the model's tickets beside its share of all the other models'."""

    model: str
    fault: str
    contrast: Contrast


@dataclass(frozen=True, slots=True)
class Matrix:
    """Models and faults. `of` counts each model's tickets that name a fault, `unsaid` those without fault or machine."""

    models: tuple[str, ...]
    faults: tuple[str, ...]
    of: Mapping[str, int]
    unsaid: int
    cells: Mapping[tuple[str, str], Cell]

    @property
    def findings(self) -> tuple[Cell, ...]:
        """What stands out, what does so most first."""
        found = [one for one in self.cells.values() if one.contrast.stands_out]
        return tuple(sorted(found, key=lambda one: (-(one.contrast.times or inf), one.model, one.fault)))


@dataclass(frozen=True, slots=True)
class Origin:
    """A lot or supplier of a part: how many of what it put in failed, in how many days of work, beside its others.

    `lot` is "" for a supplier taken whole; `tickets` are the failures that are counted.
    """

    part: str
    part_name: str
    part_name_zh: str
    lot: str
    supplier: str
    supplier_name: str
    supplier_name_zh: str
    grade: str
    brand: str
    days: float
    contrast: Contrast
    tickets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Origins:
    """Where a fault comes from. `failures` counts its tickets, `traced` those of which it is known what was in."""

    failures: int
    traced: int
    lots: tuple[Origin, ...]
    suppliers: tuple[Origin, ...]


def matrix(conn: Connection, plant: Plant, span: Span, *, machines: Machines = None) -> Matrix:
    """Tickets of failures by model and fault, each share compared with the other models' (Fisher, Holm).

    Tickets of types that are requests, duplicates, false alarms and what was cancelled do not count; machines without
    a model stand under their class. One statement, whatever the number of tickets.
    """
    c = tickets.c
    wanted = select(c.asset, c.fault_type, func.count()).where(*_failures(plant, span, machines))
    counts: Counter[tuple[str, str]] = Counter()
    unsaid = 0
    for asset, fault, n in conn.execute(wanted.group_by(c.asset, c.fault_type)):
        model = model_of(plant, asset)
        if fault is None or not model:
            unsaid += n
        else:
            counts[model, fault] += n
    return _matrix(counts, unsaid, plant)


def tickets_of(
    conn: Connection,
    plant: Plant,
    span: Span,
    *,
    fault: str,
    model: str | None = None,
    machines: Machines = None,
) -> tuple[int, ...]:
    """The tickets behind a cell, the newest first: of that fault, of one model or of all."""
    c = tickets.c
    wanted = select(c.id, c.asset).where(*_failures(plant, span, machines), c.fault_type == fault)
    found = conn.execute(wanted.order_by(c.opened_ns.desc(), c.id.desc()))
    return tuple(row.id for row in found if model is None or model_of(plant, row.asset) == model)


def origins(
    conn: Connection,
    plant: Plant,
    span: Span,
    *,
    fault: str,
    model: str | None = None,
    machines: Machines = None,
) -> Origins:
    """The lots and suppliers of what was in the machines, of one model or of all, and how often each failed so.

    Compared are lots of one part with its other lots, suppliers of one part with its others; what never failed so
    stands in for the others and is listed too, if its part failed at all.
    """
    of = None if model is None else frozenset(one.id for one in plant.assets if _kind(one) == model)
    seen = machines if of is None else of if machines is None else of & machines
    c = tickets.c
    wanted = select(c.id, c.asset, c.opened_ns).where(*_failures(plant, span, seen), c.fault_type == fault)
    failures: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in conn.execute(wanted.order_by(c.opened_ns, c.id)):
        failures[row.asset].append((row.opened_ns, row.id))
    fittings = list(_fittings(conn, span, seen))
    traced = _blame(fittings, failures)
    failed = {one.part for one in fittings if one.failed}
    fittings = [one for one in fittings if one.part in failed]
    known = _known(conn, failed)
    return Origins(
        failures=sum(map(len, failures.values())),
        traced=len(traced),
        lots=_origins(fittings, known, span, plant, by_lot=True),
        suppliers=_origins(fittings, known, span, plant, by_lot=False),
    )


def model_of(plant: Plant, asset_id: str) -> str:
    """The model of a machine, its class where no model is known, "" for a machine that is none of the plant's."""
    machine = plant.asset(asset_id)
    return _kind(machine) if machine else ""


@dataclass(slots=True)
class _Fitting:
    """One lot that was put into one machine, from when on until when, and the failures that it had meanwhile."""

    asset: str
    part: str
    lot: str
    ticket: int
    from_ns: int
    until_ns: int
    failed: list[int] = field(default_factory=list)
    first_ns: int = 2**63 - 1

    def days(self, span: Span) -> float:
        """How long it was in during the time that is looked at, until it failed first."""
        end_ns = min(self.until_ns, span.to_ns, self.first_ns)
        return max(0, end_ns - max(self.from_ns, span.from_ns)) / _DAY_NS


def _kind(machine: Asset) -> str:
    return machine.model or machine.asset_class


def _failures(plant: Plant, span: Span, machines: Machines) -> list[ColumnElement[bool]]:
    """What counts as a failure: no request, no duplicate, no false alarm, not cancelled."""
    c = tickets.c
    requests = [one.code for one in plant.ticket_types if one.about == "request"]
    no_failure = [str(one) for one in sorted(NOT_A_FAILURE)]
    return [
        c.opened_ns >= span.from_ns,
        c.opened_ns < span.to_ns,
        c.type.not_in(requests),
        or_(c.closure.is_(None), c.closure.not_in(no_failure)),
        among(c.asset, machines),
    ]


def _matrix(counts: Mapping[tuple[str, str], int], unsaid: int, plant: Plant) -> Matrix:
    of: Counter[str] = Counter()
    by_fault: Counter[str] = Counter()
    for (model, fault), n in counts.items():
        of[model] += n
        by_fault[fault] += n
    whole = of.total()
    pairs = sorted(counts)
    compared = contrasts(
        [
            (
                Counted(counts[model, fault], of[model]),
                Counted(by_fault[fault] - counts[model, fault], whole - of[model]),
            )
            for model, fault in pairs
        ],
        plant.quality,
    )
    cells = {pair: Cell(*pair, contrast) for pair, contrast in zip(pairs, compared, strict=True)}
    models = tuple(sorted(of, key=lambda one: (-of[one], one)))
    faults = tuple(sorted(by_fault, key=lambda one: (-by_fault[one], one)))
    return Matrix(models, faults, dict(of), unsaid, cells)


def _fittings(conn: Connection, span: Span, machines: Machines) -> Iterable[_Fitting]:
    """What was in the machines during the time: each lot from its ticket's work until another ticket puts in the same part."""
    c = part_use.c
    wanted = select(c.asset, c.part, c.lot, c.ticket, c.at_ns).where(
        c.at_ns < span.to_ns, among(c.asset, machines)
    )
    runs: dict[tuple[str, str], list[_Fitting]] = defaultdict(list)
    for row in conn.execute(wanted.order_by(c.asset, c.part, c.at_ns, c.ticket, c.lot)):
        run = runs[row.asset, row.part]
        for before in reversed(run):
            if before.until_ns < span.to_ns:
                break
            if before.ticket != row.ticket:
                before.until_ns = row.at_ns
        run.append(_Fitting(row.asset, row.part, row.lot, row.ticket, row.at_ns, span.to_ns))
    return (one for run in runs.values() for one in run if one.until_ns > span.from_ns)


def _blame(fittings: Sequence[_Fitting], failures: Mapping[str, Sequence[tuple[int, int]]]) -> set[int]:
    """Give each failure to all that was in its machine then; gives those that found something."""
    traced: set[int] = set()
    for one in fittings:
        of_machine = failures.get(one.asset, ())
        at = bisect_left(of_machine, (one.from_ns + 1, 0))
        while at < len(of_machine) and of_machine[at][0] <= one.until_ns:
            if of_machine[at][1] != one.ticket:
                one.failed.append(of_machine[at][1])
                one.first_ns = min(one.first_ns, of_machine[at][0])
            at += 1
        traced.update(one.failed)
    return traced


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store knows of a lot."""

    part_name: str
    part_name_zh: str
    supplier: str
    supplier_name: str
    supplier_name_zh: str
    grade: str
    brand: str


def _known(conn: Connection, parts: Iterable[str]) -> Mapping[tuple[str, str], _Known]:
    wanted = (
        select(
            *(part_lot.c.part, part_lot.c.lot, part_lot.c.brand, part_table.c.name, part_table.c.name_zh),
            *(
                supplier.c.code,
                supplier.c.name.label("supplier_name"),
                supplier.c.name_zh.label("supplier_zh"),
                supplier.c.grade,
            ),
        )
        .join(part_table, part_table.c.code == part_lot.c.part)
        .outerjoin(supplier, supplier.c.code == part_lot.c.supplier)
        .where(part_lot.c.part.in_(sorted(parts)))
    )
    return {
        (row.part, row.lot): _Known(
            *(
                row.name,
                row.name_zh,
                row.code or "",
                row.supplier_name or "",
                row.supplier_zh or "",
                row.grade or "",
                row.brand,
            )
        )
        for row in conn.execute(wanted)
    }


@dataclass(slots=True)
class _Sum:
    """What a lot or supplier comes to."""

    fitted: int = 0
    failed: int = 0
    days: float = 0.0


def _origins(
    fittings: Sequence[_Fitting],
    known: Mapping[tuple[str, str], _Known],
    span: Span,
    plant: Plant,
    *,
    by_lot: bool,
) -> tuple[Origin, ...]:
    groups: dict[tuple[str, str], list[_Fitting]] = defaultdict(list)
    sums: dict[tuple[str, str], _Sum] = defaultdict(_Sum)
    for one in fittings:
        key = one.part, one.lot if by_lot else known[one.part, one.lot].supplier
        groups[key].append(one)
        days = one.days(span)
        for into in (sums[key], sums[one.part, _ALL]):
            into.fitted += 1
            into.failed += bool(one.failed)
            into.days += days
    keys = sorted(groups)
    compared = contrasts(
        [_beside(sums[key], sums[key[0], _ALL]) for key in keys],
        plant.quality,
    )
    found = [
        _origin(groups[key], known, sums[key].days, contrast, by_lot=by_lot)
        for key, contrast in zip(keys, compared, strict=True)
    ]
    return tuple(sorted(found, key=_worst_first))


_ALL = "\0"
"""Under which all of a part are summed; no lot is called that."""


def _beside(here: _Sum, every: _Sum) -> tuple[Counted, Counted]:
    return (
        Counted(here.failed, here.fitted, here.days),
        Counted(every.failed - here.failed, every.fitted - here.fitted, every.days - here.days),
    )


def _origin(
    some: Sequence[_Fitting],
    known: Mapping[tuple[str, str], _Known],
    days: float,
    contrast: Contrast,
    *,
    by_lot: bool,
) -> Origin:
    first = some[0]
    about = known[first.part, first.lot]
    brands = {known[one.part, one.lot].brand for one in some} - {""}
    return Origin(
        part=first.part,
        part_name=about.part_name,
        part_name_zh=about.part_name_zh,
        lot=first.lot if by_lot else "",
        supplier=about.supplier,
        supplier_name=about.supplier_name,
        supplier_name_zh=about.supplier_name_zh,
        grade=about.grade,
        brand=", ".join(sorted(brands)),
        days=days,
        contrast=contrast,
        tickets=tuple(sorted({number for one in some for number in one.failed}, reverse=True)),
    )


def _worst_first(one: Origin) -> tuple[bool, float, str, str, str]:
    contrast = one.contrast
    rate = contrast.here.count / one.days if one.days else 0.0
    return not contrast.stands_out, -rate, one.part, one.supplier, one.lot
