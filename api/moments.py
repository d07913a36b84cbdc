"""Times in a request: RFC 3339 with an offset, and nothing else that might be taken for a time, such as a number."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _written(value: object) -> object:
    """The text of a time; ValueError for what is none: seconds since 1970 would be taken for one."""
    if isinstance(value, str) and _RFC3339.fullmatch(value) is None:
        raise ValueError("not an RFC 3339 time with its offset, as 2026-03-12T07:20:00Z")
    if isinstance(value, int | float):
        raise ValueError("a time is written out, as 2026-03-12T07:20:00Z")  # noqa: TRY004 - pydantic's word
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
