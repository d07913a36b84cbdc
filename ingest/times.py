"""When something happened, by the sender's word: kept if it can be true, never later than it was received."""

from andon.events import MINUTE_NS, SECOND_NS, nanoseconds
from ingest.refusal import Reason, Refused

MAX_AHEAD_NS = 5 * MINUTE_NS
"""A clock may be this far ahead before its word is replaced (faults 36 and 46: a skewed or unset clock)."""
_KNOWN_SECONDS = 4096
_TENS = (10**9, 10**8, 10**7, 10**6, 10**5, 10**4, 1000, 100, 10, 1)
_seconds: dict[str, int] = {}  # "2023-11-14T22:13:20." -> ns: a second's text comes back many times


def source_ns(text: str) -> int:
    """Nanoseconds UTC of an RFC 3339 time with offset, 1970 or later; Refused (schema) for anything else.

    >>> source_ns("2023-11-14T22:13:20.123Z")
    1700000000123000000
    """
    second_ns = _seconds.get(text[:20])
    if second_ns is not None:
        digits = text[20:-1]
        if digits.isdigit() and len(digits) < 10 and text[-1] == "Z" and digits.isascii():
            return second_ns + int(digits) * _TENS[len(digits)]
    try:
        at_ns = nanoseconds(text)
    except (ValueError, OverflowError) as error:
        raise Refused(Reason.SCHEMA, f"no RFC 3339 time with offset: {text[:40]!r} ({error})") from None
    if not 0 <= at_ns < 2**63:
        raise Refused(Reason.SCHEMA, f"a time that no clock shows: {text[:40]!r}")
    if text[-1] == "Z" and text.find(".") == 19:
        if len(_seconds) >= _KNOWN_SECONDS:
            _seconds.clear()
        _seconds[text[:20]] = at_ns - at_ns % SECOND_NS
    return at_ns
