"""What a type of ticket is assembled from, and another assembly of it: operations, safety sign-offs, approvals, fields.

A module says for itself which types it is for, so that one that is edited is edited everywhere (rule 10). Nothing here
asks for code: a page and REST turn ticks into another plant document, which is checked like any other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from andon.events import Json
from andon.plant import Plant
from andon.rules.approvals import Level
from andon.rules.operations import OperationTemplate
from andon.rules.safety import Checklist
from andon.rules.types import CustomField, Moment, TicketType

Part = OperationTemplate | Checklist | Level
AnyPart = TypeVar("AnyPart", OperationTemplate, Checklist, Level)


class ModuleKind(StrEnum):
    """What a module is; in the order in which a ticket meets them."""

    OPERATIONS = "operations"
    SAFETY = "safety"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Module:
    """Something that a type of ticket can be assembled from, and whether it is."""

    kind: ModuleKind
    code: str
    zh: str
    en: str
    used: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a type is to be: the modules by kind, when its fields must be there, limits of levels, and a new field.

    What is left out (None, or a field or level that is not named) stays as it is.
    """

    modules: Mapping[ModuleKind, frozenset[str]] | None = None
    mandatory: Mapping[str, tuple[Moment, ...]] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    more: CustomField | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two assemblies; `what` is a key of the catalogue."""

    what: str
    code: str
    before: Json = None
    after: Json = None


class UnknownModule(ValueError):
    """There is no such type, module, field or level; the text names it."""


def parts(plant: Plant) -> Iterator[tuple[ModuleKind, Part]]:
    """Everything that types can be assembled from, in its order."""
    yield from ((ModuleKind.OPERATIONS, one) for one in plant.operations if not one.retired)
    yield from ((ModuleKind.SAFETY, one) for one in plant.safety.checklists)
    yield from ((ModuleKind.APPROVAL, one) for one in plant.approvals.levels)


def modules_of(plant: Plant, type_code: str) -> Sequence[Module]:
    """The modules that there are, each with whether tickets of that type have it."""
    return [Module(kind, one.code, one.zh, one.en, _is_for(one, type_code)) for kind, one in parts(plant)]


def assembled(plant: Plant, type_code: str, wanted: Wanted) -> Plant:
    """The plant document with that type so assembled; UnknownModule, or ValueError if it would not be sound."""
    _must_be_known(plant, type_code, wanted)
    every = tuple(one.code for one in plant.ticket_types)

    def fitted(kind: ModuleKind, some: Iterable[AnyPart]) -> tuple[AnyPart, ...]:
        if wanted.modules is None:
            return tuple(some)
        chosen = wanted.modules.get(kind, frozenset())
        return tuple(_fitted(one, type_code, one.code in chosen, every) for one in some)

    levels = fitted(ModuleKind.APPROVAL, plant.approvals.levels)
    limited = tuple(
        one.model_copy(update={"from_amount": wanted.limits.get(one.code, one.from_amount)}) for one in levels
    )
    checklists = fitted(ModuleKind.SAFETY, plant.safety.checklists)
    after = plant.model_copy(
        update={
            "ticket_types": tuple(
                _type(one, wanted) if one.code == type_code else one for one in plant.ticket_types
            ),
            "operations": fitted(ModuleKind.OPERATIONS, plant.operations),
            "safety": plant.safety.model_copy(update={"checklists": checklists}),
            "approvals": plant.approvals.model_copy(update={"levels": limited}),
        }
    )
    return Plant.model_validate(after.model_dump(mode="json"))


def changes(before: Plant, after: Plant, type_code: str) -> Sequence[Change]:
    """What is different for tickets of that type, in the order of the page."""
    found = []
    for was, is_ in zip(modules_of(before, type_code), modules_of(after, type_code), strict=True):
        if was.used != is_.used:
            found.append(Change(f"{'with' if is_.used else 'without'}_{was.kind}", was.code))
    for level in after.approvals.levels:
        old = before.approvals.level(level.code)
        if old is not None and old.from_amount != level.from_amount:
            found.append(Change("limit", level.code, old.from_amount, level.from_amount))
    own = before.ticket_type(type_code)
    for one in getattr(after.ticket_type(type_code), "fields", ()):
        was_field = own.field(one.name) if own is not None else None
        if was_field is None:
            found.append(Change("field", one.name, None, list(one.mandatory)))
        elif was_field.mandatory != one.mandatory:
            found.append(Change("mandatory", one.name, list(was_field.mandatory), list(one.mandatory)))
    return found


def _must_be_known(plant: Plant, type_code: str, wanted: Wanted) -> None:
    kind = plant.ticket_type(type_code)
    if kind is None:
        raise UnknownModule(f"there is no ticket type {type_code!r}")
    known = {(which, one.code) for which, one in parts(plant)}
    asked = {(which, code) for which, codes in (wanted.modules or {}).items() for code in codes}
    strange = sorted(code for _, code in asked - known)
    strange += sorted(set(wanted.mandatory) - {one.name for one in kind.fields})
    strange += sorted(set(wanted.limits) - {one.code for one in plant.approvals.levels})
    if strange:
        raise UnknownModule(f"{type_code}: there is no {', '.join(strange)}")


def _is_for(part: Part, type_code: str) -> bool:
    """Operations that say no type are taken by hand alone; other modules that say none are for all."""
    if part.types is None:
        return True
    return type_code in part.types


def _fitted(part: AnyPart, type_code: str, use: bool, every: Sequence[str]) -> AnyPart:
    if use == _is_for(part, type_code):
        return part
    now: Sequence[str] | None = part.types
    others: tuple[str, ...] = tuple(one for one in (every if now is None else now) if one != type_code)
    return part.model_copy(update={"types": (*others, type_code) if use else others})


def _type(kind: TicketType, wanted: Wanted) -> TicketType:
    fields = tuple(
        one.model_copy(update={"mandatory": wanted.mandatory.get(one.name, one.mandatory)})
        for one in kind.fields
    )
    return kind.model_copy(update={"fields": (*fields, wanted.more) if wanted.more else fields})
