"""A form that was refused: what was written in it, and what is wrong, beside the field that it is about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from andon.plant import Plant
from api.catalogue import Words
from api.web.wording import demand_sentence
from ticketing.demands import Demand
from ticketing.errors import StepRefused

_FIELDS = frozenset(
    {
        *(Demand.PERSON, Demand.BACKUP, Demand.REASON, Demand.EVIDENCE, Demand.SUB_STATE, Demand.SUMMARY),
        *(Demand.CAUSE, Demand.SAME_KIND, Demand.THREE_TICKS, Demand.ARRIVAL, Demand.HOLD),
        *(Demand.SCENE_TAG, Demand.SIGNATURE, Demand.APPROVER, Demand.MASTER),
    }
)
"""Demands that a field of the form answers; what lies elsewhere on the page is said above the form."""

_INPUTS: Mapping[str, str] = {
    **dict.fromkeys(("solved", "no_derived_risk", "no_further_support"), Demand.THREE_TICKS),
    **dict.fromkeys(("signed_by", "signer", "code"), Demand.SIGNATURE),
    **dict.fromkeys(("scan", "position", "note"), Demand.ARRIVAL),
}
"""Inputs that answer a demand of another name."""


FIELDS = "fields"
"""The form of the ticket's fields, which is no step."""


@dataclass(frozen=True, slots=True)
class Refused:
    """`wrong` says what is wrong by demand, `others` what no field of the form can mend."""

    step: str
    given: Mapping[str, str]
    wrong: Mapping[str, str]
    others: list[str]

    @property
    def texts(self) -> list[str]:
        """All that is wrong, for a form that is told it as a whole."""
        return [*self.wrong.values(), *self.others]


def refusal(
    step: str,
    given: Mapping[str, str],
    error: ValidationError | StepRefused,
    words: Words,
    plant: Plant | None = None,
) -> Refused:
    """What the form of a step shows after it was refused."""
    said = dict(_said(error, words, plant))
    return Refused(
        step=step,
        given=given,
        wrong={demand: text for demand, text in said.items() if demand in _FIELDS},
        others=[text for demand, text in said.items() if demand not in _FIELDS],
    )


def _said(
    error: ValidationError | StepRefused, words: Words, plant: Plant | None
) -> Iterator[tuple[str, str]]:
    if isinstance(error, StepRefused):
        for missing in error.missing:
            yield missing.demand, demand_sentence(missing, words, plant)
        return
    for one in error.errors():
        name = str(one["loc"][0]) if one["loc"] else ""
        absent = "absent" if one["type"] == "missing" else "value"
        yield _INPUTS.get(name, name), words(f"report.wrong_{absent}")
