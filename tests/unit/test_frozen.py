"""`changed` gives what `dataclasses.replace` gives, for every field of the values that it is used for."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from andon.frozen import changed
from ticketing.alarm_rows import Named
from ticketing.alarms import Alarm
from ticketing.ticket import Ticket


@pytest.mark.parametrize("kind", [Alarm, Named, Ticket])
def test_changed_is_replace(kind: type[Alarm | Named | Ticket]) -> None:
    names = [one.name for one in fields(kind)]
    before = kind(**{name: f"{name} before" for name in names})  # type: ignore[arg-type]
    for name in names:
        after = changed(before, **{name: "after"})  # type: ignore[arg-type]
        assert after == replace(before, **{name: "after"})  # type: ignore[arg-type]
        assert getattr(before, name) == f"{name} before"
        with pytest.raises(FrozenInstanceError):
            setattr(after, name, "again")
