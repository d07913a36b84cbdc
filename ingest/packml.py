"""PackML's words for what a machine does and why it stopped: states by name and number, and the alarm structure."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from andon.events import PackMLState

PACKML_URI = "http://opcfoundation.org/UA/PackML/"
ALARM_ENCODING = 74
"""PackMLAlarmDataType_Encoding_DefaultBinary in that namespace."""
_BY_NAME = {state.name.replace("_", ""): state for state in PackMLState}
_EPOCH_1601_NS = 11_644_473_600 * 1_000_000_000
_LATEST_TICKS = 2**63 - 1


def state_of(word: str | int) -> PackMLState:
    """The state of that name or number; case, spaces, hyphens and underscores do not matter. Else ValueError.

    Source: ISA-TR88.00.02 (StateCurrent); OPC 30050, 6.3.

    >>> state_of("Un-Holding"), state_of(6)
    (<PackMLState.UNHOLDING: 12>, <PackMLState.EXECUTE: 6>)
    """
    if isinstance(word, int):
        return PackMLState(word)
    state = _BY_NAME.get("".join(letter for letter in word[:64].upper() if letter.isalpha()))
    if state is None:
        raise ValueError(f"no PackML state is called {word[:64]!r}")
    return state


def innermost(words: Iterable[str | int | None]) -> tuple[int, str | int] | None:
    """Which of the nested state machines speaks, from the outside in, and what it says; None if none does.

    OPC 30050 nests three of them: outside "Cleared" means "ask the machine state", there "Running" means "ask the
    execute state". Those two are no states of PackML's, so the first word that is one counts, and what an inner
    machine last said before it was left does not.

    >>> innermost(["Cleared", "Running", "Held"]), innermost(["Aborted", "Running", "Held"])
    ((2, 'Held'), (0, 'Aborted'))
    """
    for layer, word in enumerate(words):
        if word is None:
            return None
        try:
            state_of(word)
        except ValueError:
            continue
        return layer, word
    return None


@dataclass(frozen=True, slots=True)
class PackMLAlarm:
    """PackMLAlarmDataType (OPC 30050, 6.8.2.2). `at_ns` is when it occurred, None where the machine has no clock."""

    id: int
    value: int
    message: str
    category: int
    at_ns: int | None
    trigger: bool


def alarm_of(body: bytes) -> PackMLAlarm:
    """The alarm in a structure's binary form: Int32, Int32, String, Int32, two DateTimes, Boolean. Else ValueError.

    Nothing may be left over: a structure that begins alike and goes on is another one.
    """
    try:
        number, value, length = struct.unpack_from("<iii", body)
        size = max(length, 0)
        category, at, _acknowledged, trigger = struct.unpack_from("<iqqB", body, 12 + size)
    except struct.error as error:
        raise ValueError(f"no PackML alarm: {error}") from None
    if len(body) != 12 + size + struct.calcsize("<iqqB"):
        raise ValueError(f"no PackML alarm: {len(body)} bytes")
    message = body[12 : 12 + size].decode("utf-8", "replace")
    at_ns = at * 100 - _EPOCH_1601_NS if 0 < at < _LATEST_TICKS else -1
    return PackMLAlarm(number, value, message, category, at_ns if 0 <= at_ns < 2**63 else None, bool(trigger))
