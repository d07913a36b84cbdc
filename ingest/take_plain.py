"""Values in foreign words become readings: a bare number, or plain JSON whose keys a mapping rule knows.

What carries no id and no time of its own has no identity: the same bare number twice is two readings.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from andon.events import Json
from andon.mappings import Value
from ingest.blocks import Row, Run, row
from ingest.envelope import Envelope, check_utf8, parse
from ingest.filled import Filled, at_path, parsed, said
from ingest.mapping import Equipment
from ingest.once import is_new
from ingest.refusal import Reason, Refused
from ingest.retained import quality_floor
from ingest.take_stop import packml

ANY = msgspec.json.Decoder()
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d.,+-].*)?", re.DOTALL | re.ASCII)
_LARGEST = 1.7976931348623157e308
_WORDS = {"true": 1.0, "false": 0.0}
_NOT_FINITE = {"nan", "inf", "infinity"}


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A value as the payload has it: its name for the rule's table, what is said there, and beside what."""

    name: str
    told: Json
    beside: Json
    sent_ns: int | None


def take_number(run: Run) -> None:
    """Take a payload that is nothing but a value."""
    filled = rule_of(run)
    told = check_utf8(run.record.body).strip()
    if not is_new(run, Envelope(), sent_ns=None, at_ns=run.received_ns, timed=False):
        return
    equipment = run.equipment()
    name = filled.named(None)
    value = filled.value_of(name)
    if value is None:
        raise Refused(Reason.UNKNOWN_POINT, f"rule {filled.number} has no {name[:64]!r} in its `channels`")
    number, unit = _number(told, value, filled)
    channel = equipment.channel(value.channel, unit or filled.unit_of(value, None))
    run.add(equipment.id, [row(run.received_ns, channel, number, quality_floor(run, None))])
    run.stored += 1


def take_json(run: Run) -> None:
    """Take a plain JSON payload; one that holds only values that are not wanted is ignored."""
    filled = rule_of(run)
    payload: Json = parse(ANY, run.record.body)
    found = list(_leaves(filled, payload))
    if not found:
        raise Refused(Reason.SCHEMA, f"rule {filled.number} finds no value in the payload")
    timed = bool(found) and all(leaf.sent_ns is not None for leaf in found)
    sent_ns = min((leaf.sent_ns for leaf in found if leaf.sent_ns is not None), default=None)
    at_ns = run.received_ns if sent_ns is None else sent_ns
    if not is_new(run, Envelope(id=filled.id_of(payload)), sent_ns=sent_ns, at_ns=at_ns, timed=timed):
        return
    rows: dict[str, list[Row]] = {}
    floor = quality_floor(run, sent_ns if timed else None)
    for leaf in found:
        value = filled.value_of(leaf.name)
        if value is None:
            continue
        equipment = equipment_of(run, filled, leaf.beside)
        rows.setdefault(equipment.id, []).append(_row(run, filled, equipment, value, leaf, floor))
    for asset, its in rows.items():
        run.add(asset, its)
    if rows:
        run.stored += 1
    else:
        run.ignored += 1


def rule_of(run: Run) -> Filled:
    """The rule that the run's route comes from; a route of such a kind always has one."""
    if run.route.filled is None:
        raise run.route.refusal()
    return run.route.filled


def equipment_of(run: Run, filled: Filled, payload: Json) -> Equipment:
    """The machine that the topic names, else the payload; Refused if the plant does not have it."""
    if filled.asset is not None:
        return run.equipment()
    run.route = run.routes.again(run.route, filled.asset_in(payload))
    return run.equipment()


def _leaves(filled: Filled, payload: Json) -> Iterator[_Leaf]:
    each = filled.rule.each
    if each is None:
        yield from _values(filled, payload, payload)
        return
    members = at_path(payload, parsed(each))
    if not isinstance(members, list):
        raise Refused(Reason.SCHEMA, f"rule {filled.number} finds no list at {each!r}")
    around = payload if isinstance(payload, Mapping) else {}
    for member in members:
        beside = {**around, **member} if isinstance(member, Mapping) else member
        yield from _values(filled, member, beside)


def _values(filled: Filled, told: Json, beside: Json) -> Iterator[_Leaf]:
    sent_ns = filled.sent_ns(beside)
    only = filled.rule.value
    if only is not None:
        name = filled.named(beside, key=only)
        yield _Leaf(name, at_path(told, parsed(only)), beside, sent_ns)
        return
    for keys, found in _numbers(told, (), wanted=filled.rule.channels):
        if keys in filled.asked_for:
            continue
        key = ".".join(word.replace(".", "..") for word in keys)
        yield _Leaf(filled.named(beside, key=key), found, beside, sent_ns)


def _numbers(
    told: Json, keys: tuple[str, ...], wanted: Mapping[str, Value]
) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Numbers and booleans by their path; texts and nulls too where a table says which are wanted."""
    if isinstance(told, Mapping):
        for key, member in told.items():
            yield from _numbers(member, (*keys, key), wanted)
    elif isinstance(told, int | float) or (wanted and not isinstance(told, list)):
        yield keys, told


def _row(  # noqa: PLR0917 -- what a value is, and where it stands
    run: Run, filled: Filled, equipment: Equipment, value: Value, leaf: _Leaf, floor: int
) -> Row:
    at_ns = run.received_ns if leaf.sent_ns is None else run.at(leaf.sent_ns)
    quality = max(filled.quality_of(leaf.beside), floor)
    unit = filled.unit_of(value, leaf.beside)
    if leaf.told is None:
        return row(at_ns, equipment.channel(value.channel, unit), None, quality)
    word = said({"": leaf.told}, ("",))
    if word is None:
        raise Refused(Reason.SCHEMA, f"{leaf.name[:64]!r} is a list or an object where a number is wanted")
    number, own = _number(word, value, filled)
    return row(at_ns, equipment.channel(value.channel, own or unit), number, quality)


def _number(told: str, value: Value, filled: Filled) -> tuple[float, str | None]:
    """(the number in Andon's unit, the unit that stood behind it if the rule knows one)."""
    if len(told) > 1 and told[0] == told[-1] == '"':
        told = told[1:-1].strip()
    if told in value.values:
        return value.values[told] * value.scale + value.offset, None
    if value.channel == "state":
        return float(packml(int(told) if told.isascii() and told.isdigit() else told)), None
    if told.casefold() in _WORDS:
        return _WORDS[told.casefold()] * value.scale + value.offset, None
    match = _NUMBER.fullmatch(told)
    if match is None or (match[2] or "") not in {"", *filled.rule.units}:
        if told.casefold().lstrip("+-") in _NOT_FINITE:
            raise Refused(Reason.NOT_FINITE_JSON, f"{told[:40]} is no number that can be kept")
        behind = f"; if {match[2][:16]!r} is its unit, add it to `units`" if match and match[2] else ""
        raise Refused(Reason.SCHEMA, f"{told[:40]!r} is no number{behind}")
    number = float(match[1]) * value.scale + value.offset
    if not abs(number) <= _LARGEST:
        raise Refused(Reason.NOT_FINITE_JSON, f"{told[:40]} is too large a number")
    return number, filled.rule.units[match[2]] if match[2] else None
