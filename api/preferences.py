"""What a visitor chooses: language, colours, and the person acted as. Kept in cookies, for a year."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse

from andon.access.roles import Right
from api.rights import needs
from api.visit import LANGUAGE, PERSON, THEME

router = APIRouter(include_in_schema=False)
A_YEAR_S = 365 * 24 * 3600


@router.post("/preferences", dependencies=[needs(Right.SELF)])
def choose(
    back: Annotated[str, Form()] = "/",
    language: Annotated[str | None, Form(pattern="^(zh|en)$")] = None,
    theme: Annotated[str | None, Form(pattern="^(auto|light|dark)$")] = None,
    person: Annotated[str | None, Form(max_length=64)] = None,
) -> RedirectResponse:
    """Remember what was chosen and go back to the page."""
    answer = RedirectResponse(inside(back), 303)
    for name, value in ((LANGUAGE, language), (THEME, theme), (PERSON, person)):
        if value is not None:
            answer.set_cookie(name, value, max_age=A_YEAR_S, httponly=True, samesite="strict")
    return answer


def inside(address: str) -> str:
    r"""The address if it lies in this console, else the inbox: no link of ours leads elsewhere.

    A browser takes any number of slashes, either way round, for the beginning of a host (WHATWG URL, 4.4).

    >>> inside("/tickets?state=open"), inside("//evil.example"), inside("https://evil.example")
    ('/tickets?state=open', '/', '/')
    >>> inside("///evil.example"), inside("/\\evil.example"), inside("/\t/evil.example")
    ('/', '/', '/')
    """
    local = address.startswith("/") and not address.startswith("//")
    return address if local and address.isprintable() and "\\" not in address else "/"
