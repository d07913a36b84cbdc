"""A week from its seed to its verdict; one that breaks a law is made as small as it goes, by leaving events out."""

import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine

from tests.stores import Stores
from tests.weeks.deeds import DEEDS
from tests.weeks.invariants import AllChecks
from tests.weeks.invent import Week, invent
from tests.weeks.world import World

SHRINKS = 60
"""So often a week is lived again at most, to find out which events it takes."""


@dataclass(frozen=True)
class Verdict:
    """What broke in a week, at which event, and the last things that happened."""

    week: Week
    law: str
    error: str
    step: int
    last: tuple[str, ...]

    def __str__(self) -> str:
        told = "\n  ".join(self.last)
        return (
            f"seed {self.week.seed}, step {self.step}: {self.error}\n  {told}\n"
            f"{len(self.week.events)} events are left; "
            f"alone: PLANT_WEEK={self.week.seed} pytest tests/scenario/test_plant_weeks.py"
        )


class Stage:
    """Where weeks are lived, one after the other: each begins in an empty store."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._photos = stores.folder / "photos"
        self._template: Path | None = None
        self._engine: Engine | None = None

    @contextmanager
    def empty(self):
        """An empty store. On SQLite it is always the same engine: what it has compiled serves the next week too."""
        if self._stores.shelf is not None:
            yield self._stores.open()
            self._stores.give_back()
            return
        if self._template is None:
            self._template = Path(self._stores.new())
            self._stores.give_back()
        path = self._template.with_name("week.sqlite")
        for old in path.parent.glob("week.sqlite*"):
            old.unlink()
        shutil.copy(self._template, path)
        self._engine = self._engine or self._stores.at(path)
        yield self._engine

    def lives(self, week: Week) -> Verdict | None:
        """The week to its end; what broke, if something did."""
        with self.empty() as engine:
            world = World(week, engine, self._photos)
            try:
                world.lives(DEEDS, AllChecks())
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in a week is its verdict
                law = str(error).partition(":")[0] if isinstance(error, AssertionError) else repr(type(error))
                said = f"{type(error).__name__}: {error}"
                return Verdict(week, law, said, len(world.steps), tuple(world.last))
            finally:
                world.close()
        return None


def verdict(stage: Stage, seed: int, deeds: int) -> Verdict | None:
    """The week of that seed; one that breaks a law as small as it goes."""
    found = stage.lives(invent(seed, deeds))
    return None if found is None else shrunk(found, stage.lives)


def shrunk(found: Verdict, lives: Callable[[Week], Verdict | None]) -> Verdict:
    """The same law broken by fewer events: runs of them are left out, ever shorter ones, as long as it breaks."""
    tries = SHRINKS
    size = max(1, len(found.week.events) // 2)
    while size and tries:
        start = 0
        while start < len(found.week.events) and tries:
            events = found.week.events
            tries -= 1
            fewer = replace(found.week, events=(*events[:start], *events[start + size :]))
            smaller = lives(fewer)
            if smaller is not None and smaller.law == found.law:
                found = smaller
            else:
                start += size
        size //= 2
    return found
