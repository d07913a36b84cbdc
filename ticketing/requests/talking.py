"""What comes of a message (rules 5 and 8): taken as a report, or answered with what is still missing. Decided on values.

A talk goes on until it names its event and says what is wrong; what was said before is kept. After that, what the same
person says within the window of deduplication is about the same event.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from andon.events import Json
from andon.plant import Plant
from andon.rules.types import TicketType, of_channel
from ticketing.errors import Missing, ReportRefused
from ticketing.report import MAX_WORDS, read
from ticketing.requests.identify import identify

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]{2,}\W+[A-Za-z]{2,}")
_WORDS_MAX = MAX_WORDS - 500


class Outcome(StrEnum):
    """What became of a message, and so what is answered."""

    TAKEN = "taken"
    ADDED = "added"
    ASK_ID = "ask_id"
    ASK_PHONE = "ask_phone"
    ASK_MACHINE = "ask_machine"
    ASK_ORDER = "ask_order"
    ASK_WORDS = "ask_words"
    HELD = "held"
    WELCOME = "welcome"
    NOTED = "noted"
    REFUSED = "refused"


ASKS = frozenset(
    {Outcome.ASK_ID, Outcome.ASK_PHONE, Outcome.ASK_MACHINE, Outcome.ASK_ORDER, Outcome.ASK_WORDS}
)
_ASKED_FOR = {
    "event_id": Outcome.ASK_ID,
    "description": Outcome.ASK_WORDS,
    "asset": Outcome.ASK_MACHINE,
    "order_number": Outcome.ASK_ORDER,
    "phone": Outcome.ASK_PHONE,
}
"""What a report lacks -> what is asked for; all else a person of ours has to complete."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody has said so far: their words, and what names the event; `asked` is what was asked for last."""

    words: tuple[str, ...] = ()
    asset: str = ""
    serial: str = ""
    order_number: str = ""
    phone: str = ""
    asked: str = ""

    @property
    def description(self) -> str:
        """All words, as they were said."""
        return "\n".join(self.words)[:_WORDS_MAX]


@dataclass(frozen=True, slots=True)
class Said:
    """One message: who says what by which channel; `scene` is the machine whose code was scanned on the way."""

    channel: str
    peer: str
    words: str = ""
    scene: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of a talk: its draft, what is answered, and the body of the report once it can be one."""

    draft: Draft
    outcome: Outcome
    body: bytes = b""
    missing: tuple[Missing, ...] = ()


def decide(draft: Draft, said: Said, plant: Plant) -> Decided:
    """The talk after that message."""
    after = _with(draft, said, plant)
    body = _body(after, said, plant)
    try:
        read(body, plant)
    except ReportRefused as refused:
        outcome = _ask(refused.missing)
        return Decided(replace(after, asked=outcome), outcome, missing=refused.missing)
    return Decided(replace(after, asked=""), Outcome.TAKEN, body)


def same_event(draft: Draft) -> Draft:
    """The draft for what is said next about an event that is reported already: its names without its words."""
    return replace(draft, words=(), asked="")


def language_of(words: str, default: str) -> str:
    """The language to answer in.

    >>> language_of("泵 P-101 漏油", "en"), language_of("pump leaks", "zh"), language_of("SN-77421", "zh")
    ('zh', 'en', 'zh')
    """
    if _CHINESE.search(words):
        return "zh"
    return "en" if _LATIN.search(words) else default


def type_of(plant: Plant, said: Said) -> TicketType:
    """The type of what comes by that channel: what is set, else what the channel opens, else what a chat opens, else the first."""
    chosen = plant.ticket_type(said.type) if said.type else None
    if chosen is not None and not chosen.retired:
        return chosen
    types = plant.ticket_types
    found = of_channel(types, said.channel) or of_channel(types, "chat")
    return found or next(one for one in types if not one.retired)


def _with(draft: Draft, said: Said, plant: Plant) -> Draft:
    named = identify(said.words, plant, asked=draft.asked in {Outcome.ASK_ID, Outcome.ASK_MACHINE})
    scanned = said.scene if plant.asset(said.scene) is not None else ""
    words = (*draft.words, said.words.strip()) if named.says_more else draft.words
    return Draft(
        words=words,
        asset=named.asset or scanned or draft.asset,
        serial=named.serial or draft.serial,
        order_number=named.order_number or draft.order_number,
        phone=named.phone or draft.phone,
        asked=draft.asked,
    )


def _body(draft: Draft, said: Said, plant: Plant) -> bytes:
    told: dict[str, Json] = {
        "type": type_of(plant, said).code,
        "channel": said.channel,
        "reporter": said.peer,
        "description": draft.description,
        "asset": draft.asset,
        "serial": draft.serial,
        "order_number": draft.order_number,
        "phone": draft.phone,
    }
    return json.dumps({name: value for name, value in told.items() if value}, ensure_ascii=False).encode()


def _ask(missing: Sequence[Missing]) -> Outcome:
    """What to ask for next: what names the event before what is wrong with it; one thing at a time."""
    lacks = {one.demand for one in missing}
    return next((ask for demand, ask in _ASKED_FOR.items() if demand in lacks), Outcome.HELD)
