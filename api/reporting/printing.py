"""Reports that the console has made: one at a time, in the background, with how far each is and where it lies."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from api.background import PERCENT, Background, Occupied, error_of, percent_of
from api.reporting.order import Order

__all__ = ["Occupied", "Printed", "Printing"]

ORDER, FILE = "order.json", "report.pdf"
DOSSIER = "dossier"
"""The report that is about one ticket."""


@dataclass(frozen=True, slots=True)
class Printed:
    """One report: `file` once it is done, `error` if it could not be made, `percent` meanwhile.

    The id of what is about one ticket ends in that ticket's ("1773300000000000000.42"), so that it says who may see it.
    """

    id: str
    state: Literal["running", "done", "failed"]
    order: Order
    percent: int
    file: Path | None
    error: str


class Printing:
    """The reports of one installation, in a folder; `command` is `andon report` with the data directory."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._work = Background(folder)

    def start(self, order: Order, asks: str, now_ns: int) -> str:
        """Start one that is about a month, day or ticket (`asks`), and give its id; Occupied while another runs."""

        def command(place: Path) -> Sequence[str]:
            (place / ORDER).write_text(json.dumps(asdict(order)), "utf-8")
            about = [f"--{asks}", order.about] if order.about else []
            files = ["--out", str(place / FILE), "--progress", str(place / PERCENT)]
            return [*self._command, order.name, "--language", order.language, *about, *files]

        return _id(self._work.start(now_ns, command), order)

    def get(self, paper_id: str) -> Printed | None:
        """One of them; None if there is none of that id."""
        name = paper_id.partition(".")[0]
        place = self._work.place(name)
        if place is None or not (place / ORDER).exists():
            return None
        order = Order(**json.loads((place / ORDER).read_text("utf-8")))
        if paper_id != _id(name, order):
            return None
        alive, file = self._work.is_running(name), place / FILE
        is_there = not alive and file.exists()
        state: Literal["running", "done", "failed"] = "running" if alive else "done" if is_there else "failed"
        return Printed(
            id=paper_id,
            state=state,
            order=order,
            percent=100 if is_there else percent_of(place),
            file=file if is_there else None,
            error=error_of(place) if state == "failed" else "",
        )

    def recent(self) -> list[Printed]:
        """All that are kept, newest first."""
        found = (self._named(name) for name in self._work.names())
        return [one for one in found if one is not None]

    def close(self) -> None:
        """End what runs."""
        self._work.close()

    def _named(self, name: str) -> Printed | None:
        place = self._work.place(name)
        if place is None or not (place / ORDER).exists():
            return None
        return self.get(_id(name, Order(**json.loads((place / ORDER).read_text("utf-8")))))


def _id(name: str, order: Order) -> str:
    return f"{name}.{order.about}" if order.name == DOSSIER else name
