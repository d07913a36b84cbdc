"""What names the event in somebody's own words (rule 8): a machine, a serial number, an order, a telephone number.

What is found wrongly would lead to the wrong machine, so that only what is said as such counts: a machine's own id,
serial number or full name, a number behind a word that says what it is, or a telephone number's form.
"""

import re
import unicodedata
from dataclasses import dataclass

from andon.plant import Plant

_ORDER = re.compile(
    r"(?:订单号?|单号|order(?:\s*(?:no|number))?|\bPO|\bSO)[\s.:：#]*([A-Z0-9][A-Z0-9-]{3,63})", re.IGNORECASE
)
_SERIAL = re.compile(
    r"(?:序列号|设备号|机号|编号|serial(?:\s*(?:no|number))?|\bS/?N)[\s.:：#]*([A-Z0-9][A-Z0-9./-]{3,63})",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"(?:电话|手机号?|联系方式|phone|tel|mobile|call)[\s.:：]*(\+?\d[\d -]{5,18}\d)", re.IGNORECASE
)
_MOBILE = re.compile(r"(?<![\dA-Z-])(?:\+?86[ -]?)?(1[3-9]\d[ -]?\d{4}[ -]?\d{4})(?![\dA-Z])", re.IGNORECASE)
_LANDLINE = re.compile(r"(?<![\dA-Z-])(0\d{2,3}[ -]?\d{7,8})(?![\dA-Z])", re.IGNORECASE)
_ABROAD = re.compile(r"(?<![\dA-Z])(\+\d{1,3}[ -]?\d[\d -]{6,14}\d)(?![\dA-Z])", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Z0-9][A-Z0-9./-]{3,63}", re.IGNORECASE)
_NOTHING = re.compile(r"[\W\d_]*")


@dataclass(frozen=True, slots=True)
class Named:
    """What was found, empty where it was not; `rest` are the words that are left without it."""

    asset: str = ""
    serial: str = ""
    order_number: str = ""
    phone: str = ""
    rest: str = ""

    @property
    def says_more(self) -> bool:
        """Whether there are words beside what names the event."""
        return _NOTHING.fullmatch(self.rest) is None


def identify(words: str, plant: Plant, *, asked: bool = False) -> Named:
    """What names the event in these words; `asked`: a number alone is the serial number that was asked for.

    >>> identify("订单 SO-2291 的泵漏油，电话 138 0013 8000", Plant(name="x"))
    Named(asset='', serial='', order_number='SO-2291', phone='13800138000', rest='的泵漏油,')
    >>> identify("SN-77421", Plant(name="x"), asked=True).serial
    'SN-77421'
    """
    text = unicodedata.normalize("NFKC", words)
    asset, text = _machine(text, plant)
    order, text = _cut(_ORDER, text)
    serial, text = _cut(_SERIAL, text)
    phone = ""
    for form in (_LABELLED, _MOBILE, _LANDLINE, _ABROAD):
        if not phone:
            phone, text = _cut(form, text)
    rest = " ".join(text.split())
    if asked and not (asset or order or serial or phone) and _is_number(rest):
        serial, rest = rest, ""
    return Named(asset, serial, order, re.sub(r"[ -]", "", phone), rest)


def _cut(form: re.Pattern[str], text: str) -> tuple[str, str]:
    """What the form finds, and the text without it and the word that says what it is."""
    found = form.search(text)
    return (found[1], f"{text[: found.start()]} {text[found.end() :]}") if found else ("", text)


def _machine(text: str, plant: Plant) -> tuple[str, str]:
    """The one machine that is named by id, serial number or name, and the text without its id or number.

    Where two are named it is neither: a person is asked.
    """
    folded = text.casefold()
    found: dict[str, tuple[int, str]] = {}
    for one in plant.assets:
        for name, is_word in ((one.id, False), (one.serial, False), (one.name, True), (one.name_zh, True)):
            if (
                len(name) >= 2
                and name.casefold() in folded
                and re.search(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9])", text, re.IGNORECASE)
            ):
                found[one.id] = max(found.get(one.id, (0, "")), (len(name), "" if is_word else name))
    longest = max((length for length, _ in found.values()), default=0)
    best = [(asset, name) for asset, (length, name) in found.items() if length == longest]
    if len(best) != 1:
        return "", text
    asset, name = best[0]
    return asset, re.sub(re.escape(name), " ", text, flags=re.IGNORECASE) if name else text


def _is_number(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None and any(char.isdigit() for char in text)
