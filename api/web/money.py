"""Money as people read and write it: cents inside, the plant's currency outside."""

import re
import unicodedata

from andon.rules.approvals import MOST, cents_of

SIGNS = {"CNY": "¥", "EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "KRW": "₩", "INR": "₹"}
_WRITTEN = re.compile(r"\d{1,12}(\.\d{1,2})?")


def money(cents: int, currency: str) -> str:
    """An amount with its sign and two decimals.

    >>> money(499999, "CNY"), money(-1250, "SEK")
    ('¥4,999.99', '-12.50 SEK')
    """
    minus, whole, part = "-" if cents < 0 else "", abs(cents) // 100, abs(cents) % 100
    number = f"{whole:,}.{part:02}"
    sign = SIGNS.get(currency)
    return f"{minus}{sign}{number}" if sign else f"{minus}{number} {currency}"


def cents_in(text: str) -> int | None:
    """What a person wrote as an amount, in cents; None if it is none, or has more than two decimals.

    >>> cents_in("5,000.01"), cents_in("¥ 4999.9"), cents_in("１２"), cents_in("1.234"), cents_in("-3")
    (500001, 499990, 1200, None, None)
    """
    plain = unicodedata.normalize("NFKC", text).strip().lstrip("¥€$£₩₹").replace(",", "").replace(" ", "")
    if _WRITTEN.fullmatch(plain) is None or float(plain) > MOST:
        return None
    return cents_of(float(plain))
