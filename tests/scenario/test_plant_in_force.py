"""Whoever asks often for the plant in force has it at once when it changes, and does not read it again until then."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

from andon import plants
from andon.database import writing
from andon.events import ConfigChanged, Origin
from tests.stores import Stores


def comes_into_force(database: Engine, version: int, name: str, at_ns: int) -> None:
    with writing(database) as conn:
        plants.save(conn, ConfigChanged(at_ns, version, {"name": name}, Origin("engine", version, at_ns)))


@contextmanager
def documents_read(database: Engine) -> Iterator[list[str]]:
    found: list[str] = []

    def hear(_conn: object, _cursor: object, said: str, *_: object) -> None:
        if "document" in said:
            found.append(said)

    event.listen(database, "before_cursor_execute", hear)
    yield found
    event.remove(database, "before_cursor_execute", hear)


def test_a_change_is_seen_by_the_next_who_asks_and_read_once(stores: Stores) -> None:
    database = stores.open()
    current = plants.Current(database)
    assert current().name == ""
    for version, name in ((1, "first"), (2, "second"), (2, "second, told again")):
        comes_into_force(database, version, name, at_ns=version * 100 + len(name))
        with documents_read(database) as read:
            assert [current().name for _ in range(3)] == [name] * 3
        assert len(read) == 1
