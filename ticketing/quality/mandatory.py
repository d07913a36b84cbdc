"""A field of a type of tickets is made mandatory, from the root-cause task that missed it (rule 59): seal brand, say.

The plant document changes; who asks has it brought into force (`andon.plants.ask`).
"""

from collections.abc import Sequence

from pydantic import ValidationError

from andon.plant import Plant
from andon.rules.types import CustomField, TicketType
from ticketing.errors import Missing, StepRefused

OPENING, RESOLVING = "opening", "resolving"
MOMENTS = (OPENING, RESOLVING)


def with_mandatory(
    plant: Plant,
    *,
    type_code: str,
    name: str,
    zh: str = "",
    en: str = "",
    choices: Sequence[str] = (),
    moments: Sequence[str] = (RESOLVING,),
) -> Plant:
    """The next version of the plant, in which tickets of that type are asked for that field; it is added where new.

    A field that is there keeps its label and kind and is asked for at these moments too; with `choices` a new one is a
    pick list, else text. Open tickets are asked for it when they are resolved (rule 9).

    Raises
    ------
    StepRefused
        There is no such type ("type"), a new field has no label ("label"), a moment is none ("moment"), the field is
        asked for already ("field", "is_mandatory"), or what was given makes no field ("field").

    Examples
    --------
    >>> plant = with_mandatory(Plant(name="p"), type_code="equipment_repair", name="seal_brand", zh="密封圈品牌",
    ...     en="Seal brand", choices=("NOK", "Parker"))
    >>> plant.version, plant.ticket_type("equipment_repair").field("seal_brand").mandatory
    (2, ('resolving',))
    """
    kind = plant.ticket_type(type_code)
    if kind is None:
        raise _refused(Missing("type", "unknown" if type_code else "absent"))
    if not moments or not set(moments) <= set(MOMENTS):
        raise _refused(Missing("moment", "unknown" if moments else "absent"))
    known = kind.field(name)
    if known is not None and set(moments) <= set(known.mandatory):
        raise _refused(Missing("field", "is_mandatory"))
    if known is None and not (zh.strip() and en.strip()):
        raise _refused(Missing("label"))
    asked = [one for one in MOMENTS if one in {*moments, *(known.mandatory if known else ())}]
    said = known.model_dump() if known else {"name": name, "zh": zh.strip(), "en": en.strip()}
    if known is None and choices:
        said |= {"kind": "choice", "choices": tuple(dict.fromkeys(choices))}
    try:
        field = CustomField.model_validate({**said, "mandatory": asked})
        after = _with_field(kind, field)
        types = [after if one.code == type_code else one for one in plant.ticket_types]
        changed = {"ticket_types": tuple(types), "version": plant.version + 1}
        return plant.model_copy(update=changed)
    except ValidationError as error:
        raise _refused(Missing("field", str(error.errors()[0]["msg"])[:200])) from error


def _with_field(kind: TicketType, field: CustomField) -> TicketType:
    """The type with the field in its place, or as its last."""
    known = kind.field(field.name) is not None
    fields = [field if one.name == field.name else one for one in kind.fields]
    return TicketType.model_validate({**kind.model_dump(), "fields": [*fields, *([] if known else [field])]})


def _refused(missing: Missing) -> StepRefused:
    return StepRefused("make_mandatory", "plant", [missing])
