"""What a report is ordered with."""

from dataclasses import dataclass

from api.catalogue import Language


@dataclass(frozen=True, slots=True)
class Order:
    """One report: its name, what it is about ("2026-10", a day, a ticket's id; "" for the newest), the language."""

    name: str
    about: str
    language: Language
