"""A page of a list over REST: at most `limit` rows behind the row that `after` names, and the way to the next page.

Every list is paged alike. `after` is a place and no count, so what comes in meanwhile neither repeats nor hides a row.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from starlette.responses import JSONResponse, Response

from andon.events import Json
from api.refused import Refused

MOST = 500
USUAL = 100
Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of a page.")]
After = Annotated[
    str, Query(max_length=500, description="`next` of the page before; left out: the first page.")
]
Place = tuple[int | str, ...]
"""Where a row stands: its values of the columns that the list is ordered by."""
Item = TypeVar("Item")


class Paging:
    """The page that is asked for, as a dependency of a route."""

    def __init__(self, request: Request, limit: Limit = USUAL, after: After = "") -> None:
        self._request = request
        self._after = after
        self.limit = limit

    @property
    def probe(self) -> int:
        """How many rows to read: one more than are shown says whether there is another page."""
        return self.limit + 1

    def behind(self, *kinds: type) -> Place | None:
        """The place after which the page begins, checked against what its columns are; None: at the beginning."""
        if not self._after:
            return None
        place = place_of(self._after)
        if len(place) != len(kinds) or any(
            type(value) is not kind for value, kind in zip(place, kinds, strict=False)
        ):
            raise _unusable()
        return place

    def answer(
        self,
        found: Sequence[Item],
        shown: Callable[[Item], Json],
        place: Callable[[Item], Place],
        **more: Json,
    ) -> Response:
        """The page of what `probe` read; `more` stands beside the items."""
        items = found[: self.limit]
        last = place(items[-1]) if len(found) > self.limit else None
        return self.page([shown(one) for one in items], last, **more)

    def cut(self, whole: Sequence[Item], shown: Callable[[Item], Json], **more: Json) -> Response:
        """A page of a list that is short enough to be held: one of the plant's, say, in its own order."""
        place = self.behind(int)
        begin = int(place[0]) if place else 0
        items = whole[begin : begin + self.limit]
        last = (begin + self.limit,) if begin + self.limit < len(whole) else None
        return self.page([shown(one) for one in items], last, **more)

    def page(self, items: Sequence[Json], last: Place | None, **more: Json) -> Response:
        """The answer: the rows, the cursor of the next page or null, and the same as a Link (RFC 8288)."""
        cursor = None if last is None else cursor_of(last)
        body = {"items": items, "next": cursor, "limit": self.limit, **more}
        return JSONResponse(body, headers={} if cursor is None else {"Link": self._link(cursor)})

    def _link(self, cursor: str) -> str:
        url = self._request.url
        kept = [
            pair for pair in self._request.query_params.multi_items() if pair[0] not in {"after", "offset"}
        ]
        return f'<{url.path}?{urlencode([*kept, ("after", cursor)])}>; rel="next"'


PagingOf = Annotated[Paging, Depends()]


def cursor_of(place: Place) -> str:
    """A place as a word for an address; only `place_of` reads it.

    >>> cursor_of((4, "x")), place_of(cursor_of((4, "x")))
    ('WzQsIngiXQ', (4, 'x'))
    """
    said = json.dumps(place, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()


def place_of(cursor: str) -> Place:
    """The place that a cursor names; 422 for what is none of ours."""
    try:
        said = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = json.loads(said)
    except (ValueError, binascii.Error, RecursionError):
        raise _unusable() from None
    if not isinstance(place, list) or not all(
        (isinstance(one, int) and -(2**63) <= one < 2**63) or isinstance(one, str) for one in place
    ):
        raise _unusable()
    return tuple(place)


def _unusable() -> Refused:
    said = "`after` is none of this list: take `next` of its page before, with the same filters and order"
    return Refused(422, "invalid_cursor", said)
