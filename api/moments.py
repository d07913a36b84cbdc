"""Times in a request: RFC 3339 with an offset, and nothing else that might be taken for a time, such as a number."""

import re
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from andon.events import nanoseconds

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _written(value: object) -> object:
    """The text of a time; ValueError for what is none: seconds since 1970 would be taken for one."""
    if isinstance(value, str) and _RFC3339.fullmatch(value) is None:
        raise ValueError("not an RFC 3339 time with its offset, as 2026-03-12T07:20:00Z")
    if isinstance(value, int | float):
        raise ValueError("a time is written out, as 2026-03-12T07:20:00Z")  # noqa: TRY004 - pydantic's word
    return value


def _told(value: str) -> str:
    _written(value)
    try:
        nanoseconds(value)
    except OverflowError:
        raise ValueError("a time that cannot be stored: between 1678 and 2262") from None
    return value


Told = Annotated[str, AfterValidator(_told), Field(max_length=40, json_schema_extra={"format": "date-time"})]
"""A time that stays a text: what `andon.events.nanoseconds` reads, and can."""
Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
