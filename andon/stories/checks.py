"""What was expected beside what was seen: each comparison is a check with its place, which holds or does not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from andon.events import Json, nanoseconds

COUNT = "_count"
Local = Callable[[datetime], int]
"""A local time of the plant in nanoseconds UTC."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation: what it is about (`of`: the kind of thing, and its name in the story), where in it, and what was seen."""

    of: tuple[str, str]
    place: tuple[str, ...]
    wanted: Json
    seen: Json
    holds: bool

    def __str__(self) -> str:
        place = ".".join(part for part in (*self.of, *self.place) if part)
        return f"{place}: expected {self.wanted!s}, was {_short(self.seen)}"


def compared(of: tuple[str, str], wanted: Json, seen: Json, local: Local) -> Iterator[Check]:
    """The checks of everything that was expected: of a table what is named, of a list that it is in it.

    >>> [str(one) for one in compared(("ticket", "leak"), {"state": "closed"}, {"state": "resolved"}, lambda at: 0)]
    ['ticket.leak.state: expected closed, was resolved']
    """
    yield from _compared(of, (), wanted, seen, local)


def _compared(
    of: tuple[str, str], place: tuple[str, ...], wanted: Json, seen: Json, local: Local
) -> Iterator[Check]:
    if isinstance(wanted, Mapping):
        for name, inner in wanted.items():
            yield from _compared(of, (*place, name), inner, _at(seen, name), local)
    elif isinstance(wanted, list | tuple) and wanted and isinstance(seen, list | tuple):
        for one in wanted:
            found = any(_fits(one, other, local) for other in seen)
            yield Check(of, place, one, seen, found)
    else:
        yield Check(of, place, wanted, seen, _fits(wanted, seen, local))


def _fits(wanted: Json, seen: Json, local: Local) -> bool:
    """Whether that is what was seen; a local time is the moment it means."""
    if isinstance(wanted, Mapping):
        return all(_fits(inner, _at(seen, name), local) for name, inner in wanted.items())
    if isinstance(wanted, list | tuple) and isinstance(seen, list | tuple):
        return bool(wanted or not seen) and all(any(_fits(w, s, local) for s in seen) for w in wanted)
    if isinstance(wanted, datetime):
        return isinstance(seen, str) and nanoseconds(seen) == local(wanted)
    return bool(wanted == seen) and isinstance(wanted, bool) is isinstance(seen, bool)


def _at(seen: Json, name: str) -> Json:
    if not isinstance(seen, Mapping):
        return None
    if name.endswith(COUNT) and name not in seen:
        return len(seen.get(name.removesuffix(COUNT)) or ())
    return seen.get(name)


def _short(seen: Json) -> str:
    said = str(seen)
    return said if len(said) <= 400 else said[:400] + " …"
