"""People change the fields of an open ticket: on record, refused by name, and not undone by the machine (rules 9, 42)."""

import pytest

from andon.events import Json
from tests.scenario.story import Story, time_of
from ticketing import editing
from ticketing.errors import FieldsRefused, Missing, StaleVersion
from ticketing.ticket import Ticket


def edits(
    plant: Story,
    number: int,
    *,
    at: str = "11:00",
    reason: str = "",
    version: int | None = None,
    **wanted: Json,
) -> Ticket:
    return editing.edit(
        plant.tickets,
        number,
        editing.Edit(**wanted),
        reason=reason,
        plant=plant.plant,
        actor="chen",
        now_ns=time_of(at),
        expected_version=plant.ticket(number).version if version is None else version,
    )


def test_each_changed_field_is_on_record_with_who_and_when(plant: Story) -> None:
    plant.at("10:00").stops("M7", "E1")
    ticket = edits(
        plant,
        1,
        reason="it is the quality of the process",
        type="process_abnormality",
        fault_type="seal_failure",
        grade="A",
        region="华东",
    )
    assert (ticket.type, ticket.fault_type, ticket.grade, ticket.region) == (
        *("process_abnormality", "seal_failure"),
        *("A", "华东"),
    )
    line = next(e for e in plant.detail(1).events if e.action == "edited")
    assert (line.actor, line.at_ns, line.reason) == (
        "chen",
        time_of("11:00"),
        "it is the quality of the process",
    )
    assert line.changes["type"] == ["equipment_repair", "process_abnormality"]
    assert line.changes["fault_type"] == ["line_stop", "seal_failure"]
    assert line.changes["region"] == ["", "华东"]


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        ({"type": "party"}, [Missing("type", "unknown"), Missing("reason")]),
        ({"priority": "low"}, [Missing("reason")]),
        ({"fault_type": "gremlins"}, [Missing("fault_type", "unknown")]),
        ({"fields": {"seal_brand": "NOK"}}, [Missing("fields.seal_brand", "unknown")]),
    ],
)
def test_a_wrong_value_is_refused_with_its_fields_name(
    plant: Story, wanted: dict[str, Json], missing: list[Missing]
) -> None:
    plant.at("10:00").stops("M7", "E1")
    before = plant.ticket(1)
    with pytest.raises(FieldsRefused) as error:
        edits(plant, 1, **wanted)
    assert list(error.value.missing) == missing
    assert plant.ticket(1) == before


def test_who_was_slower_is_told_and_a_closed_ticket_stays_as_it_is(plant: Story) -> None:
    plant.at("10:00").stops("M7", "E1")
    version = plant.ticket(1).version
    edits(plant, 1, grade="B")
    with pytest.raises(StaleVersion):
        edits(plant, 1, grade="A", version=version)
    plant.at("12:00").repairs(1).signs(1)
    with pytest.raises(FieldsRefused, match="closed"):
        edits(plant, 1, grade="A")


def test_a_priority_that_a_person_lowered_stays_until_something_graver_is_heard(plant: Story) -> None:
    plant.at("10:00").shows("M7", "zone_c", severity=700)
    assert plant.ticket(1).priority == "high"
    assert edits(plant, 1, priority="low", reason="the line stands anyway").priority == "low"
    plant.at("12:00").shows("M7", "zone_c", severity=700)
    assert plant.ticket(1).priority == "low"
    plant.at("13:00").shows("M7", "zone_d", severity=800)
    assert plant.ticket(1).priority == "high"


def test_a_priority_that_a_person_raised_is_never_lowered_by_the_machine(plant: Story) -> None:
    plant.at("10:00").shows("M7", "zone_c", severity=200)
    edits(plant, 1, priority="critical", reason="the customer waits for it")
    plant.at("12:00").shows("M7", "zone_d", severity=700)
    assert plant.ticket(1).priority == "critical"
