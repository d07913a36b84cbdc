"""What a payload looks like to somebody who knows nothing of its sender: kind, fields, times, names and units.

Guesses for people to correct: nothing of this is used while messages are decoded.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from andon.events import HOUR_NS, Json, nanoseconds
from ingest.waveform import MAGIC

Form = Literal["sparkplug", "waveform", "envelope", "json", "number", "stop", "text", "binary", "empty"]
_YEAR_NS = 365 * 24 * HOUR_NS
_UNIX = {"unix_s": 1_000_000_000, "unix_ms": 1_000_000, "unix_us": 1000, "unix_ns": 1}
_NUMBER = re.compile(r'"?\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*([^\d\s"][^"\d]{0,11})?"?', re.ASCII)
_TIMES = re.compile(r"(?i)^(time_?stamp.*|ts|t|time|date_?time|_?time|at|when)$")
_UNITS = re.compile(r"(?i)^(unit|units|uom)$")
_QUALITIES = re.compile(r"(?i)^(quality|q|good|status_?code)$")
_VALUES = re.compile(r"(?i)^(value|val|v)$")
_NAMES = re.compile(r"(?i)^(id|name|n|tag|tagname|signal)$")
_REASONS = re.compile(
    r"(?i)^((alarm|fault|error|reason|stop)_?(id|code|no|number)?|code|alarm|fault|stop_?reason)$"
)
_PHASES = re.compile(r"(?i)^(active|phase|event|status|state|trigger|action)$")
_MACHINES = re.compile(r"(?i)^(machine|asset|equipment|device|station|dev)(_?(id|name|no))?$")
_MESSAGES = re.compile(r"(?i)^(message|msg|text|description|desc)$")
_SEVERITIES = re.compile(r"(?i)^(severity|prio|priority)$")
PHASES = (
    *(("raised", "cleared"), ("raise", "clear"), ("on", "off"), ("begin", "end"), ("start", "end")),
    *(("started", "ended"), ("active", "inactive"), ("active", "over"), ("set", "reset")),
    *(("coming", "going"), ("come", "gone")),
)
"""Words that begin something and end it, by pairs: who says one of them says the other too, sooner or later."""
BEGIN_WORDS = frozenset(begin for begin, _ in PHASES)
END_WORDS = frozenset(end for _, end in PHASES)
QUANTITIES: Mapping[str, tuple[str, str]] = {
    "temp": ("temperature", "Cel"),
    "temperature": ("temperature", "Cel"),
    "pressure": ("pressure", "bar"),
    "press": ("pressure", "bar"),
    "current": ("current", "A"),
    "amps": ("current", "A"),
    "voltage": ("voltage", "V"),
    "volt": ("voltage", "V"),
    "power": ("power", "kW"),
    "speed": ("speed", "/min"),
    "rpm": ("speed", "/min"),
    "flow": ("flow", "L/min"),
    "humidity": ("humidity", "%"),
    "level": ("level", "%"),
    "torque": ("torque", "N.m"),
    "frequency": ("frequency", "Hz"),
    "vibration": ("vibration", "mm/s"),
    "rms": ("velocity_rms", "mm/s"),
    "velocity_rms": ("velocity_rms", "mm/s"),
    "acceleration_rms": ("acceleration_rms", "[g]"),
    "statecurrent": ("state", ""),
    "state_current": ("state", ""),
    "current_state": ("state", ""),
    "state": ("state", ""),
    "count": ("count", "1"),
    "counter": ("count", "1"),
}
"""Word at the end of a name -> quantity and its usual unit (UCUM): a guess, where the payload says none."""
SUFFIXES: Mapping[str, str] = {
    "c": "Cel",
    "degc": "Cel",
    "celsius": "Cel",
    "f": "[degF]",
    "bar": "bar",
    "mbar": "mbar",
    "kpa": "kPa",
    "rpm": "/min",
    "hz": "Hz",
    "kw": "kW",
    "w": "W",
    "a": "A",
    "v": "V",
    "ma": "mA",
    "pct": "%",
    "percent": "%",
    "g": "[g]",
    "mm": "mm",
    "nm": "N.m",
}
_PLAIN = str.maketrans("äöüÄÖÜß", "aouAOUs")
UCUM: Mapping[str, str] = {
    "°C": "Cel",
    "C": "Cel",
    "°F": "[degF]",
    "rpm": "/min",
    "U/min": "/min",
    "1/min": "/min",
    "Nm": "N.m",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of a payload. Fields are key paths, empty where there is none; `leaves` are its numbers."""

    form: Form
    leaves: tuple[str, ...] = ()
    value: str = ""
    each: str = ""
    name: str = ""
    time: str = ""
    time_format: str = ""
    unit: str = ""
    quality: str = ""
    machine: str = ""
    units: tuple[str, ...] = ()
    stop: tuple[tuple[str, str], ...] = ()


def shape_of(topic: str, body: bytes, now_ns: int) -> Shape:
    """The form of one payload. Total: whatever comes has a form."""
    if re.match(r"sp[A-Z]v\d+\.\d+/", topic):
        return Shape("sparkplug")
    if body.startswith(MAGIC):
        return Shape("waveform")
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return Shape("binary")
    return _of_text(text, now_ns) if text else Shape("empty")


def _of_text(text: str, now_ns: int) -> Shape:
    number = _NUMBER.fullmatch(text)
    if number is not None or text.strip('"').casefold() in {"true", "false"}:
        unit = (number[1] or "").strip() if number else ""
        return Shape("number", units=(unit,) if unit else ())
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return Shape("text")
    if isinstance(told, Mapping) and str(told.get("type", "")).startswith("andon."):
        metrics = told["data"].get("metrics", []) if isinstance(told.get("data"), Mapping) else []
        names = [
            str(metric["name"]) for metric in metrics if isinstance(metric, Mapping) and "name" in metric
        ]
        return Shape("envelope", leaves=tuple(names))
    return _of_json(told, now_ns) if isinstance(told, Mapping | list) else Shape("text")


