"""Changing a few of the many fields of a frozen value, where that is done for every finding."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace as changed
else:

    def changed(one, /, **changes):
        """The same value with these fields changed: `dataclasses.replace` for frozen dataclasses without slots.

        It costs a fiftieth (0.7 us instead of 39 for the 62 fields of a ticket), for it copies the fields in one go and
        asks nothing; that the names and types are right mypy checks.
        """
        new = object.__new__(type(one))
        new.__dict__.update(one.__dict__, **changes)
        return new


__all__ = ["changed"]
