"""Reports that the console has made: one at a time, in the background, with how far each is and where it lies."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from api.background import PERCENT, Background, Occupied, error_of, percent_of
from api.reporting.order import Order

__all__ = ["Occupied", "Printed", "Printing"]

_ORDER, _FILE = "order.json", "report.pdf"


@dataclass(frozen=True, slots=True)
class Printed:
    """One report that `by` ordered: `file` once it is done, `error` if it could not be made, `percent` meanwhile."""

    id: str
    state: Literal["running", "done", "failed"]
    order: Order
    by: str
    percent: int
    file: Path | None
    error: str


class Printing:
    """The reports of one installation, in a folder; `command` is `andon report` with the data directory."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._work = Background(folder)

    def start(self, order: Order, asks: str, now_ns: int, *, by: str) -> str:
        """Start one that is about a month, day or ticket (`asks`), and give its id; Occupied while another runs."""

        def command(place: Path) -> Sequence[str]:
            (place / _ORDER).write_text(json.dumps({"order": asdict(order), "by": by}), "utf-8")
            about = [f"--{asks}", order.about] if order.about else []
            files = ["--out", str(place / _FILE), "--progress", str(place / PERCENT)]
            return [*self._command, order.name, "--language", order.language, *about, *files]

        return self._work.start(now_ns, command)

    def get(self, name: str) -> Printed | None:
        """One of them; None if there is none of that id."""
        place = self._work.place(name)
        if place is None or not (place / _ORDER).exists():
            return None
        known = json.loads((place / _ORDER).read_text("utf-8"))
        alive, file = self._work.is_running(name), place / _FILE
        is_there = not alive and file.exists()
        state: Literal["running", "done", "failed"] = "running" if alive else "done" if is_there else "failed"
        return Printed(
            id=name,
            state=state,
            order=Order(**known["order"]),
            by=known["by"],
            percent=100 if is_there else percent_of(place),
            file=file if is_there else None,
            error=error_of(place) if state == "failed" else "",
        )

    def recent(self) -> list[Printed]:
        """All that are kept, newest first."""
        return [one for name in self._work.names() if (one := self.get(name)) is not None]

    def close(self) -> None:
        """End what runs."""
        self._work.close()
