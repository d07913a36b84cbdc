"""Another plant document with one plan, meter or template of operations put in, checked like any other."""

from andon.plant import Plant
from andon.rules.operations import OperationTemplate
from andon.rules.plans import Meter, Plan
from andon.rules.sla import POLICIES
from andon.rules.types import TICKET_TYPES

PREVENTIVE = "preventive_maintenance"
Planned = Plan | Meter | OperationTemplate


def with_planned(plant: Plant, new: Planned) -> Plant:
    """The next document with that in place of what had its code, or behind the others; ValueError if it is unsound.

    The first plan brings the type of its tickets and the limits of them along where a document of its own has none.
    """
    name = {Plan: "plans", Meter: "meters", OperationTemplate: "operations"}[type(new)]
    known: tuple[Planned, ...] = getattr(plant, name)
    kept = tuple(new if one.code == new.code else one for one in known)
    document = plant.model_dump(mode="json")
    document[name] = [one.model_dump(mode="json") for one in (kept if new in kept else (*kept, new))]
    if isinstance(new, Plan) and new.type == PREVENTIVE and plant.ticket_type(PREVENTIVE) is None:
        own = next(one for one in TICKET_TYPES if one.code == PREVENTIVE)
        limits = next(one for one in POLICIES if one.name == PREVENTIVE)
        document["ticket_types"].append(own.model_dump(mode="json"))
        document["sla"]["policies"].append(limits.model_dump(mode="json"))
    return Plant.model_validate(document | {"version": plant.version + 1})
