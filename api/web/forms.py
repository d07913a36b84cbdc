"""Forms as they arrive: one file, few fields, and what a field says as text or number."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData

MOST = 1_000_000
"""Characters of one field that are looked at."""
_DIGITS = 16


async def _form(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=1, max_fields=40) as form:
        yield form


async def files_form(request: Request) -> AsyncIterator[FormData]:
    """A form with several files, as those of requests are."""
    async with request.form(max_files=20, max_fields=60) as form:
        yield form


Form = Annotated[FormData, Depends(_form)]


def texts_of(form: FormData) -> dict[str, str]:
    """The fields of a form that are text."""
    return {name: value for name, value in form.items() if isinstance(value, str)}


def field_of(form: FormData, name: str) -> str:
    """A field of a form as text; empty where there is none. A drawn signature is the longest."""
    value = form.get(name, "")
    return value[:MOST] if isinstance(value, str) else ""


def whole_number_of(form: FormData, name: str) -> int | None:
    """A field of a form as a whole number, None if it is none."""
    value = field_of(form, name).strip()
    return int(value) if value.isdecimal() and len(value) < _DIGITS else None


def number_of(form: FormData, name: str) -> float | None:
    """A field of a form as a number, None if it is none."""
    try:
        return float(field_of(form, name)[:_DIGITS])
    except ValueError:
        return None
