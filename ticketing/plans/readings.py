"""Readings of meters: told by hand, or taken from a channel now and then; each has the plans of its meter looked at."""

import math
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select

from andon.events import MINUTE_NS, Readings
from andon.plant import Plant, once_per_plant
from andon.rules.plans import Meter
from ticketing.book import Book
from ticketing.dedup import TRUSTED_NS
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, FieldsRefused, Missing
from ticketing.plans.counting import Kind, Reading, falls, valid
from ticketing.plans.review import again, machines_of
from ticketing.plans.store import readings_of
from ticketing.plans.tables import meter_reading, plan_asset
from ticketing.sql import Row

GOOD = 0
"""The quality of a value that can be taken (OPC UA: the highest two bits)."""
_QUALITY_SHIFT = 30


def tell(
    by: Doer,
    plant: Plant,
    *,
    asset: str,
    meter: str,
    value: float,
    at_ns: int,
    kind: Kind = Kind.READING,
    replaces: int | None = None,
    note: str = "",
) -> Reading:
    """A person has read a meter, reset it, or read it wrong before (`replaces`, with a note that says why).

    Raises
    ------
    DeedRefused
        `meter_not_found`: there is none of that code on the machine; `reading_not_found`: nothing stands that it could
        replace.
    FieldsRefused
        `value` is no number of that display, or lies below the reading before it (a reset has to be said); `at` lies in
        the future; a correction needs a `note`.
    """
    found = meter_of(plant, meter, asset)
    if found is None:
        raise DeedRefused("meter_not_found", f"there is no meter {meter!r} on {asset!r}")
    with by.tickets.transaction(by.now_ns) as book:
        number = book.next_number("meter_reading")
        new = Reading(number, at_ns, kind, value, replaces, "hand", by.actor, by.now_ns, note.strip())
        known = readings_of(book.conn, asset, meter)
        if replaces is not None and replaces not in {one.id for one in valid(known)}:
            raise DeedRefused("reading_not_found", f"no reading {replaces} of that meter stands")
        if wrong := _wrong(new, found, known):
            raise FieldsRefused(wrong)
        book.add(meter_reading, _row(asset, meter, new))
        look_again(book, plant, asset, meter)
    return new


def _wrong(new: Reading, meter: Meter, known: Sequence[Reading]) -> list[Missing]:
    if not math.isfinite(new.value) or new.value < 0:
        return [Missing("value", "not_a_number" if not math.isfinite(new.value) else "too_small")]
    if meter.rollover_at is not None and new.value >= meter.rollover_at:
        return [Missing("value", "too_great")]
    if new.at_ns > new.told_ns + TRUSTED_NS:
        return [Missing("at", "in_the_future")]
    if new.replaces is not None and not new.note:
        return [Missing("note")]
    return [Missing("value", "falls")] if falls(known, new, meter) else []


def look_again(book: Book, plant: Plant, asset: str, meter: str) -> None:
    """Have the plans that go by that meter looked at on that machine."""
    codes = [one.code for one in plant.plans if one.usage is not None and one.usage.meter == meter]
    c = plan_asset.c
    watched = book.conn.execute(select(c.plan).where(c.asset == asset, c.plan.in_(codes))).scalars().all()
    again(book.conn, [(code, asset) for code in watched], book.now_ns, book.now_ns)


def meter_of(plant: Plant, code: str, asset: str) -> Meter | None:
    """The meter of that code, if that machine has one."""
    found = next((one for one in plant.meters if one.code == code), None)
    return found if found is not None and asset in machines_of(found.machines, plant) else None


class Feeding:
    """Takes the readings of meters out of the stream of the channels: so often as each meter asks, and when one falls."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, float]] = {}
        self._taken: dict[tuple[str, str], tuple[int, float]] = {}
        self._blocks: Sequence[Readings] = ()

    def take(self, conn: Connection, blocks: Sequence[Readings], plant: Plant, now_ns: int) -> None:
        """Keep what these blocks show of meters, in the caller's transaction; nothing is read where there are none.

        The same blocks again come after a transaction that failed: what was taken of them then was not kept.
        """
        fed = _fed(plant)
        if not fed:
            return
        if blocks is not self._blocks:
            self._last |= self._taken
        self._blocks, self._taken = blocks, {}
        rows: list[Row] = []
        for block in blocks:
            for index, channel in enumerate(block.channels):
                for meter in fed.get((block.asset, channel), ()):
                    rows += self._of_channel(conn, block, index, meter, now_ns)
        if rows:
            book = Book(conn, now_ns)
            for row in rows:
                conn.execute(insert(meter_reading), row | {"id": book.next_number("meter_reading")})
            for asset, code in {(row["asset"], row["meter"]) for row in rows}:
                look_again(book, plant, asset, code)
            book.save()

    def _of_channel(
        self, conn: Connection, block: Readings, index: int, meter: Meter, now_ns: int
    ) -> list[Row]:
        key = block.asset, meter.code
        if key not in self._last:
            known = valid(readings_of(conn, *key))
            self._last[key] = (known[-1].at_ns, known[-1].value) if known else (-(2**62), 0.0)
        kept: list[Row] = []
        mine = (block.channel == index) & (block.quality >> _QUALITY_SHIFT == GOOD)
        for at_ns, value in zip(block.at_ns[mine].tolist(), block.value[mine].tolist(), strict=True):
            last_ns, last = self._taken.get(key, self._last[key])
            due = at_ns - last_ns >= meter.every_min * MINUTE_NS or value < last
            if due and at_ns > last_ns and math.isfinite(value) and value >= 0:
                self._taken[key] = at_ns, value
                reading = Reading(0, at_ns, Kind.READING, value, None, "channel", "", now_ns)
                kept.append(_row(*key, reading))
        return kept


@once_per_plant
def _fed(plant: Plant) -> Mapping[tuple[str, str], Sequence[Meter]]:
    """By machine and channel: the meters that are shown there."""
    found: dict[tuple[str, str], list[Meter]] = {}
    for meter in plant.meters:
        for asset in machines_of(meter.machines, plant) if meter.channel else ():
            found.setdefault((asset, meter.channel), []).append(meter)
    return found


def _row(asset: str, meter: str, one: Reading) -> Row:
    row: Row = {name: getattr(one, name) for name in one.__slots__}
    return row | {"asset": asset, "meter": meter, "kind": str(one.kind)}
