"""What can be asked about tickets, and what the answers are."""

from andon.database import reading
from tests.scenario.story import cleared, condition, stop, time_of
from ticketing import store
from ticketing.ticket import TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


class TestQuestions:
    def test_tickets_are_found_by_state_machine_line_person_priority_and_any_word(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M8", "E1", severity=900).shows("M9", "zone_c")
        plant.at("10:30").repairs(1)
        found = lambda **wanted: [t.id for t in plant.page(**wanted).tickets]  # noqa: E731
        assert found(states=(PENDING,)) == [2, 3]
        assert found(asset="M8") == [2]
        assert found(line="L2") == [1, 3]
        assert found(person="zhang") == [1]
        assert found(priority="high") == [2]
        assert found(text="SN-007") == found(text="压机7") == found(text="press a-1") == [1]
        assert found(text="zone%c") == found(text="z_ne") == []
        assert plant.page(asset="M8").counts[PENDING] == 1

    def test_a_list_goes_on_where_the_page_ends(self, plant):
        for n in range(1, 6):
            plant.at("10:00").stops(f"M{n}", "E1")
        with reading(plant.engine) as conn:
            first = store.tickets(conn, sort=store.Sort.NEWEST, limit=2)
            second = store.tickets(conn, sort=store.Sort.NEWEST, limit=2, offset=2)
        assert [t.id for t in (*first.tickets, *second.tickets)] == [5, 4, 3, 2]
        assert first.total == 5

    def test_the_newest_evidence_of_each_kind_is_drawn(self, plant):
        plant.at("10:00").shows(
            "M7", "zone_c", evidence={"trend": {"value": [1.0]}, "baseline": {"version": 1}}
        )
        plant.at("10:05").shows("M7", "zone_d", evidence={"trend": {"value": [2.0]}}, severity=800)
        drawn = plant.detail(1).drawings
        assert drawn["trend"].body == {"value": [2.0]}
        assert drawn["baseline"].body == {"version": 1}
        with reading(plant.engine) as conn:
            assert store.evidence(conn, drawn["trend"].finding) == {"trend": {"value": [2.0]}}
            assert store.evidence(conn, "no such finding") is None

    def test_a_machines_history_is_one_question(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 11:00").runs("M7").repairs(1).signs(1)
        plant.at("Tue 10:00").stops("M7", "E1")
        with reading(plant.engine) as conn:
            history = store.asset_history(conn, "M7")
        assert ([t.id for t in history.tickets], len(history.problems), history.failures) == ([2, 1], 1, 2)

    def test_every_change_has_a_higher_number_and_names_what_changed(self, plant):
        with reading(plant.engine) as conn:
            assert store.changes_since(conn, 0).number == 0
        plant.at("10:00").stops("M7", "E1").stops("M8", "E1")
        with reading(plant.engine) as conn:
            seen = store.changes_since(conn, 0)
        assert seen.tickets == (1, 2)
        plant.tickets.comment(1, text="x", actor="li", now_ns=1)
        with reading(plant.engine) as conn:
            later = store.changes_since(conn, seen.number)
            assert (later.tickets, later.problems) == ((1,), ())
            assert store.changes_since(conn, later.number).tickets == ()

    def test_the_counts_balance(self, plant):
        words = [stop("M7", "E1", time_of("10:00")), condition("M8", "zone_c", time_of("10:00"))]
        words += [cleared(words[0], time_of("10:05")), words[0], stop("M7", "E1", time_of("10:06"))]
        plant.hears(words, time_of("10:10"))
        with reading(plant.engine) as conn:
            m = store.metrics(conn)
        assert m.findings == m.duplicates + m.opened + m.joined + m.reopened + m.late + m.cleared == 5
        assert (m.opened, m.folded, m.duplicates, m.cleared) == (2, 1, 1, 1)