def leaves_of(told: Json, before: str = "") -> Iterator[tuple[str, Json]]:
    """Every scalar of a JSON value with its key path; lists are left closed."""
    if isinstance(told, Mapping):
        for key, member in told.items():
            path = str(key).replace(".", "..")
            yield from leaves_of(member, f"{before}.{path}" if before else path)
    elif not isinstance(told, list):
        yield before, told


def channel_of(name: str, point: str = "") -> tuple[str, str]:
    """(channel, unit) that a foreign name probably means.

    >>> channel_of("motor_temp"), channel_of("speed_rpm"), channel_of("vib.rms")
    (('motor/temperature', 'Cel'), ('machine/speed', '/min'), ('vib/velocity_rms', 'mm/s'))
    """
    parts = re.split(r"[./]", name)
    if not point and len(parts) == 2 and all(parts):
        point, name = parts
    words = [
        word for word in re.split(r"[^0-9A-Za-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name)) if word
    ] or ["value"]
    unit = SUFFIXES.get(words[-1].casefold(), "") if len(words) > 1 else ""
    if unit:
        words.pop()
    length = 2 if "_".join(words[-2:]).casefold() in QUANTITIES else 1
    last = "_".join(words[-length:])
    quantity, usual = QUANTITIES.get(last.casefold(), (last, ""))
    where = "_".join(words[:-length])
    if quantity == "state" and not where:
        return "state", ""
    place = identifier("_".join(filter(None, (point, where))) or "machine")
    return f"{place}/{identifier(quantity)}", unit or usual


def identifier(name: str) -> str:
    """The nearest thing to the name that may stand as an id in the plant document."""
    plain = name.translate(_PLAIN)
    cleaned = re.sub(r"[^A-Za-z0-9_.:-]+", "-", plain).strip("-._:")
    return cleaned[:64] or f"x{sum(name.encode()) % 10_000}"


def _of_json(told: Json, now_ns: int) -> Shape:
    listed = _listed(told)
    if listed is not None:
        each, member = listed
        found = dict(leaves_of(member)) | (dict(leaves_of(told)) if isinstance(told, Mapping) else {})
        name = next((key for key in found if _NAMES.match(key)), "")
        value = next((key for key in found if _VALUES.match(key)), "")
        return replace(_about(found, now_ns), value=value, each=each, name=name)
    found = dict(leaves_of(told))
    about = _about(found, now_ns)
    stop = _stop(found)
    if stop:
        return replace(about, form="stop", stop=stop, unit="", quality="")
    asked_for = {about.time, about.unit, about.quality, about.machine}
    rest = {key: said for key, said in found.items() if key not in asked_for}
    numbers = tuple(key for key, said in rest.items() if isinstance(said, int | float))
    values = [key for key in rest if _VALUES.match(key)]
    if len(values) == 1 and set(numbers) <= set(values):
        return replace(about, value=values[0])
    return replace(about, leaves=numbers)


def _listed(told: Json) -> tuple[str, Mapping[str, Json]] | None:
    """(key path, first member) of a list whose members have a name and a value."""
    places = [("", told)] if isinstance(told, list) else list(told.items())
    for key, members in places:
        if isinstance(members, list) and members and isinstance(members[0], Mapping):
            keys = list(members[0])
            if any(_NAMES.match(name) for name in keys) and any(_VALUES.match(name) for name in keys):
                return str(key).replace(".", ".."), members[0]
    return None


def _about(found: Mapping[str, Json], now_ns: int) -> Shape:
    """The fields that say something about the values."""
    about = Shape("json")
    for key, said in found.items():
        last = key.rpartition(".")[2]
        written = time_format(said, now_ns) if _TIMES.match(last) and not about.time else ""
        if written:
            about = replace(about, time=key, time_format=written)
        elif not about.unit and _UNITS.match(last) and isinstance(said, str):
            about = replace(about, unit=key)
        elif not about.quality and _QUALITIES.match(last):
            about = replace(about, quality=key)
        elif not about.machine and _MACHINES.match(last) and isinstance(said, str | int):
            about = replace(about, machine=key)
    return about


def time_format(said: Json, now_ns: int) -> str:
    """How a time is written, empty if it is none within a year of now."""
    if isinstance(said, str) and not said.replace(".", "").isdigit():
        try:
            return "rfc3339" if abs(nanoseconds(said) - now_ns) < _YEAR_NS else ""
        except (ValueError, OverflowError):
            return ""
    try:
        number = float(said)
    except (TypeError, ValueError):
        return ""
    return next((name for name, scale in _UNIX.items() if abs(number * scale - now_ns) < _YEAR_NS), "")


def _stop(found: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """What of a stop the keys say -> key path; empty if it does not look like a stop."""
    patterns = {
        "reason": _REASONS,
        "active": _PHASES,
        "message": _MESSAGES,
        "severity": _SEVERITIES,
    }
    fields: dict[str, str] = {}
    for key, said in found.items():
        for what, pattern in patterns.items():
            if what not in fields and pattern.match(key.rpartition(".")[2]) and is_fit(what, said):
                fields[what] = key
                break
    return tuple(fields.items()) if {"reason", "active"} <= set(fields) else ()


def is_fit(what: str, said: Json) -> bool:
    """Whether a value can mean that field of a stop."""
    if what == "active":
        return isinstance(said, bool) or str(said).casefold() in BEGIN_WORDS | END_WORDS
    if what == "severity":
        return isinstance(said, int) and 1 <= said <= 1000
    return isinstance(said, str | int) and not isinstance(said, bool)
